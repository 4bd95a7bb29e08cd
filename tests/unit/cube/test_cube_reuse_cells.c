/* SPDX-License-Identifier: Apache-2.0 */
/* Which cells are taken from an old cube, one difference at a time, and what becomes of them later. */
#include "tests/unit/cube/reuse_pair.h"

/* A cell of the new plan. */
struct cell {
    int32_t model, fact, route, class, source, size, start;
};

/* The index of a number of layers, -1: nowhere. */
static int32_t find(const int32_t *list, int32_t n, int32_t layers)
{
    for (int32_t i = 0; i < n; i++) {
        if (list[i] == layers) {
            return i;
        }
    }
    return -1;
}

/* The value that the old cube has of the cell, by the names and layers of its own plan. */
static struct ko_metrics old_value(const struct ko_plan *old, const struct ko_plan *plan,
                                   const struct cell *c)
{
    const int32_t size = find(old->size, old->n_sizes, plan->size[c->size]);
    const int32_t start = find(old->start, old->n_starts, plan->start[c->start]);

    assert_true(size >= 0 && start >= 0);
    return metrics_of(c->model, c->fact,
                      ko_plan_value_slot(old, c->route, c->class, c->source, size, start));
}

/* ----------------------------------------------------------------------------------------------
   what the new cube says */

/* What it has of one prompt, by the slots of a record. */
struct found {
    uint8_t *mark, *status;
    float *logprob, *clean; /* of the two parts */
    int32_t *top1;
};

static void read_part(struct ko_cube_view *view, const struct ko_plan *plan, bool heat, int32_t m,
                      int32_t at, struct found *out)
{
    const int64_t plain = ko_plan_n_mean_values(plan), states = ko_plan_n_mean_statuses(plan);
    const int64_t first = heat ? plain : 0, state = heat ? states : 0;
    struct ko_cube_rows rows = {.model = m, .first = at, .n = 1};

    rows.n_values = heat ? ko_plan_n_values(plan) - plain : plain;
    rows.dataset = heat ? "heat_reused" : "reused";
    good(ko_cube_view_rows_uint8(view, &rows, out->mark + first, &err));
    rows.dataset = heat ? "heat_logprob" : "logprob";
    good(ko_cube_view_rows_float(view, &rows, out->logprob + first, &err));
    rows.dataset = heat ? "heat_top1_id" : "top1_id";
    good(ko_cube_view_rows_int(view, &rows, out->top1 + first, &err));
    rows.n_values = heat ? ko_plan_n_statuses(plan) - states : states;
    rows.dataset = heat ? "heat_status" : "status";
    good(ko_cube_view_rows_uint8(view, &rows, out->status + state, &err));
    rows.n_values = 1;
    rows.dataset = heat ? "heat_clean_logprob" : "clean_logprob";
    good(ko_cube_view_rows_float(view, &rows, out->clean + heat, &err));
}

static struct found read_prompt(struct ko_cube_view *view, const struct ko_plan *plan, int32_t m,
                                int32_t fact)
{
    const size_t n = (size_t)ko_plan_n_values(plan);
    struct found out = {.mark = ko_new(n, 1, &err),
                        .status = ko_new((size_t)ko_plan_n_statuses(plan), 1, &err),
                        .logprob = ko_new(n, sizeof(float), &err),
                        .clean = ko_new(2, sizeof(float), &err),
                        .top1 = ko_new(n, sizeof(int32_t), &err)};

    assert_true(out.mark && out.status && out.logprob && out.clean && out.top1);
    for (int32_t i = 0; i < plan->n_prompts; i++) {
        if (plan->prompt_fact[i] == fact) {
            read_part(view, plan, false, m, i, &out);
        }
    }
    for (int32_t i = 0; i < plan->n_heat_prompts; i++) {
        if (plan->heat_fact[i] == fact) {
            read_part(view, plan, true, m, i, &out);
        }
    }
    return out;
}

static void free_found(struct found *found)
{
    free(found->mark);
    free(found->status);
    free(found->logprob);
    free(found->clean);
    free(found->top1);
}

