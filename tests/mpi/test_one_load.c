/* SPDX-License-Identifier: Apache-2.0 */
/* A run on a backend with memory of its own: tests/support/far.h stands for a GPU and exchange.h for
   NCCL. The linker (`--wrap`) puts them in the place of the cpu backend. The weights go to that
   memory once, and no engine is there when the next is made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mpi/compute/compute.h"
#include "mpi/compute/exchange_open.h"
#include "mpi/compute/weights_load.h"
#include "src/cli/cli.h"
#include "src/models/model_load.h"
#include "tests/mpi/exchange.h"
#include "tests/support/far.h"
#include "tests/support/folder.h"

#define MODEL KO_SOURCE_DIR "/jobs/models/mamba-facts"

enum { MOST = 8 };

static struct test_exchange exchange;
static struct {
    int starts, exchanges, loads, binds;
    int n_workers;                                    /* 0: this rank is none */
    size_t bytes_before[MOST], imported_before[MOST]; /* a model was bound */
} seen;

enum ko_code __real_ko_compute_start(const struct ko_kernels *kernels,
                                     const struct ko_backend_config *config,
                                     struct ko_compute **out, struct ko_error *err);
enum ko_code __wrap_ko_compute_start(const struct ko_kernels *kernels,
                                     const struct ko_backend_config *config,
                                     struct ko_compute **out, struct ko_error *err);
enum ko_code __wrap_ko_compute_start(const struct ko_kernels *kernels,
                                     const struct ko_backend_config *config,
                                     struct ko_compute **out, struct ko_error *err)
{
    (void)kernels;
    seen.starts++;
    return __real_ko_compute_start(&test_far, config, out, err);
}

enum ko_code __real_ko_compute_bind(struct ko_compute *compute,
                                    const struct ko_compute_model *model, struct ko_error *err);
enum ko_code __wrap_ko_compute_bind(struct ko_compute *compute,
                                    const struct ko_compute_model *model, struct ko_error *err);
enum ko_code __wrap_ko_compute_bind(struct ko_compute *compute,
                                    const struct ko_compute_model *model, struct ko_error *err)
{
    if (model && seen.binds < MOST) {
        seen.bytes_before[seen.binds] = test_far_bytes();
        seen.imported_before[seen.binds++] = test_far_imported();
    }
    return __real_ko_compute_bind(compute, model, err);
}

enum ko_code __wrap_ko_exchange_check(const struct ko_world *world,
                                      const struct ko_compute *compute, struct ko_error *err);
enum ko_code __wrap_ko_exchange_check(const struct ko_world *world,
                                      const struct ko_compute *compute, struct ko_error *err)
{
    (void)compute;
    (void)err;
    seen.n_workers = world->n_workers;
    return KO_OK;
}

enum ko_code __wrap_ko_exchange_open(struct ko_world *world, struct ko_compute *compute,
                                     struct ko_exchange **out, struct ko_error *err);
enum ko_code __wrap_ko_exchange_open(struct ko_world *world, struct ko_compute *compute,
                                     struct ko_exchange **out, struct ko_error *err)
{
    (void)compute;
    (void)err;
    test_exchange_open(&exchange, world);
    seen.exchanges++;
    *out = &exchange.exchange;
    return KO_OK;
}

void __wrap_ko_exchange_close(struct ko_compute *compute, struct ko_exchange *closed);
void __wrap_ko_exchange_close(struct ko_compute *compute, struct ko_exchange *closed)
{
    (void)compute;
    if (closed) {
        test_exchange_close(&exchange);
    }
}

enum ko_code __real_ko_weights_load(struct ko_world *world, struct ko_compute *compute,
                                    struct ko_exchange *between, const struct ko_plan_model *model,
                                    int32_t slots, struct ko_weights *out, struct ko_error *err);
