/* SPDX-License-Identifier: Apache-2.0 */
/* Brings the files of the next model into the system's cache while this one computes. A thread of
   low priority that uses neither MPI nor HDF5 nor the backend; what it cannot do is left to the
   loading, which also says what is wrong. */
#ifndef KO_MPI_READ_AHEAD_H
#define KO_MPI_READ_AHEAD_H

#include <stdint.h>

#include "src/base/error.h"

struct ko_read_ahead;

/* Starts reading what ko_model_load_apart reads of this part: only where memory has room for twice
   that and for the same of the node's other workers. path and name are copied. Stop with
   ko_read_ahead_stop. */
KO_MUST_CHECK enum ko_code ko_read_ahead_start(const char *path, const char *name, int32_t part,
                                               int32_t n_parts, int n_node_workers,
                                               struct ko_read_ahead **out, struct ko_error *err);
/* Waits until all is read. */
void ko_read_ahead_finish(struct ko_read_ahead *ahead);
/* Ends the thread where it is and frees it; ahead may be NULL. Returns the bytes that were read. */
int64_t ko_read_ahead_stop(struct ko_read_ahead *ahead);

#endif
