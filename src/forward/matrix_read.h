/* SPDX-License-Identifier: Apache-2.0 */
/* Reads parts of a matrix from its checkpoint, again and again, for weights that stream. */
#ifndef KO_FORWARD_MATRIX_READ_H
#define KO_FORWARD_MATRIX_READ_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/kernels.h"
#include "src/base/error.h"
#include "src/checkpoint/checkpoint.h"
#include "src/models/model.h"

/* All borrowed. */
struct ko_matrix_reader {
    const struct ko_model *model;
    const struct ko_checkpoint *checkpoint;
    /* The file's pages do not stay mapped, so that they do not count as the process's memory. */
    bool releases;
};

/* Writes the matrix's numbers [first, first + n) to `to`, in the type that the file has them in
   (struct ko_weight's `stored`) or as float32. In MXFP4, first and n are multiples of 32. context: a
   struct ko_matrix_reader. Threads may read at once. */
KO_MUST_CHECK enum ko_code ko_matrix_read(const void *context, const struct ko_weight *matrix,
                                          size_t first, size_t n, enum ko_element raw, void *to,
                                          struct ko_error *err);
/* Called after reading. KO_E_FAILED "MODEL: TENSOR: ..." if the file became shorter or was written
   to, since it was opened. */
KO_MUST_CHECK enum ko_code ko_matrix_check(const void *context, const struct ko_weight *matrix,
                                           struct ko_error *err);

#endif
