/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of a backend: the list of all, and what each of them computes.

   Every operation is `enum ko_code NAME(struct ko_backend *be, const struct ARGS *args, struct
   ko_error *err)`. To add one, write a struct and a line in KO_OPERATIONS here, and a function in
   each backend. Declarations, tables, the profiler and the tests' backend follow from the list.

   Matrices are row-major float32. A pointer is backend memory unless its comment says host memory.
   Sizes are in elements; `ld` is the distance between rows. Operations may be asynchronous. All
   return KO_OK, or KO_E_FAILED or KO_E_MEMORY with err filled. */
#ifndef KO_KERNELS_OPERATIONS_H
#define KO_KERNELS_OPERATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, arguments), in the order of a forward pass. */
#define KO_OPERATIONS(X)                                                                           \
    X(embed, ko_embed)                                                                             \
    X(branch_rows, ko_branch_rows)                                                                 \
    X(gather, ko_gather)                                                                           \
    X(linear, ko_linear)                                                                           \
    X(rms_norm, ko_rms_norm)                                                                       \
    X(layer_norm, ko_layer_norm)                                                                   \
    X(softplus, ko_activation)                                                                     \
    X(gelu_tanh, ko_activation)                                                                    \
    X(silu_mul, ko_silu_mul)                                                                       \
    X(conv, ko_conv)                                                                               \
    X(mamba1, ko_mamba1)                                                                           \
    X(mamba2, ko_mamba2)                                                                           \
    X(gated_norm, ko_gated_norm)                                                                   \
    X(rope, ko_rope)                                                                               \
    X(attention, ko_attention)                                                                     \
    X(unembed, ko_unembed)

/* How a number is stored: IEEE 754 single or half precision, or bfloat16. */
enum ko_element { KO_ELEMENT_F32, KO_ELEMENT_F16, KO_ELEMENT_BF16 };

static inline size_t ko_element_bytes(enum ko_element type)
{
    return type == KO_ELEMENT_F32 ? 4 : 2;
}

/* A weight matrix: [n_out, n_in] as PyTorch's Linear, or with in_first [n_in, n_out] as GPT-2's
   Conv1D. */
struct ko_matrix {
    const void *data; /* NULL: no matrix */
    int32_t n_out, n_in;
    bool in_first;
    enum ko_element type; /* the backend's matrix_type */
};

/* ------------------------------------------------------------------------------------------------
   rows */

/* x[r] = tokens[token[r]] + positions[position[r]] for the trunk rows. */
struct ko_embed {
    struct ko_matrix tokens;    /* [vocabulary, d]; n_in is d */
    struct ko_matrix positions; /* [positions, d]; data NULL: no positions */
    float *x;                   /* [n_trunk_rows, d] */
};

/* x[r] = x[parent_row[r]] for rows [first, first + n). */
struct ko_branch_rows {
    float *x; /* [rows, d] */
    int32_t d, first, n;
};

/* to[k, 0..d) = from[index[k], 0..d) for k < n. */
struct ko_gather {
    const float *from;
    int32_t ld_from;
    const int32_t *index; /* [n] host memory */
    int32_t n, d;
    float *to;
    int32_t ld_to;
};

/* ------------------------------------------------------------------------------------------------
   products, norms, activations */

/* y[n, n_out] = x[n, n_in] W + bias; with accumulate, y += x W + bias. */
struct ko_linear {
    int32_t n;
    const float *x;
    int32_t ldx;
    struct ko_matrix w;
    const float *bias; /* [n_out] or NULL */
    bool accumulate;
    float *y;
    int32_t ldy;
};

/* y = x / sqrt(mean(x^2) + eps) * weight over each row's d numbers (Zhang & Sennrich 2019). */
struct ko_rms_norm {
    int32_t n, d;
    const float *x;
    int32_t ldx;
    const float *weight; /* [d]; NULL: ones */
    float eps;
    float *y; /* may be x */
    int32_t ldy;
};

/* y = (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias (Ba et al. 2016). */
struct ko_layer_norm {
    int32_t n, d;
    const float *x;
    int32_t ldx;
    const float *weight; /* [d] */
    const float *bias;   /* [d]; NULL: zeros */
    float eps;
    float *y; /* may be x */
    int32_t ldy;
};

/* x = f(x), in place. softplus is PyTorch's: x itself beyond 20. gelu_tanh is GPT-2's gelu_new. */
struct ko_activation {
    int32_t n, d;
    float *x; /* [n, d] */
    int32_t ld;
};

/* y = silu(gate) * up. */
struct ko_silu_mul {
    int32_t n, d;
    const float *gate, *up; /* [n, d], both with ld */
    int32_t ld;
    float *y; /* [n, d]; may be gate */
    int32_t ldy;
};

/* ------------------------------------------------------------------------------------------------
   mixers */

/* The causal depthwise convolution with SiLU, for rows [0, n_convolved):

     out[r, c] = silu(bias[c] + sum_k weight[k, c] in[row of position - (K-1-k), c])

   where missing positions are zero. A row that leaves its parent in this layer has the parent's
   inputs (ko_rows_source). A +conv branch in its window omits, in its masked channels, the taps of
   removed edges. The edge from position j to i is the tap i - j positions back. */
struct ko_conv {
    int32_t layer, n_channels, n_taps;
    const float *in; /* [rows, ld_in] */
    int32_t ld_in;
    const float *weight;  /* [n_taps, n_channels]; the last tap multiplies the row itself */
    const float *bias;    /* [n_channels] or NULL */
    const uint8_t *masks; /* [n_masks, n_layers, n_channels] 1: removed */
    float *out;           /* [rows, n_channels] */
};

