/* SPDX-License-Identifier: Apache-2.0 */
/* Allocates what is resident and the slots, reads the checkpoint once to check and hash it, and
   starts the stream. */
#include "src/forward/streamed_weights.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/forward/matrix_read.h"
#include "src/models/model_load.h"
#include "src/models/model_random.h"

enum {
    MOST_THREADS =
        8,       /* they fill the bus of a GPU; more delay the thread that launches operations */
    BLOCK = 4096 /* numbers that are checked at once */
};

struct ko_streamed_weights {
    struct ko_streaming how;
    struct ko_layer_layout layout;
    struct ko_arena arena;
    float *host;             /* [value_floats] owned */
    void *values, *matrices; /* the backend's memory; owned; values NULL in host memory */
    struct ko_matrix_reader reader;
    struct ko_layer_stream *stream;
    _Atomic int64_t bad; /* smallest number of an element that is not finite; INT64_MAX: none */
};

int ko_streaming_threads(const struct ko_kernels *kernels, int n_threads)
{
    const int wanted = kernels->own_memory && n_threads > 2 ? n_threads - 1 : 1;
    return wanted < MOST_THREADS ? wanted : MOST_THREADS;
}

double ko_streamed_host_bytes(const struct ko_model *model)
{
    struct ko_layer_sizes sizes;
    ko_layer_sizes_of(model, KO_ELEMENT_F32, false, &sizes);
    return (double)model->value_floats * sizeof(float) +
           (double)ko_layer_bytes(&sizes, KO_LAYER_LEAST_SLOTS);
}

static enum ko_code allocate_memory(struct ko_streamed_weights *weights, struct ko_error *err)
{
    const struct ko_streaming *how = &weights->how;
    const size_t n = how->model->value_floats;
    struct ko_arena *arena = &weights->arena;
    weights->host = ko_new(n, sizeof *weights->host, err);
    enum ko_code code = weights->host ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK && how->kernels->own_memory) {
        code = how->kernels->alloc(how->be, n * sizeof *weights->host, &weights->values, err);
    }
    if (code == KO_OK) {
        code = how->kernels->alloc(how->be, ko_layer_bytes(&weights->layout.size, how->n_slots),
                                   &weights->matrices, err);
    }
    if (code != KO_OK) {
        return code;
    }
    arena->values = how->kernels->own_memory ? weights->values : weights->host;
    arena->matrices = weights->matrices;
    arena->host_values = weights->host;
    return KO_OK;
}

enum ko_code ko_streamed_weights_new(const struct ko_streaming *how,
                                     struct ko_streamed_weights **out, struct ko_error *err)
{
    const struct ko_kernels *k = how->kernels;
    struct ko_streamed_weights *weights = ko_new(1, sizeof *weights, err);
    if (!weights) {
        return KO_E_MEMORY;
    }
    weights->how = *how;
    atomic_init(&weights->bad, INT64_MAX);
    weights->arena.type = k->own_memory ? k->matrix_type(how->precision) : KO_ELEMENT_F32;
    enum ko_code code = ko_layer_layout_new(how->model, weights->arena.type, k->own_memory,
                                            how->n_slots, &weights->layout, err);
    if (code == KO_OK && weights->layout.size.n_layers == 0) {
        code = ko_fail(err, KO_E_INPUT,
                       "weights: no layer has a matrix that could stream, choose "
                       "--weights resident");
    }
    if (code == KO_OK) {
        code = allocate_memory(weights, err);
    }
    if (code != KO_OK) {
        ko_streamed_weights_free(weights);
        return ko_fail_in(err, "%s: weights that stream", how->model->name);
    }
    *out = weights;
    return KO_OK;
}

void ko_streamed_weights_free(struct ko_streamed_weights *weights)
{
    if (!weights) {
        return;
    }
    const struct ko_streaming *how = &weights->how;
    ko_layer_stream_free(weights->stream);
    how->kernels->release(how->be, weights->values);
    how->kernels->release(how->be, weights->matrices);
    ko_layer_layout_free(&weights->layout);
    free(weights->host);
    free(weights);
}

