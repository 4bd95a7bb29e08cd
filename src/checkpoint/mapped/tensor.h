/* SPDX-License-Identifier: Apache-2.0 */
/* A tensor as it lies in a mapped file, and its data types. */
#ifndef KO_CHECKPOINT_MAPPED_TENSOR_H
#define KO_CHECKPOINT_MAPPED_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ko_dtype { KO_F32, KO_F16, KO_BF16, KO_I64, KO_I32, KO_U8, KO_BOOL, KO_N_DTYPES };

enum { KO_TENSOR_DIMS = 8 };

struct ko_tensor {
    const char *name; /* borrowed from the checkpoint */
    enum ko_dtype dtype;
    int n_dims;
    int64_t shape[KO_TENSOR_DIMS];
    int64_t n;        /* elements */
    const void *data; /* mapped; little-endian; borrowed; may be unaligned */
    size_t data_bytes;
};

const char *ko_dtype_name(enum ko_dtype dtype);
size_t ko_dtype_bytes(enum ko_dtype dtype);

/* Sets tensor->n and data_bytes from its shape and dtype. False: one of them overflows. */
bool ko_tensor_measure(struct ko_tensor *tensor);

/* Converts elements [first, first + n) of an F32, F16 or BF16 tensor to float32, exactly. Returns
   whether all are finite. */
bool ko_tensor_to_float(const struct ko_tensor *tensor, int64_t first, int64_t n, float *out);
/* Whether the tensor's file is still as long as when it was opened. Ask after reading: bytes beyond
   a new end read as zeros. */
bool ko_tensor_is_whole(const struct ko_tensor *tensor);
/* The same, and nothing has been written to the file since. */
bool ko_tensor_is_unchanged(const struct ko_tensor *tensor);
/* Tells the kernel that the tensor's pages are not needed now, so that they do not count as
   resident memory. */
void ko_tensor_release(const struct ko_tensor *tensor);

#endif
