/* SPDX-License-Identifier: Apache-2.0 */
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
#include "mpi/cube/probe.h"
#include "src/cube/create/create.h"
#include "src/cube/read/done.h"
#include "src/cube/read/read.h"
#include "tests/support/folder.h"
#include "tests/support/small_plan.h"

/* An assertion that leaves one rank's function would leave the others waiting: every test computes
   a verdict, all ranks agree on it, and only then is it asserted. */

enum { CLEAN = 9999 }; /* stands for a slot in the values of a clean run */

static int rank, n_ranks;
static struct ko_error err;
static char *folder; /* the same on all ranks */

static bool everywhere(bool good)
{
    int mine = good, all = 0;

    MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    return all;
}

static bool right(bool good, const char *what)
{
    if (!good) {
        (void)fprintf(stderr, "rank %d: %s: %s\n", rank, what, err.text);
    }
    return good;
}

/* Values that say where they belong. */
static struct ko_metrics metrics_of(int32_t model, int32_t fact, int64_t slot)
{
    float x = (float)(1000 * model + 100 * fact) + (float)slot;

    return (struct ko_metrics){.logprob = -x / 512,
                               .foil_logprob = -x / 256,
                               .kl = x,
                               .target_rank = (int32_t)(1 + slot),
                               .top1_id = (int32_t)(7 * slot) + fact};
}

/* A finished record: every cell whose status says so. `failed` marks them as failed instead. */
static bool make_record(const struct ko_plan *plan, int32_t model, int32_t fact, bool failed,
                        struct ko_record *record)
{
    if (!right(ko_record_new(plan, model, fact, record, &err) == KO_OK, "record")) {
        return false;
    }
    for (int64_t s = 0; s < record->n_statuses; s++) {
        if (record->status[s] == KO_DONE && failed) {
            record->status[s] = KO_CELL_FAILED;
        }
        for (int64_t k = 0; k < plan->n_starts && record->status[s] == KO_DONE; k++) {
            record->value[s * plan->n_starts + k] = metrics_of(model, fact, s * plan->n_starts + k);
        }
    }
    if (!failed) {
        record->clean = metrics_of(model, fact, CLEAN);
    }
    return true;
}

/* The facts of the plan's axes, split over the ranks of comm in two rounds and in no order; the
   last (model, fact) is left out where not `all`. */
static bool commit_all(struct ko_cube *cube, const struct ko_plan *plan, MPI_Comm comm, bool all)
{
    int here = 0, n = 1;
    bool good = true;

    MPI_Comm_rank(comm, &here);
    MPI_Comm_size(comm, &n);
    for (int round = 0; round < 2; round++) {
        struct ko_record records[16] = {0};
        int32_t n_records = 0;
        for (int32_t i = 2 * plan->n_facts - 1; i >= 0; i--) {
            int32_t model = i % 2, fact = i / 2;
            bool mine = (5 * i + 2) % n == here && i % 3 / 2 == round;
            if (!mine || ko_plan_prompt(plan, model, fact)->reason != KO_RUNNABLE ||
                (!all && fact == plan->n_facts - 1 && model == 1)) {
                continue;
            }
            good = make_record(plan, model, fact, fact == 0 && model == 1, &records[n_records]) &&
                   good;
            n_records++;
        }
        good = right(ko_cube_commit(cube, records, n_records, &err) == KO_OK, "commit") && good;
        for (int32_t i = 0; i < n_records; i++) {
            ko_record_free(&records[i]);
        }
    }
    return good;
}

/* Creates name in the folder (first rank of comm) and commits. */
static bool make_cube(const char *name, const struct ko_plan *plan, MPI_Comm comm, bool all)
{
    static const struct ko_cube_attribute attributes[] = {{"backend", "plain"},
                                                          {"precision", "float32"}};
    struct ko_cube_content content = {.plan = plan, .attribute = attributes, .n_attributes = 2};
    char *path = test_folder_path(folder, name);
    struct ko_cube *cube = NULL;
    int here = 0;
    bool good = true;

    MPI_Comm_rank(comm, &here);
    if (here == 0) {
        good = right(ko_cube_create(path, &content, &err) == KO_OK, "create");
    }
    MPI_Barrier(comm);
    good = right(ko_cube_open(path, plan, comm, &cube, &err) == KO_OK, "open") && good;
    if (good) {
        good = commit_all(cube, plan, comm, all);
        const char *hash = here == 0 ? "00112233445566778899aabbccddeeff" : NULL;
        good = right(ko_cube_write_content_hash(cube, 1, hash, &err) == KO_OK, "hash") && good;
    }
    good = right(ko_cube_close(cube, &err) == KO_OK, "close") && good;
    free(path);
    return good;
}

