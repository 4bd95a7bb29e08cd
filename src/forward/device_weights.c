/* SPDX-License-Identifier: Apache-2.0 */
/* Allocates the memory for a model's weights and fills it, from a checkpoint or with random
   numbers. It hides whether the backend computes in host memory or has its own. */
#include "src/forward/device_weights.h"

#include <stdlib.h>

#include "src/base/memory.h"
#include "src/models/model_random.h"

static enum ko_code allocate_weights(struct ko_device_weights *weights, struct ko_error *err)
{
    const struct ko_model *model = weights->model;
    struct ko_arena *arena = &weights->arena;
    enum ko_code code = weights->kernels->alloc(weights->be, model->value_floats * sizeof(float),
                                                &weights->values, err);
    if (code == KO_OK) {
        const size_t bytes = ko_model_matrix_bytes(model, arena->type, model->matrix_elements);
        code = weights->kernels->alloc(weights->be, bytes, &weights->matrices, err);
    }
    if (code != KO_OK) {
        return ko_fail_in(err, "%s: weights", model->name);
    }
    arena->values = weights->values;
    arena->matrices = weights->matrices;
    arena->host_values = weights->host;
    return KO_OK;
}

enum ko_code ko_device_weights_new(const struct ko_model *model, const struct ko_kernels *kernels,
                                   struct ko_backend *be, enum ko_precision precision,
                                   struct ko_device_weights *out, struct ko_error *err)
{
    struct ko_device_weights weights = {.model = model, .kernels = kernels, .be = be};
    const size_t n = kernels->own_memory ? model->value_floats : ko_model_floats(model);
    enum ko_code code = KO_OK;
    weights.host = ko_new(n, sizeof *weights.host, err);
    if (!weights.host) {
        return KO_E_MEMORY;
    }
    if (kernels->own_memory) {
        weights.arena.type = kernels->matrix_type(precision);
        code = allocate_weights(&weights, err);
    } else {
        weights.arena = ko_model_host_arena(model, weights.host);
    }
    if (code != KO_OK) {
        ko_device_weights_free(&weights);
    } else {
        *out = weights;
    }
    return code;
}

void ko_device_weights_free(struct ko_device_weights *weights)
{
    if (weights->values) {
        weights->kernels->release(weights->be, weights->values);
    }
    if (weights->matrices) {
        weights->kernels->release(weights->be, weights->matrices);
    }
    free(weights->host);
    *weights = (struct ko_device_weights){0};
}

struct ko_import ko_device_weights_import(const struct ko_device_weights *weights,
                                          const struct ko_matrix_piece *piece)
{
    const struct ko_weight *matrix = piece->matrix;
    const enum ko_element arena = weights->arena.type;
    int32_t n_out = 0, n_in = 0;
    ko_weight_sides(matrix, &n_out, &n_in);
    return (struct ko_import){.to =
                                  (unsigned char *)weights->matrices + ko_weight_at(matrix, arena),
                              .type = ko_weight_type(matrix, arena),
                              .first = piece->first,
                              .run = ko_matrix_run(n_out, n_in, matrix->in_first),
                              .from = piece->data,
                              .from_type = piece->type,
                              .n = piece->n,
                              .lane = piece->lane,
                              .number = ko_matrix_piece_number(piece)};
}

static enum ko_code import_piece(void *context, const struct ko_matrix_piece *piece,
                                 struct ko_error *err)
{
    const struct ko_device_weights *weights = context;
    const struct ko_import import = ko_device_weights_import(weights, piece);
    return weights->kernels->import(weights->be, &import, err);
}

static enum ko_code end_import(void *context, int64_t *bad, struct ko_error *err)
{
    struct ko_device_weights *weights = context;
    return weights->kernels->import_end(weights->be, bad, err);
}

static enum ko_code upload_values(struct ko_device_weights *weights, struct ko_error *err)
{
    return weights->kernels->upload(weights->be, weights->values, weights->host,
                                    weights->model->value_floats * sizeof *weights->host, err);
}

enum ko_code ko_device_weights_load_part(struct ko_device_weights *weights,
                                         const struct ko_checkpoint *checkpoint,
                                         const struct ko_load_part *part, uint64_t *hash,
                                         struct ko_error *err)
{
    const struct ko_matrix_sink sink = {import_piece, end_import, weights};
    const enum ko_code code =
        ko_model_load_apart(weights->model, checkpoint, part, weights->host, &sink, hash, err);
    return code == KO_OK ? upload_values(weights, err) : code;
}

enum ko_code ko_device_weights_load(struct ko_device_weights *weights,
                                    const struct ko_checkpoint *checkpoint, int n_threads,
                                    uint64_t *hash, struct ko_error *err)
{
    const struct ko_load_part all = {0, 1, n_threads};
    if (weights->kernels->own_memory) {
        return ko_device_weights_load_part(weights, checkpoint, &all, hash, err);
    }
    return ko_model_load(weights->model, checkpoint, &all, weights->host, hash, err);
}

enum ko_code ko_device_weights_fill_random(struct ko_device_weights *weights, uint64_t seed,
                                           struct ko_error *err)
{
    const struct ko_matrix_sink sink = {import_piece, end_import, weights};
    if (!weights->kernels->own_memory) {
        ko_model_fill_random(weights->model, seed, weights->host);
        return KO_OK;
    }
    const enum ko_code code =
        ko_model_fill_random_apart(weights->model, seed, weights->host, &sink, err);
    return code == KO_OK ? upload_values(weights, err) : code;
}
