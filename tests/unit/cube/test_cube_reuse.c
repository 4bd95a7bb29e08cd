/* SPDX-License-Identifier: Apache-2.0 */
/* Taking whole prompts, of a cube that has no place to say which of its cells were taken. */
#include "src/cube/read/done.h"
#include "src/tree/statuses.h"
#include "tests/unit/cube/reuse_pair.h"

static int take(const struct ko_plan *plan, const char (*known)[33], const uint8_t *done,
                int64_t *n_cells)
{
    (void)take_from_old(plan, known, done, false);
    if (n_cells) {
        *n_cells = given.n_cells;
    }
    return given.n_whole;
}

/* How many records of the new cube a resume need not compute, of those that have planned cells. */
static int n_done(const struct ko_plan *plan, uint8_t done[MODELS * FACTS])
{
    struct ko_cube_view *view = NULL;
    uint8_t status[256];
    int n = 0;

    good(ko_cube_view_open(new_path, &view, &err));
    good(ko_cube_view_done(view, plan, done, &err));
    ko_cube_view_close(view);
    assert_true(ko_plan_n_statuses(plan) <= (int64_t)sizeof status);
    for (int32_t i = 0; i < MODELS * FACTS; i++) {
        bool any = false;
        good(ko_tree_statuses(plan, i / FACTS, i % FACTS, status, NULL, &err));
        for (int64_t s = 0; s < ko_plan_n_statuses(plan); s++) {
            any = any || status[s] != KO_NOT_PLANNED;
        }
        n += any && done[i];
    }
    return n;
}

static void an_equal_plan_takes_everything_to_the_bit(void **state)
{
    struct ko_plan *plan = small_plan_sweep(true);
    const int64_t n = (int64_t)plan->n_prompts * ko_plan_n_mean_values(plan);
    float *left = ko_new((size_t)n, sizeof *left, &err),
          *right = ko_new((size_t)n, sizeof *right, &err);
    struct ko_cube_view *view = NULL;
    uint8_t done[MODELS * FACTS];
    char hash[33];
    int64_t n_cells = 0;
    (void)state;

    make_old(plan, -1, -1);
    const int taken = take(plan, hash_of, NULL, &n_cells);
    assert_int_equal(taken, MODELS * FACTS - 1); /* one cannot be run */
    assert_true(n_cells > 100);
    assert_int_equal(n_done(plan, done), taken);
    for (int32_t m = 0; m < MODELS; m++) {
        good(ko_cube_view_open(old_path, &view, &err));
        const struct ko_cube_rows rows = {"logprob", m, 0, plan->n_prompts, n, NULL};
        good(ko_cube_view_rows_float(view, &rows, left, &err));
        ko_cube_view_close(view);
        good(ko_cube_view_open(new_path, &view, &err));
        good(ko_cube_view_rows_float(view, &rows, right, &err));
        good(ko_cube_view_content_hash(view, m, hash, &err));
        ko_cube_view_close(view);
        assert_string_equal(hash, hash_of[m]);
        /* The old cube has values of starts that do not fit: made up here, and planned nowhere. */
        int64_t n_equal = 0;
        for (int64_t k = 0; k < n; k++) {
            assert_true(isnan(right[k]) || right[k] == left[k]);
            n_equal += right[k] == left[k];
        }
        assert_true(n_equal > n / 8);
    }
    free(left);
    free(right);
    ko_plan_free(plan);
}

static void what_is_done_already_is_not_taken_again(void **state)
{
    struct ko_plan *plan = small_plan_sweep(false);
    uint8_t done[MODELS * FACTS] = {1, 1};
    (void)state;

    make_old(plan, -1, -1);
    assert_int_equal(take(plan, hash_of, done, NULL), MODELS * FACTS - 3);
    ko_plan_free(plan);
}

