#include "src/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Makes text one line, and marks a text of `length` bytes that did not fit, at a character's
 * boundary. */
static void tidy(char *text, int length)
{
    if (length >= KO_ERROR_TEXT) {
        size_t end = KO_ERROR_TEXT - 4;
        while (end > 0 && ((unsigned char)text[end] & 0xC0u) == 0x80u)
            end--;
        memcpy(text + end, "...", 4);
    }
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            *c = ' ';
}

enum ko_code ko_fail(struct ko_error *err, enum ko_code code, const char *format, ...)
{
    if (!err)
        return code;
    /* An argument may be err's own text. */
    char text[KO_ERROR_TEXT] = "";
    va_list arguments;
    va_start(arguments, format);
    tidy(text, vsnprintf(text, sizeof text, format, arguments));
    va_end(arguments);
    err->code = code;
    memcpy(err->text, text, sizeof text);
    return code;
}

enum ko_code ko_fail_in(struct ko_error *err, const char *format, ...)
{
    if (!err)
        return KO_E_FAILED;
    char where[KO_ERROR_TEXT] = "";
    char text[KO_ERROR_TEXT] = "";
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(where, sizeof where, format, arguments);
    va_end(arguments);
    tidy(text, snprintf(text, sizeof text, "%s: %s", where, err->text));
    memcpy(err->text, text, sizeof text);
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
