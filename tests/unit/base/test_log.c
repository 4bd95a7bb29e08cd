/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "src/base/log.h"

/* Everything that one rank says at each level, one line a level. */
static void said(struct ko_log log, char *out, size_t n)
{
    char *data = NULL;
    size_t size = 0;
    log.stream = open_memstream(&data, &size);
    assert_non_null(log.stream);
    for (int level = KO_LOG_ERROR; level <= KO_LOG_DEBUG; level++) {
        ko_log_write(&log, (enum ko_log_level)level, "event n=%d", level);
    }
    assert_int_equal(fclose(log.stream), 0);
    (void)snprintf(out, n, "%s", data);
    free(data);
}

static void only_the_root_speaks_at_info_level(void **state)
{
    static const struct {
        struct ko_log log;
        const char *said;
    } row[] = {
        {{.level = KO_LOG_INFO, .rank = 0, .root = true},
         "level=error rank=0 event n=0\nlevel=warn rank=0 event n=1\nlevel=info rank=0 event "
         "n=2\n"},
        {{.level = KO_LOG_INFO, .rank = 3},
         "level=error rank=3 event n=0\nlevel=warn rank=3 event n=1\n"},
        {{.level = KO_LOG_DEBUG, .rank = 3},
         "level=error rank=3 event n=0\nlevel=warn rank=3 event n=1\nlevel=debug rank=3 event "
         "n=3\n"},
        {{.level = KO_LOG_ERROR, .rank = -1, .root = true}, "level=error event n=0\n"},
    };
    char out[400];
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        said(row[i].log, out, sizeof out);
        assert_string_equal(out, row[i].said);
    }
}

/* What is said to people: warnings in words, results, and nothing of the rest. */
static void people_are_spared_keys_and_values(void **state)
{
    static const struct {
        struct ko_log log;
        const char *said;
    } row[] = {
        {{.level = KO_LOG_INFO, .rank = 0, .root = true, .for_people = true},
         "knockout: warning: the file is old\nx.h5: done\n"},
        {{.level = KO_LOG_INFO, .rank = -1, .root = true, .for_people = true},
         "knockout: warning: the file is old\nx.h5: done\n"},
        {{.level = KO_LOG_INFO, .rank = 2, .for_people = true},
         "knockout: warning: rank 2: the file is old\n"},
        {{.level = KO_LOG_INFO, .rank = 0, .root = true},
         "level=warn rank=0 age the file is old\nlevel=info rank=0 event n=1\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        char *data = NULL;
        size_t size = 0;
        struct ko_log log = row[i].log;
        log.stream = open_memstream(&data, &size);
        assert_non_null(log.stream);
        ko_log_warn(&log, "age", "the file is %s", "old");
        ko_log_write(&log, KO_LOG_INFO, "event n=%d", 1);
        ko_log_say(&log, "%s: done", "x.h5");
        ko_log_say(NULL, "nobody hears this");
        assert_int_equal(fclose(log.stream), 0);
        assert_string_equal(data, row[i].said);
        free(data);
    }
}

static void an_event_is_one_line(void **state)
{
    char *data = NULL;
    size_t size = 0;
    struct ko_log log = {.level = KO_LOG_WARN, .rank = -1, .root = true};
    (void)state;
    log.stream = open_memstream(&data, &size);
    ko_log_write(&log, KO_LOG_WARN, "a=%s", "1\n2\r3");
    ko_log_write(NULL, KO_LOG_WARN, "nobody hears this");
    assert_int_equal(fclose(log.stream), 0);
    assert_string_equal(data, "level=warn a=1 2 3\n");
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_root_speaks_at_info_level),
        cmocka_unit_test(people_are_spared_keys_and_values),
        cmocka_unit_test(an_event_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
