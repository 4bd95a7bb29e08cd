/* SPDX-License-Identifier: Apache-2.0 */
/* When a run on one rank commits. Its clock stands still but for the loading of a model, which
   takes LOAD_SECONDS; the clock, loading and commits are caught by the linker (`--wrap`). */
#include <mpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mpi/cube/commit.h"
#include "mpi/cube/cube.h"
#include "mpi/worker_load.h"
#include "src/base/clock.h"
#include "src/cli/cli.h"
#include "tests/support/folder.h"

enum { MODELS = 7, LOAD_SECONDS = 4 }; /* every 10 s there is a round, at the third model */

static atomic_int n_loads; /* the compute thread looks at the clock too */
static int n_rounds;
static struct {
    int load, n_records;
} round_at[64];

double __wrap_ko_now(void);
double __wrap_ko_now(void)
{
    return LOAD_SECONDS * atomic_load(&n_loads);
}

enum ko_code __real_ko_worker_load(struct ko_worker *worker, int32_t model, struct ko_error *err);
enum ko_code __wrap_ko_worker_load(struct ko_worker *worker, int32_t model, struct ko_error *err);
enum ko_code __wrap_ko_worker_load(struct ko_worker *worker, int32_t model, struct ko_error *err)
{
    atomic_fetch_add(&n_loads, 1);
    return __real_ko_worker_load(worker, model, err);
}

enum ko_code __real_ko_cube_commit(struct ko_cube *cube, const struct ko_record *records, int32_t n,
                                   struct ko_error *err);
enum ko_code __wrap_ko_cube_commit(struct ko_cube *cube, const struct ko_record *records, int32_t n,
                                   struct ko_error *err);
enum ko_code __wrap_ko_cube_commit(struct ko_cube *cube, const struct ko_record *records, int32_t n,
                                   struct ko_error *err)
{
    if (n_rounds < 64) {
        round_at[n_rounds].load = atomic_load(&n_loads);
        round_at[n_rounds++].n_records = n;
    }
    return __real_ko_cube_commit(cube, records, n, err);
}

static void write_spec(const char *path)
{
    FILE *spec = fopen(path, "w");

    assert_non_null(spec);
    (void)fprintf(spec, "models:\n");
    for (int k = 0; k < MODELS; k++) {
        (void)fprintf(spec, "  - {name: m%d, path: %s/tests/data/variants/qwen2}\n", k,
                      KO_SOURCE_DIR);
    }
    (void)fprintf(spec, "prompts: {file: %s/jobs/facts.jsonl, sample: {n: 6, seed: 1}}\n",
                  KO_SOURCE_DIR);
    (void)fprintf(spec, "routes: ['last<-subject']\nwindows: {sizes: [1], starts: [0]}\n");
    assert_int_equal(fclose(spec), 0);
}

static void models_that_take_less_than_a_round_are_committed_all_the_same(void **state)
{
    char *folder = test_folder_make();
    char *spec = test_folder_path(folder, "spec.yaml"), *cube = test_folder_path(folder, "cube.h5");
    char *argv[] = {(char *)"knockout",
                    (char *)"evaluate",
                    spec,
                    (char *)"-o",
                    cube,
                    (char *)"--threads",
                    (char *)"1",
                    (char *)"--progress",
                    (char *)"none",
                    (char *)"--log-level",
                    (char *)"error",
                    NULL};
    char **arguments = argv;
    int argc = (int)(sizeof argv / sizeof *argv) - 1, status = 0, after[MODELS + 1] = {0};
    bool help = false, version = false;
    struct ko_options options = {0};
    struct ko_error err = {0};
    (void)state;

    write_spec(spec);
    enum ko_code code = ko_options_parse(argc, argv, &options, &help, &version, &err);
    struct ko_cli cli = {.options = &options, .argc = &argc, .argv = &arguments, .out = stdout};
    if (code == KO_OK) {
        code = ko_command_evaluate(&cli, &status, &err);
    }
    if (code != KO_OK || status != 0) {
        fail_msg("status %d: %s", status, err.text);
    }
    assert_int_equal(atomic_load(&n_loads), MODELS);
    for (int k = 0; k < n_rounds; k++) {
        after[round_at[k].load] += round_at[k].n_records;
    }
    /* 4, 8, 12 s: a round; 16, 20, 24 s: one again; the rest at the end */
    static const bool committed[MODELS + 1] = {[3] = true, [6] = true, [7] = true};
    for (int k = 0; k <= MODELS; k++) {
        assert_int_equal(after[k] > 0, committed[k]);
    }
    ko_options_free(&options);
    free(spec);
    free(cube);
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_that_take_less_than_a_round_are_committed_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