/* Calls with every planned cell that is not vacuous. */
typedef void visitor(const struct ko_plan *plan, const struct cell *cell, const struct found *found,
                     void *context);

static void visit_prompt(const struct ko_plan *plan, const struct ko_record *planned,
                         const struct found *found, visitor *visit, void *context)
{
    struct cell c = {.model = planned->model, .fact = planned->fact};

    for (c.route = 0; c.route < plan->n_routes; c.route++) {
        for (c.class = 0; c.class < plan->n_classes; c.class ++) {
            for (c.source = 0;
                 c.source < (plan->route[c.route].heat ? plan->n_source_positions : 1);
                 c.source++) {
                for (c.size = 0; c.size < plan->n_sizes; c.size++) {
                    for (c.start = 0; c.start < plan->n_starts; c.start++) {
                        if (planned->status[ko_plan_status_slot(plan, c.route, c.class, c.source,
                                                                c.size)] == KO_DONE &&
                            ko_plan_has(plan, c.model, c.fact, c.route, c.class, c.size, c.start)) {
                            visit(plan, &c, found, context);
                        }
                    }
                }
            }
        }
    }
}

static void visit_cells(const struct ko_plan *plan, visitor *visit, void *context)
{
    struct ko_cube_view *view = NULL;

    good(ko_cube_view_open(new_path, &view, &err));
    for (int32_t m = 0; m < MODELS; m++) {
        for (int32_t f = 0; f < FACTS; f++) {
            struct ko_record planned = {0};
            struct found found = read_prompt(view, plan, m, f);
            good(ko_record_new(plan, m, f, &planned, &err));
            visit_prompt(plan, &planned, &found, visit, context);
            ko_record_free(&planned);
            free_found(&found);
        }
    }
    ko_cube_view_close(view);
}

static int64_t slot_of(const struct ko_plan *plan, const struct cell *c)
{
    return ko_plan_value_slot(plan, c->route, c->class, c->source, c->size, c->start);
}

/* ----------------------------------------------------------------------------------------------
   one difference a row */

static void replace_route(struct ko_plan *plan, const char *label, const char *source)
{
    replace(&plan->route[0].route.label, label);
    replace(&plan->route[0].route.source, source);
}
static void other_text(struct ko_plan *plan)
{
    replace(&plan->fact[1].text, "Subject 1 lay “in”");
}
static void other_subject(struct ko_plan *plan)
{
    replace(&plan->fact[1].subject, "subject");
}
static void other_target(struct ko_plan *plan)
{
    replace(&plan->fact[1].target, "Asia");
}
static void other_id(struct ko_plan *plan)
{
    replace(&plan->fact[1].id, "Zurich");
}
static void other_token(struct ko_plan *plan)
{
    plan->prompt[1].token[plan->prompt[1].n_tokens - 1]++;
}
static void other_length(struct ko_plan *plan)
{
    plan->prompt[1].n_tokens--;
}
static void other_begin(struct ko_plan *plan)
{
    plan->prompt[1].subject_begin++;
}
static void other_end(struct ko_plan *plan)
{
    plan->prompt[1].subject_end++;
}
static void other_target_id(struct ko_plan *plan)
{
    plan->prompt[1].target++;
}
static void other_foil_id(struct ko_plan *plan)
{
    plan->prompt[1].foil++;
}
static void other_checkpoint(struct ko_plan *plan)
{
    plan->model[0].fingerprint[31] = 'e';
}
static void other_tokenizer(struct ko_plan *plan)
{
    plan->model[0].tokenizer_fingerprint[31] = 'e';
}
static void other_layers(struct ko_plan *plan)
{
    plan->model[0].n_layers++;
}
static void other_name(struct ko_plan *plan)
{
    replace(&plan->model[0].name, "another");
    other_checkpoint(plan);
}
static void other_route(struct ko_plan *plan)
{
    replace_route(plan, "last<-first", "first");
}
static void seed_1(struct ko_plan *plan)
{
    plan->class[1].kind = KO_FEATURE_RANDOM_THIRD;
    plan->class[1].seed = 1;
}
static void seed_2(struct ko_plan *plan)
{
    seed_1(plan);
    plan->class[1].seed = 2;
}
static void fast_third(struct ko_plan *plan)
{
    plan->class[1].kind = KO_FEATURE_FAST_THIRD;
}
static void with_conv(struct ko_plan *plan)
{
    plan->class[1].conv = true;
}
/* Starts 1, 2, 3, in the places of 0, 1, 2. */
static void without_start_0(struct ko_plan *plan)
{
    for (int32_t s = 0; s < 3; s++) {
        plan->start[s] = s + 1;
    }
    plan->n_starts = 3;
}
/* Starts 0, 2, 3. */
static void without_start_1(struct ko_plan *plan)
{
    without_start_0(plan);
    plan->start[0] = 0;
}
/* Size 3 in the place of 1; heatmaps have size 1 alone, and get it. */
static void without_size_1(struct ko_plan *plan)
{
    plan->size[0] = 3;
    plan->n_sizes = 1;
    for (int32_t b = 0; b < plan->n_blocks; b++) {
        memset(plan->block[b].size, 1, MODELS);
    }
}
/* Size 1 alone, in the place of 1 and 3. */
static void without_size_3(struct ko_plan *plan)
{
    plan->n_sizes = 1;
    for (int32_t b = 0; b < plan->n_blocks; b++) {
        memset(plan->block[b].size, 1, MODELS);
    }
}

