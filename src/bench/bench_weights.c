/* SPDX-License-Identifier: Apache-2.0 */
/* Fills the weights of the benchmark's model with random numbers. On a GPU, it makes one block of
   random numbers per scale and repeats it, because drawing every number of a large model takes
   long. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/split.h"
#include "src/base/memory.h"
#include "src/bench/bench_model.h"
#include "src/models/model_random.h"

enum { BLOCK = 1 << 22, N_BLOCKS = 8 };

/* Random numbers, scaled for one shape of matrix: bfloat16, or float32. */
struct block {
    double scale;
    unsigned char *number; /* [BLOCK]; owned */
};

/* The blocks, all of one type. */
struct blocks {
    struct block block[N_BLOCKS];
    enum ko_element type;
    size_t next;
};

static void fill_block(const struct blocks *blocks, struct block *block, uint64_t seed)
{
    const size_t size = ko_element_bytes(blocks->type);
    uint32_t state = (uint32_t)seed * 2654435761u + 12345u;
    for (size_t k = 0; k < BLOCK; k++) {
        state = state * 1664525u + 1013904223u;
        const float u = (float)(state >> 8) * 0x1p-23f - 1.0f;
        const float value = u * (float)block->scale;
        const uint16_t near = ko_bfloat16_near(value);
        const bool narrow = blocks->type == KO_ELEMENT_BF16;
        memcpy(block->number + k * size, narrow ? (const void *)&near : &value, size);
    }
}

/* Finds the block of this scale among the last N_BLOCKS, or makes it. */
static enum ko_code find_block(struct blocks *blocks, double scale, uint64_t seed,
                               const struct block **out, struct ko_error *err)
{
    for (size_t k = 0; k < N_BLOCKS; k++) {
        if (blocks->block[k].number && blocks->block[k].scale == scale) {
            *out = &blocks->block[k];
            return KO_OK;
        }
    }
    struct block *block = &blocks->block[blocks->next++ % N_BLOCKS];
    if (!block->number) {
        block->number = ko_new(BLOCK, ko_element_bytes(blocks->type), err);
    }
    if (!block->number) {
        return KO_E_MEMORY;
    }
    block->scale = scale;
    fill_block(blocks, block, seed);
    *out = block;
    return KO_OK;
}

/* Repeats the block, from its number `begin` on. */
static enum ko_code import_matrix(struct ko_device_weights *weights, const struct ko_weight *weight,
                                  const struct block *block, enum ko_element type, size_t begin,
                                  struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (size_t at = 0; code == KO_OK && at < weight->n; begin = 0) {
        const size_t left = weight->n - at, here = BLOCK - begin;
        const size_t n = left < here ? left : here;
        const struct ko_matrix_piece piece = {.matrix = weight,
                                              .first = at,
                                              .type = type,
                                              .data =
                                                  block->number + begin * ko_element_bytes(type),
                                              .n = n};
        const struct ko_import import = ko_device_weights_import(weights, &piece);
        code = weights->kernels->import(weights->be, &import, err);
        at += n;
    }
    return code;
}

static enum ko_code import_matrices(struct ko_device_weights *weights, uint64_t seed,
                                    struct ko_error *err)
{
    const struct ko_model *model = weights->model;
    const enum ko_element arena = weights->arena.type;
    const bool pairs = arena == KO_ELEMENT_BF16X2 && ko_model_exact_share(model) < 1;
    struct blocks blocks = {.type = pairs ? KO_ELEMENT_F32 : KO_ELEMENT_BF16};
    int64_t bad = -1;
    enum ko_code code = KO_OK;
    for (size_t w = 0; code == KO_OK && w < model->n_weights; w++) {
        const struct ko_weight *weight = &model->weights[w];
        const struct block *block = NULL;
        if (!weight->matrix) {
            continue;
        }
        const int64_t *sides = weight->shape + (weight->n_dims - 2); /* before them: experts */
        const double scale = sqrt(6.0 / (double)(sides[0] + sides[1]));
        code = find_block(&blocks, scale, seed, &block, err);
        if (code == KO_OK) {
            code = import_matrix(weights, weight, block, blocks.type, w * 104729 % BLOCK, err);
        }
    }
    const enum ko_code ended =
        weights->kernels->import_end(weights->be, &bad, code != KO_OK ? NULL : err);
    for (size_t k = 0; k < N_BLOCKS; k++) {
        free(blocks.block[k].number);
    }
    return code == KO_OK ? ended : code;
}

