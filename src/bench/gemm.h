/* SPDX-License-Identifier: Apache-2.0 */
/* How fast a backend multiplies matrices of a model's shapes. */
#ifndef KO_BENCH_GEMM_H
#define KO_BENCH_GEMM_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "src/base/error.h"
#include "src/models/model.h"

/* One matrix product y[rows, n_out] = x[rows, n_in] W. */
struct ko_product {
    char name[64]; /* "mixer.in_proj.weight" */
    int32_t n_out, n_in;
    double flop; /* of one row */
    double rate; /* FLOP/s, the best that was seen; 0 before the first measurement */
};
enum { KO_MAX_PRODUCTS = 16 };

/* The products of the model's first layer; their number. */
int ko_products_of(const struct ko_model *model, struct ko_product products[KO_MAX_PRODUCTS]);

/* On which backend, how long and how large. */
struct ko_gemm_effort {
    const struct ko_kernels *kernels;
    struct ko_backend *be;
    enum ko_precision precision; /* of be */
    int32_t rows;
    double seconds;       /* for each product and layout of W, at least one call after a first; of
                             rounds: in all */
    int layouts;          /* 1: [out, in] alone, 2: and [in, out] */
    int64_t max_elements; /* of W: n_out is cut to it; 0: any */
};

/* Measures each of n products, on random numbers in the backend's memory, and
   raises their rates to what was seen. Replaces what the backend had reserved. */
KO_MUST_CHECK enum ko_code ko_products_measure(const struct ko_gemm_effort *effort,
                                               struct ko_product *products, int n,
                                               struct ko_error *err);

/* What rounds of all products reached together, FLOP/s. */
struct ko_gemm_rounds {
    int n; /* rounds, 1 or more */
    double median, fastest;
};

/* Measures them in several short rounds, one call of each product a round, and raises each rate to
   the best that was seen: other work on the machine spoils a call, seldom all. Takes
   effort->seconds in all, and one call of few rows more where that is too little: then some
   products get the rate of the others. `rows` and `layouts`: at most so many rows, [out, in] alone.
 */
KO_MUST_CHECK enum ko_code ko_products_rounds(const struct ko_gemm_effort *effort,
                                              struct ko_product *products, int n,
                                              struct ko_gemm_rounds *out, struct ko_error *err);

/* Their rate together, each by its FLOP; NAN where nothing was measured. */
double ko_products_rate(const struct ko_product *products, int n);

#endif
