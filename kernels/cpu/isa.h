/* SPDX-License-Identifier: Apache-2.0 */
/* The loops whose speed depends on the instruction set. The folder kernels/cpu/isa is compiled once
   for each instruction set, and each compilation exports one table. Vectors do not overlap unless a
   comment allows it; n may be 0. */
#ifndef KO_KERNELS_CPU_ISA_H
#define KO_KERNELS_CPU_ISA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Channels that the scan computes at once. A state [16, KO_SCAN_BLOCK] fits in the L1 cache. */
enum { KO_SCAN_BLOCK = 128 };

/* Columns of a head's state that the delta rule computes at once, and rows of a chunk, a multiple of
   4. The products of a chunk's rows with each other grow with the square of its length. */
enum { KO_DELTA_BLOCK = 64, KO_DELTA_ROWS = 8 };

/* One row of Mamba-1's scan over n <= KO_SCAN_BLOCK channels. States, decays and a2 are [d_state,
   KO_SCAN_BLOCK]. */
struct ko_scan_row {
    int32_t n, d_state;
    const float *b, *c; /* [d_state] */
    const float *input; /* [n] delta * u, or zeros where the row's input is removed */
    const float *from;  /* the state before the row */
    float *to;          /* the state after it; may be `from`; NULL: not needed */
    float *y;           /* [n] sum_n c[n] state[n] */
};

/* One query of one head over a list of keys. */
struct ko_attend {
    int32_t n_keys, d_head, d_value;
    const float *q;         /* [d_head] */
    const float *k, *v;     /* row 0, at the head's first column */
    size_t ld, ld_v;        /* of k, and of v */
    const int32_t *key_row; /* [n_keys] */
    const uint8_t *zeroed;  /* [n_keys] 1: the weight is zeroed after the softmax; NULL: none is */
    float scale;
    float cap;         /* a score s becomes cap tanh(s / cap); 0: no cap */
    const float *sink; /* a score in the denominator alone; NULL: none */
    float *weight;     /* [n_keys] scratch */
    float *out;        /* [d_value]; zeros for n_keys == 0 */
};

/* Attention of many queries over keys that most of them share (attend_tile). Keys and values lie in
   panels of KO_ATTEND_PANEL positions, which begin at its multiples: keys [d_head, KO_ATTEND_PANEL],
   values [KO_ATTEND_PANEL, ko_attend_width(d_value)]. The softmax proceeds by blocks of
   KO_ATTEND_BLOCK positions, and products by KO_ATTEND_ROWS queries. */
enum {
    KO_ATTEND_PANEL = 64,
    KO_ATTEND_BLOCK = 128,
    KO_ATTEND_ROWS = 6,
    KO_ATTEND_QUERIES = 96, /* of a tile, at most; a multiple of KO_ATTEND_ROWS */
    KO_ATTEND_OWN = 8,      /* own keys of a query, at most */
    KO_ATTEND_PAD = 16
};

static inline size_t ko_attend_width(int32_t d_value)
{
    return ((size_t)d_value + KO_ATTEND_PAD - 1) / KO_ATTEND_PAD * KO_ATTEND_PAD;
}

struct ko_attend_panel {
    float *keys, *values;
    bool *finite; /* whether all values are */
};

/* Fills a panel with n <= KO_ATTEND_PANEL positions of one key head. Keys from n on are 0, and
   values from n on undefined. */
struct ko_attend_pack {
    int32_t n, d_head, d_value;
    const int32_t *row; /* [n] */
    const float *k, *v; /* row 0, at the head's first column */
    size_t ld, ld_v;
    const struct ko_attend_panel *panel;
};

/* A query sees the positions [first, position]: up to `own` those of the panels, from there on the
   rows `own_row`. own is at least position + 1 - KO_ATTEND_OWN. */
