/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/tree/batch.h"
#include "tests/support/small_plan.h"

static struct ko_error err;

/* Batches of several prompts, of which the first model's have taken cells: all of prompt 1. */
struct packed {
    struct ko_plan *plan;
    struct ko_taken *taken;
    struct ko_batches batches;
    struct ko_bytes bytes;
};

static void pack(struct packed *p)
{
    *p = (struct packed){.plan = small_plan_sweep(false)};
    const int64_t n = ko_plan_n_values(p->plan);
    uint8_t *all = malloc((size_t)n);
    assert_non_null(all);
    memset(all, 1, (size_t)n);
    assert_int_equal(ko_taken_new(p->plan, &p->taken, &err), KO_OK);
    assert_int_equal(ko_taken_add(p->taken, 0, 1, all, 0, n, &err), KO_OK);
    assert_int_equal(ko_batches_compose(p->plan, &p->batches, &err), KO_OK);
    assert_int_equal(ko_batches_prune(p->plan, p->taken, &p->batches, &err), KO_OK);
    ko_batches_pack(&p->batches, &p->bytes);
    free(all);
}

static void unpack_free(struct packed *p)
{
    ko_text_free(&p->bytes.data);
    ko_batches_free(&p->batches);
    ko_taken_free(p->taken);
    ko_plan_free(p->plan);
}

static void other_ranks_have_the_same_batches(void **state)
{
    struct packed p;
    struct ko_batches got = {0};
    struct ko_bytes from = {0};
    int32_t n_taken = 0;
    (void)state;
    pack(&p);
    ko_bytes_read_from(&from, p.bytes.data.data, p.bytes.data.n);
    assert_int_equal(ko_batches_unpack(&from, p.plan, p.taken, &got, &err), KO_OK);
    assert_false(from.broken);
    assert_int_equal(from.left, 0);
    assert_int_equal(got.n, p.batches.n);
    assert_true(got.n > 1);
    for (int32_t b = 0; b < got.n; b++) {
        const struct ko_batch *here = &got.batch[b], *there = &p.batches.batch[b];
        assert_int_equal(here->model, there->model);
        assert_int_equal(here->n_facts, there->n_facts);
        assert_memory_equal(here->fact, there->fact, (size_t)here->n_facts * sizeof *here->fact);
        assert_int_equal(here->n_waves, there->n_waves);
        assert_ptr_equal(here->taken, there->taken);
        assert_int_equal(here->n_taken, there->n_taken);
        assert_int_equal(here->n_cells, there->n_cells);
        assert_int_equal(here->n_rows, there->n_rows);
        assert_int_equal(here->n_branches, there->n_branches);
        assert_int_equal(here->n_branch_rows, there->n_branch_rows);
        assert_int_equal(here->n_part_branches, there->n_part_branches);
        assert_int_equal(here->n_part_rows, there->n_part_rows);
        assert_int_equal(here->n_shared_rows, there->n_shared_rows);
        assert_int_equal(here->longest_path, there->longest_path);
        assert_true(here->flop == there->flop && here->flop >= 0);
        assert_true(here->separate_flop == there->separate_flop && here->separate_flop >= 0);
        n_taken += here->taken != NULL;
    }
    assert_true(n_taken > 0 && n_taken < got.n);
    ko_batches_free(&got);
    unpack_free(&p);
}

static void bytes_that_are_cut_off_are_noticed(void **state)
{
    struct packed p;
    (void)state;
    pack(&p);
    for (size_t n = 0; n < p.bytes.data.n; n++) {
        struct ko_batches got = {0};
        struct ko_bytes from = {0};
        ko_bytes_read_from(&from, p.bytes.data.data, n);
        assert_int_equal(ko_batches_unpack(&from, p.plan, p.taken, &got, &err), KO_OK);
        assert_true(from.broken);
        assert_null(got.batch);
    }
    unpack_free(&p);
}

static void prompts_that_the_plan_lacks_are_noticed(void **state)
{
    struct packed p;
    struct ko_batches got = {0};
    struct ko_bytes wrong = {0}, from = {0};
    (void)state;
    pack(&p);
    p.batches.batch[0].fact[0] = p.plan->n_facts;
    ko_batches_pack(&p.batches, &wrong);
    ko_bytes_read_from(&from, wrong.data.data, wrong.data.n);
    assert_int_equal(ko_batches_unpack(&from, p.plan, p.taken, &got, &err), KO_OK);
    assert_true(from.broken);
    assert_null(got.batch);
    ko_text_free(&wrong.data);
    unpack_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_ranks_have_the_same_batches),
        cmocka_unit_test(bytes_that_are_cut_off_are_noticed),
        cmocka_unit_test(prompts_that_the_plan_lacks_are_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
