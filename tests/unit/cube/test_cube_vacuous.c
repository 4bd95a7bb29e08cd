/* SPDX-License-Identifier: Apache-2.0 */
/* Cubes of a model whose layers have different sliding windows: some starts of a size are vacuous
   and others are not. Every reader must know the former from cells that are missing. */
#include <hdf5.h>
#include <math.h>
#include <mpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mpi/cube/commit.h"
#include "mpi/cube/cube.h"
#include "mpi/cube/reuse.h"
#include "src/cube/create/create.h"
#include "src/cube/merge/copy.h"
#include "src/cube/merge/merge.h"
#include "src/cube/read/done.h"
#include "src/cube/read/planned.h"
#include "src/cube/read/view_taken.h"
#include "src/export/export_csv.h"
#include "src/status/cell_counts.h"
#include "src/tree/shard.h"
#include "tests/support/folder.h"
#include "tests/support/made_plan.h"

enum { MODELS = 2, FACTS = 3, N_LAYERS = 6 };

/* Layers 1 and 4 see everything, the others three positions. */
static const int32_t reach[N_LAYERS] = {3, INT32_MAX, 3, 3, INT32_MAX, 3};
static const char hash_of[MODELS][33] = {"00112233445566778899aabbccddeeff",
                                         "ffeeddccbbaa99887766554433221100"};
static struct ko_error err;
static char *folder, *path, *other_path;

/* Ten tokens. */
static void ten_tokens(int32_t model, int32_t fact, struct ko_prompt *prompt)
{
    (void)model;
    (void)fact;
    prompt->n_tokens = 10;
}

static const struct made_case mixed = {
    .spec = "models: [a, b]\nprompts: {file: f}\n"
            "routes: [last<-first, last<-last, subject<-last, last<-each]\nfeatures: [all]\n"
            "windows: {sizes: [1, 2, 4], starts: all}\n",
    .model = {{N_LAYERS, 0, 0, 0, 0}, {4, 8, 4, 0, 0}},
    .layer_reach = {reach, NULL},
    .n_facts = {FACTS},
    .shape = ten_tokens,
};

static int make(void **state)
{
    (void)state;
    folder = test_folder_make();
    path = test_folder_path(folder, "cube.h5");
    other_path = test_folder_path(folder, "other.h5");
    return 0;
}

static int clear(void **state)
{
    (void)state;
    free(path);
    free(other_path);
    test_folder_remove(folder);
    return 0;
}

static void good(enum ko_code code)
{
    if (code != KO_OK) {
        fail_msg("%s", err.text);
    }
}

static struct ko_plan *plan_of(const struct made_case *made)
{
    struct ko_plan *plan = NULL;
    good(made_plan_build(made, &plan, NULL, &err));
    return plan;
}

/* An empty cube of the plan; of a shard's, with the outline of the whole. */
static void create(const char *to, const struct made_case *made, const struct ko_plan *plan,
                   const struct ko_plan *whole, bool reused)
{
    struct ko_spec *spec = made_plan_spec(made);
    const struct ko_cube_attribute attribute[] = {
        {"spec", spec->resolved}, {"backend", "cpu"}, {"precision", "float32"}};
    const float logprob[MODELS * FACTS] = {-1, -1, -1, -1, -1, -1};
    const int32_t one[MODELS * FACTS] = {1, 1, 1, 1, 1, 1};
    const struct ko_cube_evaluation evaluation = {logprob, one, one, NULL, NULL, NULL};
    const struct ko_cube_content outline = {.plan = whole, .evaluation = &evaluation};
    const struct ko_cube_content content = {.plan = plan,
                                            .attribute = attribute,
                                            .n_attributes = 3,
                                            .evaluation = &evaluation,
                                            .reused = reused,
                                            .whole = whole ? &outline : NULL};
    good(ko_cube_create(to, &content, &err));
    ko_spec_free(spec);
}

