/* SPDX-License-Identifier: Apache-2.0 */
/* Writes an error's text as one printable line and adds context in front of it. Also looks up each
   code's exit status and sentence. */
#include "src/base/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "src/base/printable.h"

/* Copies as much of a text as fits, as one line that is safe to print. Dots mark a cut. `cut`: the
   text was cut before, perhaps in the middle of a character. */
static void copy_printable(const char *from, bool cut, char to[KO_ERROR_TEXT])
{
    const size_t n = strlen(from);
    char piece[KO_PRINTABLE_BYTES];
    size_t at = 0, used = 0;
    while (at < n) {
        const bool blank = strchr("\t\n\r", from[at]) != NULL;
        const size_t length = ko_printable_next(from + at, n - at, piece);
        const size_t bytes = blank ? 1 : strlen(piece);
        if (used + bytes + sizeof "..." > KO_ERROR_TEXT || (cut && n - at < 4)) {
            break;
        }
        memcpy(to + used, blank ? " " : piece, bytes);
        used += bytes;
        at += length;
    }
    memcpy(to + used, cut || at < n ? "..." : "", cut || at < n ? sizeof "..." : 1);
}

enum ko_code ko_fail(struct ko_error *err, enum ko_code code, const char *format, ...)
{
    if (!err) {
        return code;
    }
    /* An argument may be err's own text. */
    char text[KO_ERROR_TEXT] = "";
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    err->code = code;
    copy_printable(text, length >= KO_ERROR_TEXT, err->text);
    return code;
}

enum ko_code ko_fail_in(struct ko_error *err, const char *format, ...)
{
    if (!err) {
        return KO_E_FAILED;
    }
    char where[KO_ERROR_TEXT] = "";
    char text[KO_ERROR_TEXT] = "";
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(where, sizeof where, format, arguments);
    va_end(arguments);
    const int length = snprintf(text, sizeof text, "%s: %s", where, err->text);
    copy_printable(text, length >= KO_ERROR_TEXT, err->text);
    return err->code;
}

int ko_exit_status(enum ko_code code)
{
    switch (code) {
#define X(name, status, sentence)                                                                  \
    case name:                                                                                     \
        return status;
        KO_CODES(X)
#undef X
    }
    return 1;
}

const char *ko_code_sentence(enum ko_code code)
{
    switch (code) {
#define X(name, status, sentence)                                                                  \
    case name:                                                                                     \
        return sentence;
        KO_CODES(X)
#undef X
    }
    return "unknown error";
}
