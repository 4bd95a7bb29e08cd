/* A model of a real shape with random weights, and a sweep over it that lives in memory alone. */
#ifndef KO_CLI_BENCH_MODEL_H
#define KO_CLI_BENCH_MODEL_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/models/model.h"
#include "src/plan/plan.h"

struct ko_bench_model {
    struct ko_model *model;
    float *floats; /* [ko_model_floats] the weights */
    struct ko_plan
        *plan; /* 10-token prompts, last<-{subject, relation, last, first}, window 9, all starts */
};

enum { KO_BENCH_TOKENS = 10, KO_BENCH_WINDOW = 9 };

/* n_prompts 0: as many as one batch holds. Free with ko_bench_model_free. */
KO_MUST_CHECK enum ko_code ko_bench_model_new(const char *shape, int64_t row_budget,
                                              int64_t n_prompts, uint64_t seed,
                                              struct ko_bench_model *out, struct ko_error *err);
void ko_bench_model_free(struct ko_bench_model *bench); /* leaves {0} */

#endif
