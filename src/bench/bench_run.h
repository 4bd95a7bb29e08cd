/* SPDX-License-Identifier: Apache-2.0 */
/* Measures one shape in one precision. */
#ifndef KO_BENCH_BENCH_RUN_H
#define KO_BENCH_BENCH_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "src/bench/bench_model.h"
#include "src/bench/gemm.h"
#include "src/bench/profile.h"
#include "src/forward/device_memory.h"

struct ko_bench_settings {
    const struct ko_kernels *kernels;
    struct ko_backend_config config;
    struct ko_bench_sweep sweep;
    enum ko_weights_mode weights;
    double memory_limit; /* bytes of the GPU or of this machine; 0: all of it */
};

struct ko_bench_result {
    const char *shape; /* borrowed */
    enum ko_precision precision;
    bool exact;            /* the weights are bfloat16 */
    int32_t slots;         /* that they stream through; 0: they stay */
    double streamed_bytes; /* in each wave; 0 unless they stream */
    int threads;
    char device[256];
    int64_t n_prompts, n_tokens, n_cells, n_batches, n_rows;
    int32_t row_budget;
    /* Matrix products of the layers and the unembedding; flop: in the whole sweep. */
    struct ko_product product[KO_MAX_PRODUCTS + 1];
    int n_products;
    double flop, gemm_rate;
    double whole_rate; /* like gemm_rate, with whole_rate in place of rate */
    double seconds;    /* of the fastest pass over all batches */
    /* Of the pass that took least of it, all threads together. On a machine with other work it
       changes less than the time on the clock. */
    double processor_seconds;
    double fill_seconds; /* of making the random weights */
    /* One more pass, with a wait around every operation. */
    struct ko_profile profile;
    double profile_seconds;
    /* Of a GPU; zero elsewhere. */
    struct ko_device_memory memory; /* predicted */
    double context_bytes;           /* used before the model was loaded */
    double used_bytes;              /* used while it was computed */
    double peak_bytes;              /* of host memory, since the process began; of any backend */
    bool too_large;                 /* see ko_bench_run */
};

/* KO_E_INPUT, with out->too_large set, where the memory of the GPU or of this machine is too small
   for the model; nothing of its size has been allocated then. */
KO_MUST_CHECK enum ko_code ko_bench_run(const struct ko_bench_settings *settings,
                                        struct ko_bench_result *out, struct ko_error *err);

/* Text for people, or one line of JSON. */
void ko_bench_print(const struct ko_bench_result *result, FILE *out);
KO_MUST_CHECK enum ko_code ko_bench_print_json(const struct ko_bench_result *result, FILE *out,
                                               struct ko_error *err);

#endif
