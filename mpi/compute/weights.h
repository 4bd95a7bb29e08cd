/* SPDX-License-Identifier: Apache-2.0 */
/* A model's weights, where the backends compute with them. Host memory has them once a node: its
   workers each read a part into memory that they share. Backends with memory of their own have them
   once a worker: each worker of the job reads a part, and they exchange the parts. Weights that
   stream come from the mapped files, which the system holds once a node: every worker has a part of
   them in memory, and no copy of the whole. */
#ifndef KO_MPI_COMPUTE_WEIGHTS_H
#define KO_MPI_COMPUTE_WEIGHTS_H

#include <mpi.h>
#include <stdbool.h>

#include "mpi/compute/compute.h"
#include "src/forward/device_weights.h"
#include "src/forward/streamed_weights.h"
#include "src/models/model.h"

struct ko_weights {
    struct ko_checkpoint *checkpoint; /* owned */
    struct ko_model *model;           /* owned */
    struct ko_arena arena;            /* for ko_compute_bind */
    /* [ko_model_floats] in host memory, owned or shared; NULL for a backend with own memory */
    float *floats;
    char content_hash[33];
    bool shared;
    MPI_Win window; /* MPI_WIN_NULL unless shared */
    /* borrowed: `device` and `streamed` are used in its thread; NULL where they are not used */
    struct ko_compute *compute;
    struct ko_device_weights device;
    int32_t slots;                        /* that they stream through; 0: they stay */
    struct ko_streamed_weights *streamed; /* NULL unless it streams; owned */
};

#endif
