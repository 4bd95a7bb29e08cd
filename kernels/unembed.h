/* SPDX-License-Identifier: Apache-2.0 */
/* The last operation of a pass, and what a run is measured by. A pointer is backend memory unless its
   comment says host memory. */
#ifndef KO_KERNELS_UNEMBED_H
#define KO_KERNELS_UNEMBED_H

#include <stdint.h>

#include "kernels/matrix.h"

/* The metrics of one scored token, with the names of the cube's datasets. If the logits of its row are
   not all finite, the values are NaN and -1. */
struct ko_metrics {
    float logprob;       /* natural logarithm */
    float foil_logprob;  /* NaN without a foil */
    float kl;            /* KL(clean || this), nats; from double precision */
    int32_t target_rank; /* 1 + number of other tokens with a greater logit */
    int32_t top1_id;     /* of equal logits the lowest id */
};

/* The unembedding in vocabulary tiles with the metrics fused: logits = scale (x table^T + bias), and
   with a cap, cap tanh(logits / cap). */
struct ko_unembed {
    int32_t n; /* scored tokens, each of one row of x */
    /* [n] host memory; the row of x of each token, of n_rows. NULL: token r is scored in row r, and
       n_rows is not read. */
    const int32_t *row;
    int32_t n_rows;
    const float *x;         /* [rows, n_in] after the final norm */
    struct ko_matrix table; /* [vocabulary, n_in] */
    const float *bias;      /* [vocabulary] or NULL */
    float scale;            /* 1, or Granite's 1 / logits_scaling */
    float cap;              /* 0: none */
    /* [n] host memory. clean[r]: the one among the n whose row is KL's first argument; a clean row has
       itself, and a KL of 0. foil: -1 without a foil. */
    const int32_t *clean, *target, *foil;
    struct ko_metrics *out; /* [n] host memory */
};

/* The rows of x. */
static inline int32_t ko_unembed_n_rows(const struct ko_unembed *args)
{
    return args->row ? args->n_rows : args->n;
}
/* The row of x of scored token r. */
static inline int32_t ko_unembed_row(const struct ko_unembed *args, int32_t r)
{
    return args->row ? args->row[r] : r;
}

#endif
