/* SPDX-License-Identifier: Apache-2.0 */
/* Readers of a cube that a run is writing: between any two of their reads a whole commit may come,
   values and flags, and no reader may see a flag without its value. */
#include <fcntl.h>
#include <unistd.h>

#include "src/cli/sample.h"
#include "src/cube/merge/copy.h"
#include "src/cube/read/planned.h"
#include "src/cube/read/slab.h"
#include "src/export/cell_rows.h"
#include "src/show/curve_values.h"
#include "src/status/cell_counts.h"
#include "tests/unit/cube/shard_set.h"

/* The commit: the bytes of the finished file over those of the one that is being read. */
static struct {
    char *bytes;
    size_t n;
    const char *path; /* NULL: nothing is going on */
    int before;       /* the read of HDF5 before which it comes, from 1 */
    int n_reads;
} commit;

herr_t __real_H5Dread(hid_t id, hid_t type, hid_t memory, hid_t file, hid_t transfer, void *out);
herr_t __wrap_H5Dread(hid_t id, hid_t type, hid_t memory, hid_t file, hid_t transfer, void *out);
herr_t __wrap_H5Dread(hid_t id, hid_t type, hid_t memory, hid_t file, hid_t transfer, void *out)
{
    if (commit.path && ++commit.n_reads == commit.before) {
        const int to = open(commit.path, O_WRONLY);
        assert_true(to >= 0);
        assert_int_equal(pwrite(to, commit.bytes, commit.n, 0), (ssize_t)commit.n);
        close(to);
    }
    return __real_H5Dread(id, type, memory, file, transfer, out);
}

