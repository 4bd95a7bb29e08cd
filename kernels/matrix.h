/* SPDX-License-Identifier: Apache-2.0 */
/* A weight matrix as the operations of a backend read it. */
#ifndef KO_KERNELS_MATRIX_H
#define KO_KERNELS_MATRIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a number is stored: IEEE 754 single or half precision, bfloat16, or as two bfloat16 numbers
   whose sum it is (kernels/split.h). Of the latter the high parts of a run of numbers come first,
   then their low parts; ko_matrix_run says how long a run is. */
enum ko_element { KO_ELEMENT_F32, KO_ELEMENT_F16, KO_ELEMENT_BF16, KO_ELEMENT_BF16X2 };

static inline size_t ko_element_bytes(enum ko_element type)
{
    return type == KO_ELEMENT_F32 || type == KO_ELEMENT_BF16X2 ? 4 : 2;
}

/* A weight matrix: [n_out, n_in] as PyTorch's Linear, or with in_first [n_in, n_out] as GPT-2's
   Conv1D. */
struct ko_matrix {
    const void *data; /* NULL: no matrix */
    int32_t n_out, n_in;
    bool in_first;
    enum ko_element type; /* the backend's matrix_type, or BF16 where that is BF16X2 */
};

/* The numbers of a matrix in KO_ELEMENT_BF16X2 whose high parts lie together: an output's inputs, or
   with in_first all of the matrix. So the parts of W lie side by side along its inputs. */
static inline size_t ko_matrix_run(int32_t n_out, int32_t n_in, bool in_first)
{
    return in_first ? (size_t)n_out * (size_t)n_in : (size_t)n_in;
}

#endif
