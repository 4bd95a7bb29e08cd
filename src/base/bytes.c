/* SPDX-License-Identifier: Apache-2.0 */
/* Writes numbers, strings and blocks into a byte stream, and reads them back. Reading past the end
   marks the stream as broken. */
#include "src/base/bytes.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"

enum { WORD = 8 };
static const int64_t NO_STRING = -1;

void ko_put_int(struct ko_bytes *b, int64_t value)
{
    unsigned char byte[WORD];
    for (unsigned i = 0; i < WORD; i++) {
        byte[i] = (unsigned char)((uint64_t)value >> (8 * i));
    }
    ko_text_add_bytes(&b->data, byte, WORD);
}

void ko_put_double(struct ko_bytes *b, double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    ko_put_int(b, bits);
}

void ko_put_string(struct ko_bytes *b, const char *text)
{
    if (!text) {
        ko_put_int(b, NO_STRING);
    } else {
        ko_put_blob(b, text, strlen(text));
    }
}

void ko_put_blob(struct ko_bytes *b, const void *bytes, size_t n)
{
    ko_put_int(b, (int64_t)n);
    ko_text_add_bytes(&b->data, bytes, n);
}

void ko_bytes_read_from(struct ko_bytes *b, const char *bytes, size_t n)
{
    b->at = bytes;
    b->left = n;
    b->broken = 0;
}

/* The next n bytes. NULL if fewer are left. */
static const char *take_bytes(struct ko_bytes *b, size_t n)
{
    if (b->broken || n > b->left) {
        b->broken = 1;
        return NULL;
    }
    const char *bytes = b->at;
    b->at += n;
    b->left -= n;
    return bytes;
}

int64_t ko_get_int(struct ko_bytes *b)
{
    const unsigned char *byte = (const unsigned char *)take_bytes(b, WORD);
    uint64_t value = 0;
    if (!byte) {
        return 0;
    }
    for (unsigned i = 0; i < WORD; i++) {
        value |= (uint64_t)byte[i] << (8 * i);
    }
    return (int64_t)value;
}

double ko_get_double(struct ko_bytes *b)
{
    int64_t bits = ko_get_int(b);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

char *ko_get_string(struct ko_bytes *b, struct ko_error *err)
{
    int64_t n = ko_get_int(b);
    if (n == NO_STRING && !b->broken) {
        return NULL;
    }
    if (n < 0) {
        b->broken = 1;
    }
    const char *bytes = take_bytes(b, n < 0 ? 0 : (size_t)n);
    if (!bytes) {
        (void)ko_fail(err, KO_E_FAILED, "message: a string is missing or damaged");
        return NULL;
    }
    char *text = ko_copy_n(bytes, (size_t)n, err);
    if (!text) {
        b->broken = 1;
    }
    return text;
}

void ko_get_blob(struct ko_bytes *b, void *bytes, size_t n)
{
    int64_t stored = ko_get_int(b);
    if (stored < 0 || (uint64_t)stored != n) {
        b->broken = 1;
    }
    const char *from = take_bytes(b, n);
    if (n == 0) {
        return;
    }
    if (from) {
        memcpy(bytes, from, n);
    } else {
        memset(bytes, 0, n);
    }
}
