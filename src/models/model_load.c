/* SPDX-License-Identifier: Apache-2.0 */
/* Copies weights from a checkpoint into memory or into a sink, block by block, and hashes them.
   Threads take a weight each. Values that are not finite are errors. */
#include "src/models/model_load.h"

#define XXH_INLINE_ALL /* the states live on the stack */
#include <xxhash.h>

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/crew.h"
#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/models/mxfp4.h"
#include "src/models/weights.h"

enum {
    BLOCK = 1 << 13, /* elements hashed and converted at a time, so that they stay in cache */
    HELD = 1 << 19   /* elements after which the file's mapped pages are released */
};

/* Reports the first value that is not finite. */
static enum ko_code fail_not_finite(const struct ko_model *model, const struct ko_weight *weight,
                                    int64_t first, int64_t n, const float *values,
                                    struct ko_error *err)
{
    int64_t i = 0;
    while (i < n - 1 && isfinite(values[i])) {
        i++;
    }
    return ko_fail(err, KO_E_INPUT, "%s: %s: element %" PRId64 " is not finite", model->name,
                   weight->tensor, first + i);
}

/* -exp(x) in float32 must be finite too: an infinite decay times a step of zero is NaN. */
static enum ko_code check_exponentials(const struct ko_model *model, const struct ko_weight *weight,
                                       int64_t first, int64_t n, const float *values,
                                       struct ko_error *err)
{
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite((float)exp((double)values[i]))) {
            return ko_fail(err, KO_E_INPUT,
                           "%s: %s: element %" PRId64 " is %g, whose exponential is not finite",
                           model->name, weight->tensor, first + i, (double)values[i]);
        }
    }
    return KO_OK;
}

/* One call: which weights are loaded, and where to. */
struct loading {
    const struct ko_model *model;
    const struct ko_checkpoint *checkpoint;
    const struct ko_load_part *part;
    float *values;   /* [value_floats] */
    float *matrices; /* [matrix_elements]; NULL: the sink takes them */
    const struct ko_matrix_sink *sink;
    uint64_t *hash; /* [n_weights] */
    size_t *wanted; /* [n_wanted] weights of the part */
    size_t n_wanted;
    float *block; /* [n_threads, BLOCK] */
};

/* A weight that a thread loads: item number `item` of the crew's. */
struct turn {
    const struct loading *loading;
    const struct ko_crew *crew;
    int lane;
    size_t item;
    float *block; /* [BLOCK] of the thread */
};

static enum ko_code give_to_sink(const struct turn *turn, const struct ko_weight *weight,
                                 int64_t first, enum ko_element type, const void *data, int64_t n,
                                 struct ko_error *err)
{
    const struct ko_matrix_sink *sink = turn->loading->sink;
    const struct ko_matrix_piece piece = {.matrix = weight,
                                          .first = (size_t)first,
                                          .type = type,
                                          .data = data,
                                          .n = (size_t)n,
                                          .lane = turn->lane};
    return sink->take(sink->context, &piece, err);
}

/* Loads elements [first, first + n), at most a block. Weights that keep their stored layout are
   converted in place, others through `block`. */
static enum ko_code load_block(const struct turn *turn, const struct ko_weight *weight,
                               const struct ko_tensor *tensor, int64_t first, int64_t n,
                               struct ko_error *err)
{
    const struct loading *target = turn->loading;
    const struct ko_model *model = target->model;
    float *to = (weight->matrix ? target->matrices : target->values) + weight->offset;
    bool stored = weight->transform == KO_AS_STORED;
    float *values = stored ? to + first : turn->block;
    enum ko_code code = KO_OK;
    if (!ko_tensor_to_float(tensor, first, n, values)) {
        return fail_not_finite(model, weight, first, n, values, err);
    }
    if (weight->transform == KO_NEG_EXP_TRANSPOSED) {
        code = check_exponentials(model, weight, first, n, values, err);
    }
    if (code == KO_OK && !stored) {
        ko_weight_place(weight, first, n, values, to);
    }
    return code;
}

