/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/status/cell_counts.h"

static void the_exit_status_says_what_is_missing(void **state)
{
    (void)state;
    const struct {
        struct ko_cell_counts counts;
        int status;
    } cases[] = {
        {{.done = 5}, 0},
        {{.done = 5, .vacuous = 3}, 0},
        {{.done = 5, .failed = 1}, 3},
        {{.done = 5, .pending = 1}, 4},
        {{.failed = 1, .pending = 1}, 4},
        {{0}, 0},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        assert_int_equal(ko_cell_counts_status(&cases[k].counts), cases[k].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_exit_status_says_what_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