enum ko_code __wrap_ko_weights_load(struct ko_world *world, struct ko_compute *compute,
                                    struct ko_exchange *between, const struct ko_plan_model *model,
                                    int32_t slots, struct ko_weights *out, struct ko_error *err);
enum ko_code __wrap_ko_weights_load(struct ko_world *world, struct ko_compute *compute,
                                    struct ko_exchange *between, const struct ko_plan_model *model,
                                    int32_t slots, struct ko_weights *out, struct ko_error *err)
{
    seen.loads++;
    return __real_ko_weights_load(world, compute, between, model, slots, out, err);
}

/* Runs `run` over MODEL; the wave of the sweep is larger than that of the evaluation. */
static void run(const char *folder)
{
    char *spec = test_folder_path(folder, "spec.yaml"), *cube = test_folder_path(folder, "cube.h5");
    char *argv[] = {(char *)"knockout",
                    (char *)"run",
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
    int argc = (int)(sizeof argv / sizeof *argv) - 1, status = 0;
    bool help = false, version = false;
    struct ko_options options = {0};
    struct ko_error err = {0};
    FILE *file = fopen(spec, "w");
    assert_non_null(file);
    (void)fprintf(
        file,
        "models: [%s]\n"
        "prompts: {file: %s/jobs/facts.jsonl, sample: {n: 3, seed: 1}}\n"
        "routes: ['last<-subject', 'last<-first']\nwindows: {sizes: [1, 3], starts: all}\n",
        MODEL, KO_SOURCE_DIR);
    assert_int_equal(fclose(file), 0);

    enum ko_code code = ko_options_parse(argc, argv, &options, &help, &version, &err);
    struct ko_cli cli = {.options = &options, .argc = &argc, .argv = &arguments, .out = stdout};
    if (code == KO_OK) {
        code = ko_command_run(&cli, &status, &err);
    }
    if (code != KO_OK || status != 0) {
        fail_msg("status %d: %s", status, err.text);
    }
    ko_options_free(&options);
    free(spec);
    free(cube);
}

/* Bytes of the file that this worker's part of the matrices has at most. */
static size_t largest_part(int n_workers)
{
    struct ko_checkpoint *checkpoint = NULL;
    struct ko_error err = {0};
    size_t n = 0, all = 0, largest = 0;
    assert_int_equal(ko_checkpoint_open(MODEL, "m", &checkpoint, &err), KO_OK);
    const struct ko_tensor *tensors = ko_checkpoint_tensors(checkpoint, &n);
    for (size_t t = 0; t < n; t++) {
        all += tensors[t].data_bytes;
        largest = tensors[t].data_bytes > largest ? tensors[t].data_bytes : largest;
    }
    ko_checkpoint_close(checkpoint);
    return all / (size_t)n_workers + largest;
}

static void weights_go_to_the_backend_once_a_run(void **state)
{
    char *folder = test_folder_make();
    (void)state;
    run(folder);
    test_folder_remove(folder);
    if (seen.n_workers == 0) { /* the coordinator of several ranks */
        assert_int_equal(seen.starts, 0);
        return;
    }
    assert_int_equal(seen.starts, 1);
    assert_int_equal(seen.exchanges, 1);
    assert_int_equal(seen.loads, 1);
    assert_int_equal(exchange.n_calls, seen.n_workers > 1);
    assert_int_equal(seen.binds, 2);
    /* The evaluation's engine is gone before the sweep's is made, and nothing was imported. */
    assert_true(seen.bytes_before[0] > 0);
    assert_int_equal(seen.bytes_before[1], seen.bytes_before[0]);
    assert_true(seen.imported_before[0] > 0);
    assert_true(seen.imported_before[0] <= largest_part(seen.n_workers));
    assert_int_equal(seen.imported_before[1], seen.imported_before[0]);
    assert_int_equal(test_far_imported(), seen.imported_before[0]);
    assert_int_equal(test_far_bytes(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(weights_go_to_the_backend_once_a_run)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
