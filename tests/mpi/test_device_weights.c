/* SPDX-License-Identifier: Apache-2.0 */
/* Weights in the workers' own memory: every worker reads a part, an exchange brings the parts
   together. tests/support/far.h stands for the GPUs, exchange.h for NCCL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/split.h"
#include "mpi/compute/weights_load.h"
#include "src/base/memory.h"
#include "src/models/model_load.h"
#include "src/models/pass.h"
#include "tests/mpi/exchange.h"
#include "tests/support/checkpoint_edit.h"
#include "tests/support/far.h"
#include "tests/support/folder.h"
#include "tests/support/trunk.h"

#define DEMO(name)    KO_SOURCE_DIR "/jobs/models/" name
#define VARIANT(name) KO_SOURCE_DIR "/tests/data/variants/" name

static struct ko_world world;
static struct test_exchange far_exchange;

/* True where every rank's verdict is: no rank may leave a test alone. */
static bool everywhere(bool verdict)
{
    int mine = verdict, all = 0;
    MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_LAND, world.all);
    return all;
}

static struct ko_compute *start(const struct ko_kernels *kernels)
{
    const struct ko_backend_config config = {.threads = 1};
    struct ko_compute *compute = NULL;
    struct ko_error err = {0};
    if (ko_compute_start(kernels, &config, &compute, &err) != KO_OK) {
        abort();
    }
    far_exchange.n_calls = 0;
    return compute;
}

static void fingerprint_of(const char *folder, char text[33])
{
    struct ko_checkpoint *checkpoint = NULL;
    struct ko_error err = {0};
    text[0] = '\0';
    if (ko_checkpoint_open(folder, "toy", &checkpoint, &err) == KO_OK) {
        memcpy(text, ko_checkpoint_fingerprint(checkpoint), 33);
    }
    ko_checkpoint_close(checkpoint);
}

static enum ko_code load(struct ko_compute *compute, const char *folder, const char *print,
                         struct ko_weights *weights, struct ko_error *err)
{
    char name[] = "toy";
    const struct ko_plan_model model = {
        .name = name, .path = (char *)(uintptr_t)folder, .fingerprint = (char *)(uintptr_t)print};
    *weights = (struct ko_weights){.window = MPI_WIN_NULL};
    return ko_weights_load(&world, compute, &far_exchange.exchange, &model, false, weights, err);
}

/* Whether the matrix in two parts has the numbers `own`. */
static bool equals_parts(const struct ko_matrix *m, const float *own, size_t n)
{
    const uint16_t *got = m->data;
    const size_t run = ko_matrix_run(m->n_out, m->n_in, m->in_first);
    bool right = m->type == KO_ELEMENT_BF16X2;
    for (size_t k = 0; right && k < n; k++) {
        const struct ko_split s = ko_split_of(own[k]);
        const size_t at = k + k / run * run;
        right = got[at] == s.high && got[at + run] == s.low;
    }
    return right;
}

/* Whether the arena holds what this process loads alone, and the hash is the same. */
static bool equals_own(const struct ko_weights *weights)
{
    struct ko_error err = {0};
    const struct ko_model *model = weights->model;
    const struct ko_arena *arena = &weights->arena;
    float *own = ko_new(ko_model_floats(model), sizeof *own, &err);
    uint64_t *hash = ko_new(model->n_weights, sizeof *hash, &err);
    char text[33] = "";
    bool right = own && hash &&
                 ko_model_load(model, weights->checkpoint, &(struct ko_load_part){0, 1, 2}, own,
                               hash, &err) == KO_OK;
    if (right) {
        ko_model_content_hash(model, hash, text);
    }
    right = right && strcmp(text, weights->content_hash) == 0 &&
            memcmp(arena->values, own, model->value_floats * sizeof *own) == 0 &&
            test_far_has(arena->matrices,
                         ko_model_matrix_bytes(model, arena->type, model->matrix_elements));
    for (size_t w = 0; right && w < model->n_weights; w++) {
        const struct ko_weight *weight = &model->weights[w];
        const unsigned char *got =
            (const unsigned char *)arena->matrices + ko_weight_at(weight, arena->type);
        const struct ko_tensor *tensor = ko_checkpoint_find(weights->checkpoint, weight->tensor);
        const enum ko_element type = ko_weight_type(weight, arena->type);
        if (weight->matrix && type == KO_ELEMENT_BF16) { /* the file's own bits */
            right = memcmp(got, tensor->data, tensor->data_bytes) == 0;
        } else if (weight->matrix && type == KO_ELEMENT_BF16X2) {
            const struct ko_matrix m = ko_model_matrix(model, arena, w);
            right = equals_parts(&m, test_place(model, own, weight), weight->n);
        } else if (weight->matrix) {
            right = memcmp(got, test_place(model, own, weight), weight->n * sizeof *own) == 0;
        }
    }
    free(own);
    free(hash);
    return right;
}

