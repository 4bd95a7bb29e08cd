/* SPDX-License-Identifier: Apache-2.0 */
/* Brings the matrices of one layer after the other into the slots of a layout (layer_layout.h), in
   threads of its own, while the layer before computes. A pass enters each layer before it computes
   it; the next layer is then already on its way, and behind the last layer the first. */
#ifndef KO_FORWARD_LAYER_STREAM_H
#define KO_FORWARD_LAYER_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "src/base/error.h"
#include "src/forward/layer_layout.h"

struct ko_layer_stream;

/* Where the numbers come from. Its functions are called from several threads at once. */
struct ko_layer_source {
    /* Writes the matrix's numbers [first, first + n), as `raw`, to host memory. first and n are
       multiples of 32, or n goes up to the matrix's end. */
    enum ko_code (*read)(const void *context, const struct ko_weight *matrix, size_t first,
                         size_t n, enum ko_element raw, void *to, struct ko_error *err);
    /* Called after the last number of a matrix: whether all that were read are right. */
    enum ko_code (*check)(const void *context, const struct ko_weight *matrix,
                          struct ko_error *err);
    const void *context; /* borrowed */
};

struct ko_layer_stream_config {
    const struct ko_layer_layout *layout; /* borrowed */
    const struct ko_kernels *kernels;     /* borrowed */
    struct ko_backend *be;                /* borrowed */
    unsigned char *matrices;              /* [ko_layer_bytes] backend memory; borrowed */
    int n_threads;                        /* that read */
    struct ko_layer_source source;
};
/* Host memory that a stream into a backend's own memory takes, for each thread two pieces. */
enum { KO_LAYER_PIECE_BYTES = 4 << 20 };

/* Starts the threads; they wait for the first layer to be entered. The functions of a stream are
   called in the backend's thread. Free with ko_layer_stream_free, before the matrices. */
KO_MUST_CHECK enum ko_code ko_layer_stream_new(const struct ko_layer_stream_config *config,
                                               struct ko_layer_stream **out, struct ko_error *err);
void ko_layer_stream_free(struct ko_layer_stream *stream); /* may be NULL */

/* [n_weights] for struct ko_arena's `at`; those of a layer are right while it is entered. */
const size_t *ko_layer_stream_at(const struct ko_layer_stream *stream);

/* Waits until the layer's matrices can be read by the operations that follow, and leaves the layer
   entered before. Nothing if it is entered already, if it has no matrices that stream, and for NULL.
   After an error of the source no layer is entered, and the next call tries again. */
KO_MUST_CHECK enum ko_code ko_layer_stream_enter(struct ko_layer_stream *stream, int32_t layer,
                                                 struct ko_error *err);
/* The operations so far were the last to read the layer that is entered, if one is. */
void ko_layer_stream_leave(struct ko_layer_stream *stream);

#endif
