/* SPDX-License-Identifier: Apache-2.0 */
/* Declares weights, checks them against the checkpoint's tensors, and puts their elements in
   place. */
#include "src/models/weights.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/models/mxfp4.h"
#include "src/models/rope.h"

enum { SHAPE_TEXT = 24 * KO_TENSOR_DIMS };

/* "[5120,16]" */
static const char *shape_text(const int64_t *shape, int n_dims, char text[SHAPE_TEXT])
{
    size_t n = 1;
    text[0] = '[';
    text[1] = '\0';
    for (int d = 0; d < n_dims; d++) {
        n += (size_t)snprintf(text + n, SHAPE_TEXT - n, "%s%" PRId64, d ? "," : "", shape[d]);
    }
    snprintf(text + n, SHAPE_TEXT - n, "]");
    return text;
}

int64_t ko_weight_elements(const struct ko_weight *weight)
{
    int64_t n = 1;
    for (int32_t d = 0; d < weight->n_dims; d++) {
        n *= weight->shape[d];
    }
    return n;
}

/* The number of floats that a weight takes in memory. */
static enum ko_code size_in_memory(const struct ko_weight *weight, size_t *n, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    *n = 1;
    for (int32_t d = 0; d < weight->n_dims && code == KO_OK; d++) {
        code = ko_multiply(*n, (size_t)weight->shape[d], n, weight->tensor, err);
    }
    if (weight->transform == KO_DECAY_NORMS) {
        *n = (size_t)weight->shape[0] * (sizeof(double) / sizeof(float));
    }
    if (code == KO_OK && weight->transform == KO_FROM_MXFP4) {
        code = ko_multiply(*n, KO_MXFP4_NUMBERS / KO_MXFP4_BYTES, n, weight->tensor, err);
    }
    return code;
}

KO_PRINTF(1, 0)
static enum ko_code format_name(const char *format, va_list args, char **out, struct ko_error *err)
{
    char text[512];
    int n = vsnprintf(text, sizeof text, format, args);
    if (n < 0 || (size_t)n >= sizeof text) {
        return ko_fail(err, KO_E_FAILED, "a tensor's name of %d bytes is too long", n);
    }
    *out = ko_copy(text, err);
    return *out ? KO_OK : KO_E_MEMORY;
}

/* Reserves n elements after the *end that the values or matrices have so far. */
static enum ko_code reserve_elements(const struct ko_model *model, size_t n, size_t *end,
                                     size_t *offset, struct ko_error *err)
{
    size_t padded = 0, all = 0;
    enum ko_code code = ko_add(n, KO_WEIGHT_ELEMENTS - 1, &padded, model->name, err);
    padded = padded / KO_WEIGHT_ELEMENTS * KO_WEIGHT_ELEMENTS;
    if (code == KO_OK) { /* neither region nor both together may overflow */
        code = ko_add(ko_model_floats(model), padded, &all, model->name, err);
    }
    if (code != KO_OK) {
        return code;
    }
    *offset = *end;
    *end += padded;
    return KO_OK;
}

enum ko_code ko_model_reserve(struct ko_model *model, size_t n, size_t *offset,
                              struct ko_error *err)
{
    return reserve_elements(model, n, &model->value_floats, offset, err);
}

/* The scales of NAME_blocks are NAME_scales. */
static enum ko_code name_scales(struct ko_weight *weight, struct ko_error *err)
{
    static const char ending[] = "blocks";
    struct ko_text name = {0};
    ko_text_add(&name, "%.*sscales", (int)(strlen(weight->tensor) - strlen(ending)),
                weight->tensor);
    weight->scales = ko_copy(ko_text_str(&name), err);
    ko_text_free(&name);
    return weight->scales ? KO_OK : KO_E_MEMORY;
}

