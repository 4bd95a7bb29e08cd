/* The operations that a backend provides, over the rows of one wave of the token tree.

   Rows: all trunk rows (prompt after prompt, position after position), then the rows of branches,
   branches ordered by the layer at which they leave their parent (within a layer: those that
   compute their own convolution first). So the active rows of a layer are a prefix. In the layer
   where a branch leaves, its rows still equal its parent's: projections are taken from the parent's
   rows (ko_rows_source), only the mixing differs.

   Matrices are row-major float32. Every pointer that an operation takes is backend memory unless
   said. Operations are asynchronous where the backend is; `download` waits. All return KO_OK or
   KO_E_FAILED / KO_E_MEMORY with err filled. */
#ifndef KO_KERNELS_KERNELS_H
#define KO_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------------------------
 * the rows of a wave */

struct ko_branch {
    int32_t prompt;         /* index in the wave */
    int32_t parent;         /* branch that it leaves, -1: the trunk */
    int32_t first_row;      /* its rows are [first_row, first_row + n_rows), in order of position */
    int32_t n_rows;         /* T - first_position */
    int32_t first_position; /* t0; the predecessor of its first row is the trunk's t0 - 1, none
                               where t0 = 0 */
    int32_t leaves_at; /* layer before which its rows are copied from its parent; -1: right after
                          the embedding, and nothing of the parent's is reused (a full forward pass
                          of its own) */
    int32_t window_begin, window_end; /* layers whose edges are removed; equal: none (it left its
                                         parent at the window's end) */
    int32_t edge_set;                 /* index into ko_rows.edges */
    int32_t mask;                     /* index into the feature masks; -1: every feature */
    int32_t state_group; /* branches of one prompt, t0 and edge set have the same number; ascending
                            runs are not promised */
    bool conv;           /* the taps of removed edges are removed too (+conv) */
    bool after_softmax;  /* attention: weights zeroed after the softmax, not renormalised */
};

/* The edges of one branch in its prompt, see struct ko_edges of src/prompts: (i, j) is removed
   where target[i] and source[j] and j <= i; of `later`: where source[j] and j < i. */
struct ko_edge_set {
    bool later;
    const uint8_t *target; /* [T] host memory */
    const uint8_t *source; /* [T] */
};

struct ko_rows {
    int32_t n_rows, n_trunk_rows, n_prompts, n_branches, n_edge_sets, n_layers;
    int32_t max_tokens;      /* the largest T of the wave */
    const int32_t *position; /* [n_rows] */
    const int32_t *previous; /* [n_rows] row of position - 1 on the same path; -1 at position 0 */
    const int32_t *branch;   /* [n_rows] -1: trunk */
    const int32_t *prompt;   /* [n_rows] */
    const int32_t
        *parent_row;      /* [n_rows] the parent's row of the same position; -1 for trunk rows */
    const int32_t *token; /* [n_trunk_rows] ids */
    const int32_t *trunk_first;       /* [n_prompts] row of position 0 */
    const int32_t *n_tokens;          /* [n_prompts] T */
    const struct ko_branch *branches; /* [n_branches] ordered as their rows */
    const struct ko_edge_set *edges;  /* [n_edge_sets] */
    const int32_t *n_projected; /* [n_layers] rows that compute their own projections in layer l:
                                   those that left before it */
    const int32_t *n_convolved; /* [n_layers] n_projected, plus those leaving at l that compute
                                   their own convolution (+conv) */
    const int32_t *n_active;    /* [n_layers] n_projected, plus all that leave at l */
    const int32_t *n_branches_active; /* [n_layers] branches among n_active */
};

/* Where row r finds, in layer l, what a projection or convolution of its own would have given:
   itself or its parent's row. Once: input projection. After: what follows the convolution, which a
   +conv branch computes itself. */
static inline int32_t ko_rows_source(const struct ko_rows *rows, int32_t row, int32_t layer)
{
    return row < rows->n_projected[layer] ? row : rows->parent_row[row];
}
static inline int32_t ko_rows_source_after_conv(const struct ko_rows *rows, int32_t row,
                                                int32_t layer)
{
    return row < rows->n_convolved[layer] ? row : rows->parent_row[row];
}
/* Whether (i, j), j <= i, is an edge of the set. */
static inline bool ko_edge_set_has(const struct ko_edge_set *set, int32_t i, int32_t j)
{
    return set->later ? (j < i && set->source[j]) : (set->target[i] && set->source[j]);
}
/* Whether branch b's edges are removed in layer l. */
static inline bool ko_branch_in_window(const struct ko_branch *branch, int32_t layer)
{
    return layer >= branch->window_begin && layer < branch->window_end;
}