static bool same(double a, double b)
{
    return (isnan(a) && isnan(b)) || a == b;
}

struct expectation {
    const char *prefix;
    const int32_t *fact; /* of the prompt axis */
    int32_t n;
    int64_t from, block; /* of a record's values */
};

static double wanted_value(const char *name, struct ko_metrics metrics)
{
    if (strstr(name, "foil_logprob")) {
        return (double)metrics.foil_logprob;
    }
    if (strstr(name, "logprob")) {
        return (double)metrics.logprob;
    }
    if (strstr(name, "prob")) {
        return (double)(float)exp((double)metrics.logprob);
    }
    if (strstr(name, "kl")) {
        return (double)metrics.kl;
    }
    return strstr(name, "target_rank") ? metrics.target_rank : metrics.top1_id;
}

/* One dataset of cells or (n_block 1, clean) of clean runs against the records that were committed.
 */
static bool compare(struct ko_cube_view *view, const struct ko_plan *plan, const char *metric,
                    const struct expectation *e, bool clean, bool all)
{
    int64_t block = clean ? 1 : e->block, n = e->n * block;
    double *got = calloc((size_t)n, sizeof *got);
    char name[64];
    bool good = got != NULL;

    (void)snprintf(name, sizeof name, "%s%s%s", e->prefix, clean ? "clean_" : "", metric);
    for (int32_t model = 0; model < 2 && good; model++) {
        good = right(ko_cube_view_read_double(view, name, model, got, n, &err) == KO_OK, name);
        for (int64_t i = 0; i < n && good; i++) {
            int32_t fact = e->fact[i / block];
            struct ko_record record = {0};
            bool committed = ko_plan_prompt(plan, model, fact)->reason == KO_RUNNABLE &&
                             (all || fact != plan->n_facts - 1 || model != 1);
            good = make_record(plan, model, fact, fact == 0 && model == 1, &record);
            struct ko_metrics metrics = clean ? record.clean : record.value[e->from + i % block];
            double wanted = wanted_value(name, metrics);
            if (!committed) {
                wanted = strstr(name, "prob") || strstr(name, "kl") ? (double)NAN : -1;
            }
            ko_record_free(&record);
            if (!same(got[i], wanted)) {
                (void)fprintf(stderr, "%s: model %d, element %lld: %g, expected %g\n", name, model,
                              (long long)i, got[i], wanted);
                good = false;
            }
        }
    }
    free(got);
    return good;
}

static bool compare_all(struct ko_cube_view *view, const struct ko_plan *plan, bool all)
{
    static const char *const metric[] = {"logprob",     "prob",    "kl",
                                         "target_rank", "top1_id", "foil_logprob"};
    const struct expectation part[] = {
        {"", plan->prompt_fact, plan->n_prompts, 0, ko_plan_n_mean_values(plan)},
        {"heat_", plan->heat_fact, plan->n_heat_prompts, ko_plan_n_mean_values(plan),
         ko_plan_n_values(plan) - ko_plan_n_mean_values(plan)},
    };
    bool good = true;

    for (size_t p = 0; p < 2; p++) {
        for (size_t m = 0; m < 6; m++) {
            good = compare(view, plan, metric[m], &part[p], false, all) && good;
            if (strcmp(metric[m], "kl") != 0) {
                good = compare(view, plan, metric[m], &part[p], true, all) && good;
            }
        }
    }
    return good;
}

