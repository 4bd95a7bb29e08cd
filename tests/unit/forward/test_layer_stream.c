/* SPDX-License-Identifier: Apache-2.0 */
/* Weights that stream: where they lie, when they are there, what passes that end early and files that
   change do to them. tests/support/far.h stands for a GPU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/memory.h"
#include "src/forward/device_weights.h"
#include "src/forward/layer_layout.h"
#include "src/forward/streamed_weights.h"
#include "src/models/model_open.h"
#include "src/models/pass.h"
#include "tests/support/far.h"
#include "tests/support/folder.h"

#define DEMO(name)    KO_SOURCE_DIR "/jobs/models/" name
#define VARIANT(name) KO_SOURCE_DIR "/tests/data/variants/" name

/* One model with weights that stay and weights that stream. */
struct subject {
    const struct ko_kernels *k;
    struct ko_checkpoint *cp;
    struct ko_model *model;
    uint64_t *hash, *streamed_hash;
    struct ko_backend *be;
    struct ko_device_weights resident;
    struct ko_streamed_weights *streamed;
    struct ko_layer_sizes sizes;
};

static struct subject begin_with(const char *folder, const struct ko_kernels *k, int32_t n_slots)
{
    const struct ko_backend_config config = {.threads = 1};
    struct ko_error err = {0};
    struct subject s = {.k = k};
    if (ko_checkpoint_open(folder, "toy", &s.cp, &err) || ko_model_open(s.cp, &s.model, &err) ||
        k->open(&config, &s.be, &err)) {
        fail_msg("%s", err.text);
    }
    const struct ko_streaming how = {s.model, k, s.be, KO_FLOAT32, 5, n_slots};
    const enum ko_element type = k->own_memory ? k->matrix_type(KO_FLOAT32) : KO_ELEMENT_F32;
    ko_layer_sizes_of(s.model, type, k->own_memory, &s.sizes);
    s.hash = ko_new(s.model->n_weights, sizeof *s.hash, &err);
    s.streamed_hash = ko_new(s.model->n_weights, sizeof *s.hash, &err);
    assert_true(s.hash && s.streamed_hash);
    if (ko_streamed_weights_new(&how, &s.streamed, &err)) {
        fail_msg("%s", err.text);
    }
    return s;
}

static struct subject begin(const char *folder, const struct ko_kernels *k)
{
    return begin_with(folder, k, KO_LAYER_LEAST_SLOTS);
}

static void load(struct subject *s)
{
    struct ko_error err = {0};
    if (ko_device_weights_new(s->model, s->k, s->be, KO_FLOAT32, &s->resident, &err) ||
        ko_device_weights_load(&s->resident, s->cp, 2, s->hash, &err) ||
        ko_streamed_weights_load(s->streamed, s->cp, &(struct ko_load_part){0, 1, 2},
                                 s->streamed_hash, &err)) {
        fail_msg("%s", err.text);
    }
}

static void end(struct subject *s)
{
    ko_streamed_weights_free(s->streamed);
    ko_device_weights_free(&s->resident);
    if (s->k->own_memory) {
        assert_int_equal(test_far_bytes(), 0);
    }
    s->k->close(s->be);
    free(s->hash);
    free(s->streamed_hash);
    ko_model_free(s->model);
    ko_checkpoint_close(s->cp);
}

static struct ko_layer_stream *stream_of(const struct subject *s)
{
    return ko_streamed_weights_arena(s->streamed)->stream;
}

static bool has_layer(const struct ko_weight *weight, int32_t layer)
{
    return weight->matrix && (weight->layer == layer || weight->layer < 0 || weight->shared);
}

/* Whether all matrices of the layer, and those that are resident, have the resident ones' bytes and
   alignment. */
static void layer_is_right(const struct subject *s, int32_t layer)
{
    const struct ko_arena *streamed = ko_streamed_weights_arena(s->streamed);
    for (size_t w = 0; w < s->model->n_weights; w++) {
        const struct ko_weight *weight = &s->model->weights[w];
        if (!has_layer(weight, layer)) {
            continue;
        }
        const struct ko_matrix a = ko_model_matrix(s->model, &s->resident.arena, w);
        const struct ko_matrix b = ko_model_matrix(s->model, streamed, w);
        const size_t bytes = weight->n * ko_element_bytes(a.type);
        assert_int_equal(a.type, b.type);
        assert_memory_equal(a.data, b.data, bytes);
        assert_int_equal(((const char *)a.data - (const char *)s->resident.arena.matrices) % 256,
                         ((const char *)b.data - (const char *)streamed->matrices) % 256);
    }
}

