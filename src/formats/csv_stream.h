/* SPDX-License-Identifier: Apache-2.0 */
/* Text on its way to a stream, in large pieces. */
#ifndef KO_FORMATS_CSV_STREAM_H
#define KO_FORMATS_CSV_STREAM_H

#include <stdio.h>

#include "src/base/error.h"
#include "src/base/text.h"

/* Start from {.stream = , .where = }; lines are added to the text. Free the text at the end. */
struct ko_csv_stream {
    FILE *stream;      /* borrowed */
    const char *where; /* names it in errors; borrowed */
    struct ko_text text;
};

enum { KO_CSV_FULL = 1 << 18 /* bytes that are worth a write */ };

/* Writes the text that has gathered if it is more than `above` bytes. KO_E_FAILED where the stream
   takes no more. */
KO_MUST_CHECK enum ko_code ko_csv_flush(struct ko_csv_stream *out, size_t above,
                                        struct ko_error *err);

/* values[at], nothing where it is negative or there are no values. */
void ko_csv_whole(struct ko_text *text, const int32_t *values, int64_t at);

/* A field of CSV: in quotes where it holds a comma, a quote or a line end (RFC 4180). */
void ko_csv_text(struct ko_text *out, const char *text);
/* A number with nine digits; nothing where it is not finite. */
void ko_csv_number(struct ko_text *out, double value);

#endif
