/* SPDX-License-Identifier: Apache-2.0 */
/* A little-endian byte stream for messages between ranks. Read it in the order of writing. */
#ifndef KO_BASE_BYTES_H
#define KO_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"

struct ko_bytes {
    struct ko_text data; /* writing; owned, ko_text_free */
    const char *at;      /* reading: borrowed */
    size_t left;
    int broken; /* reading: bytes were missing or damaged */
};

void ko_put_int(struct ko_bytes *b, int64_t value);
void ko_put_double(struct ko_bytes *b, double value);
void ko_put_string(struct ko_bytes *b, const char *text); /* NULL stays NULL */
void ko_put_blob(struct ko_bytes *b, const void *bytes, size_t n);

void ko_bytes_read_from(struct ko_bytes *b, const char *bytes, size_t n);
/* On a broken stream the getters return 0 or NULL and set `broken`: check once at the end. */
int64_t ko_get_int(struct ko_bytes *b);
double ko_get_double(struct ko_bytes *b);
/* free() it. NULL if NULL was put or the stream is broken. */
KO_MUST_CHECK char *ko_get_string(struct ko_bytes *b, struct ko_error *err);
/* n must equal the n of ko_put_blob. */
void ko_get_blob(struct ko_bytes *b, void *bytes, size_t n);

#endif
