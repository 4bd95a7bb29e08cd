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

enum {
    BLOCK = 1 << 13, /* elements that are hashed and converted while they are in the core's cache */
    HELD = 1 << 19   /* elements after which the file's mapped pages are given back */
};

/* The first value that is not finite. */
static enum ko_code fail_not_finite(const struct ko_model *model, const struct ko_weight *weight,
                                    int64_t first, int64_t n, const float *values,
                                    struct ko_error *err)
{
    int64_t i = 0;
    while (i < n - 1 && isfinite(values[i]))
        i++;
    return ko_fail(err, KO_E_INPUT, "%s: %s: element %" PRId64 " is not finite", model->name,
                   weight->tensor, first + i);
}

/* -exp(x) in float32 must be finite too: an infinite decay times a step of zero is no number. */
static enum ko_code check_exponentials(const struct ko_model *model, const struct ko_weight *weight,
                                       int64_t first, int64_t n, const float *values,
                                       struct ko_error *err)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite((float)exp((double)values[i])))
            return ko_fail(err, KO_E_INPUT,
                           "%s: %s: element %" PRId64 " is %g, whose exponential is not finite",
                           model->name, weight->tensor, first + i, (double)values[i]);
    return KO_OK;
}

/* Elements [first, first + n), at most a block. Values that stay as they are stored are converted
 * to their place; others by way of `block`. */
static enum ko_code load_block(const struct ko_model *model, const struct ko_weight *weight,
                               const struct ko_tensor *tensor, int64_t first, int64_t n,
                               float *block, float *to, struct ko_error *err)
{
    bool stored = weight->transform == KO_AS_STORED;
    float *values = stored ? to + first : block;
    enum ko_code code = KO_OK;
    if (!ko_tensor_to_float(tensor, first, n, values))
        return fail_not_finite(model, weight, first, n, values, err);
    if (weight->transform == KO_NEG_EXP_TRANSPOSED)
        code = check_exponentials(model, weight, first, n, values, err);
    if (!code && !stored)
        ko_weight_place(weight, first, n, values, to);
    return code;
}

static enum ko_code load_weight(const struct ko_model *model, const struct ko_weight *weight,
                                const struct ko_tensor *tensor, float *block, float *to,
                                uint64_t *hash, struct ko_error *err)
{
    size_t size = ko_dtype_bytes(tensor->dtype);
    const unsigned char *data = tensor->data;
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    for (int64_t held = 0; held < tensor->n; held += HELD) {
        int64_t end = tensor->n - held < HELD ? tensor->n : held + HELD;
        for (int64_t first = held; first < end; first += BLOCK) {
            int64_t n = end - first < BLOCK ? end - first : BLOCK;
            XXH3_64bits_update(&state, data + (size_t)first * size, (size_t)n * size);
            enum ko_code code = load_block(model, weight, tensor, first, n, block, to, err);
            if (code)
                return code;
        }
        struct ko_tensor part = *tensor;
        part.data = data + (size_t)held * size;
        part.data_bytes = (size_t)(end - held) * size;
        ko_tensor_release(&part);
        if (ko_stop_is_wanted(model->load_stop))
            return ko_fail(err, KO_E_STOPPED, "%s: loading dropped: a stop was asked for",
                           model->name);
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
    float *block = ko_new(BLOCK, sizeof block[0], err);
    if (!block)
        return KO_E_MEMORY;
    for (size_t w = 0; w < model->n_weights && !code; w++) {
        const struct ko_weight *weight = &model->weights[w];
        if (part_of(model, weight, n_parts) != part)
            continue;
        const struct ko_tensor *tensor = ko_checkpoint_find(checkpoint, weight->tensor);
        code = ko_weight_check(model, weight, tensor, err);
        if (!code)
            code = load_weight(model, weight, tensor, block, arena + weight->offset, &hash[w], err);
    }
    if (!code && part == 0 && model->family->derive)
        model->family->derive(model, arena);
    free(block);
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