/* Whether the cell must not be taken. */
typedef bool lost_rule(const struct ko_plan *plan, const struct cell *cell);
static bool nothing(const struct ko_plan *plan, const struct cell *cell)
{
    (void)plan;
    (void)cell;
    return false;
}
static bool of_fact_1(const struct ko_plan *plan, const struct cell *cell)
{
    (void)plan;
    return cell->fact == 1;
}
static bool of_prompt(const struct ko_plan *plan, const struct cell *cell)
{
    return cell->model == 0 && of_fact_1(plan, cell);
}
static bool of_model_0(const struct ko_plan *plan, const struct cell *cell)
{
    (void)plan;
    return cell->model == 0;
}
static bool of_route_0(const struct ko_plan *plan, const struct cell *cell)
{
    (void)plan;
    return cell->route == 0;
}
static bool of_class_1(const struct ko_plan *plan, const struct cell *cell)
{
    (void)plan;
    return cell->class == 1;
}
static bool of_start_1(const struct ko_plan *plan, const struct cell *cell)
{
    return plan->start[cell->start] == 1;
}
static bool of_size_1(const struct ko_plan *plan, const struct cell *cell)
{
    return plan->size[cell->size] == 1;
}
static bool of_size_3(const struct ko_plan *plan, const struct cell *cell)
{
    return plan->size[cell->size] == 3;
}

