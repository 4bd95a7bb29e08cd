/* SPDX-License-Identifier: Apache-2.0 */
/* The content of a lock's file, and whether its owner has died. */
#ifndef KO_MPI_LOCK_LOCK_FILE_H
#define KO_MPI_LOCK_LOCK_FILE_H

#include "mpi/lock/lock.h"
#include "src/base/text.h"

/* State letter and start time of a process, from /proc; false if there is no such process. */
bool ko_process_state(int64_t pid, char *state, uint64_t *begin);

/* Whether `other`, which has not touched its lock for `silence` seconds, counts as dead. other->n
   is 0 if the file could not be read. */
bool ko_lock_is_stale(const struct ko_lock_owner *other, const struct ko_lock_owner *self,
                      double silence);

/* Writes the owner as JSON, and reads it. Text that is not such JSON gives an owner with n = 0. */
void ko_lock_write_owner(const struct ko_lock_owner *owner, struct ko_text *out);
KO_MUST_CHECK enum ko_code ko_lock_read_owner(const char *text, size_t n, struct ko_lock_owner *out,
                                              struct ko_error *err);

#endif
