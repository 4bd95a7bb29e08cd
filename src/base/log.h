/* SPDX-License-Identifier: Apache-2.0 */
/* Logs on stderr: key=value for files and programs, or short lines for people. Only the root speaks
   at info level; warnings and errors carry the rank of whoever speaks. */
#ifndef KO_BASE_LOG_H
#define KO_BASE_LOG_H

#include <stdbool.h>
#include <stdio.h>

#include "src/base/error.h"

enum ko_log_level { KO_LOG_ERROR, KO_LOG_WARN, KO_LOG_INFO, KO_LOG_DEBUG };

struct ko_log {
    enum ko_log_level level; /* the most talkative level that is printed */
    int rank;                /* -1: one process, no rank printed */
    bool root;               /* speaks at info level */
    FILE *stream;            /* stderr; borrowed */
    bool for_people;         /* somebody reads it on a terminal */
};

/* "level=info rank=0 EVENT key=value ...\n" in one write. log may be NULL (silent). To people:
   "knockout: warning: EVENT ...", and nothing at the levels info and debug. */
void ko_log_write(const struct ko_log *log, enum ko_log_level level, const char *format, ...)
    KO_PRINTF(3, 4);
/* A warning in words: "level=warn rank=0 EVENT WORDS", and to people "knockout: warning: WORDS". */
void ko_log_warn(const struct ko_log *log, const char *event, const char *format, ...)
    KO_PRINTF(3, 4);
/* A line that the root says to people alone. */
void ko_log_say(const struct ko_log *log, const char *format, ...) KO_PRINTF(2, 3);

#endif
