/* SPDX-License-Identifier: Apache-2.0 */
/* Protects cells that the cube has taken from an earlier one, and their clean runs, from commits.
   Only for cubes that mark taken cells. */
#ifndef KO_MPI_CUBE_KEEP_H
#define KO_MPI_CUBE_KEEP_H

#include <stddef.h>
#include <stdint.h>

#include "mpi/cube/handle.h"
#include "mpi/cube/slots.h"
#include "src/base/error.h"

struct ko_cube_keep {
    struct ko_cube *cube;   /* borrowed */
    uint8_t *mark;          /* [slots, cells of a prompt] 1: marked as taken; owned */
    enum ko_cube_axis axis; /* the prompt axis of mark; KO_AXIS_NONE: not read yet */
    void *stored;           /* the cube's elements of all slots in one dataset; owned */
};

/* bytes: room for the elements of every slot of any dataset. Free with ko_cube_keep_close, also
   after a failure. */
KO_MUST_CHECK enum ko_code ko_cube_keep_open(struct ko_cube *cube, size_t bytes,
                                             struct ko_cube_keep *out, struct ko_error *err);
void ko_cube_keep_close(struct ko_cube_keep *keep); /* leaves {0} */

/* A dataset of the table, and the elements that a commit is about to write. */
struct ko_cube_write_out {
    size_t index;
    hid_t space;                     /* the selection of all slots */
    const struct ko_cube_slot *slot; /* [n] */
    int32_t n;
    size_t block; /* elements of a slot */
    void *buffer; /* [n, block] */
};
/* Collective: copies the elements that must stay from the cube into the buffer. For a computed
   record: marked cells, the clean run if the cube has one, and, if the record failed, the flags of
   sizes whose cells are all marked. For a record with cells of an earlier cube: all elements that
   it lacks. */
KO_MUST_CHECK enum ko_code ko_cube_keep(struct ko_cube_keep *keep,
                                        const struct ko_cube_write_out *out, struct ko_error *err);

#endif