struct ko_attend_query {
    int32_t first, own, position;
    const int32_t *own_row; /* [position + 1 - own] */
    const uint8_t *removed; /* [position + 1] 1: the edge is removed; NULL: no edge is */
    bool keeps_itself;      /* the edge from `position` is not removed, whatever `removed` says */
    bool after_softmax;     /* removed edges lose their weight, but count in the softmax */
    const float *q;         /* [d_head] */
    const float *sink;      /* as of struct ko_attend */
    float *out;             /* [d_value]; zeros where every edge is removed */
};

struct ko_attend_tile {
    int32_t n, d_head, d_value; /* n <= KO_ATTEND_QUERIES */
    const struct ko_attend_query *query;
    const struct ko_attend_panel *panels; /* [of all positions] */
    const float *k, *v;                   /* of own keys: row 0, at the head's first column */
    size_t ld, ld_v;
    float scale, cap; /* as of struct ko_attend */
    /* Scratch: [d_head, KO_ATTEND_QUERIES], [KO_ATTEND_ROWS, KO_ATTEND_BLOCK] and
       [KO_ATTEND_QUERIES, ko_attend_width(d_value)]. */
    float *q, *score, *o;
};

/* One row of Mamba-2 over the n_keys positions of its path; the row itself is the last. */
struct ko_ssd {
    int32_t n_keys, n_heads, d_head, d_state, n_groups;
    const int32_t *key_row; /* [n_keys] row of a position's u, B and C */
    const float *u, *b, *c; /* row 0: u [n_heads * d_head], b and c [n_groups * d_state] */
    size_t ld;
    const float *const *delta; /* [n_keys] -> [n_heads] */
    const float *a, *d;        /* [n_heads] */
    const uint8_t *removed;    /* [n_keys] 1: the edge is removed; NULL: no edge is */
    const uint8_t *mask;       /* [n_heads] 1: edges are removed in this head; NULL: in all */
    float *span;               /* [n_heads] scratch */
    float *weight;             /* [n_keys, n_heads] scratch */
    float *out;                /* [n_heads * d_head] */
};

/* One row of the gated delta rule over n <= KO_DELTA_BLOCK columns of one head. States are [d_key,
   KO_DELTA_BLOCK]. Columns from n on are computed too, up to a multiple of 16. */
struct ko_delta_row {
    int32_t n, d_key;
    const float *q, *k, *decay; /* [d_key] */
    float beta;
    const float *v;    /* [KO_DELTA_BLOCK]; NULL: the row writes nothing, but decays and erases */
    const float *from; /* the state before the row */
    float *to;         /* the state after it; may be `from`; NULL: not needed */
    float *y;          /* [KO_DELTA_BLOCK] sum_s q[s] state[s] */
};

/* A chunk of n <= KO_DELTA_ROWS rows of the gated delta rule (Yang et al. 2024, Parallelizing Linear
   Transformers with the Delta Rule over Sequence Length, and 2025, Gated DeltaNet). With D(j, i) the
   product of the decays of the rows j + 1 to i, F(i) that of the chunk's rows up to i, and the state
   S before the chunk:

     u(i) = beta(i) (v(i) - S^T F(i) k(i) - sum_{j < i} (k(i) . D(j, i) k(j)) u(j))
     y(i) = S^T F(i) q(i) + sum_{j <= i} (q(i) . D(j, i) k(j)) u(j)
     S   <- F(last) S + sum_j D(j, last) k(j) u(j)^T

   D and F are products for each key. They are multiplied, and nothing is divided by them, since
   they may be 0. Rows of keys are `ld` numbers apart; from d_key on they are 0 in q, k and decay. */
struct ko_delta_chunk {
    int32_t n, d_key;
    size_t ld;                  /* a multiple of 16, at least d_key */
    const float *q, *k, *decay; /* [n, ld] */
    const float *beta;          /* [n] */

