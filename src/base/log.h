/* SPDX-License-Identifier: Apache-2.0 */
/* Logs on stderr: key=value for files and programs, or short lines for people. Only the root logs
   at info level. Warnings and errors carry the rank that logs them. */
#ifndef KO_BASE_LOG_H
#define KO_BASE_LOG_H

#include <stdbool.h>
#include <stdio.h>

#include "src/base/error.h"

enum ko_log_level { KO_LOG_ERROR, KO_LOG_WARN, KO_LOG_INFO, KO_LOG_DEBUG };

struct ko_log {
    enum ko_log_level level; /* the most detailed level that is printed */
    int rank;                /* -1: one process, no rank is printed */
    bool root;               /* logs at info level */
    FILE *stream;            /* stderr; borrowed */
    bool for_people;         /* the stream is a terminal */
};

/* Writes "level=info rank=0 EVENT key=value ...\n" at once. log may be NULL (silent). For people:
   "knockout: warning: EVENT ...", and nothing at info and debug level. */
void ko_log_write(const struct ko_log *log, enum ko_log_level level, const char *format, ...)
    KO_PRINTF(3, 4);
/* A warning in words: "level=warn rank=0 EVENT WORDS"; for people: "knockout: warning: WORDS". */
void ko_log_warn(const struct ko_log *log, const char *event, const char *format, ...)
    KO_PRINTF(3, 4);
/* A line that only the root prints, and only for people. */
void ko_log_say(const struct ko_log *log, const char *format, ...) KO_PRINTF(2, 3);

#endif
