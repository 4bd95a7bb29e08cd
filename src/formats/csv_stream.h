/* SPDX-License-Identifier: Apache-2.0 */
/* Collects CSV text and writes it to a stream in large pieces. */
#ifndef KO_FORMATS_CSV_STREAM_H
#define KO_FORMATS_CSV_STREAM_H

#include <stdio.h>

#include "src/base/error.h"
#include "src/base/text.h"

/* Start from {.stream = , .where = } and add lines to the text. Free the text at the end. */
struct ko_csv_stream {
    FILE *stream;      /* borrowed */
    const char *where; /* names it in errors; borrowed */
    struct ko_text text;
};

enum { KO_CSV_FULL = 1 << 18 /* write the text when it has more bytes */ };

/* Writes and empties the text if it has more than `above` bytes. KO_E_FAILED if writing fails. */
KO_MUST_CHECK enum ko_code ko_csv_flush(struct ko_csv_stream *out, size_t above,
                                        struct ko_error *err);

/* Adds values[at]; nothing if it is negative or values is NULL. */
void ko_csv_whole(struct ko_text *text, const int32_t *values, int64_t at);

/* Adds a CSV field, in quotes if it has a comma, a quote or a line end (RFC 4180). */
void ko_csv_text(struct ko_text *out, const char *text);
/* Adds a number with nine digits; nothing if it is not finite. */
void ko_csv_number(struct ko_text *out, double value);

#endif
