/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/every_wave.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "src/tree/waves/wave_build.h"

int32_t check_every_wave(const struct ko_plan *plan, check_wave *check)
{
    struct ko_batches batches = {0};
    struct ko_error err = {0};
    int32_t n = 0;
    assert_int_equal(ko_batches_compose(plan, &batches, &err), KO_OK);
    for (int32_t b = 0; b < batches.n; b++) {
        int64_t n_rows = 0;
        for (int32_t w = 0; w < batches.batch[b].n_waves; w++, n++) {
            struct ko_wave wave = {0};
            struct ko_row_set set = {0};
            assert_int_equal(ko_wave_build(plan, &batches.batch[b], w, &wave, &err), KO_OK);
            assert_int_equal(ko_row_set_build(plan, &wave, &set, &err), KO_OK);
            assert_int_equal(set.rows.n_rows, wave.n_rows);
            assert_true(wave.n_rows <= plan->model[wave.model].row_budget);
            n_rows += wave.n_rows;
            check(&(struct wave_of){plan, &wave, &set});
            ko_row_set_free(&set);
            ko_wave_free(&wave);
        }
        assert_int_equal(n_rows, batches.batch[b].n_rows);
    }
    ko_batches_free(&batches);
    return n;
}

const struct ko_prompt *prompt_of_wave(const struct wave_of *w, int32_t prompt)
{
    return ko_plan_prompt(w->plan, w->wave->model, w->wave->fact[prompt]);
}
