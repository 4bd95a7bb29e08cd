/* SPDX-License-Identifier: Apache-2.0 */
/* Writes one line of a log at a time, without line breaks or control characters in it. */
#define _GNU_SOURCE /* vasprintf */

#include "src/base/log.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/text.h"

static bool prints_level(const struct ko_log *log, enum ko_log_level level)
{
    if (!log || !log->stream || level > log->level) {
        return false;
    }
    return level != KO_LOG_INFO || log->root;
}

/* Writes the message as one line, with `before` in front of it. */
static void write_line(const struct ko_log *log, const char *before, const char *format,
                       va_list arguments)
{
    struct ko_text line = {0};
    char *message = NULL;
    if (vasprintf(&message, format, arguments) < 0) {
        return;
    }
    for (char *c = message; *c; c++) {
        if (*c == '\n' || *c == '\r') {
            *c = ' ';
        }
    }
    ko_text_add(&line, "%s", before);
    ko_text_add_printable(&line, message, strlen(message));
    ko_text_add(&line, "\n");
    if (!line.failed) {
        (void)fwrite(line.data, 1, line.n, log->stream);
        (void)fflush(log->stream);
    }
    ko_text_free(&line);
    free(message);
}

/* Writes a line with its level, rank and event (may be "") in front. */
static void write_level(const struct ko_log *log, enum ko_log_level level, const char *event,
                        const char *format, va_list arguments)
{
    static const char *const name[] = {"error", "warn", "info", "debug"};
    struct ko_text before = {0};
    if (!prints_level(log, level) || (log->for_people && level >= KO_LOG_INFO)) {
        return;
    }
    if (log->for_people) {
        ko_text_add(&before, "knockout: %s", level == KO_LOG_WARN ? "warning: " : "");
    } else {
        ko_text_add(&before, "level=%s ", name[level]);
    }
    if (log->rank >= 0 && (!log->for_people || log->rank > 0)) {
        ko_text_add(&before, log->for_people ? "rank %d: " : "rank=%d ", log->rank);
    }
    if (event[0] != '\0' && !log->for_people) {
        ko_text_add(&before, "%s ", event);
    }
    if (!before.failed) {
        write_line(log, ko_text_str(&before), format, arguments);
    }
    ko_text_free(&before);
}

void ko_log_write(const struct ko_log *log, enum ko_log_level level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_level(log, level, "", format, arguments);
    va_end(arguments);
}

void ko_log_warn(const struct ko_log *log, const char *event, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_level(log, KO_LOG_WARN, event, format, arguments);
    va_end(arguments);
}

void ko_log_say(const struct ko_log *log, const char *format, ...)
{
    va_list arguments;
    if (!prints_level(log, KO_LOG_INFO) || !log->for_people) {
        return;
    }
    va_start(arguments, format);
    write_line(log, "", format, arguments);
    va_end(arguments);
}
