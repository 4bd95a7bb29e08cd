/* How fast a backend multiplies matrices of a model's shapes. */
#ifndef KO_CLI_GEMM_H
#define KO_CLI_GEMM_H

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

/* Threads that a worker alone on this machine would have: OMP_NUM_THREADS, else the size of the
   affinity mask. */
int ko_threads_here(void);

/* The products of the model's first layer; their number. */
int ko_products_of(const struct ko_model *model, struct ko_product products[KO_MAX_PRODUCTS]);

/* On which backend, how long and how large. */
struct ko_gemm_effort {
    const struct ko_kernels *k;
    struct ko_backend *be;
    enum ko_precision precision; /* of be */
    int32_t rows;
    double seconds;       /* for each product and layout of W, at least one call after a first */
    int layouts;          /* 1: [out, in] alone, 2: and [in, out] */
    int64_t max_elements; /* of W: n_out is cut to it; 0: any */
};

/* Measures each of n products, on random numbers in the backend's memory, and
   raises their rates to what was seen. Replaces what the backend had reserved. */
KO_MUST_CHECK enum ko_code ko_products_measure(const struct ko_gemm_effort *effort,
                                               struct ko_product *products, int n,
                                               struct ko_error *err);

/* Their rate together, each by its FLOP; NAN where nothing was measured. */
double ko_products_rate(const struct ko_product *products, int n);

#endif
