/* SPDX-License-Identifier: Apache-2.0 */
/* Checks a plan before any file is created. */
#ifndef KO_RUN_DRY_PLAN_H
#define KO_RUN_DRY_PLAN_H

#include "mpi/world/sight.h"
#include "src/base/error.h"
#include "src/forward/device_memory.h"
#include "src/plan/plan.h"
#include "src/run/inputs.h"
#include "src/tree/shard.h"

/* The workers that compute a plan, and what they may take. All borrowed. */
struct ko_dry_workers {
    const struct ko_kernels *kernels;
    enum ko_precision precision;
    const struct ko_sight *sight; /* [n_workers] */
    int n_workers;
    enum ko_weights_mode weights;
    double memory_limit; /* bytes of a GPU, or of a node; 0: what there is */
};

/* The share of a node's memory that a backend in host memory may take; the rest is the system's. */
#define KO_HOST_SHARE 0.9

/* What is to be checked. */
struct ko_dry_run {
    enum ko_plan_kind kind;
    const char *evaluation; /* path of the evaluation that selects a sweep's prompts; NULL: none */
    const struct ko_dry_workers *workers;
    struct ko_shard shard; /* of 0: the whole plan */
};

/* Builds the plan and its batches, and frees them. KO_E_INPUT for everything that can be refused
   before the start: windows that fit no model, unknown token sets, classes that no model has, a row
   budget that is too small, a selection that is empty whatever the ranks are, a model whose largest
   wave does not fit the smallest GPU or the memory limit. Decides which models' weights stream, and
   through how many slots (inputs->streams, inputs->slots), from the plans and the workers' memory,
   not from what happens to be free. The evaluation of a sweep must be complete, and its ranks are
   used; if there is none, the run makes its own, whose plan is checked too. *first_model: the model that the batches of the plan or of
   its shard begin with, among the inputs'; -1: there is no batch. Where ranks are not known it is a
   guess: they may leave a model without a prompt. */
KO_MUST_CHECK enum ko_code ko_dry_plan_check(const struct ko_inputs *inputs,
                                             const struct ko_dry_run *run, int32_t *first_model,
                                             struct ko_error *err);

#endif
