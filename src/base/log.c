#define _GNU_SOURCE /* vasprintf */

#include "src/base/log.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/printable.h"

static bool speaks(const struct ko_log *log, enum ko_log_level level)
{
    if (!log || !log->stream || level > log->level)
        return false;
    return level != KO_LOG_INFO || log->root;
}

void ko_log_write(const struct ko_log *log, enum ko_log_level level, const char *format, ...)
{
    static const char *const name[] = {"error", "warn", "info", "debug"};
    struct ko_text line = {0};
    char *message = NULL;
    if (!speaks(log, level))
        return;

    va_list arguments;
    va_start(arguments, format);
    int n = vasprintf(&message, format, arguments);
    va_end(arguments);
    if (n < 0)
        return;
    for (char *c = message; *c; c++)
        if (*c == '\n' || *c == '\r')
            *c = ' ';

    ko_text_add(&line, "level=%s ", name[level]);
    if (log->rank >= 0)
        ko_text_add(&line, "rank=%d ", log->rank);
    ko_printable_add(&line, message, strlen(message));
    ko_text_add(&line, "\n");
    if (!line.failed) {
        (void)fwrite(line.data, 1, line.n, log->stream);
        (void)fflush(log->stream);
    }
    ko_text_free(&line);
    free(message);
}
