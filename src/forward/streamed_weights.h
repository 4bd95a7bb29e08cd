/* SPDX-License-Identifier: Apache-2.0 */
/* A model's weights when they stream: its values and the matrices outside the layers are in the
   backend's memory, the layers' matrices come from the checkpoint in each pass (layer_stream.h). Call
   these functions from the thread that uses the backend. */
#ifndef KO_FORWARD_STREAMED_WEIGHTS_H
#define KO_FORWARD_STREAMED_WEIGHTS_H

#include <stdint.h>

#include "kernels/kernels.h"
#include "src/base/error.h"
#include "src/checkpoint/checkpoint.h"
#include "src/forward/layer_stream.h"
#include "src/models/model_load.h"

struct ko_streamed_weights;

/* How weights stream. All borrowed until ko_streamed_weights_free. */
struct ko_streaming {
    const struct ko_model *model;
    const struct ko_kernels *kernels;
    struct ko_backend *be;
    enum ko_precision precision;
    int n_threads;   /* of the worker */
    int32_t n_slots; /* layers in memory at a time (layer_layout.h) */
};

/* Allocates the memory; nothing streams yet. KO_E_INPUT for a model whose layers have no matrices. */
KO_MUST_CHECK enum ko_code ko_streamed_weights_new(const struct ko_streaming *how,
                                                   struct ko_streamed_weights **out,
                                                   struct ko_error *err);
void ko_streamed_weights_free(struct ko_streamed_weights *weights); /* may be NULL */

/* Reads the values and a part of the matrices once (see ko_model_load_apart), checks that all
   numbers are finite, and writes their tensors' hashes into hash [n_weights]. Then fills in all
   resident matrices, and lets the others stream from the checkpoint, which is borrowed. Errors as
   ko_model_load. */
KO_MUST_CHECK enum ko_code ko_streamed_weights_load(struct ko_streamed_weights *weights,
                                                    const struct ko_checkpoint *checkpoint,
                                                    const struct ko_load_part *part, uint64_t *hash,
                                                    struct ko_error *err);
/* The same for weights that come from elsewhere: random values, and all matrices from the source. */
KO_MUST_CHECK enum ko_code ko_streamed_weights_fill(struct ko_streamed_weights *weights,
                                                    uint64_t seed,
                                                    const struct ko_layer_source *source,
                                                    struct ko_error *err);

/* For ko_engine_new. */
const struct ko_arena *ko_streamed_weights_arena(const struct ko_streamed_weights *weights);

/* Bytes of a model's weights that stream through KO_LAYER_LEAST_SLOTS slots, in the host memory of
   one worker. */
double ko_streamed_host_bytes(const struct ko_model *model);

/* Threads that read, of a worker's. A backend in host memory computes with all of them and has one
   more that reads. */
int ko_streaming_threads(const struct ko_kernels *kernels, int n_threads);

#endif
