/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of a backend: the list of all, and what each of them computes.

   Every operation is `enum ko_code NAME(struct ko_backend *be, const struct ARGS *args, struct
   ko_error *err)`. To add one, write a struct and a line in KO_OPERATIONS here, and a function in
   each backend. Declarations, tables, the profiler and the tests' backend follow from the list. The
   struct of `unembed` is in unembed.h.

   Matrices are row-major float32. A pointer is backend memory unless its comment says host memory.
   Sizes are in elements; `ld` is the distance between rows. Operations may be asynchronous. All
   return KO_OK, or KO_E_FAILED or KO_E_MEMORY with err filled. */
#ifndef KO_KERNELS_OPERATIONS_H
#define KO_KERNELS_OPERATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/matrix.h"
#include "kernels/unembed.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, arguments), in the order of a forward pass. */
#define KO_OPERATIONS(X)                                                                           \
    X(embed, ko_embed)                                                                             \
    X(branch_rows, ko_branch_rows)                                                                 \
    X(gather, ko_gather)                                                                           \
    X(scatter, ko_scatter)                                                                         \
    X(copy_heads, ko_copy_heads)                                                                   \
    X(linear, ko_linear)                                                                           \
    X(add_scaled, ko_add_scaled)                                                                   \
    X(scale_columns, ko_scale_columns)                                                             \
    X(gate_rows, ko_gate_rows)                                                                     \
    X(rms_norm, ko_rms_norm)                                                                       \
    X(layer_norm, ko_layer_norm)                                                                   \
    X(head_norm, ko_head_norm)                                                                     \
    X(softplus, ko_activation)                                                                     \
    X(gelu, ko_activation)                                                                         \
    X(gelu_tanh, ko_activation)                                                                    \
    X(relu, ko_activation)                                                                         \
    X(relu2, ko_activation)                                                                        \
    X(silu_mul, ko_gate)                                                                           \
    X(gelu_mul, ko_gate)                                                                           \
    X(gelu_tanh_mul, ko_gate)                                                                      \
    X(mul, ko_gate)                                                                                \
    X(choose_experts, ko_choose_experts)                                                           \
    X(experts, ko_experts)                                                                         \
    X(conv, ko_conv)                                                                               \
    X(mamba1, ko_mamba1)                                                                           \
    X(mamba2, ko_mamba2)                                                                           \
    X(deltanet, ko_deltanet)                                                                       \
    X(rglru, ko_rglru)                                                                             \
    X(output_gate, ko_output_gate)                                                                 \
    X(rope, ko_rope)                                                                               \
    X(attention, ko_attention)                                                                     \
    X(unembed, ko_unembed)

/* ------------------------------------------------------------------------------------------------
   rows */

/* x[r] = scale tokens[token[r]] + positions[first_position + position[r]] for the rows that have
   tokens. One of the two may be missing, but not both. */
