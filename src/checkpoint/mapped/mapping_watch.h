/* SPDX-License-Identifier: Apache-2.0 */
/* Watches mapped files that may become shorter. A read beyond a file's new end, or a disk error,
   raises SIGBUS, which would end the process. In a watched mapping the rest reads as zeros instead,
   and the reader checks ko_watch_is_whole afterwards. */
#ifndef KO_CHECKPOINT_MAPPED_MAPPING_WATCH_H
#define KO_CHECKPOINT_MAPPED_MAPPING_WATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/error.h"

/* Watches the mapping data [bytes] of the open file fd. Takes fd, also on failure. Sets the
   process's SIGBUS handler; other faults go to the previous handler. KO_E_FAILED "WHERE: ..." if
   too many files are mapped. */
KO_MUST_CHECK enum ko_code ko_watch_begin(const void *data, size_t bytes, int fd, const char *where,
                                          struct ko_error *err);
/* Ends the watch. Call before unmapping. */
void ko_watch_end(const void *data);
/* Whether the watched mapping around `at` had no fault and its file is still as long as when it was
   mapped. True for other addresses. */
bool ko_watch_is_whole(const void *at);
/* The same, and nothing has been written to the file either. A file that another one replaced under
   its name is unchanged: the mapping keeps the old one. */
bool ko_watch_is_unchanged(const void *at);

#endif
