/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the CPU backend share. OpenBLAS computes the matrix products; all else is
   OpenMP over the loops of isa.h. Which thread computes a row never changes its result. */
#ifndef KO_KERNELS_CPU_CPU_H
#define KO_KERNELS_CPU_CPU_H

#include "kernels/at.h"
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

    /* Attention: prompts whose last row sees so many positions are computed by tiles, and so many
       packed numbers of several prompts at once. Tests change both. */
    int32_t tiled_from;
    size_t packed_floats;
};

/* Measured (docs/performance.md): from here on tiles are faster, with AVX2 and with AVX-512. Packed
   numbers of 16 MiB stay in a large cache. */
enum { KO_CPU_TILED_FROM = 32, KO_CPU_PACKED_FLOATS = 1 << 22 };

/* For tests: as ko_kernels_cpu.open, but with a table from ko_cpu_isa_list. */
KO_MUST_CHECK enum ko_code ko_cpu_open_isa(const struct ko_backend_config *config,
                                           const struct ko_cpu_isa *isa, struct ko_backend **out,
                                           struct ko_error *err);

/* At least `bytes` of memory, 64-byte aligned, valid until the next call; NULL with err filled.
   Contents are undefined. */
KO_MUST_CHECK void *ko_cpu_scratch(struct ko_backend *be, size_t bytes, struct ko_error *err);

/* Scratch of attention, as in struct ko_kernels. */
size_t ko_cpu_attention_bytes(const struct ko_attention_load *load, int threads);

/* y [n, n_out] = x [n, n_in] W, or y += x W with accumulate, for the outputs [first, first + n_out)
   of args->w. args->y begins at output `first`; args->bias is ignored. */
void ko_cpu_product(const struct ko_linear *args, int32_t first, int32_t n_out);

/* A branch's mask [n_features] in this stage. NULL: every feature is masked. */
static inline const uint8_t *ko_cpu_mask(const struct ko_rows *rows, const struct ko_branch *branch,
                                         const uint8_t *masks, int32_t stage, int32_t n_features)
{
    return branch->mask < 0 ? NULL
                            : masks + ko_at3(branch->mask, rows->n_stages, stage, n_features, 0);
}

/* The operations: ko_cpu_embed and the others, as in operations.h. */
#define KO_DECLARE(name, args)                                                                     \
    enum ko_code ko_cpu_##name(struct ko_backend *be, const struct args *args,                     \
                               struct ko_error *err);
KO_OPERATIONS(KO_DECLARE)
#undef KO_DECLARE

#endif
