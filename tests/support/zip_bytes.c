/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/zip_bytes.h"

#include <stdlib.h>
#include <string.h>

struct buffer {
    char *bytes;
    size_t n, capacity;
};

/* NULL: zeros. */
static void add(struct buffer *b, const void *bytes, size_t n)
{
    if (b->n + n > b->capacity) {
        b->capacity = 2 * (b->n + n) + 64;
        b->bytes = realloc(b->bytes, b->capacity);
        if (!b->bytes) {
            abort();
        }
    }
    if (n > 0 && bytes) {
        memcpy(b->bytes + b->n, bytes, n);
    } else if (n > 0) {
        memset(b->bytes + b->n, 0, n);
    }
    b->n += n;
}

static void add_number(struct buffer *b, uint64_t value, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char byte = (unsigned char)(i < 8 ? value >> (8 * i) : 0);
        add(b, &byte, 1);
    }
}

static uint32_t update_crc(uint32_t crc, unsigned char byte)
{
    crc ^= byte;
    for (int bit = 0; bit < 8; bit++) {
        crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return crc;
}

uint32_t test_crc32(const void *bytes, size_t n)
{
    const unsigned char *at = bytes;
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        crc = update_crc(crc, at ? at[i] : 0);
    }
    return ~crc;
}

/* From the version on, the part that both headers have. APPNOTE.TXT 4.3.7 and 4.3.12. */
static void add_common(struct buffer *b, const struct test_zip_entry *e, const char *name,
                       size_t n_extra)
{
    add_number(b, 20, 2);
    add_number(b, e->flags, 2);
    add_number(b, e->method, 2);
    add_number(b, 0, 4);
    add_number(b, e->crc ? e->crc : test_crc32(e->bytes, e->n), 4);
    add_number(b, e->size ? e->size : e->n, 4);
    add_number(b, e->size ? e->size : e->n, 4);
    add_number(b, strlen(name), 2);
    add_number(b, n_extra, 2);
}

static void add_extra(struct buffer *b, size_t n)
{
    if (n == 0) {
        return;
    }
    add(b, "FB", 2);
    add_number(b, n - 4, 2);
    add(b, NULL, n - 4);
}

static void add_local(struct buffer *b, const struct test_zip_entry *e)
{
    const char *name = e->local_name ? e->local_name : e->name;
    add(b, "PK\3\4", 4);
    add_common(b, e, name, e->n_extra);
    add(b, name, strlen(name));
    add_extra(b, e->n_extra);
    add(b, e->bytes, e->n);
}

char *test_zip(const struct test_zip_entry *entries, size_t n, size_t *n_bytes)
{
    struct buffer b = {0}, directory = {0};
    for (size_t i = 0; i < n; i++) {
        const struct test_zip_entry *e = &entries[i];
        add(&directory, "PK\1\2", 4);
        add_number(&directory, 20, 2);
        add_common(&directory, e, e->name, 0);
        add_number(&directory, 0, 10); /* comment, disk, attributes */
        add_number(&directory, e->at ? e->at : b.n, 4);
        add(&directory, e->name, strlen(e->name));
        if (!e->at) {
            add_local(&b, e);
        }
    }
    size_t begin = b.n;
    add(&b, directory.bytes, directory.n);
    add(&b, "PK\5\6\0\0\0\0", 8);
    add_number(&b, n, 2);
    add_number(&b, n, 2);
    add_number(&b, directory.n, 4);
    add_number(&b, begin, 4);
    add_number(&b, 0, 2);
    free(directory.bytes);
    *n_bytes = b.n;
    return b.bytes;
}
