/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/asked_wave.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/tree/tree_model.h"

/* Classes of mixers select every feature there, as `all` does. */
static enum ko_feature_kind selector_of(enum ko_feature_kind kind)
{
    return kind == KO_FEATURE_ATTENTION || kind == KO_FEATURE_SSM || kind == KO_FEATURE_CONV
               ? KO_FEATURE_ALL
               : kind;
}

/* The branch acts on the class's mixers, as far as the model has them. Its mask is that of the first
   class on the axis that wants the same and has the branch's convolution. */
static void check_mask(const struct ko_plan *plan, int32_t model, const struct ko_branch *b,
                       const struct ko_feature_class *want)
{
    const uint8_t all = plan->model[model].mixers;
    const uint8_t mixers = ko_feature_class_mixers(want) & all;
    bool found = false;
    for (int32_t c = 0; c < plan->n_classes && !found; c++) {
        const struct ko_feature_class *has = &plan->class[c];
        found = ko_plan_model_has_class(plan, model, c) && has->replacement == KO_REPLACE_ZERO &&
                selector_of(has->kind) == selector_of(want->kind) &&
                (ko_feature_class_mixers(has) & all) == mixers && has->seed == want->seed &&
                has->head == want->head && has->conv == b->conv;
        if (found) {
            assert_int_equal(b->mask, ko_plan_mask(plan, model, c));
        }
    }
    assert_true(found);
    assert_int_equal(b->mixers & all, mixers);
    assert_int_equal(b->after_softmax, want->kind == KO_FEATURE_AFTER_SOFTMAX);
    assert_int_equal(b->only_head, want->kind == KO_FEATURE_HEAD ? want->head + 1 : 0);
}

/* The layers of the cell's window. in [ASKED_LAYERS] */
static void find_layers(const struct ko_plan *plan, int32_t m, struct asked_place at, uint8_t *in)
{
    assert_true(asked_window(plan, m, plan->size[at.size], plan->start[at.start], in) > 0);
}

/* The first and the last stage of the cell's window in which it removes an edge. */
static struct ko_tree_range find_range(const struct ko_plan *plan, int32_t m, int32_t min_span,
                                       struct asked_place at)
{
    const struct ko_plan_model *model = &plan->model[m];
    uint8_t in[ASKED_LAYERS];
    find_layers(plan, m, at, in);
    struct ko_tree_range range = {-1, -1};
    for (int32_t s = 0; s < ko_plan_n_stages(model); s++) {
        const struct ko_plan_stage stage = ko_plan_stage_of(model, s);
        const uint8_t both = stage.mixers & ko_feature_class_mixers(&plan->class[at.class]);
        const bool exists = (both & KO_MIXER_SSM) || (both && min_span < stage.reach);
        if (exists && in[stage.layer]) {
            range.begin = range.begin < 0 ? s : range.begin;
            range.end = s + 1;
        }
    }
    assert_true(range.begin >= 0);
    return range;
}

/* The first of the window's sublayers that have the component, and the number after the last. */
static struct ko_tree_range find_sublayers(const struct ko_plan *plan, int32_t m,
                                           struct asked_place at)
{
    const struct ko_plan_model *model = &plan->model[m];
    uint8_t in[ASKED_LAYERS];
    find_layers(plan, m, at, in);
    struct ko_tree_range range = {-1, -1};
    for (int32_t i = 0; i < model->n_sublayers; i++) {
        if (in[model->sublayer[i].layer] &&
            asked_has_component(&plan->route[at.route].route, &model->sublayer[i])) {
            range.begin = range.begin < 0 ? i : range.begin;
            range.end = i + 1;
        }
    }
    assert_true(range.begin >= 0);
    return range;
}

/* The component routes before this one have the means before its own. */
static int32_t number_of_means(const struct ko_plan *plan, int32_t route)
{
    int32_t n = 0;
    for (int32_t r = 0; r < route; r++) {
        n += strchr(plan->route[r].route.label, '@') != NULL;
    }
    return n;
}

/* The k-th position of the prompt's set gets the part of the k-th position of the donor's. */
static void check_donor(const struct asked_cells *e, const struct ko_wave *wave,
                        const struct ko_removal *removal, int32_t fact, struct asked_place at)
{
    const struct ko_route *route = &e->plan->route[at.route].route;
    const int32_t donor =
        asked_donor(e, wave->model, fact, at.route, e->plan->class[at.class].donor_seed);
    const struct ko_prompt *prompt = ko_plan_prompt(e->plan, wave->model, fact);
    const struct ko_prompt *other = ko_plan_prompt(e->plan, wave->model, donor);
    uint8_t own[ASKED_TOKENS], there[ASKED_TOKENS];
    int32_t next = 0;
    assert_in_range(removal->donor, wave->n_results, wave->n_prompts - 1);
    assert_int_equal(wave->fact[removal->donor], donor);
    asked_positions_of(route, prompt, at.source, own);
    asked_positions_of(route, other, at.source, there);
    for (int32_t i = 0; i < prompt->n_tokens; i++) {
        if (own[i]) {
            while (!there[next]) {
                next++;
            }
            assert_int_equal(removal->donor_at[i], next);
            assert_true(next++ < other->n_tokens);
        }
    }
}

