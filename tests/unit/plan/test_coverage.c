/* SPDX-License-Identifier: Apache-2.0 */
/* Batches and waves against an enumeration of the spec, cell by cell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/tree/statuses.h"
#include "src/tree/tree_model.h"
#include "src/tree/wave.h"
#include "tests/support/asked_cells.h"
#include "tests/support/made_plan.h"

/* ------------------------------------------------------------------ what the waves hold */

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
        found = ko_plan_model_has_class(plan, model, c) &&
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

/* The layers of the cell's window: [begin, end). */
static struct ko_layer_range find_layers(const struct ko_plan *plan, int32_t m,
                                         struct asked_place at)
{
    int32_t *counted = asked_counted(plan, m);
    const struct ko_layer_range layers = {counted[plan->start[at.start]],
                                          counted[plan->start[at.start] + plan->size[at.size] - 1] +
                                              1};
    free(counted);
    return layers;
}

/* The first and the last stage of the cell's window in which it removes an edge. */
static struct ko_tree_range find_range(const struct ko_plan *plan, int32_t m, int32_t min_span,
                                       struct asked_place at)
{
    const struct ko_plan_model *model = &plan->model[m];
    const struct ko_layer_range layers = find_layers(plan, m, at);
    struct ko_tree_range range = {-1, -1};
    for (int32_t s = 0; s < ko_plan_n_stages(model); s++) {
        const struct ko_plan_stage stage = ko_plan_stage_of(model, s);
        const uint8_t both = stage.mixers & ko_feature_class_mixers(&plan->class[at.class]);
        const bool exists = (both & KO_MIXER_SSM) || (both && min_span < stage.reach);
        if (exists && stage.layer >= layers.begin && stage.layer < layers.end) {
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
    const struct ko_layer_range layers = find_layers(plan, m, at);
    struct ko_tree_range range = {-1, -1};
    for (int32_t i = 0; i < model->n_sublayers; i++) {
        if (model->sublayer[i].layer >= layers.begin && model->sublayer[i].layer < layers.end &&
            asked_has_component(&plan->route[at.route].route, &model->sublayer[i])) {
            range.begin = range.begin < 0 ? i : range.begin;
            range.end = i + 1;
        }
    }
    assert_true(range.begin >= 0);
    return range;
}

/* A branch that leaves the trunk takes the component out itself, in the sublayers of its window. Any
   other leaves a branch that did so in the same sublayers, and has not met another one since. */
static void check_component(const struct ko_plan *plan, const struct ko_wave *wave, int32_t k,
                            int32_t fact, struct asked_place at)
{
    const struct ko_plan_model *model = &plan->model[wave->model];
    const struct ko_branch *b = &wave->branch[k];
    const struct ko_branch *acts = b->parent >= 0 ? &wave->branch[b->parent] : b;
    const struct ko_prompt *prompt = ko_plan_prompt(plan, wave->model, fact);
    const struct ko_route *route = &plan->route[at.route].route;
    const struct ko_tree_range want = find_sublayers(plan, wave->model, at);
    uint8_t positions[ASKED_TOKENS];
    assert_true(asked_positions_of(route, prompt, at.source, positions) > 0);
    assert_in_range(acts->removal, 0, wave->n_removals - 1);
    const struct ko_removal *removal = &wave->removal[acts->removal];
    const struct ko_feature_class *class = &plan->class[at.class];
    const bool head = class->kind == KO_FEATURE_HEAD || class->kind == KO_FEATURE_SSM_HEAD;
    assert_int_equal(removal->begin, want.begin);
    assert_int_equal(removal->head, head ? class->head : -1);
    assert_memory_equal(removal->at, positions, (size_t)prompt->n_tokens);
    assert_int_equal(acts->leaves_at, model->sublayer[want.begin].stage);
    assert_int_equal(acts->parent, -1);
    for (int32_t i = 0; i < model->n_sublayers; i++) {
        const bool acting = i >= removal->begin && i < removal->end &&
                            (model->sublayer[i].components & removal->components);
        if (i >= want.begin && i < want.end) {
            assert_int_equal(acting, asked_has_component(route, &model->sublayer[i]));
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

/* The branch's edges are those of the route, and its window is that of the cell. */
static void check_branch(const struct ko_plan *plan, const struct ko_wave *wave, int32_t k,
                         int32_t fact, struct asked_place at)
{
    const struct ko_branch *b = &wave->branch[k];
    const struct ko_prompt *prompt = ko_plan_prompt(plan, wave->model, fact);
    if (ko_route_is_component(&plan->route[at.route].route)) {
        check_component(plan, wave, k, fact, at);
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

static bool same_edges(const struct ko_edge_set *a, const struct ko_edge_set *b, int32_t n_tokens)
{
    const size_t n = (size_t)n_tokens;
    return a->later == b->later && memcmp(a->target, b->target, n) == 0 &&
           memcmp(a->source, b->source, n) == 0;
}

/* Every edge set is of one prompt, which has it once. */
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

static void check_wave(struct asked_cells *e, const struct ko_wave *wave)
{
    uint8_t *used = calloc((size_t)wave->n_branches + 1, 1);
    assert_non_null(used);
    check_order(e->plan, wave);
    for (int64_t c = 0; c < wave->n_cells; c++) {
        const struct ko_wave_cell *cell = &wave->cell[c];
        int32_t fact = wave->fact[cell->prompt];
        struct asked_place at = e->place[cell->slot];
        asked_cell_at(e, wave->model, fact, cell->slot)->hits++;
        if (cell->branch < 0) {
            check_clean(e->plan, wave->model, fact, at);
        } else {
            assert_int_equal(wave->branch[cell->branch].prompt, cell->prompt);
            check_branch(e->plan, wave, cell->branch, fact, at);
            used[cell->branch] = 1;
        }
    }
    for (int32_t k = 0; k < wave->n_branches; k++) {
        assert_true(used[k]); /* no row is computed for nothing */
    }
    free(used);
}

static void check_batch(struct asked_cells *e, const struct ko_batch *batch)
{
    int64_t n_rows = 0, n_cells = 0;
    for (int32_t w = 0; w < batch->n_waves; w++) {
        struct ko_wave wave = {0};
        struct ko_error err = {0};
        assert_int_equal(ko_wave_build(e->plan, batch, w, &wave, &err), KO_OK);
        check_wave(e, &wave);
        n_rows += wave.n_rows;
        n_cells += wave.n_cells;
        ko_wave_free(&wave);
    }
    assert_true(batch->n_waves <= 1 || batch->n_facts == 1);
    for (int32_t i = 1; i < batch->n_facts; i++) {
        assert_true(batch->fact[i] > batch->fact[i - 1]);
    }
    assert_int_equal(batch->n_rows, n_rows);
    assert_int_equal(batch->n_cells, n_cells);
}

/* The status of a size, from its starts. */
static int status_of(const struct asked_cells *e, struct asked_place at, int32_t m, int32_t f)
{
    int status = KO_NOT_PLANNED;
    for (int32_t s = 0; s < e->plan->n_starts; s++) {
        int64_t slot = ko_plan_value_slot(e->plan, at.route, at.class, at.source, at.size, s);
        const struct asked_cell *cell = asked_cell_at(e, m, f, slot);
        if (cell->planned && !cell->vacuous) {
            return KO_PENDING;
        }
        status = cell->planned ? KO_VACUOUS : status;
    }
    return status;
}

/* ko_plan_has, ko_plan_has_any_start and ko_tree_statuses against the enumeration, and every cell
   computed once. Returns the vacuous cells beside others that are not. */
static int check_record(const struct asked_cells *e, int32_t m, int32_t f)
{
    const struct ko_plan *plan = e->plan;
    struct ko_error err = {0};
    int n_marked = 0;
    uint8_t *status = malloc((size_t)ko_plan_n_statuses(plan) + 1);
    uint8_t *vacuous = malloc(e->record + 1);
    assert_non_null(status);
    assert_non_null(vacuous);
    assert_int_equal(ko_tree_statuses(plan, m, f, status, vacuous, &err), KO_OK);
    for (size_t slot = 0; slot < e->record; slot++) {
        struct asked_cell *cell = asked_cell_at(e, m, f, (int64_t)slot);
        struct asked_place at = e->place[slot];
        bool beyond =
            plan->route[at.route].heat && at.source >= ko_plan_prompt(plan, m, f)->n_tokens;
        if (!beyond) {
            assert_int_equal(ko_plan_has(plan, m, f, at.route, at.class, at.size, at.start),
                             cell->planned);
            assert_int_equal(ko_plan_has_any_start(plan, m, f, at.route, at.class, at.size),
                             status_of(e, at, m, f) != KO_NOT_PLANNED);
        }
        const int expected = status_of(e, at, m, f);
        int64_t status_slot = ko_plan_status_slot(plan, at.route, at.class, at.source, at.size);
        assert_int_equal(status[status_slot], expected);
        assert_int_equal(vacuous[slot], cell->planned && cell->vacuous && expected == KO_PENDING);
        assert_int_equal(cell->hits, cell->planned && !cell->vacuous);
        n_marked += vacuous[slot];
    }
    free(status);
    free(vacuous);
    assert_true(n_marked == 0 || ko_plan_mixes_vacuous(plan));
    return n_marked;
}

/* ------------------------------------------------------------------ random specs */

static uint64_t random_state;

static int32_t pick(int32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (int32_t)((random_state >> 33) % (uint64_t)n);
}

/* A flow list of some of the words, at least one. */
static void add_some(struct ko_text *out, const char *key, const char *const *words, int32_t n)
{
    int32_t sure = pick(n);
    bool first = true;
    ko_text_add(out, "%s: [", key);
    for (int32_t i = 0; i < n; i++) {
        if (i == sure || pick(3) == 0) {
            ko_text_add(out, "%s'%s'", first ? "" : ", ", words[i]);
            first = false;
        }
    }
    ko_text_add(out, "]");
}

static void add_block(struct ko_text *out)
{
    static const char *const models[] = {"a", "b", "c"};
    static const char *const routes[] = {
        "last<-subject", "last<-first",    "last<-position:0", "last<-last",
        "all<-all",      "later<-subject", "last<-each",       "later<-each",
        "subject<-each", "subject<-first", "later<-bos",       "relation\\last<-context",
        "mlp@last",      "attention@last", "mixer@subject",    "ssm@last",
        "mlp@each",      "attention@all",  "conv@last",        "mlp@relation\\last"};
    static const char *const features[] = {"all",
                                           "slow-third",
                                           "all+conv",
                                           "after-softmax",
                                           "fast-third+conv",
                                           "slow-third+conv",
                                           "not-slow-third",
                                           "attention",
                                           "ssm",
                                           "ssm+conv",
                                           "head:0",
                                           "head:2",
                                           "ssm-head:1"};
    static const char *const sizes[] = {"1", "2", "3", "9", "50%", "10%"};
    static const char *const starts[] = {"all", "all", "[0, 1, 4, 11]", "{every: 2}"};
    static const char *const selects_[] = {"all", "{relation: [R0, R2]}", "{id: [1, 4, 5]}",
                                           "{not: {id: [2]}}"};
    ko_text_add(out, "  - {");
    add_some(out, "models", models, 3);
    ko_text_add(out, ", ");
    add_some(out, "routes", routes, sizeof routes / sizeof routes[0]);
    ko_text_add(out, ", ");
    add_some(out, "features", features, sizeof features / sizeof features[0]);
    ko_text_add(out, ", windows: {sizes: [");
    int32_t n_sizes = 1 + pick(4);
    for (int32_t i = 0; i < n_sizes; i++) {
        ko_text_add(out, "%s%s", i == 0 ? "" : ", ", sizes[pick(6)]);
    }
    ko_text_add(out, "], starts: %s}, prompts: {select: %s}}\n", starts[pick(4)],
                selects_[pick(4)]);
}

static void shape_random(int32_t model, int32_t fact, struct ko_prompt *prompt)
{
    if (model == 1 && fact == 2) {
        *prompt = (struct ko_prompt){.reason = KO_TARGET_MERGES, .id = prompt->id};
    }
    if (fact == 3) {
        prompt->n_tokens = 12;
        prompt->subject_end = 7;
    }
    if (fact == 5) {
        prompt->n_tokens = 1;
        prompt->n_special = prompt->subject_begin = 0;
        prompt->subject_end = 1;
    }
}

/* The budget that the error of a budget of 1 names, for each model; 1 where it needs no row. */
static void smallest_budgets(struct ko_plan *plan, int32_t *smallest)
{
    for (int32_t m = 0; m < plan->n_models; m++) {
        plan->model[m].row_budget = 1000000;
    }
    for (int32_t m = 0; m < plan->n_models; m++) {
        struct ko_batches batches = {0};
        struct ko_error err = {0};
        smallest[m] = 1;
        plan->model[m].row_budget = 1;
        enum ko_code code = ko_batches_compose(plan, &batches, &err);
        ko_batches_free(&batches);
        if (code != KO_OK) {
            const char *words = "set row-budget to at least ";
            const char *at = strstr(err.text, words);
            assert_int_equal(code, KO_E_INPUT);
            assert_non_null(at);
            smallest[m] = atoi(at + strlen(words));
            plan->model[m].row_budget = smallest[m] - 1;
            assert_int_equal(ko_batches_compose(plan, &batches, &err), KO_E_INPUT);
        }
        plan->model[m].row_budget = 1000000;
    }
}

/* What the random plans have of the rarer kinds. */
struct found {
    int n_multi;  /* batches with several waves */
    int n_marked; /* vacuous cells beside others that are not */
};

/* The planned cells of a model that are not vacuous. */
static int64_t count_cells(const struct asked_cells *e, int32_t m)
{
    int64_t n = 0;
    for (int32_t f = 0; f < e->plan->n_facts; f++) {
        for (size_t slot = 0; slot < e->record; slot++) {
            const struct asked_cell *cell = asked_cell_at(e, m, f, (int64_t)slot);
            n += cell->planned && !cell->vacuous;
        }
    }
    return n;
}

static void check_plan(const struct ko_plan *plan, const struct ko_spec *spec, struct found *found)
{
    struct asked_cells e = asked_cells_of(plan, spec);
    struct ko_batches batches = {0};
    struct ko_error err = {0};
    if (ko_batches_compose(plan, &batches, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    int64_t
        left[MADE_MODELS]; /* cells that are not vacuous: the rest is what `plan` calls vacuous */
    for (int32_t m = 0; m < plan->n_models; m++) {
        left[m] = count_cells(&e, m);
    }
    for (int32_t i = 0; i < batches.n; i++) {
        const struct ko_batch *batch = &batches.batch[i];
        left[batch->model] -= batch->n_cells;
        assert_true(i == 0 || batch->model > batch[-1].model ||
                    batch->fact[0] > batch[-1].fact[batch[-1].n_facts - 1]);
        check_batch(&e, batch);
        found->n_multi += batch->n_waves > 1;
    }
    for (int32_t m = 0; m < plan->n_models; m++) {
        assert_int_equal(left[m], 0);
        for (int32_t f = 0; f < plan->n_facts; f++) {
            found->n_marked += check_record(&e, m, f);
        }
    }
    ko_batches_free(&batches);
    asked_cells_free(&e);
}

/* ------------------------------------------------------------------ cells that are taken */

/* One cell in `of`, chosen anew for every prompt of the plan; of 1: all. */
static struct ko_taken *take_some(const struct ko_plan *plan, const struct asked_cells *e,
                                  int32_t of)
{
    struct ko_taken *taken = NULL;
    struct ko_error err = {0};
    uint8_t *marks = calloc(e->record + 1, 1);
    assert_non_null(marks);
    assert_int_equal(ko_taken_new(plan, &taken, &err), KO_OK);
    for (int32_t m = 0; m < plan->n_models; m++) {
        for (int32_t f = 0; f < plan->n_facts; f++) {
            for (size_t slot = 0; slot < e->record; slot++) {
                const struct asked_cell *cell = asked_cell_at(e, m, f, (int64_t)slot);
                marks[slot] = cell->planned && !cell->vacuous && pick(of) == 0;
            }
            assert_int_equal(ko_taken_add(taken, m, f, marks, 0, (int64_t)e->record, &err), KO_OK);
        }
    }
    free(marks);
    return taken;
}

/* A message brings the same to another rank. */
static struct ko_taken *sent(const struct ko_plan *plan, const struct ko_taken *taken)
{
    struct ko_bytes to = {0}, from = {0};
    struct ko_taken *copy = NULL;
    struct ko_error err = {0};
    ko_taken_pack(taken, &to);
    ko_bytes_read_from(&from, to.data.data, to.data.n);
    assert_int_equal(ko_taken_unpack(&from, plan, &copy, &err), KO_OK);
    assert_false(from.broken);
    ko_text_free(&to.data);
    return copy;
}

static void check_taken(const struct asked_cells *e, const struct ko_taken *taken, int64_t n_taken)
{
    for (int32_t m = 0; m < e->plan->n_models; m++) {
        for (int32_t f = 0; f < e->plan->n_facts; f++) {
            for (size_t slot = 0; slot < e->record; slot++) {
                const struct asked_cell *cell = asked_cell_at(e, m, f, (int64_t)slot);
                const bool gone = ko_taken_has(ko_taken_of(taken, m, f), (int64_t)slot);
                assert_int_equal(cell->hits, cell->planned && !cell->vacuous && !gone);
                n_taken -= gone;
            }
        }
    }
    assert_int_equal(n_taken, 0);
}

/* Whether each prompt of the pruned batch is one of the plan's batch, in its order. */
static void check_members(const struct ko_batch *whole, const struct ko_batch *left)
{
    int32_t k = 0;
    assert_int_equal(left->model, whole->model);
    assert_true(left->n_rows <= whole->n_rows && left->n_waves <= whole->n_waves);
    assert_true(left->flop <= whole->flop);
    assert_int_equal(left->n_cells + left->n_taken, whole->n_cells);
    for (int32_t i = 0; i < whole->n_facts && k < left->n_facts; i++) {
        k += whole->fact[i] == left->fact[k];
    }
    assert_int_equal(k, left->n_facts);
}

static void check_pruned(const struct ko_plan *plan, const struct ko_spec *spec, int32_t of)
{
    struct asked_cells e = asked_cells_of(plan, spec);
    struct ko_batches whole = {0}, left = {0};
    struct ko_error err = {0};
    struct ko_taken *taken = take_some(plan, &e, of), *copy = sent(plan, taken);
    int64_t n_taken = 0;
    assert_int_equal(ko_batches_compose(plan, &whole, &err), KO_OK);
    assert_int_equal(ko_batches_compose(plan, &left, &err), KO_OK);
    assert_int_equal(ko_batches_prune(plan, copy, &left, &err), KO_OK);
    assert_int_equal(left.n, whole.n);
    for (int32_t i = 0; i < left.n; i++) {
        check_members(&whole.batch[i], &left.batch[i]);
        check_batch(&e, &left.batch[i]);
        n_taken += left.batch[i].n_taken;
        /* Without a vacuous part beside it, nothing left is no prompt. */
        assert_true(of > 1 || left.batch[i].n_cells == 0);
        assert_true(left.batch[i].n_facts > 0 || left.batch[i].n_waves == 0);
    }
    check_taken(&e, taken, n_taken);
    ko_batches_free(&left);
    ko_batches_free(&whole);
    ko_taken_free(copy);
    ko_taken_free(taken);
    asked_cells_free(&e);
}

/* 50 random specs, each with three row budgets. In every second one the layers of the model with
   attention have different sliding windows. In every third one the first model is a hybrid: layers
   with an SSM, with attention, with both side by side, and with no mixer; in every sixth one layers
   without a mixer come first and follow each other. In three of four windows count only layers with
   some kind of mixer. */
static void try_plans(bool take)
{
    static const int32_t mixed[12] = {2, 2, 5, 2, 2, INT32_MAX, 3, 1, 5, 1, 2, 3};
    static const uint8_t hybrid[5] = {KO_MIXER_SSM, 0, KO_MIXER_ATTENTION,
                                      KO_MIXER_SSM | KO_MIXER_ATTENTION, KO_MIXER_SSM};
    static const uint8_t sparse[5] = {0, KO_MIXER_SSM, 0, 0, KO_MIXER_SSM | KO_MIXER_ATTENTION};
    int32_t n_built = 0;
    struct found found = {0};
    for (int32_t round = 0; round < 50; round++) {
        random_state = (uint64_t)round;
        struct ko_text text = {0};
        ko_text_add(&text, "models: [a, b, c]\nprompts: {file: f}\nwindows: {over: %s}\nsweeps:\n",
                    ko_over_words[round % KO_N_OVERS]);
        for (int32_t b = 1 + pick(4); b > 0; b--) {
            add_block(&text);
        }
        struct made_case made = {.spec = ko_text_str(&text),
                                 .model = {{5, 24, 4, 0, 0}, {12, 0, 0, 3, 0}, {3, 2, 2, 0, 0}},
                                 .layer_reach = {NULL, round % 2 ? mixed : NULL},
                                 .layer_mixers = {round % 3   ? NULL
                                                  : round % 2 ? sparse
                                                              : hybrid},
                                 .n_facts = {6},
                                 .shape = shape_random};
        struct ko_plan *plan = NULL;
        struct ko_error err = {0};
        enum ko_code code = made_plan_build(&made, &plan, NULL, &err);
        if (code == KO_OK) {
            struct ko_spec *spec = made_plan_spec(&made);
            int32_t smallest[3];
            smallest_budgets(plan, smallest);
            for (int32_t more = 0; more < 3; more++) {
                static const int32_t extra[] = {0, 7, 200};
                for (int32_t m = 0; m < 3; m++) {
                    plan->model[m].row_budget = smallest[m] + extra[more];
                }
                if (take) {
                    check_pruned(plan, spec, 1 + (round + more) % 3);
                } else {
                    check_plan(plan, spec, &found);
                }
            }
            n_built++;
            ko_spec_free(spec);
            ko_plan_free(plan);
        } else {
            assert_int_equal(code, KO_E_INPUT); /* nothing left */
        }
        ko_text_free(&text);
    }
    assert_true(n_built >= 40 && (take || (found.n_multi >= 100 && found.n_marked >= 1000)));
}

static void plan_covers_every_cell_once(void **state)
{
    (void)state;
    try_plans(false);
}

static void what_is_taken_is_computed_by_no_branch_and_all_else_once(void **state)
{
    (void)state;
    try_plans(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_covers_every_cell_once),
        cmocka_unit_test(what_is_taken_is_computed_by_no_branch_and_all_else_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