static void what_the_old_cube_lacks_is_left_pending(void **state)
{
    struct ko_plan *plan = small_plan_sweep(false);
    uint8_t done[MODELS * FACTS];
    (void)state;

    make_old(plan, 0, 1);
    assert_int_equal(take(plan, hash_of, NULL, NULL), MODELS * FACTS - 2);
    (void)n_done(plan, done);
    assert_false(done[1]);
    ko_plan_free(plan);
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
    plan->prompt[1].token[2]++;
}
static void other_length(struct ko_plan *plan)
{
    plan->prompt[1].n_tokens--;
}
static void other_span(struct ko_plan *plan)
{
    plan->prompt[1].subject_end++;
}
static void other_answer(struct ko_plan *plan)
{
    plan->prompt[1].target++;
}
static void other_checkpoint(struct ko_plan *plan)
{
    plan->model[0].fingerprint[3] = 'f';
}
static void other_tokenizer(struct ko_plan *plan)
{
    plan->model[0].tokenizer_fingerprint[3] = 'f';
}
static void other_size(struct ko_plan *plan)
{
    plan->size[0] = 2; /* was 1 */
}
/* The first route goes out from a named span, which every prompt has. */
static void other_route(struct ko_plan *plan)
{
    for (int32_t i = 0; i < MODELS * FACTS; i++) {
        struct ko_prompt *prompt = &plan->prompt[i];
        if (prompt->reason != KO_RUNNABLE) {
            continue;
        }
        prompt->span = ko_new(1, sizeof *prompt->span, &err);
        assert_non_null(prompt->span);
        *prompt->span = (struct ko_token_span){ko_copy("verb", &err), 1, 2};
        prompt->n_spans = 1;
    }
    for (int32_t r = 0; r < plan->n_routes; r++) {
        if (strcmp(plan->route[r].route.label, "last<-subject") == 0) {
            replace(&plan->route[r].route.label, "last<-verb");
            replace(&plan->route[r].route.source, "verb");
        }
    }
}

static void nothing_is_taken_from_what_is_not_the_same(void **state)
{
    static const struct {
        const char *name;
        void (*change)(struct ko_plan *plan); /* of the new plan */
        int n_lost;                           /* records that are not taken for it */
    } row[] = {
        {"text", other_text, MODELS},
        {"subject", other_subject, MODELS},
        {"target", other_target, MODELS},
        {"id", other_id, MODELS},
        {"token", other_token, 1},
        {"length", other_length, 1},
        {"subject's positions", other_span, 1},
        {"answer's token", other_answer, 1},
        {"checkpoint", other_checkpoint, FACTS},
        {"tokenizer", other_tokenizer, FACTS},
    };
    (void)state;

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct ko_plan *plan = small_plan_sweep(false);
        make_old(plan, -1, -1);
        row[i].change(plan);
        const int taken = take(plan, hash_of, NULL, NULL);
        if (taken != MODELS * FACTS - 1 - row[i].n_lost) {
            fail_msg("%s: %d records are taken", row[i].name, taken);
        }
        ko_plan_free(plan);
    }
}

static void a_size_or_a_span_that_the_old_cube_lacks_takes_no_prompt_that_needs_it(void **state)
{
    static void (*const change[])(struct ko_plan *) = {other_size, other_route};
    (void)state;

    for (size_t i = 0; i < 2; i++) {
        struct ko_plan *plan = small_plan_sweep(false);
        uint8_t done[MODELS * FACTS];
        make_old(plan, -1, -1);
        change[i](plan);
        const int taken = take(plan, hash_of, NULL, NULL);
        assert_true(taken < MODELS * FACTS - 1);
        assert_int_equal(n_done(plan, done), taken);
        ko_plan_free(plan);
    }
}

static void spans_of_equal_name_are_never_trusted(void **state)
{
    struct ko_plan *plan = small_plan_sweep(false);
    (void)state;

    other_route(plan);
    make_old(plan, -1, -1);
    const int taken = take(plan, hash_of, NULL, NULL);
    assert_true(taken < MODELS * FACTS - 1); /* only prompts that have no cell on that route */
    ko_plan_free(plan);
}

static void other_weights_are_named_and_a_renamed_model_is_known_by_them(void **state)
{
    static const char other[MODELS][33] = {"0123456789abcdef0123456789abcdef",
                                           "ffeeddccbbaa99887766554433221100"};
    static const char unknown[MODELS][33] = {"", ""};
    struct ko_plan *plan = small_plan_sweep(false);
    (void)state;

    make_old(plan, -1, -1);
    assert_int_equal(take(plan, other, NULL, NULL), FACTS - 1);
    assert_non_null(strstr(remark, "model=\"mamba-small\" nothing is taken: its weights' content "
                                   "hash is 0123456789abcdef0123456789abcdef"));
    assert_int_equal(take(plan, unknown, NULL, NULL), MODELS * FACTS - 1);
    replace(&plan->model[0].name, "mamba-renamed");
    assert_int_equal(take(plan, hash_of, NULL, NULL), MODELS * FACTS - 1);
    assert_int_equal(take(plan, unknown, NULL, NULL), FACTS - 1);
    ko_plan_free(plan);
}