static enum ko_code load_weight(const struct turn *turn, const struct ko_weight *weight,
                                const struct ko_tensor *tensor, uint64_t *hash,
                                struct ko_error *err)
{
    const struct loading *target = turn->loading;
    size_t size = ko_dtype_bytes(tensor->dtype);
    const unsigned char *data = tensor->data;
    const bool sunk = weight->matrix && !target->matrices;
    enum ko_code code = KO_OK;
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    for (int64_t held = 0; held < tensor->n; held += HELD) {
        int64_t end = tensor->n - held < HELD ? tensor->n : held + HELD;
        for (int64_t first = held; first < end; first += BLOCK) {
            int64_t n = end - first < BLOCK ? end - first : BLOCK;
            XXH3_64bits_update(&state, data + (size_t)first * size, (size_t)n * size);
            if (!sunk) {
                code = load_block(turn, weight, tensor, first, n, err);
            }
            if (code != KO_OK) {
                return code;
            }
        }
        struct ko_tensor part = *tensor;
        part.data = data + (size_t)held * size;
        part.data_bytes = (size_t)(end - held) * size;
        if (sunk) {
            code = give_to_sink(turn, weight, held, ko_element_of(tensor->dtype), part.data,
                                end - held, err);
        }
        ko_tensor_release(&part);
        if (code == KO_OK && ko_crew_is_over(turn->crew, turn->item)) {
            code = KO_E_STOPPED;
        }
        if (code != KO_OK) {
            return code;
        }
    }
    ko_tensor_release(tensor);
    if (!ko_tensor_is_whole(tensor)) {
        return ko_fail(err, KO_E_INPUT, "%s: %s: the file became shorter while it was read",
                       target->model->name, weight->tensor);
    }
    *hash = XXH3_64bits_digest(&state);
    return KO_OK;
}

/* A matrix in MXFP4 while it is loaded. */
struct packed {
    const struct ko_weight *weight;
    const struct ko_tensor *blocks, *scales;
    float *numbers; /* [HELD] for the sink; NULL: they go into memory */
};

/* Loads the blocks [first, first + n). */
static enum ko_code load_blocks(const struct turn *turn, const struct packed *packed, int64_t first,
                                int64_t n, struct ko_error *err)
{
    const struct loading *target = turn->loading;
    const struct ko_weight *weight = packed->weight;
    const int64_t at = first * KO_MXFP4_NUMBERS;
    const int64_t count = n * KO_MXFP4_NUMBERS;
    float *to = packed->numbers ? packed->numbers : target->matrices + weight->offset + at;
    struct ko_tensor part = *packed->blocks;
    part.data = (const unsigned char *)part.data + first * KO_MXFP4_BYTES;
    part.data_bytes = (size_t)n * KO_MXFP4_BYTES;
    const bool finite = ko_mxfp4_to_float(
        part.data, (const unsigned char *)packed->scales->data + first, (size_t)n, to);
    ko_tensor_release(&part);
    if (!finite) {
        return fail_not_finite(target->model, weight, first * KO_MXFP4_NUMBERS, count, to, err);
    }
    return packed->numbers ? give_to_sink(turn, weight, at, KO_ELEMENT_F32, to, count, err) : KO_OK;
}