static void check_replacement(const struct asked_cells *e, const struct ko_wave *wave,
                              const struct ko_removal *removal, int32_t fact, struct asked_place at)
{
    char label[64];
    ko_feature_class_label(&e->plan->class[at.class], label);
    assert_int_equal(removal->mean,
                     strstr(label, "~mean") ? number_of_means(e->plan, at.route) : -1);
    if (strstr(label, "~resample")) {
        check_donor(e, wave, removal, fact, at);
    } else {
        assert_int_equal(removal->donor, -1);
        assert_null(removal->donor_at);
    }
}

/* A branch that leaves the trunk takes the component out itself, in the sublayers of its window. Any
   other leaves a branch that did so in the same sublayers, and has not met another one since. */
static void check_component(const struct asked_cells *e, const struct ko_wave *wave, int32_t k,
                            int32_t fact, struct asked_place at)
{
    const struct ko_plan *plan = e->plan;
    const struct ko_plan_model *model = &plan->model[wave->model];
    const struct ko_branch *b = &wave->branch[k];
    const struct ko_branch *acts = b->parent >= 0 ? &wave->branch[b->parent] : b;
    const struct ko_prompt *prompt = ko_plan_prompt(plan, wave->model, fact);
    const struct ko_route *route = &plan->route[at.route].route;
    const struct ko_tree_range want = find_sublayers(plan, wave->model, at);
    uint8_t positions[ASKED_TOKENS], in[ASKED_LAYERS];
    find_layers(plan, wave->model, at, in);
    assert_true(asked_positions_of(route, prompt, at.source, positions) > 0);
    assert_in_range(acts->removal, 0, wave->n_removals - 1);
    const struct ko_removal *removal = &wave->removal[acts->removal];
    const struct ko_feature_class *class = &plan->class[at.class];
    const bool head = class->kind == KO_FEATURE_HEAD || class->kind == KO_FEATURE_SSM_HEAD;
    assert_int_equal(removal->begin, want.begin);
    assert_int_equal(removal->head, head ? class->head : -1);
    assert_memory_equal(removal->at, positions, (size_t)prompt->n_tokens);
    check_replacement(e, wave, removal, fact, at);
    assert_int_equal(acts->leaves_at, model->sublayer[want.begin].stage);
    assert_int_equal(acts->parent, -1);
    for (int32_t i = 0; i < model->n_sublayers; i++) {
        const bool acting = i >= removal->begin && i < removal->end &&
                            (!removal->within || removal->within[i]) &&
                            (model->sublayer[i].components & removal->components);
        if (i >= want.begin && i < want.end) {
            assert_int_equal(acting, in[model->sublayer[i].layer] &&
                                         asked_has_component(route, &model->sublayer[i]));
        } else if (acting) {
            assert_true(b != acts && model->sublayer[i].stage >= b->leaves_at);
        }
    }
    assert_int_equal(b->edge_set, -1);
    assert_int_equal(b->mixers, 0);
    assert_int_equal(b->n_rows, prompt->n_tokens - b->first_position);
    assert_true(positions[b->first_position]);
    assert_null(memchr(positions, 1, (size_t)b->first_position));
    if (b != acts) {
        assert_int_equal(b->removal, -1);
        assert_int_equal(b->leaves_at, model->sublayer[want.end - 1].stage + 1);
    }
}

/* Between the first and the last stage where it acts, the branch cuts its edges in those of the
   window's layers alone. */
static void check_stages(const struct ko_plan *plan, const struct ko_wave *wave,
                         const struct ko_branch *b, int32_t min_span, struct asked_place at)
{
    const struct ko_plan_model *model = &plan->model[wave->model];
    uint8_t in[ASKED_LAYERS];
    find_layers(plan, wave->model, at, in);
    for (int32_t s = b->window_begin; s < b->window_end; s++) {
        const struct ko_plan_stage stage = ko_plan_stage_of(model, s);
        const uint8_t both = stage.mixers & b->mixers;
        if ((both & KO_MIXER_SSM) || (both && min_span < stage.reach)) {
            assert_int_equal(!b->stages || b->stages[s], in[stage.layer]);
        }
    }
}

