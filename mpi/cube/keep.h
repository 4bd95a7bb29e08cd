/* SPDX-License-Identifier: Apache-2.0 */
/* What a commit leaves as it is: cells that the cube has taken from an earlier one, and their clean
   runs. Only for cubes that say of each cell whether it was taken. */
#ifndef KO_MPI_CUBE_KEEP_H
#define KO_MPI_CUBE_KEEP_H

#include <stddef.h>
#include <stdint.h>

#include "mpi/cube/handle.h"
#include "mpi/cube/slots.h"
#include "src/base/error.h"

struct ko_cube_keep {
    struct ko_cube *cube; /* borrowed */
    uint8_t *mark;        /* [slots, cells of a prompt] what the cube has marked as taken; owned */
    enum ko_cube_axis axis; /* the prompt axis of mark, KO_AXIS_NONE: none yet */
    void *stored;           /* a dataset's elements of all slots, as the cube has them; owned */
};

/* bytes: room for the elements of every slot of any dataset. Free with ko_cube_keep_close, also
   after a failure. */
KO_MUST_CHECK enum ko_code ko_cube_keep_open(struct ko_cube *cube, size_t bytes,
                                             struct ko_cube_keep *out, struct ko_error *err);
void ko_cube_keep_close(struct ko_cube_keep *keep); /* leaves {0} */

/* A dataset of the table and what a commit would write to it. */
struct ko_cube_write_out {
    size_t index;
    hid_t space;                     /* the selection of all slots */
    const struct ko_cube_slot *slot; /* [n] */
    int32_t n;
    size_t block; /* elements of a slot */
    void *buffer; /* [n, block] */
};
/* Collective: puts into the buffer what is to stay. Of a computed record these are the cells that
   are marked, the clean run of a prompt that has one, and the flag of a size whose cells all are,
   where the record failed. Of a record with cells of an earlier cube it is all that it does not
   bring. */
KO_MUST_CHECK enum ko_code ko_cube_keep(struct ko_cube_keep *keep,
                                        const struct ko_cube_write_out *out, struct ko_error *err);

#endif