static void write_bytes(const char *path, const char *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

/* Lets the commit come before read number k from now on. */
static void arm(const char *path, int k)
{
    commit.path = path;
    commit.before = k;
    commit.n_reads = 0;
}

/* The end of a reader; whether the commit has come, so that the next read is to be tried. */
static bool disarm(void)
{
    const bool came = commit.n_reads >= commit.before;

    commit.path = NULL;
    return came;
}

/* ---------------------------------------------------------------------------------- one sweep */

struct live {
    char *folder, *path, *out, *unfinished;
};

static struct live make_live(int number)
{
    struct live live = {.folder = test_folder_make()};
    struct ko_plan *plan = whole_plan();
    const struct ko_cube_evaluation evaluation = {logprob, target_rank, top1_id, NULL, NULL, NULL};
    const struct ko_cube_content content = {
        .plan = plan, .attribute = attributes, .n_attributes = 4, .evaluation = &evaluation};
    size_t n = 0;

    live.path = test_folder_path(live.folder, number ? "cube.shard-0001-of-0003.h5" : "cube.h5");
    live.out = test_folder_path(live.folder, "out.h5");
    if (number) {
        create_shard(live.path, plan, number, SHARDS);
    } else {
        assert_int_equal(ko_cube_create(live.path, &content, &err), KO_OK);
    }
    ko_plan_free(plan);
    live.unfinished = test_read(live.path, &n);
    finish(live.path, one_hash);
    commit.bytes = test_read(live.path, &commit.n);
    assert_int_equal(n, commit.n);
    return live;
}

static void free_live(struct live *live)
{
    free(commit.bytes);
    free(live->unfinished);
    free(live->path);
    free(live->out);
    test_folder_remove(live->folder);
}

static int64_t n_valueless(const char *path)
{
    struct ko_cube_view *view = NULL;
    struct ko_cube_valueless found = {0};

    assert_int_equal(ko_cube_view_open(path, &view, &err), KO_OK);
    assert_int_equal(ko_cube_find_valueless(view, NULL, &found, &err), KO_OK);
    ko_cube_view_close(view);
    return found.n;
}

static void compress(const struct live *live, struct ko_cube_view *view)
{
    bool incomplete = false;

    if (ko_cube_compress(view, 1 << 16, live->out, &incomplete, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    disarm();
    assert_int_equal(n_valueless(live->out), 0);
}

static void count(const struct live *live, struct ko_cube_view *view)
{
    struct ko_cube_counts counts = {0};

    (void)live;
    if (ko_cube_count(view, &counts, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(counts.total.valueless, 0);
    assert_true(counts.total.done + counts.total.pending > 0);
    ko_cube_counts_free(&counts);
}

/* Planned starts of done statuses, by the cube of one job with all starts. */
static void check_values(const struct ko_cube_part *part, int32_t model, const uint8_t *status,
                         const double *value)
{
    for (int64_t k = 0; k < part->n_statuses; k++) {
        const int32_t size = (int32_t)(k % part->n_sizes);
        for (int32_t s = 0; s < part->n_starts && status[k] == KO_DONE; s++) {
            if (part->axes->window_start[s] + part->axes->window_size[size] <=
                part->axes->n_layers[model]) {
                assert_true(ko_cell_has_value((float)value[k * part->n_starts + s], 1));
            }
        }
    }
}

static void show(const struct live *live, struct ko_cube_view *view)
{
    (void)live;
    for (int heat = 0; heat < 2; heat++) {
        struct ko_cube_part part = {0};
        assert_int_equal(ko_cube_part_of(view, heat, &part, &err), KO_OK);
        for (int32_t m = 0; m < 2; m++) {
            const struct ko_cube_slice any = {0};
            struct ko_curve_values values = {0};
            assert_int_equal(ko_curve_values_open(&part, m, KO_CURVE_LOGPROB, false, &values, &err),
                             KO_OK);
            assert_int_equal(ko_curve_values_load(&values, &any, &err), KO_OK);
            check_values(&part, m, values.status, values.value);
            ko_curve_values_close(&values);
        }
    }
}

static void table(const struct live *live, struct ko_cube_view *view)
{
    struct ko_cube_part part = {0};

    (void)live;
    assert_int_equal(ko_cube_part_of(view, false, &part, &err), KO_OK);
    for (int32_t m = 0; m < 2; m++) {
        struct ko_cell_rows rows = {0};
        bool more = true;
        assert_int_equal(ko_cell_rows_new(&part, m, &rows, &err), KO_OK);
        assert_int_equal(ko_cell_rows_next(&rows, &more, &err), KO_OK);
        assert_int_equal(rows.n, part.n_prompts);
        double *value = calloc((size_t)part.n_values, sizeof *value);
        assert_non_null(value);
        for (int64_t k = 0; k < part.n_values; k++) {
            value[k] = (double)rows.value.logprob[k];
        }
        check_values(&part, m, rows.status, value);
        free(value);
        ko_cell_rows_free(&rows);
    }
}

static void draw(const struct live *live, struct ko_cube_view *view)
{
    const struct ko_strings models = {0};
    const struct ko_sampling sampling = {"cube.h5", &models, 1000, 1};
    struct ko_sampled *cell = NULL;
    int64_t n = 0;

    (void)live;
    if (ko_sample_cells(view, &sampling, &cell, &n, &err) != KO_OK) {
        return; /* nothing was done when it looked */
    }
    assert_true(n > 0);
    for (int64_t k = 0; k < n; k++) {
        assert_true(ko_cell_has_value((float)cell[k].logprob, cell[k].target_rank));
    }
    free(cell);
}

static void values_come_with_their_flags(void **state)
{
    static void (*const reader[])(const struct live *, struct ko_cube_view *) = {compress, count,
                                                                                 show, table, draw};
    (void)state;

    for (size_t r = 0; r < sizeof reader / sizeof *reader; r++) {
        struct live live = make_live(0);
        int k = 0;
        bool came = true;
        while (came) {
            struct ko_cube_view *view = NULL;
            write_bytes(live.path, live.unfinished, commit.n);
            assert_int_equal(ko_cube_view_open(live.path, &view, &err), KO_OK);
            arm(live.path, k += reader[r] == compress ? 4 : 1); /* it reads every dataset */
            reader[r](&live, view);
            came = disarm();
            ko_cube_view_close(view);
        }
        assert_true(k > 5); /* it did come between reads */
        free_live(&live);
    }
}

/* Reads of HDF5 while the cells of a cube are counted. */
static int reads_to_count(const struct live *live, const char *bytes)
{
    struct ko_cube_view *view = NULL;

    write_bytes(live->path, bytes, commit.n);
    assert_int_equal(ko_cube_view_open(live->path, &view, &err), KO_OK);
    arm(live->path, 1 << 20);
    count(live, view);
    (void)disarm();
    ko_cube_view_close(view);
    return commit.n_reads;
}

/* Two metrics of two models, of mean and of heat cells. */
static void values_are_read_where_a_cell_is_done(void **state)
{
    struct live live = make_live(0);
    (void)state;

    const int none = reads_to_count(&live, live.unfinished);
    assert_int_equal(reads_to_count(&live, commit.bytes), none + 2 * 2 * 2);
    free_live(&live);
}

static void a_merge_takes_no_flag_without_its_value(void **state)
{
    struct live live = make_live(1);
    struct ko_strings one = {.item = &live.path, .n = 1};
    int k = 0, n_done = 0;
    bool came = true;
    (void)state;

    while (came) {
        struct ko_cube_merged merged = {0};
        write_bytes(live.path, live.unfinished, commit.n);
        arm(live.path, k += 17);
        if (ko_cube_merge(live.out, &one, true, NULL, &merged, &err) != KO_OK) {
            fail_msg("%s", err.text);
        }
        came = disarm();
        ko_cube_merged_free(&merged);
        struct ko_cube_view *view = NULL;
        struct ko_cube_counts counts = {0};
        assert_int_equal(ko_cube_view_open(live.out, &view, &err), KO_OK);
        assert_int_equal(ko_cube_count(view, &counts, &err), KO_OK);
        assert_int_equal(counts.total.valueless, 0);
        n_done += counts.total.done > 0;
        ko_cube_counts_free(&counts);
        ko_cube_view_close(view);
    }
    assert_true(k > 10 && n_done > 0 && n_done < k);
    free_live(&live);
}

/* --------------------------------------------------------------------------------- evaluation */

/* Values without their flag, and a flag without all of its values. */
static void check_parts(const char *path)
{
    struct ko_cube_view *view = NULL;
    float found_logprob[10];
    int32_t found_rank[10], found_top1[10];
    hid_t file = open_file(path);

    set_number(file, "eval_status", KO_DONE, KO_PENDING); /* the first */
    set_number(file, "eval_top1_id", top1_id[1], -1);     /* the second */
    H5Fclose(file);
    assert_int_equal(ko_cube_view_open(path, &view, &err), KO_OK);
    assert_int_equal(
        ko_cube_view_evaluation(view, found_logprob, found_rank, found_top1, NULL, &err), KO_OK);
    ko_cube_view_close(view);
    for (int i = 0; i < 10; i++) {
        const bool there = i >= 2 && target_rank[i] >= 1;
        assert_int_equal(found_rank[i], there ? target_rank[i] : -1);
        assert_int_equal(found_top1[i], there ? top1_id[i] : -1);
        assert_int_equal(ko_cell_has_value(found_logprob[i], 1), there);
    }
}

static void an_evaluation_has_all_of_a_clean_run_or_nothing(void **state)
{
    struct ko_plan *plan = small_plan_evaluation();
    const struct ko_cube_content content = {
        .plan = plan, .attribute = attributes, .n_attributes = 4};
    struct live live = {.folder = test_folder_make()};
    int k = 0, n_seen = 0;
    bool came = true;
    size_t n = 0;
    (void)state;

    live.path = test_folder_path(live.folder, "evaluation.h5");
    assert_int_equal(ko_cube_create(live.path, &content, &err), KO_OK);
    live.unfinished = test_read(live.path, &n);
    hid_t file = open_file(live.path);
    uint8_t *status = read_all(file, "eval_status", H5T_NATIVE_UINT8, &n);
    for (size_t i = 0; i < n; i++) {
        status[i] = status[i] == KO_PENDING ? KO_DONE : status[i];
    }
    write_all(file, "eval_logprob", H5T_NATIVE_FLOAT, logprob);
    write_all(file, "eval_target_rank", H5T_NATIVE_INT32, target_rank);
    write_all(file, "eval_top1_id", H5T_NATIVE_INT32, top1_id);
    write_all(file, "eval_status", H5T_NATIVE_UINT8, status);
    free(status);
    H5Fclose(file);
    commit.bytes = test_read(live.path, &commit.n);
    while (came) {
        struct ko_cube_view *view = NULL;
        float found_logprob[10];
        int32_t found_rank[10], found_top1[10];
        write_bytes(live.path, live.unfinished, commit.n);
        assert_int_equal(ko_cube_view_open(live.path, &view, &err), KO_OK);
        arm(live.path, ++k);
        assert_int_equal(
            ko_cube_view_evaluation(view, found_logprob, found_rank, found_top1, NULL, &err),
            KO_OK);
        came = disarm();
        ko_cube_view_close(view);
        for (int i = 0; i < 10; i++) {
            const bool there = found_rank[i] >= 1;
            n_seen += there;
            assert_int_equal(there, ko_cell_has_value(found_logprob[i], 1));
            assert_int_equal(there, found_top1[i] >= 0);
        }
    }
    assert_true(n_seen > 0);
    write_bytes(live.path, commit.bytes, commit.n);
    check_parts(live.path);
    free_live(&live);
    ko_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_with_their_flags),
        cmocka_unit_test(values_are_read_where_a_cell_is_done),
        cmocka_unit_test(a_merge_takes_no_flag_without_its_value),
        cmocka_unit_test(an_evaluation_has_all_of_a_clean_run_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
