/* SPDX-License-Identifier: Apache-2.0 */
/* Copies or converts numbers of a mapped tensor, and notices when its file changes. */
#include "src/forward/matrix_read.h"

#include <stdint.h>
#include <string.h>

#include "kernels/split.h"
#include "src/models/mxfp4.h"
#include "src/models/weights.h"

/* The bytes [at, at + n) of a tensor. */
static struct ko_tensor part_of(const struct ko_tensor *tensor, size_t at, size_t n)
{
    struct ko_tensor part = *tensor;
    part.data = (const unsigned char *)tensor->data + at;
    part.data_bytes = n;
    return part;
}

/* Numbers that are bfloat16 exactly. */
static void narrow_numbers(const float *from, size_t n, unsigned char *to)
{
    for (size_t i = 0; i < n; i++) {
        const uint16_t number = ko_bfloat16_near(from[i]);
        memcpy(to + i * sizeof number, &number, sizeof number);
    }
}

static void read_packed(const struct ko_matrix_reader *reader, const struct ko_weight *matrix,
                        size_t first, size_t n, enum ko_element raw, void *to)
{
    enum { AT_ONCE = 64 };
    const struct ko_tensor *blocks = ko_checkpoint_find(reader->checkpoint, matrix->tensor);
    const struct ko_tensor *scales = ko_checkpoint_find(reader->checkpoint, matrix->scales);
    const size_t begin = first / KO_MXFP4_NUMBERS, end = begin + n / KO_MXFP4_NUMBERS;
    unsigned char *out = to;
    for (size_t b = begin; b < end; b += AT_ONCE) {
        const size_t count = end - b < AT_ONCE ? end - b : AT_ONCE;
        const size_t numbers = count * KO_MXFP4_NUMBERS;
        float block[AT_ONCE * KO_MXFP4_NUMBERS];
        /* That all are finite was checked when the model was loaded. */
        (void)ko_mxfp4_to_float((const unsigned char *)blocks->data + b * KO_MXFP4_BYTES,
                                (const unsigned char *)scales->data + b, count, block);
        if (raw == KO_ELEMENT_F32) {
            memcpy(out, block, numbers * sizeof block[0]);
        } else {
            narrow_numbers(block, numbers, out);
        }
        out += numbers * ko_element_bytes(raw);
    }
    if (reader->releases) {
        const struct ko_tensor read =
            part_of(blocks, begin * KO_MXFP4_BYTES, (end - begin) * KO_MXFP4_BYTES);
        ko_tensor_release(&read);
    }
}

enum ko_code ko_matrix_read(const void *context, const struct ko_weight *matrix, size_t first,
                            size_t n, enum ko_element raw, void *to, struct ko_error *err)
{
    const struct ko_matrix_reader *reader = context;
    if (matrix->transform == KO_FROM_MXFP4) {
        read_packed(reader, matrix, first, n, raw, to);
        return KO_OK;
    }
    const struct ko_tensor *tensor = ko_checkpoint_find(reader->checkpoint, matrix->tensor);
    const enum ko_element type = ko_element_of(tensor->dtype);
    const size_t size = ko_element_bytes(type);
    const struct ko_tensor part = part_of(tensor, first * size, n * size);
    if (type == raw) {
        memcpy(to, part.data, part.data_bytes);
    } else if (raw == KO_ELEMENT_F32) {
        (void)ko_tensor_to_float(tensor, (int64_t)first, (int64_t)n, to); /* finite, as above */
    } else {
        return ko_fail(err, KO_E_FAILED, "%s: %s: is stored in another type than expected",
                       reader->model->name, matrix->tensor);
    }
    if (reader->releases) {
        ko_tensor_release(&part);
    }
    return KO_OK;
}

static bool is_unchanged(const struct ko_matrix_reader *reader, const char *tensor)
{
    return ko_tensor_is_unchanged(ko_checkpoint_find(reader->checkpoint, tensor));
}

enum ko_code ko_matrix_check(const void *context, const struct ko_weight *matrix,
                             struct ko_error *err)
{
    const struct ko_matrix_reader *reader = context;
    if (is_unchanged(reader, matrix->tensor) &&
        (!matrix->scales || is_unchanged(reader, matrix->scales))) {
        return KO_OK;
    }
    return ko_fail(err, KO_E_FAILED,
                   "%s: %s: the file was written or became shorter while its weights stream from "
                   "it, restore it and --resume",
                   reader->model->name, matrix->tensor);
}