/* ---- Weights that stream. */

static const size_t STREAMED_BYTES = (size_t)1 << 30;

enum ko_code ko_bench_numbers_new(const struct ko_model *model, enum ko_element type, uint64_t seed,
                                  struct ko_bench_numbers *out, struct ko_error *err)
{
    const size_t size = ko_element_bytes(type), blocks = STREAMED_BYTES / size / BLOCK;
    const struct blocks one = {.type = type};
    struct ko_bench_numbers numbers = {.n = blocks * BLOCK, .type = type};
    struct block block = {.scale = sqrt(3.0 / model->shape.d_model)};
    block.number = numbers.number = ko_new(numbers.n, size, err);
    if (!numbers.number) {
        return KO_E_MEMORY;
    }
    fill_block(&one, &block, seed);
    for (size_t k = 1; k < blocks; k++) {
        memcpy(numbers.number + k * BLOCK * size, block.number, BLOCK * size);
    }
    *out = numbers;
    return KO_OK;
}

void ko_bench_numbers_free(struct ko_bench_numbers *numbers)
{
    free(numbers->number);
    *numbers = (struct ko_bench_numbers){0};
}

/* The numbers from the matrix's place among all on, from the beginning again after the last. */
static enum ko_code read_numbers(const void *context, const struct ko_weight *matrix, size_t first,
                                 size_t n, enum ko_element raw, void *to, struct ko_error *err)
{
    const struct ko_bench_numbers *numbers = context;
    const size_t size = ko_element_bytes(numbers->type);
    size_t from = (matrix->offset + first) % numbers->n;
    for (size_t at = 0; at < n; from = 0) {
        const size_t left = n - at, here = numbers->n - from, count = left < here ? left : here;
        const unsigned char *data = numbers->number + from * size;
        unsigned char *out = (unsigned char *)to + at * ko_element_bytes(raw);
        if (raw == numbers->type) {
            memcpy(out, data, count * size);
        } else if (raw == KO_ELEMENT_F32) {
            const struct ko_tensor part = {.dtype = KO_BF16, .data = data};
            (void)ko_tensor_to_float(&part, 0, (int64_t)count, (float *)(void *)out); /* finite */
        } else {
            return ko_fail(err, KO_E_FAILED, "%s: is read in another type than it has",
                           matrix->tensor);
        }
        at += count;
    }
    return KO_OK;
}

static enum ko_code trust_numbers(const void *context, const struct ko_weight *matrix,
                                  struct ko_error *err)
{
    (void)context;
    (void)matrix;
    (void)err;
    return KO_OK;
}

struct ko_layer_source ko_bench_numbers_source(const struct ko_bench_numbers *numbers)
{
    return (struct ko_layer_source){read_numbers, trust_numbers, numbers};
}

enum ko_code ko_bench_weights_fill(struct ko_device_weights *weights, uint64_t seed,
                                   struct ko_error *err)
{
    if (!weights->kernels->own_memory) {
        return ko_device_weights_fill_random(weights, seed, err);
    }
    enum ko_code code = ko_model_fill_random_apart(weights->model, seed, weights->host, NULL, err);
    if (code == KO_OK) {
        code = weights->kernels->upload(weights->be, weights->values, weights->host,
                                        weights->model->value_floats * sizeof *weights->host, err);
    }
    return code == KO_OK ? import_matrices(weights, seed, err) : code;
}
