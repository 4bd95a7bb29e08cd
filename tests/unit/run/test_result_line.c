/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/run/result_line.h"

static void a_run_ends_with_what_is_there_and_what_to_do_next(void **state)
{
    (void)state;
    const struct {
        struct ko_result result;
        const char *line;
    } cases[] = {
        {{.path = "first.h5", .total = 2640, .done = 2640, .seconds = 0.62},
         "first.h5: 2,640 cells done in 0.6 s; next: knockout show first.h5"},
        {{.path = "a b.h5", .total = 10, .before = 4, .done = 6, .seconds = 61},
         "a b.h5: 10 cells done, 6 of them now, in 1m 01s; next: knockout show 'a b.h5'"},
        {{.path = "x.h5", .already = true}, "x.h5: complete already; next: knockout show x.h5"},
        {{.path = "x.h5", .total = 10, .before = 10},
         "x.h5: 10 cells done already; next: knockout show x.h5"},
        {{.path = "x.h5", .total = 10, .done = 4, .seconds = 2, .stopped = true},
         "x.h5: 4 of 10 cells done in 2.0 s"},
        {{.path = "x.h5", .total = 10, .done = 10, .seconds = 2, .n_failures = 1},
         "x.h5: 10 cells done in 2.0 s, 1 failure recorded; next: knockout status x.h5 says why, "
         "the same command "
         "with --resume tries again"},
        {{.path = "x.evaluation.h5",
          .evaluation = true,
          .total = 1188,
          .done = 1188,
          .seconds = 1.6,
          .is_step = true},
         "x.evaluation.h5: 1,188 clean runs done in 1.6 s"},
        {{.path = "e.h5", .evaluation = true, .total = 1188, .done = 1188, .seconds = 1.6},
         "e.h5: 1,188 clean runs done in 1.6 s; next: knockout show e.h5"},
        {{.path = "x.shard-0001-of-0004.h5",
          .total = 10,
          .done = 10,
          .seconds = 2,
          .shard = {1, 4},
          .whole_path = "x.h5"},
         "x.shard-0001-of-0004.h5: 10 cells done in 2.0 s; next, when all 4 shards are done: "
         "knockout merge "
         "SHARD... -o x.h5"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct ko_text out = {0};
        ko_result_add(&cases[k].result, &out);
        assert_string_equal(ko_text_str(&out), cases[k].line);
        ko_text_free(&out);
    }
}

static void names_are_written_as_a_shell_takes_them(void **state)
{
    (void)state;
    const char *const cases[][2] = {{"results/a-1_b.h5", "results/a-1_b.h5"},
                                    {"a b", "'a b'"},
                                    {"it's", "'it'\\''s'"},
                                    {"$HOME", "'$HOME'"},
                                    {"-x", "'-x'"},
                                    {"", "''"}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct ko_text out = {0};
        ko_shell_word_add(&out, cases[k][0]);
        assert_string_equal(ko_text_str(&out), cases[k][1]);
        ko_text_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_ends_with_what_is_there_and_what_to_do_next),
        cmocka_unit_test(names_are_written_as_a_shell_takes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