/* Commits every prompt with a value in each cell that exists. Returns their number. */
static int64_t compute(const char *to, const struct ko_plan *plan, bool failed)
{
    struct ko_cube *cube = NULL;
    int64_t n = 0;
    good(ko_cube_open(to, plan, MPI_COMM_SELF, &cube, &err));
    for (int32_t i = 0; i < plan->n_models * plan->n_facts; i++) {
        struct ko_record record = {0};
        good(ko_record_new(plan, i / plan->n_facts, i % plan->n_facts, &record, &err));
        record.clean = (struct ko_metrics){.logprob = -1, .target_rank = 1, .top1_id = 1};
        for (int64_t k = 0; k < record.n_values; k++) {
            const int32_t start = plan->start[k % plan->n_starts];
            const int32_t size = plan->size[k / plan->n_starts % plan->n_sizes];
            if (record.status[k / plan->n_starts] == KO_DONE && !ko_record_is_vacuous(&record, k) &&
                start + size <= plan->model[record.model].n_layers) {
                record.value[k] = record.clean;
                n++;
            }
        }
        if (failed) {
            ko_record_fail(&record, KO_FAILED_MEMORY);
        }
        const char *name = plan->model[record.model].name; /* a shard may lack the first model */
        good(ko_cube_write_content_hash(cube, record.model, hash_of[strcmp(name, "b") == 0], &err));
        good(ko_cube_commit(cube, &record, 1, &err));
        ko_record_free(&record);
    }
    good(ko_cube_close(cube, &err));
    return n;
}

static struct ko_cube_view *view_of(const char *from)
{
    struct ko_cube_view *view = NULL;
    good(ko_cube_view_open(from, &view, &err));
    return view;
}

static struct ko_cell_counts counts_of(const char *from)
{
    struct ko_cube_view *view = view_of(from);
    struct ko_cube_counts counts = {0};
    good(ko_cube_count(view, &counts, &err));
    const struct ko_cell_counts total = counts.total;
    ko_cube_counts_free(&counts);
    ko_cube_view_close(view);
    return total;
}

/* ----------------------------------------------------------------------------------------------
   what a new cube says */

/* Whether no layer of the window sees the first of ten tokens from the last. */
static bool sees_nothing(int32_t start, int32_t size)
{
    bool vacuous = true;
    for (int32_t l = start; l < start + size; l++) {
        vacuous = vacuous && reach[l] < 10;
    }
    return vacuous;
}

static void a_cube_marks_the_vacuous_starts_of_a_size_that_has_others(void **state)
{
    struct ko_plan *plan = plan_of(&mixed);
    const int64_t n = (int64_t)plan->n_mean_routes * plan->n_sizes * plan->n_starts;
    uint8_t status[256], vacuous[1024];
    (void)state;
    create(path, &mixed, plan, NULL, false);
    struct ko_cube_view *view = view_of(path);
    const struct ko_cube_rows statuses = {"status", 0, 1, 1, n / plan->n_starts, NULL};
    const struct ko_cube_rows marks = {"vacuous", 0, 1, 1, n, NULL};
    good(ko_cube_view_rows_uint8(view, &statuses, status, &err));
    good(ko_cube_view_rows_uint8(view, &marks, vacuous, &err));
    for (int64_t k = 0; k < n; k++) {
        const int32_t start = plan->start[k % plan->n_starts];
        const int32_t size = plan->size[k / plan->n_starts % plan->n_sizes];
        const int64_t route = k / plan->n_starts / plan->n_sizes;
        /* last<-last has an edge in every layer, subject<-last in none. */
        assert_int_equal(status[k / plan->n_starts], route == 2 ? KO_VACUOUS : KO_PENDING);
        assert_int_equal(vacuous[k],
                         route == 0 && start + size <= N_LAYERS && sees_nothing(start, size));
    }
    assert_true(ko_cube_view_has(view, "heat_vacuous"));
    ko_cube_view_close(view);
    ko_plan_free(plan);
}