static void enter(const struct subject *s, int32_t layer)
{
    struct ko_error err = {0};
    if (ko_layer_stream_enter(stream_of(s), layer, &err)) {
        fail_msg("%s", err.text);
    }
    layer_is_right(s, layer);
}

static const struct ko_kernels *const backends[] = {&ko_kernels_cpu, &ko_kernels_plain, &test_far,
                                                    &test_far_narrow, &test_far_split};
enum { N_BACKENDS = sizeof backends / sizeof backends[0] };

/* Also of layers of different kinds, experts, MXFP4 and shared blocks. Five passes end in
   different slots; and a layer that is entered twice is entered once. */
static void every_layer_is_there_while_it_is_entered(void **state)
{
    static const char *const folders[] = {DEMO("llama-facts"),  VARIANT("gpt-oss"),
                                          VARIANT("zamba2"),    VARIANT("mixtral"),
                                          VARIANT("gpt2-bare"), VARIANT("nemotron-h-experts")};
    (void)state;
    for (size_t f = 0; f < sizeof folders / sizeof folders[0]; f++) {
        for (size_t k = 0; k < N_BACKENDS; k++) {
            const int32_t most = KO_COPIER_MOST_SLOTS - KO_LAYER_LEAST_SLOTS + 1;
            const int32_t n_slots = KO_LAYER_LEAST_SLOTS + (int32_t)((f + k) % (size_t)most);
            struct subject s = begin_with(folders[f], backends[k], n_slots);
            load(&s);
            assert_memory_equal(s.hash, s.streamed_hash, s.model->n_weights * sizeof *s.hash);
            for (int32_t l = 0; l < 5 * s.model->shape.n_layers; l++) {
                enter(&s, l % s.model->shape.n_layers);
                enter(&s, l % s.model->shape.n_layers);
            }
            ko_layer_stream_leave(stream_of(&s));
            end(&s);
        }
    }
}

/* Only the resident part, a layer for each slot and one converted layer are allocated. */
static void the_memory_is_the_slots(void **state)
{
    (void)state;
    for (size_t k = 0; k < N_BACKENDS; k++) {
        const int32_t n_slots = k % 2 == 0 ? KO_LAYER_LEAST_SLOTS : KO_COPIER_MOST_SLOTS;
        struct subject s = begin_with(DEMO("llama-facts"), backends[k], n_slots);
        const size_t values = s.model->value_floats * sizeof(float);
        if (backends[k]->own_memory) {
            assert_int_equal(test_far_bytes(), values + ko_layer_bytes(&s.sizes, n_slots));
        }
        assert_true((double)(values + ko_layer_bytes(&s.sizes, KO_LAYER_LEAST_SLOTS)) <=
                    ko_streamed_host_bytes(s.model));
        const size_t all = ko_model_matrix_bytes(s.model, KO_ELEMENT_F32, s.model->matrix_elements);
        size_t ends = 0;
        for (size_t w = 0; w < s.model->n_weights; w++) {
            const struct ko_weight *weight = &s.model->weights[w];
            ends += weight->matrix && weight->layer < 0 ? 4 * ko_weight_room(weight->n) : 0;
        }
        const size_t layer = (all - ends) / (size_t)s.model->shape.n_layers;
        assert_int_equal(s.sizes.n_layers, s.model->shape.n_layers);
        assert_true(s.sizes.resident <= ends + 256);
        assert_true(s.sizes.slot <= layer + 256 && s.sizes.converted <= layer + 256);
        end(&s);
    }
}

static uint32_t drawn(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 16;
}

/* Passes that end early: the next one begins at layer 0, whatever is on its way. */
static void passes_may_end_anywhere(void **state)
{
    (void)state;
    for (size_t k = 0; k < N_BACKENDS; k++) {
        uint32_t seed = 7;
        const int32_t n_slots = k % 2 == 0 ? KO_COPIER_MOST_SLOTS : KO_LAYER_LEAST_SLOTS + 1;
        struct subject s = begin_with(VARIANT("qwen3-moe"), backends[k], n_slots);
        load(&s);
        for (int pass = 0; pass < 40; pass++) {
            const int32_t last = (int32_t)(drawn(&seed) % (uint32_t)s.model->shape.n_layers);
            for (int32_t l = 0; l <= last; l++) {
                enter(&s, l);
            }
            ko_layer_stream_leave(stream_of(&s));
        }
        end(&s);
    }
}

