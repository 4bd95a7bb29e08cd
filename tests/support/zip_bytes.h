/* SPDX-License-Identifier: Apache-2.0 */
/* Zip archives made byte by byte, so that they can be wrong. */
#ifndef TESTS_SUPPORT_ZIP_BYTES_H
#define TESTS_SUPPORT_ZIP_BYTES_H

#include <stddef.h>
#include <stdint.h>

struct test_zip_entry {
    const char *name;
    const void *bytes; /* NULL: zeros */
    size_t n;
    /* What the archive says instead of the truth, where it is not 0. */
    uint16_t method, flags; /* 0: stored; not encrypted */
    uint32_t crc, size;
    uint32_t at;            /* no header and data are written: the directory leads to this byte */
    const char *local_name; /* the name in the header in front of the data */
    size_t n_extra;         /* bytes between that header and the data */
};

/* The archive of n entries, in this order; its size in *n_bytes. free(). */
char *test_zip(const struct test_zip_entry *entries, size_t n, size_t *n_bytes);
/* The CRC-32 that zip uses. */
uint32_t test_crc32(const void *bytes, size_t n);

#endif