static void only_cubes_that_may_have_such_starts_have_marks(void **state)
{
    static const int32_t long_reach[N_LAYERS] = {10, INT32_MAX, 10, 10, 10, 10};
    static const int32_t alike[N_LAYERS] = {3, 3, 3, 3, 3, 3};
    const int32_t *const rows[] = {NULL, alike, long_reach};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct made_case made = mixed;
        made.layer_reach[0] = rows[i];
        struct ko_plan *plan = plan_of(&made);
        create(path, &made, plan, NULL, false);
        struct ko_cube_view *view = view_of(path);
        assert_false(ko_cube_view_has(view, "vacuous") || ko_cube_view_has(view, "heat_vacuous"));
        ko_cube_view_close(view);
        ko_plan_free(plan);
    }
}

/* ----------------------------------------------------------------------------------------------
   a finished cube */

static void export(const char *from, int64_t *n_done, int64_t *n_vacuous, int64_t *n_lines)
{
    struct ko_cube_view *view = view_of(from);
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    uint8_t all[64];
    char line[1024];
    memset(all, 1, sizeof all);
    assert_true(axes->route.n <= sizeof all && axes->n_sizes <= (int32_t)sizeof all);
    const struct ko_curve_filter filter = {all, all, all, all, all};
    FILE *stream = tmpfile();
    assert_non_null(stream);
    good(ko_export_csv(view, &filter, stream, "stream", &err));
    rewind(stream);
    *n_done = *n_vacuous = 0;
    for (*n_lines = -1; fgets(line, sizeof line, stream); ++*n_lines) {
        *n_done += strstr(line, ",done,-1,") != NULL;
        *n_vacuous += strstr(line, ",vacuous,,") != NULL;
    }
    (void)fclose(stream);
    ko_cube_view_close(view);
}

static void a_finished_cube_lacks_nothing(void **state)
{
    struct ko_plan *plan = plan_of(&mixed);
    struct ko_cube_valueless found = {0};
    uint8_t done[MODELS * FACTS];
    int64_t n_done = 0, n_vacuous = 0, n_lines = 0;
    (void)state;
    create(path, &mixed, plan, NULL, false);
    const struct ko_cell_counts before = counts_of(path);
    const int64_t n = compute(path, plan, false);
    const struct ko_cell_counts after = counts_of(path);
    assert_true(before.vacuous > 0 && n > 0);
    assert_int_equal(before.pending, n);
    assert_int_equal(after.done, n);
    assert_int_equal(after.vacuous, before.vacuous);
    assert_int_equal(ko_cell_counts_status(&after), 0);
    struct ko_cube_view *view = view_of(path);
    good(ko_cube_find_valueless(view, NULL, &found, &err));
    assert_int_equal(found.n, 0);
    good(ko_cube_view_done(view, plan, done, &err));
    for (int i = 0; i < MODELS * FACTS; i++) {
        assert_int_equal(done[i], 1);
    }
    ko_cube_view_close(view);
    export(path, &n_done, &n_vacuous, &n_lines);
    assert_int_equal(n_done, n);
    assert_int_equal(n_vacuous, after.vacuous);
    assert_int_equal(n_lines, n + after.vacuous);
    ko_plan_free(plan);
}

static void a_failed_run_leaves_vacuous_cells_vacuous(void **state)
{
    struct ko_plan *plan = plan_of(&mixed);
    (void)state;
    create(path, &mixed, plan, NULL, false);
    const struct ko_cell_counts before = counts_of(path);
    const int64_t n = compute(path, plan, true);
    const struct ko_cell_counts after = counts_of(path);
    assert_int_equal(after.failed, n);
    assert_int_equal(after.vacuous, before.vacuous);
    ko_plan_free(plan);
}

/* ----------------------------------------------------------------------------------------------
   cells of an earlier cube */

