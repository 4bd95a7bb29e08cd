/* SPDX-License-Identifier: Apache-2.0 */
/* A model's weights where the workers' backends compute with them. In host memory they are there
   once a node: its workers read them together, each a part, into memory that they share. Backends
   with memory of their own have them once a worker: all workers of the job read them together, each
   a part, and exchange the parts. */
#ifndef KO_MPI_WEIGHTS_H
#define KO_MPI_WEIGHTS_H

#include "mpi/compute.h"
#include "mpi/exchange.h"
#include "mpi/world/world.h"
#include "src/base/error.h"
#include "src/forward/device_weights.h"
#include "src/models/model.h"

struct ko_weights {
    struct ko_checkpoint *checkpoint; /* owned */
    struct ko_model *model;           /* owned */
    struct ko_arena arena;            /* for ko_compute_bind */
    float *floats; /* [ko_model_floats] host memory, owned or shared; NULL where `compute` is not */
    char content_hash[33];
    bool shared;
    MPI_Win window;             /* MPI_WIN_NULL unless shared */
    struct ko_compute *compute; /* borrowed: in its thread `device` is used; NULL in host memory */
    struct ko_device_weights device;
};

/* Collective over the workers: opens the checkpoint at `path`, which must have this fingerprint,
   and loads it for the backend of `compute`. exchange: for a backend with memory of its own where
   there are several workers. The error is agreed on, but for a failure of the exchange, which sets
   world->broken and leaves the memory as it is. Free with ko_weights_free (collective over the
   workers). */
KO_MUST_CHECK enum ko_code ko_weights_load(struct ko_world *world, struct ko_compute *compute,
                                           struct ko_exchange *exchange, const char *path,
                                           const char *name, const char *fingerprint,
                                           struct ko_weights *out, struct ko_error *err);
void ko_weights_free(struct ko_weights *weights); /* leaves {0} */

#endif