/* What is left for a resume: the pair that was left out, and the failed one. */
static bool compare_done(struct ko_cube_view *view, const struct ko_plan *plan, bool all)
{
    uint8_t done[10];

    if (!right(ko_cube_view_done(view, plan, done, &err) == KO_OK, "done")) {
        return false;
    }
    for (int32_t i = 0; i < 10; i++) {
        bool wanted = !(i == 5 + 0) && (all || i != 5 + 4);
        if (done[i] != wanted) {
            (void)fprintf(stderr, "done[%d] is %d\n", i, done[i]);
            return false;
        }
    }
    return true;
}

static void what_several_ranks_commit_is_read_back(void **state)
{
    (void)state;
    for (int all = 0; all < 2; all++) {
        struct ko_plan *plan = small_plan_sweep(true);
        bool good = everywhere(make_cube("sweep.h5", plan, MPI_COMM_WORLD, all));
        if (good && rank == 0) {
            char *path = test_folder_path(folder, "sweep.h5");
            struct ko_cube_view *view = NULL;
            good = right(ko_cube_view_open(path, &view, &err) == KO_OK, "view");
            good = good && compare_all(view, plan, all) && compare_done(view, plan, all);
            ko_cube_view_close(view);
            free(path);
        }
        ko_plan_free(plan);
        assert_true(everywhere(good));
    }
}

static bool view_evaluation(const struct ko_plan *plan)
{
    char *path = test_folder_path(folder, "evaluation.h5");
    struct ko_cube_view *view = NULL;
    float logprob[10];
    int32_t target_rank[10], top1_id[10];
    uint8_t reason[10], status[5], done[10];
    bool good = right(ko_cube_view_open(path, &view, &err) == KO_OK, "view") &&
                ko_cube_view_is_evaluation(view);

    good =
        good &&
        right(ko_cube_view_evaluation(view, logprob, target_rank, top1_id, reason, &err) == KO_OK,
              "evaluation") &&
        right(ko_cube_view_read_uint8(view, "eval_status", 1, status, 5, &err) == KO_OK,
              "status") &&
        right(ko_cube_view_done(view, plan, done, &err) == KO_OK, "done");
    for (int32_t i = 0; i < 10 && good; i++) {
        int32_t model = i / 5, fact = i % 5;
        bool runnable = ko_plan_prompt(plan, model, fact)->reason == KO_RUNNABLE;
        bool failed = model == 1 && fact == 0; /* its clean run has no values */
        struct ko_metrics metrics = metrics_of(model, fact, CLEAN);
        good = (runnable && !failed
                    ? same((double)logprob[i], (double)metrics.logprob) &&
                          target_rank[i] == metrics.target_rank && top1_id[i] == metrics.top1_id
                    : isnan(logprob[i]) && target_rank[i] == -1 && top1_id[i] == -1) &&
               reason[i] == (runnable ? KO_RUNNABLE : KO_TARGET_MERGES) &&
               (model == 0 || status[fact] == (runnable ? KO_DONE : KO_NOT_PLANNED)) &&
               done[i] == !failed;
        if (!good) {
            (void)fprintf(stderr, "evaluation: model %d, fact %d differs\n", model, fact);
        }
    }
    ko_cube_view_close(view);
    free(path);
    return good;
}

static void an_evaluation_is_committed_by_its_clean_runs(void **state)
{
    struct ko_plan *plan = small_plan_evaluation();
    bool good = everywhere(make_cube("evaluation.h5", plan, MPI_COMM_WORLD, true));
    (void)state;

    if (good && rank == 0) {
        good = view_evaluation(plan);
    }
    ko_plan_free(plan);
    assert_true(everywhere(good));
}

static void the_file_is_the_same_for_any_number_of_ranks(void **state)
{
    struct ko_plan *plan = small_plan_sweep(true);
    bool good = true;
    (void)state;

    for (int n = 1; n <= n_ranks && good; n++) {
        MPI_Comm comm;
        char name[32];
        (void)snprintf(name, sizeof name, "of-%d.h5", n);
        MPI_Comm_split(MPI_COMM_WORLD, rank < n ? 0 : MPI_UNDEFINED, rank, &comm);
        if (comm != MPI_COMM_NULL) {
            good = make_cube(name, plan, comm, true);
            MPI_Comm_free(&comm);
        }
        good = everywhere(good);
    }
    char *one = test_folder_path(folder, "of-1.h5");
    size_t n_one = 0, n_other = 0;
    char *bytes = good && rank == 0 ? test_read(one, &n_one) : NULL;
    for (int n = 2; n <= n_ranks && bytes && good; n++) {
        char name[32];
        (void)snprintf(name, sizeof name, "of-%d.h5", n);
        char *path = test_folder_path(folder, name);
        char *other = test_read(path, &n_other);
        good = n_one == n_other && memcmp(bytes, other, n_one) == 0;
        free(other);
        free(path);
    }
    free(bytes);
    free(one);
    ko_plan_free(plan);
    assert_true(everywhere(good));
}

