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
 * Contents are undefined. */
KO_MUST_CHECK void *ko_cpu_scratch(struct ko_backend *be, size_t bytes, struct ko_error *err);

/* y[m, n_out] (ldy) = beta y + x[m, n_in] (ldx) W, where W is w's columns of outputs [first, first
 * + n_out). */
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

/* The operations, as struct ko_kernels says. */
enum ko_code ko_cpu_embed(struct ko_backend *be, const struct ko_matrix *tokens,
                          const struct ko_matrix *positions, float *x, struct ko_error *err);
enum ko_code ko_cpu_branch_rows(struct ko_backend *be, float *x, int32_t d, int32_t first,
                                int32_t n, struct ko_error *err);
enum ko_code ko_cpu_gather(struct ko_backend *be, const float *from, int32_t ld_from,
                           const int32_t *index, int32_t n, int32_t d, float *to, int32_t ld_to,
                           struct ko_error *err);
enum ko_code ko_cpu_linear(struct ko_backend *be, int32_t m, const float *x, int32_t ldx,
                           const struct ko_matrix *w, const float *bias, bool accumulate, float *y,
                           int32_t ldy, struct ko_error *err);
enum ko_code ko_cpu_rms_norm(struct ko_backend *be, int32_t n, int32_t d, const float *x,
                             int32_t ldx, const float *weight, float eps, float *y, int32_t ldy,
                             struct ko_error *err);
enum ko_code ko_cpu_layer_norm(struct ko_backend *be, int32_t n, int32_t d, const float *x,
                               int32_t ldx, const float *weight, const float *bias, float eps,
                               float *y, int32_t ldy, struct ko_error *err);
enum ko_code ko_cpu_softplus(struct ko_backend *be, int32_t n, int32_t d, float *x, int32_t ld,
                             struct ko_error *err);
enum ko_code ko_cpu_gelu_tanh(struct ko_backend *be, int32_t n, int32_t d, float *x, int32_t ld,
                              struct ko_error *err);
enum ko_code ko_cpu_conv(struct ko_backend *be, const struct ko_conv *args, struct ko_error *err);
enum ko_code ko_cpu_mamba1(struct ko_backend *be, const struct ko_mamba1 *args,
                           struct ko_error *err);
enum ko_code ko_cpu_mamba2(struct ko_backend *be, const struct ko_mamba2 *args,
                           struct ko_error *err);
enum ko_code ko_cpu_gated_norm(struct ko_backend *be, const struct ko_gated_norm *args,
                               struct ko_error *err);
enum ko_code ko_cpu_rope(struct ko_backend *be, const struct ko_rope *args, struct ko_error *err);
enum ko_code ko_cpu_silu_mul(struct ko_backend *be, int32_t n, int32_t d, const float *gate,
                             const float *up, int32_t ld, float *y, int32_t ldy,
                             struct ko_error *err);
enum ko_code ko_cpu_attention(struct ko_backend *be, const struct ko_attention *args,
                              struct ko_error *err);
enum ko_code ko_cpu_unembed(struct ko_backend *be, const struct ko_unembed *args,
                            struct ko_error *err);

#endif
