/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/plan/pack.h"
#include "src/tree/shard.h"
#include "src/tree/statuses.h"
#include "src/tree/waves/wave_build.h"
#include "tests/support/made_plan.h"

static void a_shard_is_k_of_n(void **state)
{
    static const struct {
        const char *text;
        int32_t number, of; /* of 0: refused */
    } table[] = {
        {"1/1", 1, 1},         {"3/16", 3, 16}, {"16/16", 16, 16}, {"9999/9999", 9999, 9999},
        {"0/4", 0, 0},         {"5/4", 0, 0},   {"4", 0, 0},       {"", 0, 0},
        {"1/", 0, 0},          {"/4", 0, 0},    {"1/4/4", 0, 0},   {"a/4", 0, 0},
        {"1/4x", 0, 0},        {"-1/4", 0, 0},  {"1.0/4", 0, 0},   {"1/10000", 0, 0},
        {"4294967297/4", 0, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct ko_shard shard = {7, 7};
        struct ko_error err = {0};
        enum ko_code code = ko_shard_parse(table[i].text, "--shard", &shard, &err);
        if (table[i].of > 0) {
            assert_int_equal(code, KO_OK);
            assert_int_equal(shard.number, table[i].number);
            assert_int_equal(shard.of, table[i].of);
        } else {
            assert_int_equal(code, KO_E_INPUT);
            assert_int_equal(shard.of, 7);
            assert_non_null(strstr(err.text, "--shard: expected K/N with 1 <= K <= N <= 9999"));
            assert_non_null(strstr(err.text, table[i].text));
        }
    }
}

/* ---------------------------------------------------------------------------- the partition */

enum { MOST_BATCHES = 400 };

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

static double cost_of(const struct ko_batch *batch, int32_t first, int32_t end)
{
    double sum = 0.0;
    for (int32_t b = first; b < end; b++) {
        sum += batch[b].flop;
    }
    return sum;
}

/* Checks that the shards of n are the batches one after the other, and that none has more or less
   than its share by more than 5 % or one batch. */
static void check_partition(const struct ko_batches *batches, int32_t n)
{
    double total = cost_of(batches->batch, 0, batches->n), largest = 0.0;
    int32_t at = 0;
    for (int32_t b = 0; b < batches->n; b++) {
        largest = fmax(largest, batches->batch[b].flop);
    }
    for (int32_t k = 1; k <= n; k++) {
        int32_t first = -1, end = -1;
        ko_shard_range(batches, (struct ko_shard){k, n}, &first, &end);
        assert_int_equal(first, at);
        assert_true(end >= first);
        double share = cost_of(batches->batch, first, end);
        /* The sums round: 1e-9 of all. */
        assert_true(fabs(share - total / n) <= fmax(0.05 * total / n, largest) + 1e-9 * total);
        at = end;
    }
    assert_int_equal(at, batches->n);
}

static void every_batch_is_in_one_shard_of_its_share(void **state)
{
    static const int32_t n_shards[] = {1, 2, 3, 4, 7, 16, 100, 1000};
    struct ko_batch batch[MOST_BATCHES] = {{0}};
    uint64_t seed = 1;
    (void)state;
    for (int trial = 0; trial < 200; trial++) {
        struct ko_batches batches = {batch, (int32_t)(1 + next(&seed) % MOST_BATCHES)};
        for (int32_t b = 0; b < batches.n; b++) {
            /* Equal ones; of any size; a few that outweigh the rest. */
            batch[b].flop = trial % 3 == 0   ? 1e9
                            : trial % 3 == 1 ? 1e6 * (double)(1 + next(&seed) % 1000)
                                             : pow(10.0, (double)(next(&seed) % 14));
        }
        for (size_t i = 0; i < sizeof n_shards / sizeof n_shards[0]; i++) {
            check_partition(&batches, n_shards[i]);
        }
    }
}

static void batches_without_a_cost_count_alike(void **state)
{
    struct ko_batch batch[10] = {{0}};
    struct ko_batches batches = {batch, 10}, none = {batch, 0};
    int32_t first = -1, end = -1;
    (void)state;
    ko_shard_range(&batches, (struct ko_shard){2, 5}, &first, &end);
    assert_int_equal(first, 2);
    assert_int_equal(end, 4);
    check_partition(&none, 3);
}

static void the_midpoint_decides(void **state)
{
    struct ko_batch batch[3] = {{.flop = 4}, {.flop = 2}, {.flop = 4}};
    struct ko_batches batches = {batch, 3};
    int32_t first = -1, end = -1;
    (void)state;
    /* Midpoints 0.2, 0.5, 0.8: the second begins the second half. */
    ko_shard_range(&batches, (struct ko_shard){1, 2}, &first, &end);
    assert_int_equal(first, 0);
    assert_int_equal(end, 1);
    ko_shard_range(&batches, (struct ko_shard){2, 2}, &first, &end);
    assert_int_equal(first, 1);
    assert_int_equal(end, 3);
    ko_shard_range(&batches, (struct ko_shard){2, 4}, &first, &end);
    assert_int_equal(first, end);
}

/* --------------------------------------------------------------------------- parts of a plan */

/* Three models, prompts that only some of them plan, heatmaps. */
static struct ko_plan *whole_plan(void)
{
    struct made_case made = {
        .spec = "models: [a, b, c]\nprompts: {file: f}\n"
                "routes: [last<-subject, last<-first]\nfeatures: [all, slow-third+conv]\n"
                "windows: {sizes: [1, 3]}\n"
                "sweeps:\n"
                "  - {models: [a]}\n"
                "  - {models: [b], prompts: {select: {id: ['1', '4', '5', '11']}}}\n"
                "  - {models: [c], routes: [last<-each], features: [all],\n"
                "     prompts: {select: {relation: [R1]}}}\n"
                "  - {models: [b], routes: [ssm@subject], features: ['all~mean', 'ssm-head:1']}\n"
                "  - {models: [c], routes: [attention@last, mlp@each, attention@subject],\n"
                "     features: ['all~resample:4', 'head:1~resample:4', 'head:2~mean']}\n",
        .model = {{6, 24, 4, 0, 90}, {5, 9, 4, 0, 300}, {4, 0, 0, 0, 60}},
        .n_facts = {12}};
    struct ko_plan *plan = NULL;
    struct ko_error err = {0};
    if (made_plan_build(&made, &plan, NULL, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    return plan;
}

static struct ko_batches composed(const struct ko_plan *plan)
{
    struct ko_batches batches = {0};
    struct ko_error err = {0};
    if (ko_batches_compose(plan, &batches, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    return batches;
}

static struct ko_plan *taken(const struct ko_plan *whole, int32_t number, int32_t of)
{
    struct ko_plan *part = NULL;
    struct ko_error err = {0};
    if (ko_shard_take(whole, (struct ko_shard){number, of}, &part, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    return part;
}

/* The same components are replaced by the same, positions of donors included. */
static void check_removals(const struct ko_plan *plan, int32_t model, const struct ko_wave *x,
                           const struct ko_wave *y)
{
    assert_int_equal(x->n_removals, y->n_removals);
    for (int32_t k = 0; k < x->n_branches; k++) {
        const int32_t i = x->branch[k].removal;
        if (i < 0) {
            continue;
        }
        const struct ko_removal *a = &x->removal[i], *b = &y->removal[i];
        const size_t n =
            (size_t)ko_plan_prompt(plan, model, x->fact[x->branch[k].prompt])->n_tokens;
        assert_int_equal(a->components, b->components);
        assert_int_equal(a->begin, b->begin);
        assert_int_equal(a->end, b->end);
        assert_int_equal(a->head, b->head);
        assert_int_equal(a->mean, b->mean);
        assert_int_equal(a->donor, b->donor);
        assert_memory_equal(a->at, b->at, n);
        for (size_t t = 0; a->donor >= 0 && t < n; t++) {
            assert_true(!a->at[t] || a->donor_at[t] == b->donor_at[t]);
        }
    }
}

static void check_wave(const struct ko_plan *whole, const struct ko_batch *a,
                       const struct ko_plan *part, const struct ko_batch *b, int32_t index)
{
    struct ko_wave x = {0}, y = {0};
    struct ko_error err = {0};
    assert_int_equal(ko_wave_build(whole, a, index, &x, &err), KO_OK);
    assert_int_equal(ko_wave_build(part, b, index, &y, &err), KO_OK);
    assert_int_equal(x.n_prompts, y.n_prompts);
    assert_int_equal(x.n_results, y.n_results);
    assert_memory_equal(x.fact, y.fact, (size_t)x.n_prompts * sizeof *x.fact);
    check_removals(part, b->model, &x, &y);
    assert_int_equal(x.n_rows, y.n_rows);
    assert_int_equal(x.n_branches, y.n_branches);
    assert_memory_equal(x.branch, y.branch, (size_t)x.n_branches * sizeof *x.branch);
    assert_int_equal(x.n_cells, y.n_cells);
    for (int64_t c = 0; c < x.n_cells; c++) {
        assert_int_equal(x.cell[c].slot, y.cell[c].slot);
        assert_int_equal(x.cell[c].branch, y.cell[c].branch);
        assert_int_equal(x.cell[c].prompt, y.cell[c].prompt);
    }
    ko_wave_free(&x);
    ko_wave_free(&y);
}

/* The part's batches are those of the whole plan from `first` on. Returns their number. */
static int32_t check_batches(const struct ko_plan *whole, const struct ko_batches *all,
                             int32_t first, const struct ko_plan *part)
{
    struct ko_batches batches = composed(part);
    for (int32_t i = 0; i < batches.n; i++) {
        const struct ko_batch *a = &all->batch[first + i], *b = &batches.batch[i];
        assert_true(first + i < all->n);
        assert_int_equal(a->model, part->shard.model[b->model]);
        assert_int_equal(a->n_facts, b->n_facts);
        assert_memory_equal(a->fact, b->fact, (size_t)a->n_facts * sizeof *a->fact);
        assert_int_equal(a->n_waves, b->n_waves);
        assert_int_equal(a->n_rows, b->n_rows);
        assert_int_equal(a->n_cells, b->n_cells);
        assert_true(a->flop == b->flop);
        for (int32_t w = 0; w < a->n_waves; w++) {
            check_wave(whole, a, part, b, w);
        }
    }
    int32_t n = batches.n;
    ko_batches_free(&batches);
    return n;
}

/* Every planned cell of the part is one of the whole; taken: [n_models * n_facts] how many parts
   have the pair. */
static void check_statuses(const struct ko_plan *whole, const struct ko_plan *part, int *taken_by)
{
    size_t n = (size_t)ko_plan_n_statuses(whole);
    uint8_t *all = calloc(2 * n, 1), *here = all + n;
    struct ko_error err = {0};
    assert_non_null(all);
    assert_int_equal(ko_plan_n_statuses(part), n);
    for (int32_t m = 0; m < part->n_models; m++) {
        for (int32_t f = 0; f < part->n_facts; f++) {
            int32_t model = part->shard.model[m];
            assert_int_equal(ko_tree_statuses(whole, model, f, all, NULL, &err), KO_OK);
            assert_int_equal(ko_tree_statuses(part, m, f, here, NULL, &err), KO_OK);
            bool any = false;
            for (size_t i = 0; i < n; i++) {
                any = any || here[i] != KO_NOT_PLANNED;
            }
            if (any) {
                assert_memory_equal(here, all, n);
                taken_by[model * whole->n_facts + f]++;
            }
        }
    }
    free(all);
}

static void check_axes(const struct ko_plan *whole, const struct ko_plan *part, int32_t number,
                       int32_t of)
{
    char hash[33], part_hash[33];
    struct ko_error err = {0};
    assert_int_equal(ko_plan_hash(whole, hash, &err), KO_OK);
    assert_int_equal(ko_plan_hash(part, part_hash, &err), KO_OK);
    assert_string_equal(hash, part_hash);
    for (int32_t m = 0; m < part->n_models; m++) { /* of the whole plan, whatever the shard has */
        const size_t n = (size_t)whole->n_routes * (size_t)whole->n_facts;
        assert_memory_equal(part->reference + (size_t)m * n,
                            whole->reference + (size_t)part->shard.model[m] * n, n);
    }
    assert_int_equal(part->shard.number, number);
    assert_int_equal(part->shard.of, of);
    assert_int_equal(part->n_source_positions, whole->n_source_positions);
    assert_int_equal(part->n_positions, whole->n_positions);
    for (int32_t m = 0; m < part->n_models; m++) {
        assert_string_equal(part->model[m].name, whole->model[part->shard.model[m]].name);
    }
    for (int32_t p = 0; p < part->n_prompts; p++) {
        assert_int_equal(part->prompt_fact[p], whole->prompt_fact[part->shard.prompt[p]]);
    }
    for (int32_t p = 0; p < part->n_heat_prompts; p++) {
        assert_int_equal(part->heat_fact[p], whole->heat_fact[part->shard.heat_prompt[p]]);
    }
}

static void the_parts_have_the_batches_of_the_whole(void **state)
{
    static const int32_t n_shards[] = {1, 2, 3, 4, 5, 9, 64};
    struct ko_plan *whole = whole_plan();
    struct ko_batches all = composed(whole);
    size_t n_pairs = (size_t)whole->n_models * (size_t)whole->n_facts;
    (void)state;
    assert_true(all.n >= 8);
    for (size_t i = 0; i < sizeof n_shards / sizeof n_shards[0]; i++) {
        int *taken_by = calloc(n_pairs, sizeof *taken_by);
        int32_t at = 0;
        assert_non_null(taken_by);
        for (int32_t k = 1; k <= n_shards[i]; k++) {
            struct ko_plan *part = taken(whole, k, n_shards[i]);
            check_axes(whole, part, k, n_shards[i]);
            check_statuses(whole, part, taken_by);
            at += check_batches(whole, &all, at, part);
            assert_true(part->n_models < whole->n_models || n_shards[i] < 3);
            ko_plan_free(part);
        }
        assert_int_equal(at, all.n);
        for (int32_t b = 0; b < all.n; b++) {
            for (int32_t f = 0; f < all.batch[b].n_facts; f++) {
                taken_by[all.batch[b].model * whole->n_facts + all.batch[b].fact[f]]--;
            }
        }
        for (size_t p = 0; p < n_pairs; p++) {
            assert_int_equal(taken_by[p], 0);
        }
        free(taken_by);
    }
    ko_batches_free(&all);
    ko_plan_free(whole);
}

static void an_empty_part_has_one_model_and_no_prompt(void **state)
{
    struct ko_plan *whole = whole_plan(), *part = taken(whole, 9999, 9999);
    struct ko_batches batches = composed(part);
    (void)state;
    assert_int_equal(batches.n, 0);
    assert_int_equal(part->n_models, 1);
    assert_int_equal(part->n_prompts, 0);
    assert_int_equal(part->n_heat_prompts, 0);
    assert_int_equal(part->n_facts, whole->n_facts);
    ko_batches_free(&batches);
    ko_plan_free(part);
    ko_plan_free(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shard_is_k_of_n),
        cmocka_unit_test(every_batch_is_in_one_shard_of_its_share),
        cmocka_unit_test(batches_without_a_cost_count_alike),
        cmocka_unit_test(the_midpoint_decides),
        cmocka_unit_test(the_parts_have_the_batches_of_the_whole),
        cmocka_unit_test(an_empty_part_has_one_model_and_no_prompt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
