/* SPDX-License-Identifier: Apache-2.0 */
/* A model of a real shape with random weights, and a sweep over it that is not written to a file.
   */
#ifndef KO_BENCH_BENCH_MODEL_H
#define KO_BENCH_BENCH_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/forward/device_weights.h"
#include "src/forward/layer_stream.h"
#include "src/models/model.h"
#include "src/plan/plan.h"

struct ko_bench_sweep {
    const char *shape;  /* one of ko_shape_names */
    int64_t n_prompts;  /* 0: as many as one batch holds */
    int64_t n_tokens;   /* of a prompt */
    int64_t row_budget; /* 0: the default of the model's shape, on a GPU or not */
    bool gpu;
    bool exact; /* the weights are bfloat16, as in a checkpoint that is stored so */
    uint64_t seed;
};

struct ko_bench_model {
    struct ko_model *model;
    struct ko_plan *plan; /* last<-{subject, relation, last, first}, window 9, all starts */
};

enum { KO_BENCH_WINDOW = 9, KO_BENCH_LEAST_TOKENS = 6, KO_BENCH_MOST_TOKENS = 32768 };

/* KO_E_INPUT for an unknown shape (the error names the nearest and all), and for prompts that are
   too short or too long for the model. Free with ko_bench_model_free. */
KO_MUST_CHECK enum ko_code ko_bench_model_new(const struct ko_bench_sweep *sweep,
                                              struct ko_bench_model *out, struct ko_error *err);
void ko_bench_model_free(struct ko_bench_model *bench); /* leaves {0} */

/* Fills in random weights. In a backend's own memory, matrices repeat a block of random numbers,
   each from another offset and scaled as a layer is initialised: generating billions of numbers
   would take minutes, and rates only need the numbers to differ. The numbers are bfloat16, but
   float32 for matrices in two parts, whose low parts would be 0. */
KO_MUST_CHECK enum ko_code ko_bench_weights_fill(struct ko_device_weights *weights, uint64_t seed,
                                                 struct ko_error *err);

/* Random numbers in host memory from which weights stream: more of them than a processor's cache
   holds, as the pages of a checkpoint are. */
struct ko_bench_numbers {
    unsigned char *number; /* [n] owned */
    size_t n;
    enum ko_element type; /* BF16 or F32 */
};
/* For matrices of this model that are stored as `type`. Free with ko_bench_numbers_free. */
KO_MUST_CHECK enum ko_code ko_bench_numbers_new(const struct ko_model *model, enum ko_element type,
                                                uint64_t seed, struct ko_bench_numbers *out,
                                                struct ko_error *err);
void ko_bench_numbers_free(struct ko_bench_numbers *numbers);
/* The source of such weights; borrows the numbers. */
struct ko_layer_source ko_bench_numbers_source(const struct ko_bench_numbers *numbers);

#endif