/* Mamba-1's selective scan (Gu & Dao 2023, eq. 2; transformers' MambaMixer.slow_forward), gated,
   for rows [0, n_active):

     h(i)[c, n] = exp(delta[i, c] A[n, c]) h(i-1)[c, n] + delta[i, c] B[i, n] u[i, c]
     y[i, c]    = sum_n C[i, n] h(i)[c, n] + D[c] u[i, c]
     out[i, c]  = y[i, c] silu(z[i, c])

   In its window, a branch's target rows read h' instead of h in the masked channels. h' is the
   state without the inputs of the source rows, both the trunk's and the branch's own. With `later`,
   a row reads decay h'(i-1) plus its own input. */
struct ko_mamba1 {
    int32_t layer, d_inner, d_state;
    const float *u;     /* [rows, d_inner] convolved, activated; ko_rows_source_after_conv */
    const float *delta; /* [rows, d_inner] after softplus; ko_rows_source_after_conv */
    const float *b, *c; /* [rows, ld_bc] d_state values each; ko_rows_source_after_conv */
    int32_t ld_bc;
    const float *z; /* [rows, ld_z]; ko_rows_source */
    int32_t ld_z;
    const float *a;       /* [d_state, d_inner] -exp(A_log), transposed */
    const float *d;       /* [d_inner] */
    const uint8_t *masks; /* [n_masks, n_layers, d_inner] 1: the channel's edges are removed */
    float *out;           /* [rows, d_inner] */
};

/* Mamba-2's state-space duality (Dao & Gu 2024; transformers' Mamba2Mixer.torch_forward), not
   gated, for rows [0, n_active):

     delta[i, h]    = clamp(softplus(dt[i, h] + dt_bias[h]), dt_min, dt_max)
     alpha[i, j, h] = (C[i] . B[j]) exp(a[h] sum_{k = j+1..i} delta[k, h]) delta[j, h]
     out[i, h, p]   = sum_{j <= i} alpha[i, j, h] u[j, h, p] + d[h] u[i, h, p]

   where head h has B and C of the group h * n_groups / n_heads. In its window, a branch's removed
   edges are omitted from the sum in the masked heads. A row costs O(T). */
struct ko_mamba2 {
    int32_t layer, n_heads, d_head, d_state, n_groups;
    const float *u;     /* [rows, ld] n_heads * d_head, convolved; ko_rows_source_after_conv */
    const float *b, *c; /* [rows, ld] n_groups * d_state each; ko_rows_source_after_conv */
    int32_t ld;
    const float *dt; /* [rows, ld_dt] n_heads, before bias and softplus; ko_rows_source */
    int32_t ld_dt;
    const float *dt_bias; /* [n_heads] */
    float dt_min, dt_max; /* time_step_limit; dt_max may be infinite */
    const float *a;       /* [n_heads] -exp(A_log) */
    const float *d;       /* [n_heads] */
    const uint8_t *masks; /* [n_masks, n_layers, n_heads] 1: the head's edges are removed */
    float *out;           /* [rows, n_heads * d_head] */
};

/* Mamba-2's gated norm, in place on x, for rows [0, n_active): x silu(z), then RMSNorm over each of
   n_groups groups of d / n_groups channels, times weight. */
struct ko_gated_norm {
    int32_t layer, d, n_groups;
    const float *z; /* [rows, ld_z]; ko_rows_source */
    int32_t ld_z;
    const float *weight; /* [d] */
    float eps;
    float *x; /* [rows, d] */
};

/* Rotary position embedding in place (Su et al. 2021; transformers' rotate_half form), for rows
   [0, n_projected). For each head, with half = d_head / 2, k < half, and p the row's position:

     x[k]        <- x[k] cos[p, k] - x[k + half] sin[p, k]
     x[k + half] <- x[k + half] cos[p, k] + x[k] sin[p, k] */
struct ko_rope {
    int32_t layer, n_heads, d_head;
    const float *cos, *sin; /* [positions, d_head / 2] */
    float *x;               /* [rows, ld] n_heads * d_head */
    int32_t ld;
};

/* Causal attention for rows [0, n_active). The q, k and v of a row lie in the row ko_rows_source;
   keys before a branch's t0 are the trunk's. Scores of removed edges are -inf before the softmax (a
   row without edges gives zeros), or with after_softmax their weights are 0 after it. Position i
   sees the positions (i - reach, i]. Head h uses key head h * n_kv_heads / n_heads. */
struct ko_attention {
    int32_t layer, n_heads, n_kv_heads, d_head, reach;
    float scale;
    const float *q, *k, *v; /* [rows, ld] */
    int32_t ld;
    float *out; /* [rows, n_heads * d_head] */
};

/* ------------------------------------------------------------------------------------------------
   results */

/* The metrics of one last row, with the names of the cube's datasets. If the row's logits are not
   all finite, the values are NaN and -1. */
struct ko_metrics {
    float logprob;       /* natural logarithm */
    float foil_logprob;  /* NaN without a foil */
    float kl;            /* KL(clean || this), nats; from double precision */
    int32_t target_rank; /* 1 + number of other tokens with a greater logit */
    int32_t top1_id;     /* of equal logits the lowest id */
};

/* The unembedding in vocabulary tiles with the metrics fused: logits = x table^T + bias. */
struct ko_unembed {
    int32_t n;
    const float *x;         /* [n, n_in] after the final norm */
    struct ko_matrix table; /* [vocabulary, n_in] */
    const float *bias;      /* [vocabulary] or NULL */
    /* [n] host memory. clean[r]: the row among the n that is KL's first argument; a clean row has
       itself, and a KL of 0. foil: -1 without a foil. */
    const int32_t *clean, *target, *foil;
    struct ko_metrics *out; /* [n] host memory */
};

#ifdef __cplusplus
}
#endif

#endif