static void opening_is_refused_on_every_rank_with_one_text(void **state)
{
    struct ko_plan *plan = small_plan_sweep(false), *other = small_plan_sweep(false);
    char *path = test_folder_path(folder, "refused.h5"),
         *lost = test_folder_path(folder, "lost.h5");
    struct ko_cube_content content = {.plan = plan};
    struct ko_cube *cube = NULL;
    bool good = true;
    (void)state;

    if (rank == 0) {
        good = right(ko_cube_create(path, &content, &err) == KO_OK, "create");
    }
    good = everywhere(good);
    other->n_starts = 3;
    good = good && ko_cube_open(path, other, MPI_COMM_WORLD, &cube, &err) == KO_E_INPUT &&
           strstr(err.text, "refused.h5: dataset 'prob': expected [2,4,2,2,2,3], file has "
                            "[2,4,2,2,2,4]");
    good = right(good, "a plan of other axes");
    good = right(ko_cube_open(lost, plan, MPI_COMM_WORLD, &cube, &err) == KO_E_INPUT &&
                     strstr(err.text, "lost.h5: cannot be opened for writing: ") &&
                     !strchr(err.text, '\n'),
                 "a missing file") &&
           good;
    good = !cube && good;
    free(lost);
    free(path);
    ko_plan_free(other);
    ko_plan_free(plan);
    assert_true(everywhere(good));
}

static void a_folder_is_probed_from_every_rank(void **state)
{
    char *path = test_folder_path(folder, "cube.h5"),
         *lost = test_folder_path(folder, "no/cube.h5");
    char *plain = test_folder_path(folder, "plain/cube.h5");
    (void)state;

    bool good = right(ko_cube_probe_folder(path, MPI_COMM_WORLD, &err) == KO_OK, "probe");
    good = right(ko_cube_probe_folder(lost, MPI_COMM_WORLD, &err) == KO_E_INPUT &&
                     strstr(err.text, "no/cube.h5: its folder cannot be written from ") &&
                     strstr(err.text, ": No such file or directory"),
                 "a missing folder") &&
           good;
    if (rank == 0) {
        test_folder_write_text(folder, "plain", "a file");
    }
    MPI_Barrier(MPI_COMM_WORLD);
    good = right(ko_cube_probe_folder(plain, MPI_COMM_WORLD, &err) == KO_E_INPUT &&
                     strstr(err.text, ": Not a directory"),
                 "a file for a folder") &&
           good;
    free(plain);
    free(lost);
    free(path);
    assert_true(everywhere(good));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_several_ranks_commit_is_read_back),
        cmocka_unit_test(an_evaluation_is_committed_by_its_clean_runs),
        cmocka_unit_test(the_file_is_the_same_for_any_number_of_ranks),
        cmocka_unit_test(opening_is_refused_on_every_rank_with_one_text),
        cmocka_unit_test(a_folder_is_probed_from_every_rank),
    };
    char name[4096] = "";

    if (MPI_Init(&argc, &argv) != MPI_SUCCESS) {
        return 1;
    }
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_ranks);
    char *made = rank == 0 ? test_folder_make() : NULL;
    if (made) {
        (void)snprintf(name, sizeof name, "%s", made);
    }
    MPI_Bcast(name, sizeof name, MPI_CHAR, 0, MPI_COMM_WORLD);
    folder = name;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Barrier(MPI_COMM_WORLD);
    if (made) {
        test_folder_remove(made);
    }
    MPI_Finalize();
    return failed;
}
