/* SPDX-License-Identifier: Apache-2.0 */
/* The content of a lock's file, and whether its owner is gone. */
#ifndef KO_MPI_LOCK_LOCK_FILE_H
#define KO_MPI_LOCK_LOCK_FILE_H

#include "mpi/lock/lock.h"
#include "src/base/text.h"

/* State letter and start of a process as /proc has them; false where there is none. */
bool ko_process_state(int64_t pid, char *state, uint64_t *begin);

/* Whether an owner that has been silent for so many seconds is to be taken for gone. other->n is 0
   where the file could not be read. */
bool ko_lock_is_stale(const struct ko_lock_owner *other, const struct ko_lock_owner *self,
                      double silence);

/* The owner as JSON, and back: an owner of no process where the text is no such JSON. */
void ko_lock_write_owner(const struct ko_lock_owner *owner, struct ko_text *out);
KO_MUST_CHECK enum ko_code ko_lock_read_owner(const char *text, size_t n, struct ko_lock_owner *out,
                                              struct ko_error *err);

#endif