static void take(const struct ko_plan *plan, bool by_cell, struct ko_cube_reuse *given)
{
    static const uint8_t nothing[MODELS * FACTS];
    struct ko_taken *taken = NULL;
    struct ko_cube_view *old = view_of(path);
    if (by_cell) {
        good(ko_taken_new(plan, &taken, &err));
    }
    *given = (struct ko_cube_reuse){
        .plan = plan, .path = other_path, .content_hash = hash_of, .done = nothing, .taken = taken};
    good(ko_cube_reuse_take(old, given, &err));
    ko_cube_view_close(old);
    ko_taken_free(taken);
    given->taken = NULL;
}

/* Takes the flags of windows of one layer of last<-first under the first model: some of their starts
   are vacuous. */
static void take_flags(const char *of, const struct ko_plan *plan)
{
    uint8_t status[4096];
    hid_t file = H5Fopen(of, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t id = H5Dopen2(file, "status", H5P_DEFAULT), space = H5Dget_space(id);
    const hssize_t n = H5Sget_simple_extent_npoints(space);
    assert_true(n > 0 && n <= (hssize_t)sizeof status);
    assert_true(H5Dread(id, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, status) >= 0);
    for (int64_t p = 0; p < plan->n_prompts; p++) {
        uint8_t *one = &status[p * plan->n_mean_routes * plan->n_sizes];
        assert_int_equal(*one, KO_DONE);
        *one = KO_PENDING;
    }
    assert_true(H5Dwrite(id, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, status) >= 0);
    H5Sclose(space);
    H5Dclose(id);
    H5Fclose(file);
}

static void what_is_taken_of_a_prompt_is_all_that_exists(void **state)
{
    struct ko_plan *plan = plan_of(&mixed);
    struct ko_cube_reuse given;
    (void)state;
    create(path, &mixed, plan, NULL, false);
    const int64_t n = compute(path, plan, false);
    for (int by_cell = 0; by_cell < 2; by_cell++) {
        create(other_path, &mixed, plan, NULL, by_cell == 1);
        take(plan, by_cell == 1, &given);
        assert_int_equal(given.n_cells, n);
        assert_int_equal(given.n_whole, MODELS * FACTS);
        assert_int_equal(ko_reuse_n_missing(given.missing), 0);
        const struct ko_cell_counts after = counts_of(other_path);
        assert_int_equal(after.done, n);
        assert_int_equal(ko_cell_counts_status(&after), 0);
    }
    /* A later run that fails does not touch them. */
    (void)compute(other_path, plan, true);
    const struct ko_cell_counts later = counts_of(other_path);
    assert_int_equal(later.done, n);
    assert_int_equal(later.failed, 0);
    ko_plan_free(plan);
}

static void a_size_whose_cells_were_all_taken_is_settled(void **state)
{
    struct ko_plan *plan = plan_of(&mixed);
    struct ko_taken *taken = NULL;
    struct ko_cube_reuse given;
    uint8_t unsettled[MODELS * FACTS] = {0};
    (void)state;
    create(path, &mixed, plan, NULL, false);
    const int64_t n = compute(path, plan, false);
    create(other_path, &mixed, plan, NULL, true);
    take(plan, true, &given);
    take_flags(other_path, plan); /* as a kill before the last write leaves them */
    struct ko_cube_view *view = view_of(other_path);
    good(ko_cube_view_taken(view, plan, &taken, unsettled, &err));
    ko_cube_view_close(view);
    for (int i = 0; i < MODELS * FACTS; i++) {
        assert_int_equal(unsettled[i], i < FACTS);
    }
    given.taken = taken;
    good(ko_cube_reuse_settle(&given, unsettled, &err));
    const struct ko_cell_counts after = counts_of(other_path);
    assert_int_equal(after.done, n);
    assert_int_equal(ko_cell_counts_status(&after), 0);
    ko_taken_free(taken);
    ko_plan_free(plan);
}

/* ----------------------------------------------------------------------------------------------
   shards and copies */

/* The whole dataset of a part, byte by byte. */
static void read_marks(const char *of, const char *name, uint8_t out[8192], hssize_t *n)
{
    hid_t file = H5Fopen(of, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t id = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(id);
    *n = H5Sget_simple_extent_npoints(space);
    assert_true(*n > 0 && *n <= 8192);
    assert_true(H5Dread(id, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) >= 0);
    H5Sclose(space);
    H5Dclose(id);
    H5Fclose(file);
}

static void assert_same_marks(const char *one, const char *other)
{
    static const char *const names[] = {"vacuous", "heat_vacuous"};
    uint8_t a[8192], b[8192];
    hssize_t n = 0, m = 0;
    for (size_t i = 0; i < 2; i++) {
        read_marks(one, names[i], a, &n);
        read_marks(other, names[i], b, &m);
        assert_int_equal(n, m);
        assert_memory_equal(a, b, (size_t)n);
        assert_non_null(memchr(a, 1, (size_t)n));
    }
}

static void shards_are_merged_to_the_whole_with_its_marks(void **state)
{
    struct ko_plan *whole = plan_of(&mixed);
    struct ko_strings shards = {0};
    struct ko_cube_merged merged = {0};
    int64_t n_last = 0;
    (void)state;
    for (int32_t m = 0; m < MODELS; m++) {
        whole->model[m].row_budget = 200; /* several batches */
    }
    create(path, &mixed, whole, NULL, false);
    const int64_t n = compute(path, whole, false);
    for (int32_t k = 1; k <= 3; k++) {
        struct ko_plan *part = NULL;
        char name[64];
        (void)snprintf(name, sizeof name, "cube.shard-%04d-of-0003.h5", k);
        char *file = test_folder_path(folder, name);
        good(ko_shard_take(whole, (struct ko_shard){k, 3}, &part, &err));
        create(file, &mixed, part, whole, false);
        n_last = compute(file, part, false);
        good(ko_strings_add(&shards, file, &err));
        free(file);
        ko_plan_free(part);
    }
    good(ko_cube_merge(other_path, &shards, false, NULL, &merged, &err));
    ko_cube_merged_free(&merged);
    assert_same_marks(path, other_path);
    assert_int_equal(counts_of(other_path).done, n);
    /* Without the last shard its cells are pending, and the marks are whole. */
    free(shards.item[--shards.n]);
    good(ko_cube_merge(other_path, &shards, true, NULL, &merged, &err));
    ko_cube_merged_free(&merged);
    assert_same_marks(path, other_path);
    const struct ko_cell_counts partial = counts_of(other_path);
    assert_int_equal(partial.pending, n_last);
    assert_int_equal(partial.vacuous, counts_of(path).vacuous);
    ko_strings_free(&shards);
    ko_plan_free(whole);
}

static void a_compressed_copy_keeps_the_marks(void **state)
{
    struct ko_plan *plan = plan_of(&mixed);
    bool incomplete = true;
    (void)state;
    create(path, &mixed, plan, NULL, false);
    const int64_t n = compute(path, plan, false);
    struct ko_cube_view *view = view_of(path);
    good(ko_cube_compress(view, KO_CUBE_CHUNK_BYTES, other_path, &incomplete, &err));
    ko_cube_view_close(view);
    assert_false(incomplete);
    assert_same_marks(path, other_path);
    assert_int_equal(counts_of(other_path).done, n);
    ko_plan_free(plan);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, clear)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_cube_marks_the_vacuous_starts_of_a_size_that_has_others),
        TEST(only_cubes_that_may_have_such_starts_have_marks),
        TEST(a_finished_cube_lacks_nothing),
        TEST(a_failed_run_leaves_vacuous_cells_vacuous),
        TEST(what_is_taken_of_a_prompt_is_all_that_exists),
        TEST(a_size_whose_cells_were_all_taken_is_settled),
        TEST(shards_are_merged_to_the_whole_with_its_marks),
        TEST(a_compressed_copy_keeps_the_marks),
    };
    MPI_Init(&argc, &argv);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
