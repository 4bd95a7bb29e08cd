/* SPDX-License-Identifier: Apache-2.0 */
/* How fast a backend multiplies matrices of a model's shapes. */
#ifndef KO_BENCH_GEMM_H
#define KO_BENCH_GEMM_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "src/base/error.h"
#include "src/models/model.h"

/* One matrix product y[rows, n_out] = x[rows, n_in] W; or those of a layer's experts, which have one
   W each and multiply their share of the rows by it. The blocks of a gate (RecurrentGemma) are as
   experts that every row takes. */
struct ko_product {
    char name[64]; /* "mixer.in_proj.weight", "mlp.experts.up_proj.weight" */
    int32_t n_out, n_in;
    /* A row is multiplied by n_chosen of n_experts matrices; 0: by W. */
    int32_t n_experts, n_chosen;
    double flop; /* of one row, with all experts that it chooses, averaged over the layers */
    /* FLOP/s, the best that was seen; 0 before the first measurement. Of experts: of one product
       after the other, each with its own matrix and rows * n_chosen / n_experts rows, as if the
       choices were even. */
    double rate;
    double whole_rate; /* with all rows in one product; without experts this is `rate` */
};
enum { KO_MAX_PRODUCTS = 128 };

/* Lists the products of the model's layers and returns their number. Products of the same name and
   shape in several layers are one. Together they have the FLOP of the sublayers' row_flop, but for
   matrices that several layers share (Zamba2), which count as in one. Products beyond KO_MAX_PRODUCTS
   are left out. */
int ko_products_of(const struct ko_model *model, struct ko_product products[KO_MAX_PRODUCTS]);

/* What to measure on, and for how long. */
struct ko_gemm_effort {
    const struct ko_kernels *kernels;
    struct ko_backend *be;
    enum ko_precision precision; /* of be */
    bool exact;                  /* matrices are exactly bfloat16, which only bf16x3 asks */
    int32_t rows;
    double seconds;       /* ko_products_measure: for each product and layout, at least one call
                             after a first; ko_products_rounds: in all */
    int layouts;          /* of W; 1: [out, in], 2: [in, out] too */
    int64_t max_elements; /* of W: n_in and n_out are cut to it; 0: any number */
};

/* Measures each of n products on random numbers, and raises its rates to the best that was seen.
   Replaces what the backend had reserved. */
KO_MUST_CHECK enum ko_code ko_products_measure(const struct ko_gemm_effort *effort,
                                               struct ko_product *products, int n,
                                               struct ko_error *err);

/* The rate of all products together in several rounds, FLOP/s. */
struct ko_gemm_rounds {
    int n; /* rounds, 1 or more */
    double median, fastest;
};

/* Measures the products in several short rounds of one call each, and raises each rate to the best
   that was seen: other work on the machine slows down some calls, seldom all. Takes effort->seconds
   in all. If that is too short, it takes one call with few rows longer, and the remaining products
   get the rate of the others. Uses at most effort->rows rows, one matrix for all experts, and the
   layout [out, in]. Does not measure whole_rate. */
KO_MUST_CHECK enum ko_code ko_products_rounds(const struct ko_gemm_effort *effort,
                                              struct ko_product *products, int n,
                                              struct ko_gemm_rounds *out, struct ko_error *err);

/* The rate of the products together, weighted by their FLOP. NAN if nothing was measured. */
double ko_products_rate(const struct ko_product *products, int n);
/* The same, of whole_rate. */
double ko_products_whole_rate(const struct ko_product *products, int n);

#endif
