#define XXH_INLINE_ALL /* the states live on the stack */
#include <xxhash.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/models/model.h"
#include "src/models/weights.h"

/* Elements converted at a time: small enough that the file's mapped pages never count for much. */
enum { CHUNK = 1 << 18 };

/* The index of the first value that is not finite, or -1. */
static int64_t find_not_finite(const float *values, int64_t n)
{
    const uint32_t exponent = 0x7f800000u;
    uint32_t bits, any = 0;
    for (int64_t i = 0; i < n; i++) {
        memcpy(&bits, &values[i], sizeof bits);
        any |= (bits & exponent) == exponent;
    }
    for (int64_t i = 0; i < n && any; i++)
        if (!isfinite(values[i]))
            return i;
    return -1;
}

/* -exp(x) in float32 must be finite too: an infinite decay times a step of zero is no number. */
static bool overflows(const struct ko_weight *weight, float a_log)
{
    return weight->transform == KO_NEG_EXP_TRANSPOSED && !isfinite((float)exp((double)a_log));
}

static enum ko_code check_values(const struct ko_model *model, const struct ko_weight *weight,
                                 int64_t first, int64_t n, const float *values,
                                 struct ko_error *err)
{
    int64_t bad = find_not_finite(values, n);
    if (bad >= 0)
        return ko_fail(err, KO_E_INPUT, "%s: %s: element %" PRId64 " is not finite", model->name,
                       weight->tensor, first + bad);
    if (weight->transform != KO_NEG_EXP_TRANSPOSED)
        return KO_OK;
    for (int64_t i = 0; i < n; i++)
        if (overflows(weight, values[i]))
            return ko_fail(err, KO_E_INPUT,
                           "%s: %s: element %" PRId64 " is %g, whose exponential is not finite",
                           model->name, weight->tensor, first + i, (double)values[i]);
    return KO_OK;
}

static enum ko_code load_weight(const struct ko_model *model, const struct ko_weight *weight,
                                const struct ko_tensor *tensor, float *chunk, float *to,
                                uint64_t *hash, struct ko_error *err)
{
    size_t size = ko_dtype_bytes(tensor->dtype);
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    for (int64_t first = 0; first < tensor->n; first += CHUNK) {
        int64_t n = tensor->n - first < CHUNK ? tensor->n - first : CHUNK;
        struct ko_tensor part = *tensor;
        part.data = (const unsigned char *)tensor->data + (size_t)first * size;
        part.data_bytes = (size_t)n * size;
        part.n = n;
        XXH3_64bits_update(&state, part.data, part.data_bytes);
        ko_tensor_to_float(&part, 0, n, chunk);
        ko_tensor_release(&part);
        enum ko_code code = check_values(model, weight, first, n, chunk, err);
        if (code)
            return code;
        ko_weight_place(weight, first, n, chunk, to);
    }
    ko_tensor_release(tensor);
    *hash = XXH3_64bits_digest(&state);
    return KO_OK;
}

/* The part that holds the middle of the weight: contiguous runs of about equal length, the same on
 * every rank. */
static int32_t part_of(const struct ko_model *model, const struct ko_weight *weight,
                       int32_t n_parts)
{
    double middle = (double)weight->offset + (double)weight->n / 2;
    int32_t part = (int32_t)(middle * n_parts / (double)model->arena_floats);
    return part < n_parts ? part : n_parts - 1;
}

enum ko_code ko_model_load(const struct ko_model *model, const struct ko_checkpoint *checkpoint,
                           int32_t part, int32_t n_parts, float *arena, uint64_t *hash,
                           struct ko_error *err)
{
    enum ko_code code = KO_OK;
    float *chunk = ko_new(CHUNK, sizeof chunk[0], err);
    if (!chunk)
        return KO_E_MEMORY;
    for (size_t w = 0; w < model->n_weights && !code; w++) {
        const struct ko_weight *weight = &model->weights[w];
        if (part_of(model, weight, n_parts) != part)
            continue;
        const struct ko_tensor *tensor = ko_checkpoint_find(checkpoint, weight->tensor);
        code = ko_weight_check(model, weight, tensor, err);
        if (!code)
            code = load_weight(model, weight, tensor, chunk, arena + weight->offset, &hash[w], err);
    }
    free(chunk);
    return code;
}

void ko_model_content_hash(const struct ko_model *model, const uint64_t *hash, char text[33])
{
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    for (size_t w = 0; w < model->n_weights; w++) {
        const struct ko_weight *weight = &model->weights[w];
        int64_t n_dims = weight->n_dims;
        XXH3_128bits_update(&state, weight->tensor, strlen(weight->tensor) + 1);
        XXH3_128bits_update(&state, &n_dims, sizeof n_dims);
        XXH3_128bits_update(&state, weight->shape, (size_t)n_dims * sizeof weight->shape[0]);
        XXH3_128bits_update(&state, &hash[w], sizeof hash[w]);
    }
    XXH128_hash_t all = XXH3_128bits_digest(&state);
    snprintf(text, 33, "%016" PRIx64 "%016" PRIx64, (uint64_t)all.high64, (uint64_t)all.low64);
}
