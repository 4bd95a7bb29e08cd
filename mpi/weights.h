/* A model's weights in memory, once a node: read by all its workers together, each a part, into
 * memory that they share. */
#ifndef KO_MPI_WEIGHTS_H
#define KO_MPI_WEIGHTS_H

#include "mpi/world.h"
#include "src/base/error.h"
#include "src/models/model.h"

struct ko_weights {
    struct ko_checkpoint *checkpoint; /* owned */
    struct ko_model *model;           /* owned */
    float *arena;                     /* [model->arena_floats]; owned or shared */
    char content_hash[33];
    bool shared;
    MPI_Win window; /* MPI_WIN_NULL unless shared */
};

/* Collective over the workers: opens the checkpoint at `path`, which must have this fingerprint,
   and loads it. The error is agreed on. Free with ko_weights_free (collective over the workers). */
KO_MUST_CHECK enum ko_code ko_weights_load(const struct ko_world *world, const char *path,
                                           const char *name, const char *fingerprint,
                                           struct ko_weights *out, struct ko_error *err);
void ko_weights_free(struct ko_weights *weights); /* leaves {0} */

#endif