/* The workers together took every matrix out of the file once, about equal parts each. */
static bool read_once(const struct ko_weights *weights)
{
    const struct ko_model *model = weights->model;
    unsigned long long mine = test_far_imported(), sum = 0, all = 0, largest = 0;
    for (size_t w = 0; w < model->n_weights; w++) {
        const size_t n =
            ko_checkpoint_find(weights->checkpoint, model->weights[w].tensor)->data_bytes;
        if (!model->weights[w].matrix) {
            continue;
        }
        all += n;
        largest = n > largest ? n : largest;
    }
    MPI_Allreduce(&mine, &sum, 1, MPI_UNSIGNED_LONG_LONG, MPI_SUM, world.workers);
    return sum == all && mine <= all / (unsigned long long)world.n_workers + largest;
}

static void parts_come_together_on_every_worker(void **state)
{
    static const struct {
        const struct ko_kernels *kernels;
        const char *folder;
    } rows[] = {{&test_far, DEMO("mamba-facts")},
                {&test_far, VARIANT("llama2")}, /* F16 */
                {&test_far, VARIANT("gpt2-bare")},
                {&test_far_narrow, DEMO("falcon-mamba-facts")},
                {&test_far_split, DEMO("falcon-mamba-facts")}, /* BF16 */
                {&test_far_split, VARIANT("llama2")},
                {&test_far_split, VARIANT("gpt2-bare")}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool right = true;
        if (world.workers != MPI_COMM_NULL) {
            struct ko_compute *compute = start(rows[i].kernels);
            struct ko_weights weights;
            struct ko_error err = {0};
            char print[33];
            fingerprint_of(rows[i].folder, print);
            for (int again = 0; right && again < 2; again++) {
                const size_t before = test_far_imported();
                right = load(compute, rows[i].folder, print, &weights, &err) == KO_OK;
                right = right && !world.broken && equals_own(&weights);
                right = right && (before > 0 || read_once(&weights));
                ko_weights_free(&weights);
                right = right && test_far_bytes() == 0;
            }
            right = right && far_exchange.n_calls == (world.n_workers > 1 ? 2 : 0);
            ko_compute_stop(compute);
        }
        assert_true(everywhere(right));
    }
}

static void a_file_that_one_worker_lacks_fails_on_all_before_the_exchange(void **state)
{
    bool right = true;
    (void)state;
    if (world.workers != MPI_COMM_NULL) {
        struct ko_compute *compute = start(&test_far);
        struct ko_weights weights;
        struct ko_error err = {0};
        char print[33];
        const bool lacks = world.worker == world.n_workers - 1;
        fingerprint_of(DEMO("mamba-facts"), print);
        right = load(compute, lacks ? DEMO("none") : DEMO("mamba-facts"), print, &weights, &err) ==
                    KO_E_FAILED &&
                strstr(err.text, "none") && far_exchange.n_calls == 0 && !world.broken &&
                test_far_bytes() == 0;
        ko_compute_stop(compute);
    }
    assert_true(everywhere(right));
}

