/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the files of the next model into the system's cache while this one computes, in a thread of
   low priority that uses neither MPI nor HDF5 nor the backend. Its errors are ignored: the load
   will meet them again. */
#ifndef KO_MPI_COMPUTE_READ_AHEAD_H
#define KO_MPI_COMPUTE_READ_AHEAD_H

#include <stdint.h>

#include "src/base/error.h"

struct ko_read_ahead;

/* Which part of the weights this worker will load. */
struct ko_read_part {
    int32_t part, n_parts;
    int n_node_workers;
};
/* Starts reading the part from the checkpoint's files. It reads nothing unless free memory has room
   for the parts of all the node's workers twice. path and name are copied. Stop with
   ko_read_ahead_stop. */
KO_MUST_CHECK enum ko_code ko_read_ahead_start(const char *path, const char *name,
                                               const struct ko_read_part *part,
                                               struct ko_read_ahead **out, struct ko_error *err);
/* Waits until all is read. */
void ko_read_ahead_finish(struct ko_read_ahead *ahead);
/* Stops the thread and frees it; ahead may be NULL. Returns the number of bytes read. */
int64_t ko_read_ahead_stop(struct ko_read_ahead *ahead);

#endif