/* The branch's edges are those of the route, and its window is that of the cell. */
static void check_branch(const struct asked_cells *e, const struct ko_wave *wave, int32_t k,
                         int32_t fact, struct asked_place at)
{
    const struct ko_plan *plan = e->plan;
    const struct ko_branch *b = &wave->branch[k];
    const struct ko_prompt *prompt = ko_plan_prompt(plan, wave->model, fact);
    if (ko_route_is_component(&plan->route[at.route].route)) {
        check_component(e, wave, k, fact, at);
        return;
    }
    assert_int_equal(b->removal, -1);
    const struct ko_edge_set *edges = &wave->edge_set[b->edge_set];
    int32_t reach = plan->model[wave->model].reach;
    struct asked_edges matrix =
        asked_edges_of(&plan->route[at.route].route, prompt, at.source, reach);
    for (int32_t i = 0; i < prompt->n_tokens; i++) {
        for (int32_t j = 0; j <= i && j < ASKED_TOKENS; j++) {
            if (i - j < reach && ko_edge_set_has(edges, i, j) != matrix.has[i][j]) {
                fail_msg("prompt %d, route %d: edge (%d, %d)", fact, at.route, i, j);
            }
        }
    }
    assert_int_equal(b->first_position, matrix.first_target);
    assert_int_equal(b->n_rows, prompt->n_tokens - matrix.first_target);
    const struct ko_tree_range range = find_range(plan, wave->model, matrix.min_span, at);
    const struct ko_branch *window = b;
    if (b->parent >= 0) {
        window = &wave->branch[b->parent];
        assert_int_equal(b->window_begin, b->window_end);
        assert_int_equal(b->leaves_at, range.end);
        assert_true(window->window_end > b->leaves_at);
        assert_int_equal(window->parent, -1);
        assert_int_equal(window->edge_set, b->edge_set);
        assert_int_equal(window->mask, b->mask);
        assert_int_equal(window->conv, b->conv);
    } else {
        assert_int_equal(b->window_end, range.end);
    }
    assert_int_equal(window->leaves_at, range.begin);
    assert_int_equal(window->window_begin, range.begin);
    if (window == b) {
        check_stages(plan, wave, b, matrix.min_span, at);
    }
    const struct ko_feature_class *want = &plan->class[at.class];
    assert_true(b->conv == want->conv ||
                (want->conv && matrix.min_span >= plan->model[wave->model].d_conv));
    check_mask(plan, wave->model, b, want);
}

/* A cell without a branch removes nothing that the last position sees. */
static void check_clean(const struct ko_plan *plan, int32_t model, int32_t fact,
                        struct asked_place at)
{
    const struct ko_prompt *prompt = ko_plan_prompt(plan, model, fact);
    const struct ko_route *route = &plan->route[at.route].route;
    if (ko_route_is_component(route)) {
        uint8_t positions[ASKED_TOKENS];
        const struct ko_tree_range own = find_sublayers(plan, model, at);
        assert_true(asked_positions_of(route, prompt, at.source, positions) > 0);
        assert_int_equal(plan->model[model].sublayer[own.begin].stage,
                         ko_plan_n_stages(&plan->model[model]) - 1);
        assert_false(positions[prompt->n_tokens - 1]);
        return;
    }
    struct asked_edges matrix = asked_edges_of(route, prompt, at.source, plan->model[model].reach);
    const struct ko_tree_range range = find_range(plan, model, matrix.min_span, at);
    assert_int_equal(range.begin, ko_plan_n_stages(&plan->model[model]) - 1);
    for (int32_t j = 0; j < prompt->n_tokens; j++) {
        assert_false(matrix.has[prompt->n_tokens - 1][j]);
    }
    assert_true(!plan->class[at.class].conv || matrix.min_span >= plan->model[model].d_conv);
}

static int branch_order(const struct ko_branch *a, const struct ko_branch *b)
{
    int32_t keys[][2] = {{a->leaves_at, b->leaves_at},
                         {!a->conv, !b->conv},
                         {a->prompt, b->prompt},
                         {a->first_position, b->first_position},
                         {a->edge_set, b->edge_set}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (keys[i][0] != keys[i][1]) {
            return keys[i][0] < keys[i][1] ? -1 : 1;
        }
    }
    return 0;
}

/* Of all parts. */
static bool same_edges(const struct ko_edge_set *a, const struct ko_edge_set *b, int32_t n_tokens)
{
    const size_t n = (size_t)n_tokens;
    while (a->later == b->later && memcmp(a->target, b->target, n) == 0 &&
           memcmp(a->source, b->source, n) == 0 && a->more == b->more) {
        if (!a->more) {
            return true;
        }
        a++, b++;
    }
    return false;
}