/* A copy of gpt2-bare, in which the last number of the last matrix is not finite. */
static char *damaged_copy(void)
{
    static const uint32_t nan_bits = 0x7fc00000;
    struct ko_checkpoint *cp = NULL;
    struct ko_error err = {0};
    size_t n = 0, n_tensors = 0, behind = 0;
    char *folder = test_folder_make();
    test_checkpoint_edit(VARIANT("gpt2-bare"), folder, &(struct test_edit){0});
    if (ko_checkpoint_open(folder, "toy", &cp, &err) != KO_OK) {
        abort();
    }
    const struct ko_tensor *tensor = ko_checkpoint_find(cp, "h.4.mlp.c_proj.weight");
    const struct ko_tensor *tensors = ko_checkpoint_tensors(cp, &n_tensors);
    for (size_t t = 0; t < n_tensors; t++) {
        if (tensors[t].data > tensor->data) {
            behind += tensors[t].data_bytes;
        }
    }
    ko_checkpoint_close(cp);
    char *path = test_folder_path(folder, "model.safetensors"), *bytes = test_read(path, &n);
    memcpy(bytes + n - behind - 4, &nan_bits, 4);
    test_folder_write(folder, "model.safetensors", bytes, n);
    free(bytes);
    free(path);
    return folder;
}

static void a_value_that_is_not_finite_is_named_on_every_worker(void **state)
{
    bool right = true;
    (void)state;
    if (world.workers != MPI_COMM_NULL) {
        struct ko_compute *compute = start(&test_far);
        struct ko_weights weights;
        struct ko_error err = {0};
        char print[33];
        char folder[4096] = "", *made = world.worker == 0 ? damaged_copy() : NULL;
        if (made) {
            memcpy(folder, made, strlen(made) + 1);
        }
        MPI_Bcast(folder, sizeof folder, MPI_CHAR, 0, world.workers);
        fingerprint_of(folder, print);
        right = load(compute, folder, print, &weights, &err) == KO_E_FAILED &&
                strstr(err.text, "toy: h.4.mlp.c_proj.weight: element ") &&
                strstr(err.text, " is not finite") && far_exchange.n_calls == 0 && !world.broken &&
                test_far_bytes() == 0;
        MPI_Barrier(world.workers);
        if (made) {
            test_folder_remove(made);
        }
        ko_compute_stop(compute);
    }
    assert_true(everywhere(right));
}

/* On all at once, so that nobody waits for ever. */
static void a_failure_of_the_exchange_breaks_the_world(void **state)
{
    bool right = true;
    (void)state;
    if (world.workers != MPI_COMM_NULL && world.n_workers > 1) {
        struct ko_compute *compute = start(&test_far);
        struct ko_weights weights;
        struct ko_error err = {0};
        char print[33];
        fingerprint_of(DEMO("mamba-facts"), print);
        far_exchange.fails = true;
        right = load(compute, DEMO("mamba-facts"), print, &weights, &err) == KO_E_FAILED &&
                strcmp(err.text, "exchange: lost") == 0 && world.broken;
        far_exchange.fails = world.broken = false;
        ko_weights_free(&weights);
        ko_compute_stop(compute);
    }
    assert_true(everywhere(right));
}

int main(int argc, char **argv)
{
    struct ko_error err = {0};
    if (ko_world_open(&argc, &argv, &world, &err) != KO_OK) {
        return 1;
    }
    if (world.workers != MPI_COMM_NULL) {
        test_exchange_open(&far_exchange, &world);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_come_together_on_every_worker),
        cmocka_unit_test(a_file_that_one_worker_lacks_fails_on_all_before_the_exchange),
        cmocka_unit_test(a_value_that_is_not_finite_is_named_on_every_worker),
        cmocka_unit_test(a_failure_of_the_exchange_breaks_the_world),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (world.workers != MPI_COMM_NULL) {
        test_exchange_close(&far_exchange);
    }
    ko_world_close(&world);
    return failed;
}