/* ------------------------------------------------------------------------------------------------
 * arguments */

/* How a number lies in memory: IEEE 754 single, half; bfloat16. */
enum ko_element { KO_ELEMENT_F32, KO_ELEMENT_F16, KO_ELEMENT_BF16 };

static inline size_t ko_element_bytes(enum ko_element type)
{
    return type == KO_ELEMENT_F32 ? 4 : 2;
}

/* A weight matrix. [out, in] as PyTorch's Linear; in_first: [in, out] as GPT-2's Conv1D. type is
   what the backend's matrix_type said. */
struct ko_matrix {
    const void *data;
    int32_t n_out, n_in;
    bool in_first;
    enum ko_element type;
};

/* The causal depthwise convolution with SiLU: out[r, c] = silu(bias[c] + sum_k weight[k, c] *
   in[row of position - (K-1-k), c]); missing positions are zero. Rows [0, n_convolved). Inputs of
   rows that leave at this layer are their parent's (ko_rows_source). A +conv branch in its window
   leaves out, in its masked channels, the taps of removed edges (tap 0 back for the diagonal). */
struct ko_conv {
    int32_t layer, n_channels, n_taps;
    const float *in; /* [rows, ld_in] */
    int32_t ld_in;
    const float *weight;  /* [n_taps, n_channels]; the last tap multiplies the row itself */
    const float *bias;    /* [n_channels] or NULL */
    const uint8_t *masks; /* [n_masks, n_layers, n_channels] 1: removed */
    float *out;           /* [rows, n_channels] */
};

/* Mamba-1's selective scan (Gu & Dao 2023, eq. 2; transformers' MambaMixer.slow_forward), gated:
     h(i) = exp(delta[i, c] A[c, n]) h(i-1) + delta[i, c] B[i, n] u[i, c];   y[i, c] = sum_n C[i, n]
   h[c, n] + D[c] u[i, c] out[i, c] = y[i, c] * silu(z[i, c]) for rows [0, n_active). In its window
   a branch's target rows read, in the masked channels, h' in place of h: the state without the
   input of its source rows (trunk's and its own). Rows of `later` read decay * h' of the row before
   plus their own input. */
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

     delta[i, h] = clamp(softplus(dt[i, h] + dt_bias[h]), dt_min, dt_max);

     alpha[i, j, h] = (C[i] . B[j]) exp(a[h] sum_{k = j+1..i} delta[k, h]) delta[j, h];

     out[i, h, p] = sum_{j <= i} alpha[i, j, h] u[j, h, p] + d[h] u[i, h, p]

   with B and C of head h's group h * n_groups / n_heads. In its window a branch's edges are left
   out of the sum in the masked heads. A row of a branch takes this attention form over its path,
   O(T). */