static const struct row {
    const char *name;
    void (*change)(struct ko_plan *plan);     /* of the new plan; NULL: none */
    void (*change_old)(struct ko_plan *plan); /* of the old one */
    lost_rule *lost;
    enum ko_reuse_reason reason; /* why those are not taken; KO_REUSE_TAKEN: all are */
} rows[] = {
    {"no difference", NULL, NULL, nothing, KO_REUSE_TAKEN},
    {"text", other_text, NULL, of_fact_1, KO_REUSE_WORDS},
    {"subject", other_subject, NULL, of_fact_1, KO_REUSE_WORDS},
    {"target", other_target, NULL, of_fact_1, KO_REUSE_WORDS},
    {"id", other_id, NULL, of_fact_1, KO_REUSE_PROMPT},
    {"last token", other_token, NULL, of_prompt, KO_REUSE_TOKENS},
    {"length", other_length, NULL, of_prompt, KO_REUSE_TOKENS},
    {"first position of the subject", other_begin, NULL, of_prompt, KO_REUSE_SUBJECT},
    {"last position of the subject", other_end, NULL, of_prompt, KO_REUSE_SUBJECT},
    {"first token of the target", other_target_id, NULL, of_prompt, KO_REUSE_TARGET},
    {"first token of the foil", other_foil_id, NULL, of_prompt, KO_REUSE_FOIL},
    {"first token of the foil there", NULL, other_foil_id, of_prompt, KO_REUSE_FOIL},
    {"checkpoint", other_checkpoint, NULL, of_model_0, KO_REUSE_CHECKPOINT},
    {"layers", other_layers, NULL, of_model_0, KO_REUSE_CHECKPOINT},
    {"tokenizer", other_tokenizer, NULL, of_model_0, KO_REUSE_TOKENIZER},
    {"model", other_name, NULL, of_model_0, KO_REUSE_MODEL},
    {"route", other_route, NULL, of_route_0, KO_REUSE_ROUTE},
    {"class", fast_third, NULL, of_class_1, KO_REUSE_CLASS},
    {"seed of a class", seed_2, seed_1, of_class_1, KO_REUSE_CLASS},
    {"convolution of a class", with_conv, NULL, of_class_1, KO_REUSE_CLASS},
    {"fewer starts", without_start_0, NULL, nothing, KO_REUSE_TAKEN},
    {"more starts", NULL, without_start_1, of_start_1, KO_REUSE_START},
    {"more sizes", NULL, without_size_1, of_size_1, KO_REUSE_SIZE},
    {"another size more", NULL, without_size_3, of_size_3, KO_REUSE_SIZE},
    {"fewer sizes", without_size_3, NULL, nothing, KO_REUSE_TAKEN},
};

struct check {
    const struct row *row;
    const struct ko_plan *old;
    int64_t n_taken, n_lost;
};

static void check_cell(const struct ko_plan *plan, const struct cell *cell,
                       const struct found *found, void *context)
{
    struct check *check = context;
    const int64_t slot = slot_of(plan, cell);
    const bool lost = check->row->lost(plan, cell);

    if (found->mark[slot] != !lost) {
        fail_msg("%s: model %d, fact %d, route %d, class %d, size %d, start %d: mark %d",
                 check->row->name, cell->model, cell->fact, cell->route, cell->class,
                 plan->size[cell->size], plan->start[cell->start], found->mark[slot]);
    }
    if (lost) {
        assert_true(isnan(found->logprob[slot]));
        check->n_lost++;
        return;
    }
    const struct ko_metrics expected = old_value(check->old, plan, cell);
    if (found->logprob[slot] != expected.logprob || found->top1[slot] != expected.top1_id) {
        fail_msg("%s: route %d, size %d, start %d: another cell's value", check->row->name,
                 cell->route, plan->size[cell->size], plan->start[cell->start]);
    }
    assert_true(found->clean[plan->route[cell->route].heat] ==
                metrics_of(cell->model, cell->fact, CLEAN).logprob);
    check->n_taken++;
}

/* A size is done where all of its cells are taken, else pending. */
static void check_status(const struct ko_plan *plan, const struct cell *cell,
                         const struct found *found, void *context)
{
    const struct check *check = context;
    bool all = true;
    struct cell c = *cell;

    for (c.start = 0; c.start < plan->n_starts; c.start++) {
        if (ko_plan_has(plan, c.model, c.fact, c.route, c.class, c.size, c.start)) {
            all = all && !check->row->lost(plan, &c);
        }
    }
    assert_int_equal(found->status[ko_plan_status_slot(plan, c.route, c.class, c.source, c.size)],
                     all ? KO_DONE : KO_PENDING);
}