const struct ko_arena *ko_streamed_weights_arena(const struct ko_streamed_weights *weights)
{
    return &weights->arena;
}

/* ---- Checking. */

/* Whether numbers, at any address, are finite and stay so as `to`. Only a float32 may round to an
   infinite bfloat16: from 0x1.ffp127 on. */
static bool are_finite(enum ko_element from, enum ko_element to, const unsigned char *data,
                       size_t n)
{
    const uint32_t limit = to == KO_ELEMENT_BF16 ? 0x7F7F8000U : 0x7F800000U;
    const uint16_t half_limit = from == KO_ELEMENT_F16 ? 0x7C00U : 0x7F80U;
    uint32_t special = 0;
    if (from == KO_ELEMENT_F32) {
        for (size_t i = 0; i < n; i++) {
            uint32_t bits;
            memcpy(&bits, data + 4 * i, sizeof bits);
            special |= (bits & 0x7FFFFFFFU) >= limit;
        }
        return special == 0;
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t bits;
        memcpy(&bits, data + 2 * i, sizeof bits);
        special |= (bits & 0x7FFFU) >= half_limit;
    }
    return special == 0;
}

/* The first of these n numbers that is not finite; n: all are. */
static size_t first_bad(enum ko_element from, enum ko_element to, const unsigned char *data,
                        size_t n)
{
    const size_t size = ko_element_bytes(from);
    size_t i = 0;
    while (i < n && are_finite(from, to, data + i * size, 1)) {
        i++;
    }
    return i;
}

static void note_bad(struct ko_streamed_weights *weights, int64_t number)
{
    int64_t known = atomic_load(&weights->bad);
    while (number < known && !atomic_compare_exchange_weak(&weights->bad, &known, number)) {
    }
}

static enum ko_code check_piece(void *context, const struct ko_matrix_piece *piece,
                                struct ko_error *err)
{
    struct ko_streamed_weights *weights = context;
    const enum ko_element to = ko_weight_type(piece->matrix, weights->arena.type);
    const size_t size = ko_element_bytes(piece->type);
    (void)err;
    for (size_t at = 0; at < piece->n; at += BLOCK) {
        const unsigned char *block = (const unsigned char *)piece->data + at * size;
        const size_t n = piece->n - at < BLOCK ? piece->n - at : BLOCK;
        if (!are_finite(piece->type, to, block, n)) {
            at += first_bad(piece->type, to, block, n);
            note_bad(weights, ko_matrix_piece_number(piece) + (int64_t)at);
            break;
        }
    }
    return KO_OK;
}

static enum ko_code end_check(void *context, int64_t *bad, struct ko_error *err)
{
    struct ko_streamed_weights *weights = context;
    const int64_t found = atomic_exchange(&weights->bad, INT64_MAX);
    (void)err;
    *bad = found == INT64_MAX ? -1 : found;
    return KO_OK;
}

/* ---- Filling. */

/* Takes one piece, which has been read, to its place. */
static enum ko_code put_piece(const struct ko_streamed_weights *weights, size_t w, size_t first,
                              size_t n, const void *numbers, struct ko_error *err)
{
    const struct ko_streaming *how = &weights->how;
    const struct ko_weight *weight = &how->model->weights[w];
    unsigned char *to = (unsigned char *)weights->matrices + weights->layout.place[w].at;
    int32_t n_out = 0, n_in = 0;
    if (!how->kernels->own_memory) {
        memcpy(to + first * sizeof(float), numbers, n * sizeof(float));
        return KO_OK;
    }
    ko_weight_sides(weight, &n_out, &n_in);
    const struct ko_import piece = {.to = to,
                                    .type = ko_weight_type(weight, weights->arena.type),
                                    .first = first,
                                    .run = ko_matrix_run(n_out, n_in, weight->in_first),
                                    .from = numbers,
                                    .from_type = weight->stored,
                                    .n = n};
    return how->kernels->import(how->be, &piece, err);
}

