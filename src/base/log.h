/* key=value logs on stderr. Only the root speaks at info level; warnings and errors carry the rank
 * of whoever speaks. */
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
};

/* "level=info rank=0 EVENT key=value ...\n" in one write. log may be NULL (silent). */
void ko_log_write(const struct ko_log *log, enum ko_log_level level, const char *format, ...)
    KO_PRINTF(3, 4);

#endif