/* All edges of an edge set, with its parts, are of one prompt, which has them once. */
static void check_edge_sets(const struct ko_plan *plan, const struct ko_wave *wave)
{
    int32_t *prompt = calloc((size_t)wave->n_edge_sets + 1, sizeof *prompt);
    assert_non_null(prompt);
    for (int32_t k = 0; k < wave->n_branches; k++) {
        if (wave->branch[k].edge_set < 0) {
            continue; /* of a component */
        }
        int32_t *of = &prompt[wave->branch[k].edge_set];
        assert_true(*of == 0 || *of == wave->branch[k].prompt + 1);
        *of = wave->branch[k].prompt + 1;
    }
    for (int32_t i = 0; i < wave->n_edge_sets; i++) {
        if (i > 0 && wave->edge_set[i - 1].more) {
            assert_int_equal(prompt[i], 0);
            continue;
        }
        assert_true(prompt[i] > 0);
        const int32_t fact = wave->fact[prompt[i] - 1];
        const int32_t n_tokens = ko_plan_prompt(plan, wave->model, fact)->n_tokens;
        for (int32_t k = 0; k < i; k++) {
            assert_true(prompt[i] != prompt[k] ||
                        !same_edges(&wave->edge_set[i], &wave->edge_set[k], n_tokens));
        }
    }
    free(prompt);
}

static void check_order(const struct ko_plan *plan, const struct ko_wave *wave)
{
    int64_t rows = 0;
    for (int32_t p = 0; p < wave->n_prompts; p++) {
        rows += ko_plan_prompt(plan, wave->model, wave->fact[p])->n_tokens;
    }
    for (int32_t k = 0; k < wave->n_branches; k++) {
        const struct ko_branch *b = &wave->branch[k];
        assert_true(b->parent < k);
        assert_true(k == 0 || branch_order(b - 1, b) <= 0);
        assert_int_equal(b->first_row, rows);
        rows +=
            ko_plan_prompt(plan, wave->model, wave->fact[b->prompt])->n_tokens - b->first_position;
    }
    check_edge_sets(plan, wave);
    assert_int_equal(wave->n_rows, rows);
    assert_true(wave->n_rows <= plan->model[wave->model].row_budget);
}

/* The prompts after those with results are donors: each prompt of the wave has each of its own once, and
   some branch of it takes values from there. Returns the number of these branches. */
static int check_donors(const struct ko_wave *wave)
{
    int n_donors = 0;
    int32_t *of = calloc((size_t)wave->n_prompts + 1, sizeof *of);
    assert_non_null(of);
    for (int32_t k = 0; k < wave->n_branches; k++) {
        const struct ko_branch *b = &wave->branch[k];
        assert_in_range(b->prompt, 0, wave->n_results - 1);
        if (b->removal >= 0 && wave->removal[b->removal].donor >= 0) {
            int32_t *user = &of[wave->removal[b->removal].donor];
            assert_true(*user == 0 || *user == b->prompt + 1);
            *user = b->prompt + 1;
            n_donors++;
        }
    }
    for (int32_t p = wave->n_results; p < wave->n_prompts; p++) {
        for (int32_t q = wave->n_results; q < p; q++) {
            assert_true(of[p] != of[q] || wave->fact[p] != wave->fact[q]);
        }
    }
    free(of);
    return n_donors;
}

void asked_check_wave(struct asked_cells *e, const struct ko_batch *batch,
                      const struct ko_wave *wave, int *n_donors)
{
    uint8_t *used = calloc((size_t)wave->n_branches + 1, 1);
    assert_non_null(used);
    assert_int_equal(wave->n_results, batch->n_facts);
    assert_memory_equal(wave->fact, batch->fact, (size_t)batch->n_facts * sizeof *wave->fact);
    check_order(e->plan, wave);
    *n_donors += check_donors(wave);
    for (int64_t c = 0; c < wave->n_cells; c++) {
        const struct ko_wave_cell *cell = &wave->cell[c];
        int32_t fact = wave->fact[cell->prompt];
        struct asked_place at = e->place[cell->slot];
        assert_in_range(cell->prompt, 0, wave->n_results - 1);
        asked_cell_at(e, wave->model, fact, cell->slot)->hits++;
        if (cell->branch < 0) {
            check_clean(e->plan, wave->model, fact, at);
        } else {
            assert_int_equal(wave->branch[cell->branch].prompt, cell->prompt);
            check_branch(e, wave, cell->branch, fact, at);
            used[cell->branch] = 1;
        }
    }
    for (int32_t k = 0; k < wave->n_branches; k++) {
        assert_true(used[k]); /* no row is computed for nothing */
    }
    free(used);
}