static enum ko_code fill_resident(struct ko_streamed_weights *weights,
                                  const struct ko_layer_source *source, struct ko_error *err)
{
    const struct ko_streaming *how = &weights->how;
    const bool own = how->kernels->own_memory;
    const size_t most = KO_LAYER_PIECE_BYTES / sizeof(float);
    int64_t bad = -1;
    void *numbers = ko_new(most, sizeof(float), err);
    enum ko_code code = numbers ? KO_OK : KO_E_MEMORY;
    for (size_t w = 0; code == KO_OK && w < how->model->n_weights; w++) {
        const struct ko_weight *weight = &how->model->weights[w];
        const enum ko_element raw = own ? weight->stored : KO_ELEMENT_F32;
        if (!weight->matrix || weights->layout.place[w].residence != KO_RESIDENT) {
            continue;
        }
        for (size_t at = 0; code == KO_OK && at < weight->n; at += most) {
            const size_t n = weight->n - at < most ? weight->n - at : most;
            code = source->read(source->context, weight, at, n, raw, numbers, err);
            if (code == KO_OK) {
                code = put_piece(weights, w, at, n, numbers, err);
            }
        }
        if (code == KO_OK) {
            code = source->check(source->context, weight, err);
        }
    }
    free(numbers);
    if (own) { /* after a failure too */
        const enum ko_code ended =
            how->kernels->import_end(how->be, &bad, code != KO_OK ? NULL : err);
        code = code == KO_OK ? ended : code;
    }
    return code == KO_OK && bad >= 0
               ? ko_fail(err, KO_E_FAILED,
                         "%s: its weights changed while they were read, run again",
                         how->model->name)
               : code;
}

/* After the values are in `host`. */
static enum ko_code start_stream(struct ko_streamed_weights *weights,
                                 const struct ko_layer_source *source, struct ko_error *err)
{
    const struct ko_streaming *how = &weights->how;
    const struct ko_layer_stream_config config = {
        .layout = &weights->layout,
        .kernels = how->kernels,
        .be = how->be,
        .matrices = weights->matrices,
        .n_threads = ko_streaming_threads(how->kernels, how->n_threads),
        .source = *source};
    enum ko_code code = KO_OK;
    if (how->kernels->own_memory) {
        code = how->kernels->upload(how->be, weights->values, weights->host,
                                    how->model->value_floats * sizeof *weights->host, err);
    }
    if (code == KO_OK) {
        code = fill_resident(weights, source, err);
    }
    if (code == KO_OK) {
        code = ko_layer_stream_new(&config, &weights->stream, err);
    }
    if (code == KO_OK) {
        weights->arena.stream = weights->stream;
        weights->arena.at = ko_layer_stream_at(weights->stream);
    }
    return code;
}

enum ko_code ko_streamed_weights_load(struct ko_streamed_weights *weights,
                                      const struct ko_checkpoint *checkpoint,
                                      const struct ko_load_part *part, uint64_t *hash,
                                      struct ko_error *err)
{
    const struct ko_streaming *how = &weights->how;
    const struct ko_matrix_sink sink = {check_piece, end_check, weights};
    weights->reader = (struct ko_matrix_reader){how->model, checkpoint, !how->kernels->own_memory};
    const struct ko_layer_source source = {ko_matrix_read, ko_matrix_check, &weights->reader};
    const enum ko_code code =
        ko_model_load_apart(how->model, checkpoint, part, weights->host, &sink, hash, err);
    return code == KO_OK ? start_stream(weights, &source, err) : code;
}

enum ko_code ko_streamed_weights_fill(struct ko_streamed_weights *weights, uint64_t seed,
                                      const struct ko_layer_source *source, struct ko_error *err)
{
    const enum ko_code code =
        ko_model_fill_random_apart(weights->how.model, seed, weights->host, NULL, err);
    return code == KO_OK ? start_stream(weights, source, err) : code;
}
