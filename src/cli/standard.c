/* SPDX-License-Identifier: Apache-2.0 */
/* Makes sure that the standard streams are open, and writes results to standard output. Text is
   filtered, so that a name in a cube cannot send control sequences to a terminal. */
#define _GNU_SOURCE /* fopencookie */
#include "src/cli/standard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "src/base/printable.h"
#include "src/base/text.h"

void ko_standard_fill(void)
{
    for (int k = 0; k <= STDERR_FILENO; k++) {
        if (fcntl(k, F_GETFD) >= 0 || errno != EBADF) {
            continue;
        }
        /* Opened the wrong way around, so that reading and writing stay errors. open() returns the
           lowest free descriptor, which is k. */
        (void)open("/dev/null", k == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    }
}

static bool write_all(const char *bytes, size_t n)
{
    while (n > 0) {
        const ssize_t written = write(STDOUT_FILENO, bytes, n);
        if (written < 0 && errno == EAGAIN) {
            struct pollfd ready = {.fd = STDOUT_FILENO, .events = POLLOUT};
            (void)poll(&ready, 1, 1000);
        } else if (written < 0 && errno != EINTR) {
            return false;
        }
        bytes += written > 0 ? written : 0;
        n -= written > 0 ? (size_t)written : 0;
    }
    return true;
}

/* The length of the sequence ESC [ digits and semicolons m. 0: the bytes do not begin one. n: the
   sequence may continue. */
static size_t color_length(const char *bytes, size_t n)
{
    size_t at = 2;
    if (bytes[0] != '\x1b' || (n > 1 && bytes[1] != '[')) {
        return 0;
    }
    while (at < n && strchr("0123456789;", bytes[at]) && bytes[at]) {
        at++;
    }
    if (at >= n) {
        return n;
    }
    return bytes[at] == 'm' ? at + 1 : 0;
}

/* Whether the n < 4 bytes begin a longer character. */
static bool is_incomplete(const char *bytes, size_t n)
{
    const unsigned char lead = (unsigned char)bytes[0];
    const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 1;
    for (size_t k = 1; k < n; k++) {
        if (((unsigned char)bytes[k] & 0xC0u) != 0x80u) {
            return false;
        }
    }
    return n < length;
}

/* Adds the complete part of n bytes to out, escaped, and holds the rest. */
static void add_safe(struct ko_standard *standard, const char *bytes, size_t n, bool last,
                     struct ko_text *out)
{
    char piece[KO_PRINTABLE_BYTES];
    size_t at = 0;
    while (at < n) {
        const size_t left = n - at;
        const size_t color = standard->colors ? color_length(bytes + at, left) : 0;
        if (!last && left < sizeof standard->held &&
            ((color == left && bytes[n - 1] != 'm') || is_incomplete(bytes + at, left))) {
            break;
        }
        if (color > 0 && bytes[at + color - 1] == 'm') {
            ko_text_add_bytes(out, bytes + at, color);
            at += color;
        } else {
            at += ko_printable_next(bytes + at, left, piece);
            ko_text_add_bytes(out, piece, strlen(piece));
        }
    }
    standard->n_held = n - at;
    memcpy(standard->held, bytes + at, n - at);
}

static bool write_text(struct ko_standard *standard, const char *bytes, size_t n, bool last)
{
    struct ko_text whole = {0}, safe = {0};
    ko_text_add_bytes(&whole, standard->held, standard->n_held);
    ko_text_add_bytes(&whole, bytes, n);
    if (!whole.failed && whole.n > 0) {
        add_safe(standard, whole.data, whole.n, last, &safe);
    }
    errno = ENOMEM;
    const bool good = !whole.failed && !safe.failed && write_all(safe.data, safe.n);
    const int why = errno;
    ko_text_free(&whole);
    ko_text_free(&safe);
    errno = why;
    return good;
}

static ssize_t on_write(void *cookie, const char *bytes, size_t n)
{
    struct ko_standard *standard = cookie;
    /* Nothing is written after a failure, because the text would have a hole. */
    if (standard->failure == 0 &&
        !(standard->text ? write_text(standard, bytes, n, false) : write_all(bytes, n))) {
        standard->failure = errno;
    }
    return standard->failure == 0 ? (ssize_t)n : 0;
}

static int on_close(void *cookie)
{
    struct ko_standard *standard = cookie;
    if (standard->failure == 0 && !write_text(standard, "", 0, true)) {
        standard->failure = errno;
    }
    return standard->failure == 0 ? 0 : EOF;
}

enum ko_code ko_standard_open(struct ko_standard *standard, bool text, bool colors,
                              struct ko_error *err)
{
    const cookie_io_functions_t functions = {.write = on_write, .close = on_close};
    *standard = (struct ko_standard){.text = text, .colors = colors};
    standard->out = fopencookie(standard, "w", functions);
    if (!standard->out) {
        return ko_fail(err, KO_E_MEMORY, "standard output: out of memory");
    }
    (void)setvbuf(standard->out, NULL, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF, 1 << 16);
    return KO_OK;
}

enum ko_code ko_standard_close(struct ko_standard *standard, struct ko_error *err)
{
    const bool failed = ferror(standard->out) != 0;
    const bool closed = fclose(standard->out) == 0;
    standard->out = NULL;
    /* A network file system may report a full disk only on close. */
    if (close(STDOUT_FILENO) != 0 && standard->failure == 0 && errno != EBADF && errno != EINTR) {
        standard->failure = errno;
    }
    if (!failed && closed != KO_OK && standard->failure == 0) {
        return KO_OK;
    }
    (void)ko_fail(err, KO_E_FAILED, "standard output: cannot be written: %s",
                  standard->failure ? strerror(standard->failure) : "unknown error");
    if (err && standard->failure == EPIPE) {
        err->text[0] = '\0';
    }
    return KO_E_FAILED;
}
