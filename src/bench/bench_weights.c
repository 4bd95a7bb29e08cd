/* SPDX-License-Identifier: Apache-2.0 */
/* Fills the weights of the benchmark's model with random numbers. On a GPU, it makes one block of
   random numbers per scale and repeats it, because drawing every number of a large model takes
   long. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/bench/bench_model.h"
#include "src/models/model_random.h"

enum { BLOCK = 1 << 22, N_BLOCKS = 8 };

/* Random numbers in bfloat16, scaled for one shape of matrix. */
struct block {
    double scale;
    uint16_t *number; /* [BLOCK]; owned */
};

/* The upper half of a finite float32, rounded to nearest. */
static uint16_t to_bfloat16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

static enum ko_code make_block(struct block *block, double scale, uint64_t seed,
                               struct ko_error *err)
{
    uint32_t state = (uint32_t)seed * 2654435761u + 12345u;
    if (!block->number) {
        block->number = ko_new(BLOCK, sizeof *block->number, err);
    }
    if (!block->number) {
        return KO_E_MEMORY;
    }
    block->scale = scale;
    for (size_t k = 0; k < BLOCK; k++) {
        state = state * 1664525u + 1013904223u;
        const float u = (float)(state >> 8) * 0x1p-23f - 1.0f;
        block->number[k] = to_bfloat16(u * (float)scale);
    }
    return KO_OK;
}

/* Finds the block of this scale among the last N_BLOCKS, or makes it. */
static enum ko_code find_block(struct block *blocks, double scale, uint64_t seed, size_t *next,
                               const struct block **out, struct ko_error *err)
{
    for (size_t k = 0; k < N_BLOCKS; k++) {
        if (blocks[k].number && blocks[k].scale == scale) {
            *out = &blocks[k];
            return KO_OK;
        }
    }
    struct block *block = &blocks[(*next)++ % N_BLOCKS];
    *out = block;
    return make_block(block, scale, seed, err);
}

static enum ko_code import_matrix(struct ko_device_weights *weights, const struct ko_weight *weight,
                                  const struct block *block, size_t begin, struct ko_error *err)
{
    const enum ko_element type = weights->arena.type;
    const size_t bytes = ko_element_bytes(type);
    unsigned char *to = (unsigned char *)weights->matrices + weight->offset * bytes;
    enum ko_code code = KO_OK;
    for (size_t at = 0; code == KO_OK && at < weight->n; begin = 0) {
        const size_t left = weight->n - at, here = BLOCK - begin;
        const size_t n = left < here ? left : here;
        code = weights->kernels->import(weights->be, to + at * bytes, type, block->number + begin,
                                        KO_ELEMENT_BF16, n, err);
        at += n;
    }
    return code;
}

static enum ko_code import_matrices(struct ko_device_weights *weights, uint64_t seed,
                                    struct ko_error *err)
{
    const struct ko_model *model = weights->model;
    struct block blocks[N_BLOCKS] = {{0}};
    size_t next = 0;
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
        code = find_block(blocks, scale, seed, &next, &block, err);
        if (code == KO_OK) {
            code = import_matrix(weights, weight, block, w * 104729 % BLOCK, err);
        }
    }
    const enum ko_code ended =
        weights->kernels->import_end(weights->be, &bad, code != KO_OK ? NULL : err);
    for (size_t k = 0; k < N_BLOCKS; k++) {
        free(blocks[k].number);
    }
    return code == KO_OK ? ended : code;
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