enum ko_code ko_model_add_weight(struct ko_model *model, const struct ko_weight *from,
                                 size_t *index, struct ko_error *err, const char *format, ...)
{
    struct ko_weight weight = *from;
    weight.matrix = (weight.n_dims >= 2 && weight.transform == KO_AS_STORED) ||
                    weight.transform == KO_FROM_MXFP4;
    weight.scales = NULL;
    weight.stored = KO_ELEMENT_BF16;
    struct ko_weight *grown =
        ko_grow(model->weights, &model->weights_capacity, model->n_weights + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    model->weights = grown;

    va_list args;
    va_start(args, format);
    enum ko_code code = format_name(format, args, &weight.tensor, err);
    va_end(args);
    if (code == KO_OK && weight.transform == KO_FROM_MXFP4) {
        code = name_scales(&weight, err);
    }
    if (code == KO_OK) {
        code = size_in_memory(&weight, &weight.n, err);
    }
    if (code == KO_OK) {
        code = reserve_elements(model, weight.n,
                                weight.matrix ? &model->matrix_elements : &model->value_floats,
                                &weight.offset, err);
    }
    if (code != KO_OK) {
        free(weight.tensor);
        free(weight.scales);
        return code;
    }
    *index = model->n_weights;
    model->weights[model->n_weights++] = weight;
    return KO_OK;
}

void ko_model_derive(const struct ko_model *model, float *values)
{
    for (size_t r = 0; r < model->n_ropes; r++) {
        const struct ko_rope_table *rope = &model->rope[r];
        ko_rope_tables(&rope->config, model->shape.max_tokens, false, values + rope->cos,
                       values + rope->sin);
        if (rope->config.scaling == KO_ROPE_LONGROPE) {
            ko_rope_tables(&rope->config, model->shape.max_tokens, true, values + rope->long_cos,
                           values + rope->long_sin);
        }
    }
    for (size_t c = 0; c < model->n_constants; c++) {
        const struct ko_constant *constant = &model->constant[c];
        for (size_t i = 0; i < constant->n; i++) {
            values[constant->offset + i] = constant->value;
        }
    }
}

/* Checks the shape, whose first n_dims dimensions are the weight's. name: of the tensor. */
static enum ko_code check_shape(const struct ko_model *model, const struct ko_weight *weight,
                                int32_t n_dims, const char *name, const struct ko_tensor *tensor,
                                struct ko_error *err)
{
    char expected[SHAPE_TEXT], found[SHAPE_TEXT];
    shape_text(weight->shape, n_dims, expected);
    if (!tensor) {
        return ko_fail(err, KO_E_INPUT, "%s: %s: expected %s, file has no tensor of this name",
                       model->name, name, expected);
    }
    bool same = tensor->n_dims == n_dims;
    for (int32_t d = 0; d < n_dims && same; d++) {
        same = tensor->shape[d] == weight->shape[d];
    }
    return same ? KO_OK
                : ko_fail(err, KO_E_INPUT, "%s: %s: expected %s, file has %s", model->name, name,
                          expected, shape_text(tensor->shape, tensor->n_dims, found));
}

/* The bytes of MXFP4: the blocks, or their scales. */
static enum ko_code check_bytes(const struct ko_model *model, const struct ko_weight *weight,
                                bool scales, const struct ko_tensor *tensor, struct ko_error *err)
{
    const char *name = scales ? weight->scales : weight->tensor;
    const enum ko_code code =
        check_shape(model, weight, scales ? weight->n_dims - 1 : weight->n_dims, name, tensor, err);
    if (code == KO_OK && tensor->dtype != KO_U8) {
        return ko_fail(err, KO_E_INPUT, "%s: %s: expected U8, file has %s", model->name, name,
                       ko_dtype_name(tensor->dtype));
    }
    return code;
}

enum ko_code ko_weight_check(const struct ko_model *model, const struct ko_weight *weight,
                             const struct ko_checkpoint *checkpoint, struct ko_error *err)
{
    const struct ko_tensor *tensor = ko_checkpoint_find(checkpoint, weight->tensor);
    enum ko_code code = KO_OK;
    if (weight->transform == KO_FROM_MXFP4) {
        code = check_bytes(model, weight, false, tensor, err);
        tensor = ko_checkpoint_find(checkpoint, weight->scales);
        return code == KO_OK ? check_bytes(model, weight, true, tensor, err) : code;
    }
    code = check_shape(model, weight, weight->n_dims, weight->tensor, tensor, err);
    if (code != KO_OK) {
        return code;
    }
    if (tensor->dtype != KO_F32 && tensor->dtype != KO_F16 && tensor->dtype != KO_BF16) {
        return ko_fail(err, KO_E_INPUT, "%s: %s: expected F32, F16 or BF16, file has %s",
                       model->name, weight->tensor, ko_dtype_name(tensor->dtype));
    }
    return KO_OK;
}

/* Whether the two tensors have the same dtype, shape and bytes. */
static bool tensors_are_equal(const struct ko_tensor *a, const struct ko_tensor *b)
{
    if (a->dtype != b->dtype || a->n_dims != b->n_dims || a->data_bytes != b->data_bytes) {
        return false;
    }
    for (int d = 0; d < a->n_dims; d++) {
        if (a->shape[d] != b->shape[d]) {
            return false;
        }
    }
    const bool equal = a->data_bytes == 0 || memcmp(a->data, b->data, a->data_bytes) == 0;
    ko_tensor_release(a);
    ko_tensor_release(b);
    return equal;
}

/* Whether the tensor is a head that is stored although it is tied, and repeats the embedding. */
static bool repeats_embedding(const struct ko_model *model, const struct ko_checkpoint *checkpoint,
                              const struct ko_tensor *tensor)
{
    if (!model->ends.tied || strcmp(tensor->name, model->ends.head_name) != 0) {
        return false;
    }
    const struct ko_tensor *embedding =
        ko_checkpoint_find(checkpoint, model->weights[model->ends.embedding].tensor);
    return embedding && tensors_are_equal(tensor, embedding);
}

static bool is_ignored(const struct ko_model *model, const struct ko_checkpoint *checkpoint,
                       const struct ko_tensor *tensor)
{
    const char *const *endings = model->family->ignored_endings;
    for (int i = 0; endings[i]; i++) {
        if (ko_text_ends(tensor->name, endings[i])) {
            return true;
        }
    }
    const char *const *beginnings = model->family->ignored_beginnings;
    for (int i = 0; beginnings[i]; i++) {
        if (strncmp(tensor->name, beginnings[i], strlen(beginnings[i])) == 0) {
            return true;
        }
    }
    return ko_text_ends(tensor->name, ".rotary_emb.inv_freq") ||
           repeats_embedding(model, checkpoint, tensor);
}

static enum ko_code fail_leftover(const struct ko_model *model, const struct ko_tensor *tensor,
                                  struct ko_error *err)
{
    char found[SHAPE_TEXT];
    shape_text(tensor->shape, tensor->n_dims, found);
    /* An untied head would be declared, so the embedding is tied. */
    if (strcmp(tensor->name, model->ends.head_name) == 0) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: %s: %s %s does not repeat the embedding, although %s of config.json is "
                       "true (given or by default): set it to false",
                       model->name, tensor->name, ko_dtype_name(tensor->dtype), found,
                       model->tie_key);
    }
    return ko_fail(err, KO_E_INPUT,
                   "%s: %s: %s %s is not a weight of %s as config.json describes it", model->name,
                   tensor->name, ko_dtype_name(tensor->dtype), found, model->family->title);
}