    /* What delta_products fills in. */
    float *before;       /* [2, KO_DELTA_ROWS, ld] F(i) k(i); F(i) q(i) */
    float *after;        /* [KO_DELTA_ROWS, ld] D(j, last) k(j) */
    float *all;          /* [ld] F(last) */
    float *erase, *read; /* [KO_DELTA_ROWS, KO_DELTA_ROWS] of rows i and j: k(i) . D(j, i) k(j) for
                            j < i, and q(i) . D(j, i) k(j) for j <= i */
};

/* n <= KO_DELTA_BLOCK columns of a chunk. Columns from n on are computed too, up to a multiple of
   16, and rows of u and y up to a multiple of 4. States are [d_key, KO_DELTA_BLOCK]. */
struct ko_delta_columns {
    int32_t n;
    const float *v; /* [rows, KO_DELTA_BLOCK] */
    const uint8_t
        *removed;      /* [rows] 1: the row writes no v, but decays and erases; NULL: none is */
    const float *from; /* the state before the chunk */
    float *to;         /* the state after it; may be `from`; NULL: not needed */
    float *u;          /* [KO_DELTA_ROWS, KO_DELTA_BLOCK] scratch */
    float *y;          /* [KO_DELTA_ROWS, KO_DELTA_BLOCK] NULL: not needed */
};

/* Errors are in units in the last place of the float32 result, over all float32 arguments unless a
   comment limits them. Tests check them. */
struct ko_cpu_isa {
    const char *name; /* "x86-64-v4" */

    /* Within 2 units; below -87.33654 exactly 0 (no subnormal results), above 88.72283 infinity,
       NaN stays NaN. */
    void (*exp)(size_t n, const float *x, float *y);
    /* log(1 + exp(x)) in place: within 3 units for x >= -87, 0 below. */
    void (*softplus)(size_t n, float *x);
    /* x / (1 + exp(-x)), y may be x: within 4 units for x >= -87; -0 below -88.73. */
    void (*silu)(size_t n, const float *x, float *y);
    /* GPT-2's gelu_new in place as x / (1 + exp(-2 t)), t = sqrt(2/pi) (x + 0.044715 x^3): within 4
       units for x >= -1, and within 2e-7 of the exact value for smaller ones. */
    void (*gelu_tanh)(size_t n, float *x);
    /* x Phi(x) in place: within 7 units for x >= -1, and within 1e-7 of the exact value for smaller
       ones. */
    void (*gelu)(size_t n, float *x);
    /* max(x, 0) in place; NaN stays NaN. */
    void (*relu)(size_t n, float *x);
    /* max(x, 0)^2 in place; NaN stays NaN. */
    void (*relu2)(size_t n, float *x);
    /* x = scale x; unless cap is 0, cap tanh(scale x / cap), within 4 units where |scale x| is
       above 1e-30 cap. */
    void (*scale_cap)(size_t n, float scale, float cap, float *x);

    /* y may be x; weight NULL: ones; bias NULL: zeros. */
    void (*rms_norm)(size_t n, const float *x, const float *weight, float eps, float *y);
    void (*layer_norm)(size_t n, const float *x, const float *weight, const float *bias, float eps,
                       float *y);

    /* y = bias (NULL: zeros) */
    void (*start)(size_t n, const float *bias, float *y);
    /* y += w * x, except in the channels where `removed` (NULL: zeros) is not 0 */
    void (*tap)(size_t n, const float *w, const float *x, const uint8_t *removed, float *y);