/* ---- A source that fails. */

static atomic_int fails_at; /* call of the source; 0: never */
static atomic_int calls;

static enum ko_code read_zeros(const void *context, const struct ko_weight *matrix, size_t first,
                               size_t n, enum ko_element raw, void *to, struct ko_error *err)
{
    (void)context;
    (void)first;
    memset(to, 0, n * ko_element_bytes(raw));
    return atomic_fetch_add(&calls, 1) + 1 == atomic_load(&fails_at)
               ? ko_fail(err, KO_E_FAILED, "%s: cannot be read", matrix->tensor)
               : KO_OK;
}

static enum ko_code check_nothing(const void *context, const struct ko_weight *matrix,
                                  struct ko_error *err)
{
    (void)context;
    (void)matrix;
    (void)err;
    return KO_OK;
}

/* The error is that of the source, and the next attempt works. */
static void an_error_of_the_source_ends_the_pass_and_not_the_stream(void **state)
{
    const struct ko_layer_source source = {read_zeros, check_nothing, NULL};
    (void)state;
    for (size_t k = 0; k < N_BACKENDS; k++) {
        struct subject s = begin(DEMO("llama-facts"), backends[k]);
        struct ko_error err = {0};
        atomic_store(&fails_at, 0);
        atomic_store(&calls, 0);
        assert_int_equal(ko_streamed_weights_fill(s.streamed, 1, &source, &err), KO_OK);
        for (int later = 1; later < 60; later += 7) {
            enum ko_code code = KO_OK;
            atomic_store(&calls, 0);
            atomic_store(&fails_at, later);
            for (int32_t l = 0; code == KO_OK && l < 12 * s.model->shape.n_layers; l++) {
                code = ko_layer_stream_enter(stream_of(&s), l % s.model->shape.n_layers, &err);
            }
            assert_int_equal(code, KO_E_FAILED);
            assert_non_null(strstr(err.text, ": cannot be read"));
            atomic_store(&fails_at, 0);
            assert_int_equal(ko_layer_stream_enter(stream_of(&s), 0, &err), KO_OK);
            ko_layer_stream_leave(stream_of(&s));
        }
        end(&s);
    }
}

/* ---- Files that change. */

static void copy_file(const char *from, const char *folder, const char *name)
{
    char path[4096];
    size_t n = 0;
    (void)snprintf(path, sizeof path, "%s/%s", from, name);
    char *bytes = test_read(path, &n);
    test_folder_write(folder, name, bytes, n);
    free(bytes);
}

static void check_changed_file(const struct ko_kernels *k, bool shorter)
{
    /* Long ago, so that a file system with coarse times shows the change. */
    const struct timespec then[2] = {{1000000000, 0}, {1000000000, 0}};
    char *folder = test_folder_make();
    struct ko_error err = {0};
    enum ko_code code = KO_OK;
    copy_file(DEMO("llama-facts"), folder, "config.json");
    copy_file(DEMO("llama-facts"), folder, "model.safetensors");
    char *path = test_folder_path(folder, "model.safetensors");
    assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
    struct subject s = begin(folder, k);
    load(&s);
    const int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    const off_t size = lseek(fd, 0, SEEK_END);
    assert_int_equal(shorter ? ftruncate(fd, size / 2) : (int)pwrite(fd, "x", 1, size - 1) - 1, 0);
    close(fd);
    for (int32_t l = 0; code == KO_OK && l < 3 * s.model->shape.n_layers; l++) {
        code = ko_layer_stream_enter(stream_of(&s), l % s.model->shape.n_layers, &err);
    }
    assert_int_equal(code, KO_E_FAILED);
    assert_memory_equal(err.text, "toy: model.", 11);
    assert_non_null(strstr(err.text, ": the file was written or became shorter while"));
    end(&s);
    free(path);
    test_folder_remove(folder);
}

static void a_file_that_is_written_or_cut_is_an_error(void **state)
{
    (void)state;
    for (size_t k = 0; k < N_BACKENDS; k++) {
        check_changed_file(backends[k], true);
        check_changed_file(backends[k], false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layer_is_there_while_it_is_entered),
        cmocka_unit_test(the_memory_is_the_slots),
        cmocka_unit_test(passes_may_end_anywhere),
        cmocka_unit_test(an_error_of_the_source_ends_the_pass_and_not_the_stream),
        cmocka_unit_test(a_file_that_is_written_or_cut_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