static void the_cells_are_taken_that_one_difference_leaves(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ko_plan *plan = small_plan_sweep(true), *old = small_plan_sweep(true);
        struct check check = {.row = &rows[i], .old = old};
        if (rows[i].change) {
            rows[i].change(plan);
        }
        if (rows[i].change_old) {
            rows[i].change_old(old);
        }
        make_old(old, -1, -1);
        (void)take_from_old(plan, hash_of, NULL, true);
        visit_cells(plan, check_cell, &check);
        visit_cells(plan, check_status, &check);
        assert_int_equal(given.n_cells, check.n_taken);
        assert_true(check.n_taken > 20);
        assert_int_equal(check.n_lost > 0, rows[i].reason != KO_REUSE_TAKEN);
        for (int r = 0; r < KO_N_REUSE_REASONS; r++) {
            if (given.missing[r].n_cells != (r == (int)rows[i].reason ? check.n_lost : 0)) {
                fail_msg("%s: %lld cells are missing for reason %d", rows[i].name,
                         (long long)given.missing[r].n_cells, r);
            }
        }
        ko_plan_free(old);
        ko_plan_free(plan);
    }
}

static void foils_that_the_old_cube_lacks_are_a_reason(void **state)
{
    struct ko_plan *without = small_plan_sweep(false), *with = small_plan_sweep(true);
    static const struct row row = {"no foils", NULL, NULL, of_fact_1, KO_REUSE_FOIL};
    struct check check = {.row = &row, .old = without};
    (void)state;

    make_old(without, -1, -1);
    (void)take_from_old(with, hash_of, NULL, true);
    visit_cells(with, check_cell, &check);
    assert_int_equal(given.missing[KO_REUSE_FOIL].n_cells, check.n_lost);
    /* A plan without foils asks for none. */
    make_old(with, -1, -1);
    (void)take_from_old(without, hash_of, NULL, true);
    assert_int_equal(ko_reuse_n_missing(given.missing), 0);
    ko_plan_free(without);
    ko_plan_free(with);
}

static void other_weights_give_nothing(void **state)
{
    static const char other[MODELS][33] = {"0123456789abcdef0123456789abcdef",
                                           "ffeeddccbbaa99887766554433221100"};
    static const struct row row = {"weights", NULL, NULL, of_model_0, KO_REUSE_WEIGHTS};
    struct ko_plan *plan = small_plan_sweep(true);
    struct check check = {.row = &row, .old = plan};
    (void)state;

    make_old(plan, -1, -1);
    (void)take_from_old(plan, other, NULL, true);
    visit_cells(plan, check_cell, &check);
    assert_int_equal(given.missing[KO_REUSE_WEIGHTS].n_cells, check.n_lost);
    assert_non_null(strstr(remark, "its weights' content hash is 0123456789abcdef"));
    ko_plan_free(plan);
}

/* ----------------------------------------------------------------------------------------------
   flags without values */

static int spoiled; /* which metric of the cell below */

static bool is_spoiled(const struct ko_plan *plan, const struct cell *cell)
{
    return of_prompt(plan, cell) && cell->route == 0 && cell->class == 1 && cell->size == 1 &&
           cell->start == 0;
}

enum { SPOILED_STATUS = (0 * 2 + 1) * 2 + 1, SPOILED_SLOT = 4 * SPOILED_STATUS };

/* The slot of that cell: route 0, class 1, size 1, start 0. */
static void spoil_cell(struct ko_record *record)
{
    if (record->model != 0 || record->fact != 1) {
        return;
    }
    struct ko_metrics *cell = &record->value[SPOILED_SLOT];
    float *const number[] = {&cell->logprob, &cell->kl, &cell->foil_logprob};
    if (spoiled < 3) {
        *number[spoiled] = spoiled == 1 ? INFINITY : NAN;
    } else if (spoiled == 3) {
        cell->target_rank = -1;
    } else {
        cell->top1_id = -1;
    }
}

static void a_done_cell_without_all_of_its_values_is_not_taken(void **state)
{
    static const struct row row = {"value", NULL, NULL, is_spoiled, KO_REUSE_NO_VALUE};
    struct ko_plan *plan = small_plan_sweep(true);
    (void)state;

    for (spoiled = 0; spoiled < 5; spoiled++) {
        struct check check = {.row = &row, .old = plan};
        spoil = spoil_cell;
        make_old(plan, -1, -1);
        (void)take_from_old(plan, hash_of, NULL, true);
        visit_cells(plan, check_cell, &check);
        assert_int_equal(check.n_lost, 1);
        assert_int_equal(given.missing[KO_REUSE_NO_VALUE].n_cells, 1);
    }
    ko_plan_free(plan);
}