static void foils_that_the_old_cube_lacks_are_computed(void **state)
{
    struct ko_plan *without = small_plan_sweep(false), *with = small_plan_sweep(true);
    (void)state;

    make_old(without, -1, -1);
    assert_int_equal(take(with, hash_of, NULL, NULL), MODELS * FACTS - 1 - MODELS);
    make_old(with, -1, -1);
    assert_int_equal(take(without, hash_of, NULL, NULL), MODELS * FACTS - 1);
    ko_plan_free(without);
    ko_plan_free(with);
}

/* One status failed, the clean run and all else there. */
static void a_failed_cell_is_computed_again(void **state)
{
    struct ko_plan *plan = small_plan_sweep(true);
    struct ko_cube *cube = NULL;
    struct ko_record record = {0};
    uint8_t done[MODELS * FACTS];
    int64_t s = 0;
    (void)state;

    make_old(plan, -1, -1);
    good(ko_cube_open(old_path, plan, MPI_COMM_SELF, &cube, &err));
    good(ko_record_new(plan, 0, 1, &record, &err));
    record.clean = metrics_of(0, 1, CLEAN);
    for (int64_t k = 0; k < record.n_values; k++) {
        record.value[k] = metrics_of(0, 1, k);
    }
    while (record.status[s] != KO_DONE) {
        s++;
    }
    record.status[s] = KO_CELL_FAILED;
    good(ko_cube_commit(cube, &record, 1, &err));
    ko_record_free(&record);
    good(ko_cube_close(cube, &err));

    assert_int_equal(take(plan, hash_of, NULL, NULL), MODELS * FACTS - 2);
    assert_int_equal(n_done(plan, done), MODELS * FACTS - 2);
    assert_int_equal(done[1], 0);
    assert_int_equal(rename(old_path, new_path), 0);
    assert_int_equal(n_done(plan, done), MODELS * FACTS - 2);
    assert_int_equal(done[1], 0);
    ko_plan_free(plan);
}

static void foreign_cubes_are_refused_by_name(void **state)
{
    struct ko_plan *plan = small_plan_sweep(false), *clean = small_plan_evaluation();
    struct ko_cube_view *view = NULL;
    (void)state;

    create(old_path, plan, false);
    good(ko_cube_view_open(old_path, &view, &err));
    good(ko_cube_reuse_check(view, "cpu", "float32", &err));
    assert_int_equal(ko_cube_reuse_check(view, "cuda", "float32", &err), KO_E_INPUT);
    assert_string_equal(err.text,
                        "the backend is 'cpu' in it and 'cuda' in this run, leave it out");
    assert_int_equal(ko_cube_reuse_check(view, "cpu", "tf32", &err), KO_E_INPUT);
    assert_string_equal(err.text,
                        "the precision is 'float32' in it and 'tf32' in this run, leave it out");
    ko_cube_view_close(view);
    create(old_path, clean, false);
    good(ko_cube_view_open(old_path, &view, &err));
    assert_int_equal(ko_cube_reuse_check(view, "cpu", "float32", &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "is an evaluation, which has no cells"));
    ko_cube_view_close(view);
    ko_plan_free(plan);
    ko_plan_free(clean);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(an_equal_plan_takes_everything_to_the_bit),
        TEST(what_is_done_already_is_not_taken_again),
        TEST(what_the_old_cube_lacks_is_left_pending),
        TEST(nothing_is_taken_from_what_is_not_the_same),
        TEST(a_size_or_a_span_that_the_old_cube_lacks_takes_no_prompt_that_needs_it),
        TEST(spans_of_equal_name_are_never_trusted),
        TEST(other_weights_are_named_and_a_renamed_model_is_known_by_them),
        TEST(foils_that_the_old_cube_lacks_are_computed),
        TEST(a_failed_cell_is_computed_again),
        TEST(foreign_cubes_are_refused_by_name),
    };
    MPI_Init(&argc, &argv);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