/* If problems are collected, adds the error to them and returns KO_OK. A tensor that serves two
   weights is reported once. */
static enum ko_code keep_going(enum ko_code code, struct ko_strings *problems, struct ko_error *err)
{
    if (code != KO_E_INPUT || !problems) {
        return code;
    }
    return ko_strings_intern(problems, err->text, NULL, err);
}

static enum ko_code check_weights(const struct ko_model *model,
                                  const struct ko_checkpoint *checkpoint,
                                  struct ko_strings *problems, struct ko_error *err)
{
    size_t n = 0;
    enum ko_code code = KO_OK;
    const struct ko_tensor *tensors = ko_checkpoint_tensors(checkpoint, &n);
    uint8_t *used = ko_new(n, sizeof used[0], err);
    if (!used) {
        return KO_E_MEMORY;
    }
    for (size_t w = 0; w < model->n_weights && code == KO_OK; w++) {
        const struct ko_tensor *tensor = ko_checkpoint_find(checkpoint, model->weights[w].tensor);
        const struct ko_tensor *scales =
            model->weights[w].scales ? ko_checkpoint_find(checkpoint, model->weights[w].scales)
                                     : NULL;
        code =
            keep_going(ko_weight_check(model, &model->weights[w], checkpoint, err), problems, err);
        if (tensor) {
            used[tensor - tensors] = 1;
        }
        if (scales) {
            used[scales - tensors] = 1;
        }
    }
    for (size_t t = 0; t < n && code == KO_OK; t++) {
        if (!used[t] && !is_ignored(model, checkpoint, &tensors[t])) {
            code = keep_going(fail_leftover(model, &tensors[t], err), problems, err);
        }
    }
    free(used);
    return code;
}

