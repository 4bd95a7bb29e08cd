/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/file.h"
#include "src/base/text.h"
#include "src/cube/format/datasets.h"

static struct ko_error err;
static struct ko_strings
    words; /* what docs/cube.md has between backticks, cut at other characters */

static void add_words(char *text)
{
    char *end = text + strlen(text);

    for (char *c = text; c < end;) {
        char *word = c;
        while (c < end && (isalnum((unsigned char)*c) || *c == '_')) {
            c++;
        }
        if (c > word) {
            *c = '\0';
            assert_int_equal(ko_strings_intern(&words, word, NULL, &err), KO_OK);
        }
        c++;
    }
}

/* Spans of code; fenced blocks are examples and describe nothing. */
static int read_words(void **state)
{
    char *text = NULL;
    size_t n = 0;
    bool fenced = false;
    (void)state;

    if (ko_file_read(KO_SOURCE_DIR "/docs/cube.md", 1 << 20, &text, &n, &err) != KO_OK) {
        return -1;
    }
    for (char *c = text, *end; *c; c = end) {
        end = c + 1;
        if (strncmp(c, "```", 3) == 0) {
            fenced = !fenced;
            end = c + 3;
        } else if (*c == '`' && !fenced && (end = strchr(c + 1, '`'))) {
            *end++ = '\0';
            add_words(c + 1);
        }
        if (!end) {
            break;
        }
    }
    free(text);
    return 0;
}

static int free_words(void **state)
{
    (void)state;
    ko_strings_free(&words);
    return 0;
}

static bool has_word(const char *word)
{
    return ko_strings_find(&words, word) >= 0;
}

/* By its own name, or by the name of which the page says that it comes with this prefix too, or as
   the characters of a labelled axis. */
static bool described(const char *name)
{
    static const char *const prefixes[] = {"heat_", "eval_"};
    const size_t n = strlen(name), n_label = strlen("_label");
    char axis[64] = "";

    if (has_word(name)) {
        return true;
    }
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0 &&
            described(name + strlen(prefixes[i]))) {
            return true;
        }
    }
    if (n > n_label && n < sizeof axis && strcmp(name + n - n_label, "_label") == 0) {
        memcpy(axis, name, n - n_label);
    }
    return axis[0] && has_word(axis) && has_word("route_label");
}

static void the_page_describes_every_axis_and_dataset(void **state)
{
    (void)state;
    assert_true(words.n > 100);
    assert_false(described("no_such_dataset") || described("heat_nothing"));
    for (int axis = KO_AXIS_NONE + 1; axis < KO_CUBE_N_AXES; axis++) {
        if (!has_word(ko_cube_axis_name((enum ko_cube_axis)axis))) {
            fail_msg("docs/cube.md: axis '%s' is not described",
                     ko_cube_axis_name((enum ko_cube_axis)axis));
        }
    }
    for (size_t i = 0; i < KO_CUBE_N_DATASETS; i++) {
        if (!described(ko_cube_table[i].name)) {
            fail_msg("docs/cube.md: dataset '%s' is not described", ko_cube_table[i].name);
        }
    }
}

/* What has a unit says it: all that is measured. */
static void every_dataset_has_a_long_name_and_every_measured_one_a_unit(void **state)
{
    (void)state;
    for (size_t i = 0; i < KO_CUBE_N_DATASETS; i++) {
        const struct ko_cube_dataset *dataset = &ko_cube_table[i];
        assert_true(dataset->long_name && dataset->long_name[0]);
        if ((dataset->type == KO_TYPE_FLOAT || dataset->type == KO_TYPE_DOUBLE ||
             dataset->field == KO_FIELD_WINDOW) &&
            !dataset->units) {
            fail_msg("dataset '%s' has no unit", dataset->name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_describes_every_axis_and_dataset),
        cmocka_unit_test(every_dataset_has_a_long_name_and_every_measured_one_a_unit),
    };
    return cmocka_run_group_tests(tests, read_words, free_words);
}
