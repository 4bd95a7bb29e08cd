/* SPDX-License-Identifier: Apache-2.0 */
/* Errors: every function that can fail returns an enum ko_code and fills a caller-owned struct
   ko_error. */
#ifndef KO_BASE_ERROR_H
#define KO_BASE_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#define KO_MUST_CHECK                  __attribute__((warn_unused_result))
#define KO_PRINTF(format_at, first_at) __attribute__((format(printf, format_at, first_at)))

/* X(name, exit status of the program, sentence) */
#define KO_CODES(X)                                                                                \
    X(KO_OK, 0, "no error")                                                                        \
    X(KO_E_INPUT, 2, "wrong usage, spec, file or state of a file")                                 \
    X(KO_E_FAILED, 1, "the operation failed")                                                      \
    X(KO_E_MEMORY, 1, "out of memory")                                                             \
    X(KO_E_STOPPED, 75, "stopped early and resumable")

enum ko_code {
#define X(name, status, sentence) name,
    KO_CODES(X)
#undef X
};

enum { KO_ERROR_TEXT = 2048 };

/* The text is one line, "WHERE: WHAT, WHICH VALUE, WHAT TO DO", without the program's name. It is
   safe to print, whatever names it quotes (src/base/printable.h). */
struct ko_error {
    enum ko_code code;
    char text[KO_ERROR_TEXT];
};

/* Fills err (may be NULL) and returns code, so that a function can `return ko_fail(...)`. */
enum ko_code ko_fail(struct ko_error *err, enum ko_code code, const char *format, ...)
    KO_PRINTF(3, 4);

/* Puts "formatted text: " in front of err's text and returns err->code. */
enum ko_code ko_fail_in(struct ko_error *err, const char *format, ...) KO_PRINTF(2, 3);

/* The exit status of the program for a code (0, 1, 2 or 75). */
int ko_exit_status(enum ko_code code);

/* The sentence of a code; never NULL. */
const char *ko_code_sentence(enum ko_code code);

#ifdef __cplusplus
}
#endif

#endif
