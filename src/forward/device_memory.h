/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory a backend needs to compute a model of a plan: on a device, or of the host. */
#ifndef KO_FORWARD_DEVICE_MEMORY_H
#define KO_FORWARD_DEVICE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "src/base/error.h"
#include "src/models/model.h"
#include "src/plan/plan.h"
#include "src/tree/batch.h"

/* Bytes. Trunk states take none: the scan recomputes them where it needs them. */
struct ko_device_memory {
    double matrices, values; /* the weights; of those that stream, what is there at a time */
    double masks;            /* of the feature classes */
    double rows;             /* the workspace of a wave */
    double reserved;         /* scratch of the operations */
    double context;          /* driver and libraries, per process */
};

/* Memory of a process of the CUDA backend before it has a model. Measured. */
#define KO_DEVICE_CONTEXT_BYTES (512.0 * 1024 * 1024)

/* A model of a plan on a backend that has memory of its own. All borrowed. */
struct ko_device_model {
    const struct ko_plan *plan;
    int32_t plan_model;
    const struct ko_model *model;
    const struct ko_kernels *kernels;
    enum ko_precision precision;
    int32_t slots; /* the weights stream through so many slots (layer_layout.h); 0: they stay */
};

void ko_device_memory_predict(const struct ko_device_model *model, int32_t max_rows,
                              struct ko_device_memory *out);
double ko_device_memory_total(const struct ko_device_memory *memory);

/* KO_E_INPUT where waves of max_rows rows need more than the `available` bytes of `device` ("GPU 0
   of node1"): "row-budget: 8192 rows of MODEL need 31.2 GiB, DEVICE has 23.6 GiB, choose
   --row-budget 4096", or that even the smallest budget for the plan's prompts does not fit. */
KO_MUST_CHECK enum ko_code ko_device_memory_check(const struct ko_device_model *model,
                                                  int32_t max_rows, double available,
                                                  const char *device, struct ko_error *err);

/* Where a model's weights are. */
enum ko_weights_mode {
    KO_WEIGHTS_AUTO, /* they stream where they do not fit beside the rows */
    KO_WEIGHTS_RESIDENT,
    KO_WEIGHTS_STREAM
};
/* Whether they stream; fit: weights and rows fit into the memory together. */
static inline bool ko_weights_stream(enum ko_weights_mode mode, bool fit)
{
    return mode == KO_WEIGHTS_STREAM || (mode == KO_WEIGHTS_AUTO && !fit);
}
/* Chooses for waves of max_rows rows: 0 where the weights stay, otherwise the number of slots. That is
   as many as fit into the `available` bytes, at most KO_COPIER_MOST_SLOTS and one for each layer, and
   at least KO_LAYER_LEAST_SLOTS, whether they fit or not. model->slots is not read. */
int32_t ko_device_memory_slots(const struct ko_device_model *model, enum ko_weights_mode mode,
                               int32_t max_rows, double available);
/* Sets model->slots to that number. Errors as ko_device_memory_check, of what was chosen. */
KO_MUST_CHECK enum ko_code ko_device_memory_choose(struct ko_device_model *model,
                                                   enum ko_weights_mode mode, int32_t max_rows,
                                                   double available, const char *device,
                                                   struct ko_error *err);

/* A model of a plan on a backend in host memory. All borrowed. */
struct ko_host_model {
    const struct ko_plan *plan;
    const struct ko_batches *batches;
    int32_t plan_model;
    const struct ko_model *model;
    const struct ko_kernels *kernels;
    int threads; /* of the worker */
};

/* Bytes of a worker besides the weights: ko_plan_worker_bytes and the scratch of attention. */
double ko_host_memory_worker(const struct ko_host_model *model);

#endif
