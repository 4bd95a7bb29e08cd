/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the CPU backend share: matrix products by OpenBLAS, everything else by OpenMP
   over the loops of isa.h. Which thread computes a row never changes its result. */
#ifndef KO_KERNELS_CPU_CPU_H
#define KO_KERNELS_CPU_CPU_H

#include "kernels/cpu/isa.h"
#include "kernels/cpu/tree.h"
#include "kernels/kernels.h"

struct ko_backend {
    int threads;
    const struct ko_cpu_isa *isa;
    struct ko_rows rows;     /* of the latest set_rows; its arrays are borrowed */
    struct ko_cpu_tree tree; /* of the same rows; owned */
    unsigned char *scratch;  /* owned */
    size_t scratch_bytes;
};

/* As ko_kernels_cpu.open, with a table of the caller's choice (one of ko_cpu_isa_list): for tests.
 */
KO_MUST_CHECK enum ko_code ko_cpu_open_isa(const struct ko_backend_config *config,
                                           const struct ko_cpu_isa *isa, struct ko_backend **out,
                                           struct ko_error *err);

/* At least `bytes` of memory, 64-byte aligned, valid until the next call; NULL with err filled.
   Contents are undefined. */
KO_MUST_CHECK void *ko_cpu_scratch(struct ko_backend *be, size_t bytes, struct ko_error *err);

/* y[m, n_out] (ldy) = beta y + x[m, n_in] (ldx) W, where W is w's columns of outputs [first, first
   + n_out). */
void ko_cpu_gemm(int32_t m, const float *x, int32_t ldx, const struct ko_matrix *w, int32_t first,
                 int32_t n_out, float beta, float *y, int32_t ldy);

/* Row `layer` of a branch's mask [n_features]; NULL where the mask is every feature. */
static inline const uint8_t *ko_cpu_mask(const struct ko_rows *rows, const struct ko_branch *branch,
                                         const uint8_t *masks, int32_t layer, int32_t n_features)
{
    if (branch->mask < 0) {
        return NULL;
    }
    return masks +
           ((size_t)branch->mask * (size_t)rows->n_layers + (size_t)layer) * (size_t)n_features;
}

/* The operations: ko_cpu_embed and the others, as operations.h says. */
#define KO_DECLARE(name, args)                                                                     \
    enum ko_code ko_cpu_##name(struct ko_backend *be, const struct args *args,                     \
                               struct ko_error *err);
KO_OPERATIONS(KO_DECLARE)
#undef KO_DECLARE

#endif