/* The hash is of the blocks and then the scales. */
static enum ko_code load_all_blocks(const struct turn *turn, const struct packed *packed,
                                    uint64_t *hash, struct ko_error *err)
{
    enum { AT_ONCE = HELD / KO_MXFP4_NUMBERS };
    const struct ko_tensor *blocks = packed->blocks, *scales = packed->scales;
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    for (int64_t first = 0; first < scales->n; first += AT_ONCE) {
        const int64_t n = scales->n - first < AT_ONCE ? scales->n - first : AT_ONCE;
        const unsigned char *data = blocks->data;
        XXH3_64bits_update(&state, data + first * KO_MXFP4_BYTES, (size_t)n * KO_MXFP4_BYTES);
        enum ko_code code = load_blocks(turn, packed, first, n, err);
        if (code == KO_OK && ko_crew_is_over(turn->crew, turn->item)) {
            code = KO_E_STOPPED;
        }
        if (code != KO_OK) {
            return code;
        }
    }
    XXH3_64bits_update(&state, scales->data, scales->data_bytes);
    ko_tensor_release(scales);
    if (!ko_tensor_is_whole(blocks) || !ko_tensor_is_whole(scales)) {
        return ko_fail(err, KO_E_INPUT, "%s: %s: the file became shorter while it was read",
                       turn->loading->model->name, packed->weight->tensor);
    }
    *hash = XXH3_64bits_digest(&state);
    return KO_OK;
}

static enum ko_code load_packed(const struct turn *turn, const struct ko_weight *weight,
                                uint64_t *hash, struct ko_error *err)
{
    const struct ko_checkpoint *checkpoint = turn->loading->checkpoint;
    struct packed packed = {.weight = weight,
                            .blocks = ko_checkpoint_find(checkpoint, weight->tensor),
                            .scales = ko_checkpoint_find(checkpoint, weight->scales)};
    if (!turn->loading->matrices) {
        packed.numbers = ko_new(HELD, sizeof packed.numbers[0], err);
        if (!packed.numbers) {
            return KO_E_MEMORY;
        }
    }
    const enum ko_code code = load_all_blocks(turn, &packed, hash, err);
    free(packed.numbers);
    return code;
}

/* The part that holds element `middle` of `all`. Parts are contiguous runs of about equal length,
   the same on every rank. */
static int32_t part_of(double middle, size_t all, int32_t n_parts)
{
    int32_t part = (int32_t)(middle * n_parts / (double)all);
    return part < n_parts ? part : n_parts - 1;
}

bool ko_weight_in_part(const struct ko_model *model, const struct ko_weight *weight, int32_t part,
                       int32_t n_parts)
{
    const double middle = (double)weight->offset + (double)weight->n / 2;
    return weight->matrix && part_of(middle, model->matrix_elements, n_parts) == part;
}

void ko_model_parts(const struct ko_model *model, int32_t n_parts, size_t *begin)
{
    for (int32_t part = n_parts; part >= 0; part--) {
        begin[part] = part < n_parts ? begin[part + 1] : model->matrix_elements;
        for (size_t w = model->n_weights; w-- > 0;) {
            if (ko_weight_in_part(model, &model->weights[w], part, n_parts)) {
                begin[part] = model->weights[w].offset;
            }
        }
    }
    begin[0] = 0;
}

/* Like ko_weight_in_part, but over all weights as they lie in host memory. */
static bool in_host_part(const struct ko_model *model, const struct ko_weight *weight, int32_t part,
                         int32_t n_parts)
{
    const size_t offset = weight->offset + (weight->matrix ? model->value_floats : 0);
    const double middle = (double)offset + (double)weight->n / 2;
    return part_of(middle, ko_model_floats(model), n_parts) == part;
}

/* One weight, in a thread. */
static enum ko_code load_item(void *context, const struct ko_crew *crew, int lane, size_t item,
                              struct ko_error *err)
{
    const struct loading *target = context;
    const struct turn turn = {target, crew, lane, item, target->block + (size_t)lane * BLOCK};
    const size_t w = target->wanted[item];
    const struct ko_weight *weight = &target->model->weights[w];
    const enum ko_code code = ko_weight_check(target->model, weight, target->checkpoint, err);
    if (code != KO_OK) {
        return code;
    }
    return weight->transform == KO_FROM_MXFP4
               ? load_packed(&turn, weight, &target->hash[w], err)
               : load_weight(&turn, weight, ko_checkpoint_find(target->checkpoint, weight->tensor),
                             &target->hash[w], err);
}

