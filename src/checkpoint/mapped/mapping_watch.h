/* SPDX-License-Identifier: Apache-2.0 */
/* Mapped files that become shorter. A read beyond a file's new end, or one that the disk fails,
   comes as the signal SIGBUS and would end the process; of a watched mapping the rest becomes zeros
   instead, and whoever reads asks afterwards. */
#ifndef KO_CHECKPOINT_MAPPED_MAPPING_WATCH_H
#define KO_CHECKPOINT_MAPPED_MAPPING_WATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/error.h"

/* Watches the mapping data [bytes] of the open file fd, which is taken also on failure. Sets the
   process's handler of SIGBUS; faults elsewhere go where they went before. KO_E_FAILED "WHERE: ..."
   where too many files are mapped. */
KO_MUST_CHECK enum ko_code ko_watch_begin(const void *data, size_t bytes, int fd, const char *where,
                                          struct ko_error *err);
/* Before it is unmapped. */
void ko_watch_end(const void *data);
/* Whether everything read so far from the watched mapping around `at` was in the file, which is
   still as long as when it was mapped. True for other addresses. */
bool ko_watch_is_whole(const void *at);

#endif