enum ko_code ko_weights_check(const struct ko_model *model, const struct ko_checkpoint *checkpoint,
                              struct ko_error *err)
{
    return check_weights(model, checkpoint, NULL, err);
}

enum ko_code ko_weights_problems(const struct ko_model *model,
                                 const struct ko_checkpoint *checkpoint,
                                 struct ko_strings *problems, struct ko_error *err)
{
    return check_weights(model, checkpoint, problems, err);
}

static bool is_stored_exactly(const struct ko_weight *weight,
                              const struct ko_checkpoint *checkpoint)
{
    const struct ko_tensor *tensor = ko_checkpoint_find(checkpoint, weight->tensor);
    return weight->transform == KO_FROM_MXFP4 || (tensor && tensor->dtype == KO_BF16);
}

enum ko_element ko_element_of(enum ko_dtype dtype)
{
    return dtype == KO_F16 ? KO_ELEMENT_F16 : dtype == KO_BF16 ? KO_ELEMENT_BF16 : KO_ELEMENT_F32;
}

/* How the file has a matrix's numbers. */
static enum ko_element stored_as(const struct ko_weight *weight,
                                 const struct ko_checkpoint *checkpoint)
{
    const struct ko_tensor *tensor =
        checkpoint ? ko_checkpoint_find(checkpoint, weight->tensor) : NULL;
    return !tensor || weight->transform == KO_FROM_MXFP4 ? KO_ELEMENT_BF16
                                                         : ko_element_of(tensor->dtype);
}

bool ko_weight_is_of_experts(const struct ko_weight *weight)
{
    return weight->matrix && (weight->n_dims > 2 || strstr(weight->tensor, ".experts."));
}

/* Makes the experts' matrices of each layer alike. */
static void unite_experts(struct ko_model *model)
{
    struct ko_weight *weights = model->weights;
    for (size_t first = 0, end = 0; first < model->n_weights; first = end) {
        bool all = true;
        for (end = first; end < model->n_weights && weights[end].layer == weights[first].layer;
             end++) {
            all = all && (weights[end].exact || !ko_weight_is_of_experts(&weights[end]));
        }
        for (size_t w = first; w < end; w++) {
            weights[w].exact = weights[w].exact && (all || !ko_weight_is_of_experts(&weights[w]));
        }
    }
}

void ko_model_find_exact(struct ko_model *model, const struct ko_checkpoint *checkpoint)
{
    size_t before = 0;
    for (size_t w = 0; w < model->n_weights; w++) {
        struct ko_weight *weight = &model->weights[w];
        weight->exact = weight->matrix && (!checkpoint || is_stored_exactly(weight, checkpoint));
        weight->stored = stored_as(weight, checkpoint);
    }
    unite_experts(model);
    for (size_t w = 0; w < model->n_weights; w++) {
        struct ko_weight *weight = &model->weights[w];
        weight->exact_before = before;
        if (weight->exact) {
            before += ko_weight_room(weight->n);
        }
    }
}

/* Adds to to[row], an unaligned double. */
static void add_decay(float *to, int64_t row, bool first, float a_log)
{
    double sum = 0;
    unsigned char *place = (unsigned char *)to + (size_t)row * sizeof sum;
    if (!first) {
        memcpy(&sum, place, sizeof sum);
    }
    sum += exp(-exp((double)a_log));
    memcpy(place, &sum, sizeof sum);
}

void ko_weight_place(const struct ko_weight *weight, int64_t first, int64_t n, const float *values,
                     float *to)
{
    int64_t rows = weight->shape[0], columns = ko_weight_elements(weight) / rows;
    if (weight->transform == KO_AS_STORED || weight->transform == KO_AS_VALUES) {
        memcpy(to + first, values, (size_t)n * sizeof values[0]);
        return;
    }
    if (weight->transform == KO_ONE_PLUS) {
        for (int64_t i = 0; i < n; i++) {
            to[first + i] = 1 + values[i];
        }
        return;
    }
    int64_t row = first / columns, column = first % columns;
    for (int64_t i = 0; i < n; i++) {
        float *transposed = to + column * rows + row;
        if (weight->transform == KO_TRANSPOSED) {
            *transposed = values[i];
        } else if (weight->transform == KO_NEG_EXP_TRANSPOSED) {
            *transposed = (float)-exp((double)values[i]);
        } else {
            add_decay(to, row, column == 0, values[i]);
        }
        if (++column == columns) {
            column = 0;
            row++;
        }
    }
}