struct ko_mamba2 {
    int32_t layer, n_heads, d_head, d_state, n_groups;
    const float
        *u; /* [rows, ld] n_heads * d_head convolved, activated; ko_rows_source_after_conv */
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

/* Mamba-2's gated norm, for rows [0, n_active), in place on x: x * silu(z), then RMSNorm over each
   of n_groups groups of d / n_groups features, times weight [d]. */
struct ko_gated_norm {
    int32_t layer, d, n_groups;
    const float *z; /* [rows, ld_z]; ko_rows_source */
    int32_t ld_z;
    const float *weight;
    float eps;
    float *x; /* [rows, d] */
};

/* Rotary position embedding in place (Su et al. 2021; transformers' rotate_half form), for rows [0,
   n_projected[layer]): for each head, with half = d_head / 2 and p the row's position, (x[k], x[k +
   half]) <- (x[k] cos[p, k] - x[k + half] sin[p, k], x[k + half] cos[p, k] + x[k] sin[p, k]), k <
   half. */
struct ko_rope {
    int32_t layer, n_heads, d_head;
    const float *cos, *sin; /* [positions, d_head / 2] */
    float *x;               /* [rows, ld] n_heads * d_head */
    int32_t ld;
};

/* Causal attention for rows [0, n_active): q, k and v of a row through ko_rows_source; keys of
   positions before a branch's t0 are the trunk's. Removed edges are -inf before the softmax (a row
   with every edge removed gives zeros), or, after_softmax, zero after it. Position i sees (i -
   reach, i]. Head h uses key head h * n_kv_heads / n_heads. */
struct ko_attention {
    int32_t layer, n_heads, n_kv_heads, d_head, reach;
    float scale;
    const float *q, *k, *v; /* [rows, ld] */
    int32_t ld;
    float *out; /* [rows, n_heads * d_head] */
};

/* What is measured of one last row. Field by field as the cube's datasets. A row whose logits are
 * not all finite gets NaN and -1. */
struct ko_metrics {
    float logprob;      /* natural logarithm */
    float foil_logprob; /* NaN where there is no foil */
    float kl;           /* KL(clean || this), nats; from double precision */
    int32_t
        target_rank; /* 1 + tokens with a strictly greater logit; the target never counts itself */
    int32_t top1_id; /* the lowest of equals */
};

/* Unembedding in vocabulary tiles with the metrics fused: logits = x table^T. clean[r] is the row
   among the n whose distribution is KL's first argument (a clean row names itself and gets 0). */
struct ko_unembed {
    int32_t n;
    const float *x;         /* [n, n_in] after the final norm */
    struct ko_matrix table; /* [vocabulary, n_in] */
    const float *bias;      /* [vocabulary] or NULL */
    const int32_t *clean;   /* [n] host memory */
    const int32_t *target;  /* [n] host memory */
    const int32_t *foil;    /* [n] host memory, -1: none */
    struct ko_metrics *out; /* [n] host memory */
};

/* ------------------------------------------------------------------------------------------------
 * the backend */

enum ko_precision { KO_FLOAT32, KO_TF32, KO_BFLOAT16 };

struct ko_backend_config {
    int threads; /* cpu: OpenMP and BLAS threads */
    int device;  /* cuda: index among the GPUs that this process sees */
    enum ko_precision precision;
};

struct ko_backend; /* one per process and backend; not thread-safe */

/* The largest sizes that a model's waves will have. Fields that a family does not use are 0. */
struct ko_limits {
    int32_t max_rows;          /* of a wave */
    int32_t max_tokens;        /* T of a prompt */
    int32_t max_in;            /* n_in of a matrix */
    int32_t n_heads, n_groups; /* Mamba-2's */
    int32_t vocabulary;
};

struct ko_kernels {
    const char *name; /* "plain", "cpu", "cuda" */
    bool
        own_memory; /* backend memory is not host memory: what is in host memory must be uploaded */

    /* KO_E_INPUT where the precision is not offered. */
    enum ko_code (*open)(const struct ko_backend_config *config, struct ko_backend **out,
                         struct ko_error *err);
    void (*close)(struct ko_backend *be);
    /* "OpenBLAS SkylakeX, 2 threads, x86-64-v4" into text. */
    void (*describe)(const struct ko_backend *be, char *text, size_t n);

    enum ko_code (*alloc)(struct ko_backend *be, size_t bytes, void **out, struct ko_error *err);
    void (*release)(struct ko_backend *be, void *memory);
    enum ko_code (*upload)(struct ko_backend *be, void *to, const void *from_host, size_t bytes,
                           struct ko_error *err);
    enum ko_code (*download)(struct ko_backend *be, void *to_host, const void *from, size_t bytes,
                             struct ko_error *err);

    /* The following five: NULL where own_memory is false. */

    /* How matrices lie in backend memory at this precision. */
    enum ko_element (*matrix_type)(enum ko_precision precision);
    /* Bytes of backend memory that `reserve` takes for these limits, the libraries' own included.
     */
    size_t (*reserved_bytes)(enum ko_precision precision, const struct ko_limits *limits);
    /* Allocates what the operations need beside their arguments, once a model: nothing is allocated
       by an operation. Replaces what an earlier call allocated. */
    enum ko_code (*reserve)(struct ko_backend *be, const struct ko_limits *limits,
                            struct ko_error *err);
    /* to[n] of to_type (F32 or BF16) from n elements of host memory, which is free again when this
       returns; what arrives is looked at for values that are not finite (as stored, and as they
       arrive). */
    enum ko_code (*import)(struct ko_backend *be, void *to, enum ko_element to_type,
                           const void *from_host, enum ko_element from_type, size_t n,
                           struct ko_error *err);
    /* Waits for the imports since the last call. *bad: the number, counted over them, of the first
       element that is not finite; -1: none. */
    enum ko_code (*import_end)(struct ko_backend *be, int64_t *bad, struct ko_error *err);