    /* a2[s, k] = log2(e) a[s * ld_a + k] */
    void (*scan_prepare)(int32_t n, int32_t d_state, const float *a, size_t ld_a, float *a2);
    /* decay[s, k] = 2^(delta[k] a2[s, k]), 0 below 2^-126, for delta >= 0 >= a2: within a relative
       (2 + 2.5 |x|) 2^-24 of exp(x), x = delta a. */
    void (*scan_decay)(int32_t n, int32_t d_state, const float *a2, const float *delta,
                       float *decay);
    /* state = decay * state + b * input. scan_step computes the decay from a2 and delta. */
    void (*scan_advance)(const struct ko_scan_row *row, const float *decay);
    void (*scan_step)(const struct ko_scan_row *row, const float *a2, const float *delta);
    /* y = a * b; y may be either. */
    void (*multiply)(size_t n, const float *a, const float *b, float *y);
    /* out = (y + d * u) * gate */
    void (*scan_out)(size_t n, const float *y, const float *u, const float *d, const float *gate,
                     float *out);
    /* y[k] = removed[k] ? a[k] : b[k] */
    void (*select)(size_t n, const uint8_t *removed, const float *a, const float *b, float *y);
    /* y += s * x */
    void (*add_scaled)(size_t n, float s, const float *x, float *y);

    void (*attend)(const struct ko_attend *args);
    void (*attend_pack)(const struct ko_attend_pack *args);
    void (*attend_tile)(const struct ko_attend_tile *args);

    /* out[h, p] = sum_j (c[i] . b[j]) exp(a[h] (delta[j + 1, h] + .. + delta[i, h])) delta[j, h]
       u[j, h, p] + d[h] u[i, h, p] */
    void (*ssd)(const struct ko_ssd *args);
    /* y = clamp(softplus(x + bias), low, high); NaN stays NaN. */
    void (*time_step)(size_t n, const float *x, const float *bias, float low, float high, float *y);
    /* state = decay * from + beta k (v - (decay * from)^T k)^T */
    void (*delta)(const struct ko_delta_row *row);
    void (*delta_products)(const struct ko_delta_chunk *chunk);
    void (*delta_chunk)(const struct ko_delta_chunk *chunk, const struct ko_delta_columns *columns);
    /* Gates of the real-gated linear recurrent unit, in place, for scale <= 0: decay becomes
       a = exp(scale sigmoid(decay)), and input becomes m u sigmoid(input), where m is sqrt(1 - a^2),
       or 1 if `first`. Within a relative (4 + 4 |log a|) 2^-24 of the exact a and m. */
    void (*lru_gates)(size_t n, const float *u, const float *scale, bool first, float *input,
                      float *decay);
    /* y = scale x / sqrt(sum x^2 + eps); y may be x. */
    void (*unit)(size_t n, const float *x, float eps, float scale, float *y);
    /* y = silu(gate) * up with silu's bits; y may be either. */
    void (*silu_mul)(size_t n, const float *gate, const float *up, float *y);
    /* up / (1 + exp(-gate)) within 3 units for gate >= -87, 0 below -88.73; y may be either. */
    void (*sigmoid_mul)(size_t n, const float *gate, const float *up, float *y);
    /* silu_mul with gelu and with gelu_tanh. */
    void (*gelu_mul)(size_t n, const float *gate, const float *up, float *y);
    void (*gelu_tanh_mul)(size_t n, const float *gate, const float *up, float *y);
    /* (a, b) = (a cos - b sin, b cos + a sin), in place. */
    void (*rotate)(size_t n, const float *cos, const float *sin, float *a, float *b);
    /* The same for x [n, 2], where a and b are neighbours. */
    void (*rotate_pairs)(size_t n, const float *cos, const float *sin, float *x);

    /* The largest value that is not NaN; -infinity if there is none. */
    float (*max)(size_t n, const float *x);
    /* sum exp(x - top). The exponentials also go to e, unless it is NULL. */
    double (*sum_exp)(size_t n, const float *x, float top, float *e);
    /* sum e (clean - x) */
    double (*sum_difference)(size_t n, const float *e, const float *clean, const float *x);
    /* The number of values above `low`. */
    int32_t (*count_above)(size_t n, const float *x, float low);
};

/* The table for this machine's best instruction set: x86-64-v4, v3 or the baseline, and on other
   processors the compiler's default. */
const struct ko_cpu_isa *ko_cpu_isa_pick(void);
/* The *n tables that this machine can run, the best first. */
const struct ko_cpu_isa *const *ko_cpu_isa_list(size_t *n);

#endif