static void list_wanted(struct loading *target)
{
    const struct ko_model *model = target->model;
    const int32_t part = target->part->part, n_parts = target->part->n_parts;
    target->n_wanted = 0;
    for (size_t w = 0; w < model->n_weights; w++) {
        const struct ko_weight *weight = &model->weights[w];
        const bool wanted =
            target->matrices ? in_host_part(model, weight, part, n_parts)
                             : !weight->matrix || ko_weight_in_part(model, weight, part, n_parts);
        if (wanted) {
            target->wanted[target->n_wanted++] = w;
        }
    }
}

static enum ko_code load_part(struct loading *target, struct ko_error *err)
{
    const struct ko_model *model = target->model;
    const int asked = target->part->n_threads;
    const int n_threads = asked < 1 ? 1 : asked < KO_IMPORT_LANES ? asked : KO_IMPORT_LANES;
    struct ko_crew_work work = {.n_threads = n_threads,
                                .item = load_item,
                                .context = target,
                                .stop = model->load_stop,
                                .what = model->name};
    enum ko_code code = KO_E_MEMORY;
    target->block = ko_new((size_t)n_threads * BLOCK, sizeof target->block[0], err);
    target->wanted = ko_new(model->n_weights, sizeof target->wanted[0], err);
    if (target->block && target->wanted) {
        list_wanted(target);
        work.n_items = target->n_wanted;
        code = ko_crew_run(&work, err);
    }
    if (code == KO_OK && (target->part->part == 0 || !target->matrices)) {
        ko_model_derive(model, target->values);
    }
    free(target->block);
    free(target->wanted);
    return code;
}

enum ko_code ko_model_load(const struct ko_model *model, const struct ko_checkpoint *checkpoint,
                           const struct ko_load_part *part, float *floats, uint64_t *hash,
                           struct ko_error *err)
{
    struct loading target = {.model = model,
                             .checkpoint = checkpoint,
                             .part = part,
                             .values = floats,
                             .matrices = floats + model->value_floats,
                             .hash = hash};
    return load_part(&target, err);
}

/* Names element `bad` of all matrices. */
static enum ko_code fail_bad(const struct ko_model *model, int64_t bad, struct ko_error *err)
{
    for (size_t w = 0; w < model->n_weights; w++) {
        const struct ko_weight *weight = &model->weights[w];
        const int64_t element = bad - (int64_t)weight->offset;
        if (weight->matrix && element >= 0 && element < (int64_t)weight->n) {
            return ko_fail(err, KO_E_INPUT, "%s: %s: element %" PRId64 " is not finite",
                           model->name, weight->tensor, element);
        }
    }
    return ko_fail(err, KO_E_FAILED, "%s: a value is not finite, but no tensor has it, report this",
                   model->name);
}

enum ko_code ko_model_load_apart(const struct ko_model *model,
                                 const struct ko_checkpoint *checkpoint,
                                 const struct ko_load_part *part, float *values,
                                 const struct ko_matrix_sink *sink, uint64_t *hash,
                                 struct ko_error *err)
{
    struct loading target = {.model = model,
                             .checkpoint = checkpoint,
                             .part = part,
                             .values = values,
                             .sink = sink,
                             .hash = hash};
    struct ko_error later = {0};
    int64_t bad = -1;
    enum ko_code code = load_part(&target, err);
    /* After a failure too, because the sink then begins anew. */
    const enum ko_code ended = sink->end(sink->context, &bad, code != KO_OK ? &later : err);
    if (code == KO_OK) {
        code = ended;
    }
    return code == KO_OK && bad >= 0 ? fail_bad(model, bad, err) : code;
}

int64_t ko_matrix_piece_number(const struct ko_matrix_piece *piece)
{
    return (int64_t)(piece->matrix->offset + piece->first);
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
    ko_hash_text(all.high64, all.low64, text);
}
