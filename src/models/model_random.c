/* SPDX-License-Identifier: Apache-2.0 */
/* Random weights, scaled as a model is initialized. A value depends only on the seed, the tensor and
   the index, so the order of computing does not matter. */
#include "src/models/model_random.h"

#include <math.h>
#include <string.h>
#include <xxhash.h>

#include "src/base/text.h"
#include "src/models/weights.h"
#include "src/prompts/draw.h"

enum { CHUNK = 1 << 14 };

/* Uniform in (-1, 1), a function of key and index alone. */
static double draw_uniform(uint64_t key, uint64_t index)
{
    return ((double)(ko_draw_value(key, index) >> 11) + 0.5) * 0x1p-52 - 1;
}

enum kind {
    KIND_MATRIX,
    KIND_CONV,
    KIND_DECAY,
    KIND_STEP_BIAS,
    KIND_BIAS,
    KIND_GAIN,
    KIND_GAIN_LESS_ONE
};

static enum kind kind_of(const struct ko_weight *weight)
{
    if (weight->transform == KO_NEG_EXP_TRANSPOSED || weight->transform == KO_DECAY_NORMS) {
        return KIND_DECAY;
    }
    if (weight->matrix || weight->n_dims == 2) {
        return weight->transform == KO_AS_VALUES ? KIND_BIAS : KIND_MATRIX;
    }
    if (weight->n_dims == 3) {
        return KIND_CONV;
    }
    if (ko_text_ends(weight->tensor, "dt_proj.bias") || ko_text_ends(weight->tensor, ".dt_bias")) {
        return KIND_STEP_BIAS;
    }
    if (weight->transform == KO_ONE_PLUS) {
        return KIND_GAIN_LESS_ONE;
    }
    return ko_text_ends(weight->tensor, ".bias") ? KIND_BIAS : KIND_GAIN;
}

/* How the elements of a tensor are drawn. */
struct law {
    enum kind kind;
    /* Made of the name, so that a decay's weight and its norms come from the same values. */
    uint64_t key;
    int64_t columns;
    double scale; /* of matrices and convolutions */
};

static struct law law_of(const struct ko_weight *weight, uint64_t seed)
{
    struct law law = {.kind = kind_of(weight),
                      .key = XXH3_64bits_withSeed(weight->tensor, strlen(weight->tensor), seed),
                      .columns = ko_weight_elements(weight) / weight->shape[0]};
    if (law.kind == KIND_MATRIX) { /* of three dimensions, of one expert or block */
        const int64_t *shape = weight->shape + (weight->n_dims - 2);
        law.scale = sqrt(6.0 / (double)(shape[0] + shape[1]));
    } else {
        law.scale = sqrt(3.0 / (double)law.columns);
    }
    return law;
}

/* Element i of the tensor. Matrices are Glorot's. A_log = log(1 + n) (S4D-real), shifted per channel
   so that channels decay differently. Steps are 0.001 to 0.1, through the inverse of softplus. */
static double element_value(const struct law *law, int64_t i)
{
    double u = draw_uniform(law->key, (uint64_t)i), step;
    switch (law->kind) {
    case KIND_MATRIX:
    case KIND_CONV:
        return u * law->scale;
    case KIND_DECAY:
        return log1p((double)(i % law->columns)) + 0.1 * u +
               1.5 * draw_uniform(~law->key, (uint64_t)(i / law->columns));
    case KIND_STEP_BIAS:
        step = exp(log(1e-2) + u * log(10.0));
        return step + log(-expm1(-step));
    case KIND_BIAS:
        return 0.02 * u;
    case KIND_GAIN_LESS_ONE:
        return 0.1 * u;
    default:
        return 1 + 0.1 * u;
    }
}

/* matrices NULL: the sink takes the matrices; without a sink they are left out. */
static enum ko_code fill_weights(const struct ko_model *model, uint64_t seed, float *values,
                                 float *matrices, const struct ko_matrix_sink *sink,
                                 struct ko_error *err)
{
    float chunk[CHUNK];
    enum ko_code code = KO_OK;
    for (size_t w = 0; w < model->n_weights; w++) {
        const struct ko_weight *weight = &model->weights[w];
        const struct law law = law_of(weight, seed);
        float *to = weight->matrix ? matrices : values;
        int64_t total = to || sink ? ko_weight_elements(weight) : 0;
        for (int64_t first = 0; first < total && code == KO_OK; first += CHUNK) {
            int64_t n = total - first < CHUNK ? total - first : CHUNK;
            for (int64_t i = 0; i < n; i++) {
                chunk[i] = (float)element_value(&law, first + i);
            }
            if (to) {
                ko_weight_place(weight, first, n, chunk, to + weight->offset);
            } else {
                const struct ko_matrix_piece piece = {.matrix = weight,
                                                      .first = (size_t)first,
                                                      .type = KO_ELEMENT_F32,
                                                      .data = chunk,
                                                      .n = (size_t)n};
                code = sink->take(sink->context, &piece, err);
            }
        }
    }
    ko_model_derive(model, values);
    return code;
}

void ko_model_fill_random(const struct ko_model *model, uint64_t seed, float *floats)
{
    /* Nothing here fails without a sink. */
    (void)fill_weights(model, seed, floats, floats + model->value_floats, NULL, NULL);
}

enum ko_code ko_model_fill_random_apart(const struct ko_model *model, uint64_t seed, float *values,
                                        const struct ko_matrix_sink *sink, struct ko_error *err)
{
    int64_t bad = -1;
    enum ko_code code = fill_weights(model, seed, values, NULL, sink, err);
    if (!sink) {
        return code;
    }
    const enum ko_code ended = sink->end(sink->context, &bad, code != KO_OK ? NULL : err);
    if (code == KO_OK) {
        code = ended;
    }
    if (code == KO_OK && bad >= 0) {
        code = ko_fail(err, KO_E_FAILED, "%s: random element %lld is not finite", model->name,
                       (long long)bad);
    }
    return code;
}
