/* What the files of the plain backend share: loops on libm, sums in double precision, one thread. A
   row's result depends on the values of its own path alone, never on its place among the rows. */
#ifndef KO_KERNELS_PLAIN_PLAIN_H
#define KO_KERNELS_PLAIN_PLAIN_H

#include "kernels/kernels.h"

struct ko_backend {
    struct ko_rows rows; /* of the latest set_rows; its arrays are borrowed */
};

/* The rows of the positions 0 .. i of row r's path, i its position, into chain [i + 1]: walks
 * `previous`. Returns i. */
int32_t ko_plain_chain(const struct ko_rows *rows, int32_t row, int32_t *chain);

/* The branch of row r whose edges are removed in this layer, or NULL. */
const struct ko_branch *ko_plain_cut(const struct ko_rows *rows, int32_t row, int32_t layer);

/* Whether the feature is one that the branch loses. masks [n_masks, n_layers, n_features]. */
bool ko_plain_masked(const struct ko_rows *rows, const struct ko_branch *branch,
                     const uint8_t *masks, int32_t layer, int32_t n_features, int32_t feature);

double ko_plain_silu(double x);

/* The operations, as struct ko_kernels says. */
enum ko_code ko_plain_embed(struct ko_backend *be, const struct ko_matrix *tokens,
                            const struct ko_matrix *positions, float *x, struct ko_error *err);
enum ko_code ko_plain_branch_rows(struct ko_backend *be, float *x, int32_t d, int32_t first,
                                  int32_t n, struct ko_error *err);
enum ko_code ko_plain_gather(struct ko_backend *be, const float *from, int32_t ld_from,
                             const int32_t *index, int32_t n, int32_t d, float *to, int32_t ld_to,
                             struct ko_error *err);
enum ko_code ko_plain_linear(struct ko_backend *be, int32_t m, const float *x, int32_t ldx,
                             const struct ko_matrix *w, const float *bias, bool accumulate,
                             float *y, int32_t ldy, struct ko_error *err);
enum ko_code ko_plain_rms_norm(struct ko_backend *be, int32_t n, int32_t d, const float *x,
                               int32_t ldx, const float *weight, float eps, float *y, int32_t ldy,
                               struct ko_error *err);
enum ko_code ko_plain_layer_norm(struct ko_backend *be, int32_t n, int32_t d, const float *x,
                                 int32_t ldx, const float *weight, const float *bias, float eps,
                                 float *y, int32_t ldy, struct ko_error *err);
enum ko_code ko_plain_softplus(struct ko_backend *be, int32_t n, int32_t d, float *x, int32_t ld,
                               struct ko_error *err);
enum ko_code ko_plain_gelu_tanh(struct ko_backend *be, int32_t n, int32_t d, float *x, int32_t ld,
                                struct ko_error *err);
enum ko_code ko_plain_conv(struct ko_backend *be, const struct ko_conv *args, struct ko_error *err);
enum ko_code ko_plain_mamba1(struct ko_backend *be, const struct ko_mamba1 *args,
                             struct ko_error *err);
enum ko_code ko_plain_mamba2(struct ko_backend *be, const struct ko_mamba2 *args,
                             struct ko_error *err);
enum ko_code ko_plain_gated_norm(struct ko_backend *be, const struct ko_gated_norm *args,
                                 struct ko_error *err);
enum ko_code ko_plain_rope(struct ko_backend *be, const struct ko_rope *args, struct ko_error *err);
enum ko_code ko_plain_silu_mul(struct ko_backend *be, int32_t n, int32_t d, const float *gate,
                               const float *up, int32_t ld, float *y, int32_t ldy,
                               struct ko_error *err);
enum ko_code ko_plain_attention(struct ko_backend *be, const struct ko_attention *args,
                                struct ko_error *err);
enum ko_code ko_plain_unembed(struct ko_backend *be, const struct ko_unembed *args,
                              struct ko_error *err);

#endif
