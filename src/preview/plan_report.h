/* SPDX-License-Identifier: Apache-2.0 */
/* What `plan` prints about a sweep. */
#ifndef KO_PREVIEW_PLAN_REPORT_H
#define KO_PREVIEW_PLAN_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "src/base/error.h"
#include "src/bench/gemm.h"
#include "src/forward/device_memory.h"
#include "src/plan/plan.h"
#include "src/preview/sweep_counts.h"
#include "src/preview/token_grid.h"
#include "src/run/audit_lines.h"
#include "src/run/inputs.h"
#include "src/tree/batch.h"
#include "src/tree/cost.h"
#include "src/tree/makespan.h"

enum { KO_FIRST_IDS = 5, KO_SHOWN_PROMPTS = 3 };

struct ko_plan_model_report {
    int32_t n_runnable, n_selected;
    int64_t n_planned, n_vacuous;              /* cells; the vacuous ones are planned too */
    int32_t n_skipped[KO_N_REASONS];           /* by reason; [0] is not used */
    int32_t first[KO_N_REASONS][KO_FIRST_IDS]; /* the first facts that are skipped */
    int32_t n_rows;                            /* of the largest wave */
    struct ko_device_memory device;            /* zero on a backend in host memory */
    bool streams;                              /* its weights stream, layer by layer */
    double streamed_bytes;                     /* in each pass; 0 unless they stream */
    double wave_seconds; /* that its largest wave computes at most; of weights that stream */
};

/* A prompt that is printed token by token, once for all models with the same tokens. */
struct ko_plan_prompt_report {
    int32_t fact, first_model;
    struct ko_strings models; /* names */
    struct ko_token_grid grid;
    char *answer; /* piece of the answer's scored token */
};

/* The workers of the predicted run. */
struct ko_plan_settings {
    const char *backend;
    enum ko_precision precision;
    const char *device; /* as in device_rates.h; NULL: this machine is measured */
    int threads;        /* of a worker, if this machine is measured */
    int32_t n_workers;
    int32_t n_node_workers; /* of these, those that share the memory of a machine like this one */
    enum ko_weights_mode weights;
    double memory_limit;   /* bytes of a GPU or of this machine; 0: all of it */
    double read_rate;      /* of checkpoints, bytes per second */
    double commit_seconds; /* between rounds */
};

/* The predicted time of a run. */
struct ko_plan_time {
    struct ko_plan_settings settings;
    int threads;                  /* of the measured worker; 0: nothing was measured here */
    char host[65];                /* this machine, if it was measured; else empty */
    char device[256];             /* that has the rates */
    char source[128];             /* of the rates */
    struct ko_gemm_rounds rounds; /* of the measurement here; n 0: there was none */
    bool products_only;           /* the rate is that of matrix products; scans, attention and other
                           operations take extra time */
    double flops;                 /* of one worker, over the models */
    double stream_rate;           /* bytes a second of weights that stream; 0: no model's do */
    bool evaluates;               /* the run makes its evaluation itself */
    struct ko_prediction sweep, evaluation;
    double seconds;      /* of both */
    double efficiency;   /* of both */
    double commit_share; /* of the time, in commit rounds */
};

struct ko_plan_report {
    const struct ko_inputs *inputs; /* borrowed, like every pointer not marked as owned */
    const struct ko_plan *plan;
    const struct ko_strings *warnings;
    struct ko_audit_lines lines; /* owned */
    struct ko_text selection;    /* a sentence on how the prompts were selected; owned */
    bool upper_bound;            /* the ranks of an evaluation are not known */
    struct ko_batches batches;   /* owned */
    struct ko_cost cost;
    struct ko_plan_model_report *model;   /* [n_models]; owned */
    struct ko_sweep_cells *sweep;         /* [n_blocks]; owned */
    struct ko_plan_prompt_report *prompt; /* [n_prompts]; owned */
    int32_t n_prompts;
    int64_t n_mean, n_heat; /* cells planned on routes, and in heatmaps */
    int64_t n_vacuous;      /* of both */
    int64_t n_clean_runs;   /* of the evaluation that the run makes */
    struct ko_plan_time time;
};

/* Composes the batches, counts cells, and picks the prompts to print. Leaves out the sentence on
   the selection and what ko_plan_report_predict adds. Free with ko_plan_report_free, also after a
   failure. */
KO_MUST_CHECK enum ko_code ko_plan_report_make(const struct ko_inputs *inputs,
                                               const struct ko_plan *plan,
                                               const struct ko_strings *warnings,
                                               struct ko_plan_report *out, struct ko_error *err);
void ko_plan_report_free(struct ko_plan_report *report); /* leaves {0} */

/* Predicts memory and time, from the rates of settings->device, or from the rate of matrix products
   of the models' shapes, measured here for half a second. evaluates: the run makes its evaluation
   itself. */
KO_MUST_CHECK enum ko_code ko_plan_report_predict(struct ko_plan_report *report,
                                                  const struct ko_plan_settings *settings,
                                                  bool evaluates, struct ko_error *err);

void ko_plan_report_print(const struct ko_plan_report *report, bool color, struct ko_text *out);
KO_MUST_CHECK enum ko_code ko_plan_report_json(const struct ko_plan_report *report, FILE *out,
                                               struct ko_error *err);

#endif