static void spoil_status(struct ko_record *record)
{
    if (record->model == 0 && record->fact == 1) {
        record->status[SPOILED_STATUS] = KO_CELL_FAILED;
    }
}

static bool is_failed(const struct ko_plan *plan, const struct cell *cell)
{
    return of_prompt(plan, cell) && cell->route == 0 && cell->class == 1 && cell->size == 1;
}

static void a_failed_size_is_not_taken_and_a_prompt_that_was_never_run_neither(void **state)
{
    static const struct row failed = {"status", NULL, NULL, is_failed, KO_REUSE_UNDONE};
    static const struct row absent = {"clean run", NULL, NULL, of_prompt, KO_REUSE_CLEAN};
    struct ko_plan *plan = small_plan_sweep(true);
    struct check check = {.row = &failed, .old = plan};
    (void)state;

    spoil = spoil_status;
    make_old(plan, -1, -1);
    (void)take_from_old(plan, hash_of, NULL, true);
    visit_cells(plan, check_cell, &check);
    assert_int_equal(given.missing[KO_REUSE_UNDONE].n_cells, check.n_lost);
    spoil = NULL;
    check = (struct check){.row = &absent, .old = plan};
    make_old(plan, 0, 1);
    (void)take_from_old(plan, hash_of, NULL, true);
    visit_cells(plan, check_cell, &check);
    assert_int_equal(given.missing[KO_REUSE_CLEAN].n_cells, check.n_lost);
    ko_plan_free(plan);
}

/* ----------------------------------------------------------------------------------------------
   what comes after */

enum { LATER = 3 }; /* models further, so that no value is the old one */

/* Commits every prompt as a run would that computed all; failed: as one that had no memory. */
static void commit_all(const struct ko_plan *plan, bool failed)
{
    struct ko_cube *cube = NULL;

    good(ko_cube_open(new_path, plan, MPI_COMM_SELF, &cube, &err));
    for (int32_t m = 0; m < MODELS; m++) {
        for (int32_t f = 0; f < FACTS; f++) {
            struct ko_record record = {0};
            if (ko_plan_prompt(plan, m, f)->reason != KO_RUNNABLE) {
                continue;
            }
            good(ko_record_new(plan, m, f, &record, &err));
            for (int64_t k = 0; k < record.n_values; k++) {
                record.value[k] = metrics_of(m + LATER, f, k);
            }
            record.clean = metrics_of(m + LATER, f, CLEAN);
            if (failed) {
                ko_record_fail(&record, KO_FAILED_MEMORY);
            }
            good(ko_cube_commit(cube, &record, 1, &err));
            ko_record_free(&record);
        }
    }
    good(ko_cube_close(cube, &err));
}

struct later {
    const struct ko_plan *old;
    bool failed;
};

/* Size 1 was not there, all else was taken. */
static void check_later(const struct ko_plan *plan, const struct cell *cell,
                        const struct found *found, void *context)
{
    const struct later *later = context;
    const int64_t slot = slot_of(plan, cell);
    const int64_t status =
        ko_plan_status_slot(plan, cell->route, cell->class, cell->source, cell->size);
    const bool computed = of_size_1(plan, cell);

    assert_int_equal(found->mark[slot], !computed);
    assert_int_equal(found->status[status], computed && later->failed ? KO_CELL_FAILED : KO_DONE);
    if (!computed) {
        assert_true(found->logprob[slot] == old_value(later->old, plan, cell).logprob);
    } else if (later->failed) {
        assert_true(isnan(found->logprob[slot]));
    } else {
        assert_true(found->logprob[slot] ==
                    metrics_of(cell->model + LATER, cell->fact, slot).logprob);
    }
    /* The clean run beside a taken cell is the old one; heatmaps have no size but 1. */
    if (!plan->route[cell->route].heat) {
        assert_true(found->clean[0] == metrics_of(cell->model, cell->fact, CLEAN).logprob);
    } else if (!later->failed) {
        assert_true(found->clean[1] == metrics_of(cell->model + LATER, cell->fact, CLEAN).logprob);
    }
}