    /* Waits for everything that was asked for; errors of asynchronous operations come out here. */
    enum ko_code (*wait)(struct ko_backend *be, struct ko_error *err);

    /* The wave that the following operations are about. rows is host memory, borrowed until the
     * next call. */
    enum ko_code (*set_rows)(struct ko_backend *be, const struct ko_rows *rows,
                             struct ko_error *err);

    /* x[r] = tokens[token[r]] (+ positions[position[r]] where positions is not NULL) for trunk
     * rows. Tables [.., d]: n_in is d. */
    enum ko_code (*embed)(struct ko_backend *be, const struct ko_matrix *tokens,
                          const struct ko_matrix *positions, float *x, struct ko_error *err);
    /* x[r] = x[parent_row[r]] for rows [first, first + n). */
    enum ko_code (*branch_rows)(struct ko_backend *be, float *x, int32_t d, int32_t first,
                                int32_t n, struct ko_error *err);
    /* to[k, 0..d) = from[index[k], 0..d), k < n. index is host memory. */
    enum ko_code (*gather)(struct ko_backend *be, const float *from, int32_t ld_from,
                           const int32_t *index, int32_t n, int32_t d, float *to, int32_t ld_to,
                           struct ko_error *err);

    /* y[m, n_out] (ldy) = x[m, n_in] (ldx) W (+ bias, NULL: none), or y += with accumulate. */
    enum ko_code (*linear)(struct ko_backend *be, int32_t m, const float *x, int32_t ldx,
                           const struct ko_matrix *w, const float *bias, bool accumulate, float *y,
                           int32_t ldy, struct ko_error *err);
    /* y = x / rms(x) * weight (NULL: ones) over d; LayerNorm with weight and bias (NULL: zeros). y
     * may be x. */
    enum ko_code (*rms_norm)(struct ko_backend *be, int32_t n, int32_t d, const float *x,
                             int32_t ldx, const float *weight, float eps, float *y, int32_t ldy,
                             struct ko_error *err);
    enum ko_code (*layer_norm)(struct ko_backend *be, int32_t n, int32_t d, const float *x,
                               int32_t ldx, const float *weight, const float *bias, float eps,
                               float *y, int32_t ldy, struct ko_error *err);
    /* In place on x[n, d] (ld). softplus as PyTorch's: x itself beyond 20. gelu_tanh is GPT-2's
     * gelu_new. */
    enum ko_code (*softplus)(struct ko_backend *be, int32_t n, int32_t d, float *x, int32_t ld,
                             struct ko_error *err);
    enum ko_code (*gelu_tanh)(struct ko_backend *be, int32_t n, int32_t d, float *x, int32_t ld,
                              struct ko_error *err);

    enum ko_code (*conv)(struct ko_backend *be, const struct ko_conv *args, struct ko_error *err);
    enum ko_code (*mamba1)(struct ko_backend *be, const struct ko_mamba1 *args,
                           struct ko_error *err);
    enum ko_code (*mamba2)(struct ko_backend *be, const struct ko_mamba2 *args,
                           struct ko_error *err);
    enum ko_code (*gated_norm)(struct ko_backend *be, const struct ko_gated_norm *args,
                               struct ko_error *err);
    enum ko_code (*rope)(struct ko_backend *be, const struct ko_rope *args, struct ko_error *err);
    /* y[n, d] (ldy) = silu(gate[n, d]) * up[n, d], both with ld. y may be gate. */
    enum ko_code (*silu_mul)(struct ko_backend *be, int32_t n, int32_t d, const float *gate,
                             const float *up, int32_t ld, float *y, int32_t ldy,
                             struct ko_error *err);
    enum ko_code (*attention)(struct ko_backend *be, const struct ko_attention *args,
                              struct ko_error *err);
    enum ko_code (*unembed)(struct ko_backend *be, const struct ko_unembed *args,
                            struct ko_error *err);
};

/* Plain loops on libm, one thread, every formula as the papers write it (no state is shared): the
 * oracle of the others. */
extern const struct ko_kernels ko_kernels_plain;
/* CBLAS (OpenBLAS) and OpenMP. */
extern const struct ko_kernels ko_kernels_cpu;
/* cuBLAS and CUDA; only in builds with KNOCKOUT_CUDA. */
extern const struct ko_kernels ko_kernels_cuda;

#ifdef __cplusplus
}
#endif

#endif
