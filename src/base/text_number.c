/* SPDX-License-Identifier: Apache-2.0 */
/* Reads numbers from text with checks, and writes numbers, sizes and times for people. It is part
   of text.h. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/text.h"

enum ko_code ko_parse_int(const char *text, int64_t min, int64_t max, int64_t *out,
                          const char *where, struct ko_error *err)
{
    char *end = NULL;
    const char *digits = text[0] == '-' ? text + 1 : text;
    errno = 0;
    long long value = isdigit((unsigned char)digits[0]) ? strtoll(text, &end, 10) : 0;
    if (!end || *end != '\0' || errno != 0 || value < min || value > max) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: expected a whole number from %" PRId64 " to %" PRId64 ", got '%s'",
                       where, min, max, text);
    }
    *out = value;
    return KO_OK;
}

enum ko_code ko_parse_natural(const char *text, int64_t max, int64_t *out, const char *where,
                              struct ko_error *err)
{
    int64_t value = 0;
    if ((text[0] == '0' && text[1] != '\0') ||
        ko_parse_int(text, 0, max, &value, where, NULL) != KO_OK || text[0] == '-') {
        return ko_fail(err, KO_E_INPUT,
                       "%s: expected a whole number from 0 to %" PRId64
                       ", without sign or leading zeros, got '%s'",
                       where, max, text);
    }
    *out = value;
    return KO_OK;
}

enum ko_code ko_parse_double(const char *text, double *out, const char *where, struct ko_error *err)
{
    char *end = NULL;
    double value = 0;
    /* strtod also takes leading blanks, hexadecimal, "inf" and "nan". */
    if (text[0] != '\0' && strspn(text, "+-.0123456789eE") == strlen(text)) {
        value = strtod(text, &end);
    }
    if (!end || *end != '\0' || !isfinite(value)) {
        return ko_fail(err, KO_E_INPUT, "%s: expected a number, got '%s'", where, text);
    }
    *out = value;
    return KO_OK;
}

const char *ko_grouped(int64_t value, char buffer[32])
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%" PRId64, value);
    int sign = value < 0 ? 1 : 0;
    char *to = buffer;
    for (int i = 0; i < n; i++) {
        if (i > sign && (n - i) % 3 == 0) {
            *to++ = ',';
        }
        *to++ = digits[i];
    }
    *to = '\0';
    return buffer;
}

const char *ko_bytes_human(double bytes, char buffer[32])
{
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t i = 0;
    /* 1023.95 would be printed as 1024.0. */
    while (i + 1 < sizeof unit / sizeof unit[0] && fabs(bytes) >= (i ? 1023.95 : 1023.5)) {
        bytes /= 1024;
        i++;
    }
    (void)snprintf(buffer, 32, i == 0 ? "%.0f %s" : "%.1f %s", bytes, unit[i]);
    return buffer;
}

const char *ko_seconds_human(double seconds, char buffer[32])
{
    if (!(seconds >= 0 && seconds < 1e12)) {
        (void)snprintf(buffer, 32, "unknown");
    } else if (seconds < 9.95) {
        (void)snprintf(buffer, 32, seconds < 0.0995 ? "%.3f s" : "%.1f s", seconds);
    } else if (seconds < 59.5) {
        (void)snprintf(buffer, 32, "%.0f s", seconds);
    } else if (seconds < 3599.5) {
        int64_t whole = (int64_t)(seconds + 0.5);
        (void)snprintf(buffer, 32, "%" PRId64 "m %02" PRId64 "s", whole / 60, whole % 60);
    } else if (seconds < 86370) {
        int64_t minutes = (int64_t)(seconds / 60 + 0.5);
        (void)snprintf(buffer, 32, "%" PRId64 "h %02" PRId64 "m", minutes / 60, minutes % 60);
    } else {
        int64_t hours = (int64_t)(seconds / 3600 + 0.5);
        (void)snprintf(buffer, 32, "%" PRId64 "d %02" PRId64 "h", hours / 24, hours % 24);
    }
    return buffer;
}

void ko_hash_text(uint64_t high, uint64_t low, char text[33])
{
    (void)snprintf(text, 33, "%016" PRIx64 "%016" PRIx64, high, low);
}