static void a_later_commit_leaves_what_was_taken(void **state)
{
    struct ko_plan *plan = small_plan_sweep(true), *old = small_plan_sweep(true);
    (void)state;

    without_size_1(old);
    make_old(old, -1, -1);
    for (int failed = 1; failed >= 0; failed--) {
        struct later later = {old, failed == 1};
        (void)take_from_old(plan, hash_of, NULL, true);
        commit_all(plan, failed == 1);
        visit_cells(plan, check_later, &later);
    }
    ko_plan_free(old);
    ko_plan_free(plan);
}

static void a_resume_knows_what_was_taken(void **state)
{
    struct ko_plan *plan = small_plan_sweep(true), *old = small_plan_sweep(true);
    uint8_t unsettled[MODELS * FACTS] = {0};
    struct ko_cube_view *view = NULL;
    struct ko_taken *taken = NULL;
    int64_t n = 0;
    (void)state;

    without_start_1(old);
    make_old(old, -1, -1);
    (void)take_from_old(plan, hash_of, NULL, true);
    good(ko_cube_view_open(new_path, &view, &err));
    good(ko_cube_view_taken(view, plan, &taken, unsettled, &err));
    ko_cube_view_close(view);
    for (int32_t i = 0; i < MODELS * FACTS; i++) {
        assert_int_equal(unsettled[i], 0);
        for (int64_t s = 0; s < ko_plan_n_values(plan); s++) {
            n += ko_taken_has(ko_taken_of(taken, i / FACTS, i % FACTS), s);
        }
    }
    assert_int_equal(n, given.n_cells);
    ko_taken_free(taken);
    create(new_path, plan, false);
    good(ko_cube_view_open(new_path, &view, &err));
    good(ko_cube_view_taken(view, plan, &taken, unsettled, &err));
    ko_cube_view_close(view);
    assert_null(taken); /* this one does not say */
    ko_plan_free(old);
    ko_plan_free(plan);
}

static void reasons_are_said_most_cells_first(void **state)
{
    struct ko_reuse_missing missing[KO_N_REUSE_REASONS] = {0};
    struct ko_text text = {0};
    char long_id[200];
    (void)state;

    memset(long_id, 'x', sizeof long_id);
    (void)snprintf(long_id + 62, 3, "é");
    ko_reuse_miss(missing, KO_REUSE_PROMPT, long_id);
    for (int i = 0; i < 1200; i++) {
        ko_reuse_miss(missing, KO_REUSE_SIZE, i % 2 ? "5" : "7");
    }
    ko_reuse_miss(missing, KO_REUSE_ROUTE, "last<-first");
    ko_reuse_miss(missing, KO_REUSE_ROUTE, "last<-first");
    ko_reuse_missing_add(missing, &text);
    assert_int_equal(ko_reuse_n_missing(missing), 1203);
    long_id[62] = '\0'; /* no half of a character */
    char expected[512];
    (void)snprintf(expected, sizeof expected,
                   "it lacks window size 7 and others (1,200 cells); it lacks route last<-first (2 "
                   "cells); it lacks prompt %s (1 cells)",
                   long_id);
    assert_string_equal(ko_text_str(&text), expected);
    ko_text_free(&text);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(the_cells_are_taken_that_one_difference_leaves),
        TEST(foils_that_the_old_cube_lacks_are_a_reason),
        TEST(other_weights_give_nothing),
        TEST(a_done_cell_without_all_of_its_values_is_not_taken),
        TEST(a_failed_size_is_not_taken_and_a_prompt_that_was_never_run_neither),
        TEST(a_later_commit_leaves_what_was_taken),
        TEST(a_resume_knows_what_was_taken),
        TEST(reasons_are_said_most_cells_first),
    };
    MPI_Init(&argc, &argv);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
