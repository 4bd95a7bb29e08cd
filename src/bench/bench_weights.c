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
        const struct ko_import piece = ko_device_weights_import(
            weights, weight, at, type, block->number + begin * ko_element_bytes(type), n);
        code = weights->kernels->import(weights->be, &piece, err);
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
