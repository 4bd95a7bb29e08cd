/* SPDX-License-Identifier: Apache-2.0 */
/* A little-endian byte stream for messages between ranks of one program: written and read in the
   same order. */
#ifndef KO_BASE_BYTES_H
#define KO_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"

struct ko_bytes {
    struct ko_text data; /* writing: what was put; owned, ko_text_free */
    const char *at;      /* reading: borrowed */
    size_t left;
    int broken; /* reading: something was missing */
};

void ko_put_int(struct ko_bytes *b, int64_t value);
void ko_put_double(struct ko_bytes *b, double value);
void ko_put_string(struct ko_bytes *b, const char *text); /* NULL is kept */
void ko_put_blob(struct ko_bytes *b, const void *bytes, size_t n);

void ko_bytes_read_from(struct ko_bytes *b, const char *bytes, size_t n);
/* On a broken stream the getters return 0 or NULL and set `broken`: check once at the end. */
int64_t ko_get_int(struct ko_bytes *b);
double ko_get_double(struct ko_bytes *b);
KO_MUST_CHECK char *
ko_get_string(struct ko_bytes *b,
              struct ko_error *err); /* free(); NULL where NULL was put, or broken */
/* n must be what was put. */
void ko_get_blob(struct ko_bytes *b, void *bytes, size_t n);

#endif