struct ko_embed {
    struct ko_matrix tokens;    /* [vocabulary, d]; n_in is d; data NULL: no tokens */
    float scale;                /* 1, or Gemma's sqrt(d) */
    struct ko_matrix positions; /* [positions, d]; data NULL: no positions */
    int32_t first_position;     /* the row of position 0: 0, in OPT 2 */
    float *x;                   /* [n_embedded, d] */
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

/* to[row[k], column[k] + c] = from[k, c] for k < n and c < d; 0 where `from` is NULL. No place is
   written twice. */
struct ko_scatter {
    const float *from; /* [n, ld_from] or NULL */
    int32_t ld_from;
    const int32_t *row, *column; /* [n] host memory */
    int32_t n, d;
    float *to;
    int32_t ld_to;
};

/* to[r, h, k] = from[r, h, k] for k < d: parts of rows to another layout. Head h begins at h times
   the stride; with a stride_from of 0 every head of `to` gets the same part. */
struct ko_copy_heads {
    int32_t n, n_heads, d;
    const float *from; /* [n, ld_from] */
    int32_t ld_from, stride_from;
    float *to; /* [n, ld_to]; does not overlap `from` */
    int32_t ld_to, stride_to;
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

/* y += scale x. */
struct ko_add_scaled {
    int32_t n, d;
    const float *x; /* [n, d] */
    int32_t ldx;
    float scale;
    float *y; /* [n, d] */
    int32_t ldy;
};

/* x[r, c] *= scale[c], in place. */
struct ko_scale_columns {
    int32_t n, d;
    const float *scale; /* [d] */
    float *x;           /* [n, d] */
    int32_t ld;
};

/* x[r, c] *= sigmoid(gate[r]), in place. */
struct ko_gate_rows {
    int32_t n, d;
    const float *gate; /* [n] */
    float *x;          /* [n, d] */
    int32_t ld;
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

/* RMSNorm of every head of a row on its own, in place; all heads have the same weight. */
struct ko_head_norm {
    int32_t n, n_heads, d_head;
    float *x; /* [n, ld]; head h begins at h * stride */
    int32_t ld, stride;
    const float *weight; /* [d_head] */
    float eps;
};

/* x = f(x), in place. softplus is PyTorch's: x itself beyond 20. gelu is the exact one, x Phi(x)
   with erf; gelu_tanh is its approximation (GPT-2's gelu_new). relu2 is max(x, 0)^2 (So et al.
   2021). */
struct ko_activation {
    int32_t n, d;
    float *x; /* [n, d] */
    int32_t ld;
};

/* y = f(gate) * up; in mul f(gate) is the gate itself. */
struct ko_gate {
    int32_t n, d;
    const float *gate, *up; /* [n, d], both with ld */
    int32_t ld;
    float *y; /* [n, d]; may be gate */
    int32_t ldy;
};

/* ------------------------------------------------------------------------------------------------
   mixtures of experts (Shazeer et al. 2017) */

/* The experts of each row: the n_chosen with the greatest logits, greatest first, and of equal ones
   the lowest first. Their shares are the softmax over all logits of the row, or with among_chosen
   over the logits of the chosen. The latter equals the former divided by the sum of the shares.

   With `sigmoid` (Nemotron-H; transformers' NemotronHTopkRouter) an expert's share is s =
   sigmoid(logit) times share_scale, with among_chosen divided by the sum of the chosen's s plus
   1e-20, and the choice goes by s + correction instead of the logit. With n_groups the experts are
   groups of n_experts / n_groups neighbours. Only the experts of n_chosen_groups groups can be
   chosen: those with the greatest sums of their two best, of equal ones the lowest. */
struct ko_choose_experts {
    int32_t n, n_experts, n_chosen; /* n_chosen: 1 to n_experts, or to those of the chosen groups */
    const float *logits;            /* [n, n_experts] */
    bool among_chosen, sigmoid;
    const float *correction; /* [n_experts] or NULL */
    /* 0: no groups. Else n_groups divides n_experts into two or more each, and is at most
       KO_MAX_EXPERT_GROUPS. */
    int32_t n_groups, n_chosen_groups;
    float share_scale;
    int32_t *choice; /* [n, n_chosen] */
    float *share;    /* [n, n_chosen] */
};

enum { KO_MAX_EXPERT_GROUPS = 64 };

/* Matrices of one shape, one per expert, and their biases. */
struct ko_expert_matrices {
    struct ko_matrix first; /* expert 0's; expert e's begins e * stride elements after it */
    size_t stride;
    const float *bias; /* [n_experts, n_out] or NULL */
};

/* What the experts of a row give, summed in the order of its choices:

     y[r] = sum_c share[r, c] down_e(f(gate_e(x[r]), up_e(x[r]))), e = choice[r, c]

   Without a limit f(gate, up) = silu(gate) up. With one (gpt-oss; transformers' GptOssExperts), with
   g = min(gate, limit) and u = up clamped to [-limit, limit], f = (u + 1) g sigmoid(1.702 g). With
   relu2 f = max(gate, 0)^2, and `up` is not read (Nemotron-H). Matrices of experts that no row has
   chosen are not read. */
struct ko_experts {
    int32_t n, n_experts, n_chosen, d, ff;
    const float *x;        /* [n, d] */
    const int32_t *choice; /* [n, n_chosen] the experts of a row differ from each other */
    const float *share;    /* [n, n_chosen] */
    /* gate, up: n_in d, n_out ff. Interleaved: `gate` has n_out 2 ff, whose outputs 2 k are the gate
       and 2 k + 1 are up, and `up` is not read. down: n_in ff, n_out d. */
    struct ko_expert_matrices gate, up, down;
    bool interleaved;
    bool relu2;  /* not interleaved, no limit */
    float limit; /* 0: none */
    float *work; /* [n, ko_experts_work] for the operation's own use */
    float *y;    /* [n, d] */
};

/* Floats a row of ko_experts.work: the hidden values of all choices (of one choice the gate and up
   apart), their outputs, and the rows sorted by expert. */
static inline size_t ko_experts_work(int32_t n_experts, int32_t n_chosen, int32_t d, int32_t ff)
{
    const size_t hidden = (size_t)(n_chosen < 2 ? 2 : n_chosen) * (size_t)ff;
    return hidden + (size_t)n_chosen * (size_t)d + (size_t)n_chosen + 2 * (size_t)n_experts + 2;
}

/* ------------------------------------------------------------------------------------------------
   mixers */

/* The causal depthwise convolution with SiLU, for rows [0, n_convolved):

     out[r, c] = silu(bias[c] + sum_k weight[k, c] in[row of position - (K-1-k), c])

   where missing positions are zero. With `linear`, out is the sum itself. A row that leaves its
   parent in this stage has the parent's inputs (ko_rows_source). A +conv branch in its window
   omits, in its masked channels, the taps of removed edges. The edge from position j to i is the
   tap i - j positions back.

   As the mixer of a layer (LFM2; `mixer` is set) it computes the rows [0, n_active), and every branch in its
   window omits the taps of removed edges, a +conv branch or not. */
struct ko_conv {
    int32_t stage, n_channels, n_taps;
    bool linear, mixer;
    const float *in; /* [rows, ld_in] */
    int32_t ld_in;
    const float *weight;  /* [n_taps, n_channels]; the last tap multiplies the row itself */
    const float *bias;    /* [n_channels] or NULL */
    const uint8_t *masks; /* [n_masks, n_stages, n_channels] 1: removed; NULL: in every channel */
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
    int32_t stage, d_inner, d_state;
    const float *u;     /* [rows, d_inner] convolved, activated; ko_rows_source_after_conv */
    const float *delta; /* [rows, d_inner] after softplus; ko_rows_source_after_conv */
    const float *b, *c; /* [rows, ld_bc] d_state values each; ko_rows_source_after_conv */
    int32_t ld_bc;
    const float *z; /* [rows, ld_z]; ko_rows_source */
    int32_t ld_z;
    const float *a;       /* [d_state, d_inner] -exp(A_log), transposed */
    const float *d;       /* [d_inner] */
    const uint8_t *masks; /* [n_masks, n_stages, d_inner] 1: the channel's edges are removed */
    float *out;           /* [rows, d_inner] */
};

/* Mamba-2's state-space duality (Dao & Gu 2024; transformers' Mamba2Mixer.torch_forward), not
   gated, for rows [0, n_active):

     delta[i, h]    = clamp(softplus(dt[i, h] + dt_bias[h]), dt_min, dt_max)
     alpha[i, j, h] = (C[i] . B[j]) exp(a[h] sum_{k = j+1..i} delta[k, h]) delta[j, h]
     out[i, h, p]   = sum_{j <= i} alpha[i, j, h] u[j, h, p] + d[h] u[i, h, p]

   where head h has B and C of the group h * n_groups / n_heads. In its window, a branch's removed
   edges are omitted from the sum in the masked heads. */
struct ko_mamba2 {
    int32_t stage, n_heads, d_head, d_state, n_groups;
    const float *u;     /* [rows, ld] n_heads * d_head, convolved; ko_rows_source_after_conv */
    const float *b, *c; /* [rows, ld] n_groups * d_state each; ko_rows_source_after_conv */
    int32_t ld;
    const float *dt; /* [rows, ld_dt] n_heads, before bias and softplus; ko_rows_source */
    int32_t ld_dt;
    const float *dt_bias; /* [n_heads] */
    float dt_min, dt_max; /* time_step_limit; dt_max may be infinite */
    const float *a;       /* [n_heads] -exp(A_log) */
    const float *d;       /* [n_heads] */
    const uint8_t *masks; /* [n_masks, n_stages, n_heads] 1: the head's edges are removed */
    float *out;           /* [rows, n_heads * d_head] */
};

/* The gated delta rule (Yang et al. 2025, Gated DeltaNet; transformers'
   torch_recurrent_gated_delta_rule), without norm and gate, for rows [0, n_active). Value head h has
   q and k of the key head h * n_key_heads / n_heads, each divided by sqrt(sum x^2 + 1e-6); q is also
   scaled by d_key^-1/2. With beta = sigmoid(beta[i, h]):

     g            = exp(a[h] softplus(dt[i, h] + dt_bias[h]))
     S(i)         = g S(i-1) + beta k(i) (v(i) - g S(i-1)^T k(i))^T
     out[i, h, p] = sum_n q(i)[n] S(i)[n, p]

   With per_channel (Kimi Team 2025, Kimi Delta Attention) every key channel n has a g of its own,
   from dt[i, h * d_key + n] and dt_bias[h * d_key + n]; g S is then diag(g) S.

   In its window, a branch's target rows read S' instead of S in the masked heads. S' decays and is
   erased as S is, but source rows, both the trunk's and the branch's own, write nothing into it:
   their v(i) is 0. With `later`, a row also reads its own write beta k(i) v(i)^T. S' is carried on
   its own, since out is normalised next: a difference of two states would magnify its error. */
struct ko_deltanet {
    int32_t stage, n_key_heads, n_heads, d_key, d_value;
    bool per_channel;
    const float *q, *k; /* [rows, ld] n_key_heads * d_key, convolved; ko_rows_source_after_conv */
    const float *v;     /* [rows, ld] n_heads * d_value, convolved; ko_rows_source_after_conv */
    int32_t ld;
    const float *dt; /* [rows, ld_dt] n_heads, or n_heads * d_key; ko_rows_source */
    int32_t ld_dt;
    const float *beta; /* [rows, ld_beta] n_heads, before the sigmoid; ko_rows_source */
    int32_t ld_beta;
    const float *dt_bias; /* [n_heads], or [n_heads * d_key] */
    const float *a;       /* [n_heads] -exp(A_log) */
    const uint8_t *masks; /* [n_masks, n_stages, n_heads] 1: the head's edges are removed */
    float *out;           /* [rows, n_heads * d_value] */
};

/* The real-gated linear recurrent unit (De et al. 2024, Griffin, eqs. 3 and 4; transformers'
   RecurrentGemmaRglru), for rows [0, n_active):

     log a(i, c) = -8 sigmoid(decay[i, c]) softplus(param[c])
     m(i, c)     = sqrt(1 - a(i, c)^2), at position 0: 1
     h(i)[c]     = a(i, c) h(i-1)[c] + m(i, c) sigmoid(input[i, c]) u[i, c]
     out[i, c]   = h(i)[c]

   In its window, a branch's target rows read h' instead of h. h' decays as h does, but takes nothing
   from the source rows, both the trunk's and the branch's own. With `later`, a row also reads its
   own input. There are no masks: an edge has all channels. */
struct ko_rglru {
    int32_t stage, d;
    const float *u; /* [rows, d] convolved; ko_rows_source_after_conv */
    /* [rows, ld] before the sigmoid; ko_rows_source_after_conv. The operation may overwrite the d
       numbers of the rows [0, n_convolved). */
    float *input, *decay;
    int32_t ld;
    const float *param; /* [d] */
    float *out;         /* [rows, d] */
};

/* Where the norm of a gated output is: after the gate (Mamba-2), before it (Gated DeltaNet, and
   Falcon-H1 with mamba_norm_before_gate), or nowhere (LFM2, the attention of Qwen3-Next). */
enum ko_gate_order { KO_GATE_THEN_NORM, KO_NORM_THEN_GATE, KO_GATE_ALONE };

/* What a gate z multiplies with: silu(z) (Mamba-2), sigmoid(z) (Kimi Linear, the attention of
   Qwen3-Next), gelu_tanh(z) (RecurrentGemma), or z itself (LFM2). */
enum ko_gate_function { KO_GATE_SILU, KO_GATE_SIGMOID, KO_GATE_GELU_TANH, KO_GATE_IDENTITY };

/* The gate of a mixer's output, x = x f(z) in place, for rows [0, n_active). The norm is RMSNorm
   over each of n_groups groups of d / n_groups channels, times weight. */
struct ko_output_gate {
    int32_t stage, d, n_groups;
    enum ko_gate_order order;
    enum ko_gate_function function;
    const float *z; /* [rows, ld_z]; ko_rows_source */
    int32_t ld_z;
    int32_t z_stride;    /* a group's z begins at group * z_stride: d / n_groups, or 2 d_head where
                            query and gate of a head lie side by side (Qwen3-Next) */
    const float *weight; /* [d]; KO_GATE_ALONE does not read it */
    bool shared_weight;  /* weight is [d / n_groups], the same for every group */
    float eps;
    float *x; /* [rows, d] */
};

/* Rotary position embedding in place (Su et al. 2021), for rows [0, n_projected). The first
   n_rotated numbers of each head turn in pairs (a, b): with half = n_rotated / 2 and k < half, a and
   b are k and k + half (transformers' rotate_half), or interleaved 2 k and 2 k + 1 (GPT-J). With p
   the row's rotary position (ko_rows_turn):

     x[a] <- x[a] cos[p, k] - x[b] sin[p, k]
     x[b] <- x[b] cos[p, k] + x[a] sin[p, k]

   With sections (M-RoPE: Wang et al. 2024, Qwen2-VL) each pair has an axis of its own, ko_rope_axis
   (rope_axis.h), and p is the row's position on it.

   Rows of prompts whose ko_rows_longest is more than long_from take the tables long_cos and long_sin
   (LongRoPE, Ding et al. 2024). */
struct ko_rope {
    int32_t stage, n_heads, n_rotated;
    bool interleaved;
    const float *cos, *sin; /* [positions, n_rotated / 2] */
    const float *long_cos, *long_sin;
    int32_t long_from; /* INT32_MAX: no long tables */
    /* Pairs of each axis, n_rotated / 2 together; all 0: one position turns all pairs. woven: axes 1
       and 2 have the pairs 3 i + 1 and 3 i + 2 (Qwen3-VL), else the pairs lie axis by axis. */
    int32_t section[3];
    bool woven;
    float *x; /* [rows, ld]; head h begins at h * stride */
    int32_t ld, stride;
};

/* Causal attention for rows [0, n_active). The q, k and v of a row lie in the row ko_rows_source;
   keys before a branch's t0 are the trunk's. Scores of removed edges are -inf before the softmax (a
   row without edges gives zeros), or with after_softmax their weights are 0 after it. Position i
   sees the positions (i - reach, i]. Head h uses key head h * n_kv_heads / n_heads. Values may have
   another width than keys, and lie elsewhere (Kimi Linear).

   With a cap, a score s becomes cap tanh(s / cap) before edges are removed (Gemma 2). With sinks,
   exp(sinks[h]) is added to the denominator of head h's softmax, whatever edges are removed
   (gpt-oss). */
struct ko_attention {
    int32_t stage, n_heads, n_kv_heads, d_head, d_value, reach;
    float scale;
    float cap;          /* 0: none */
    const float *sinks; /* [n_heads] or NULL */
    const float *q, *k; /* [rows, ld]; head h begins at h * stride */
    int32_t ld;
    int32_t stride; /* d_head, or 3 d_head where q, k and v of a head lie side by side (GPT-NeoX) */
    const float *v; /* [rows, ld_v]; head h begins at h * stride_v */
    int32_t ld_v, stride_v;
    float *out; /* [rows, n_heads * d_value] */
};

#ifdef __cplusplus
}
#endif

#endif
