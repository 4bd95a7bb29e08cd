/* SPDX-License-Identifier: Apache-2.0 */
/* Checked memory. All of it is freed with free(). */
#ifndef KO_BASE_MEMORY_H
#define KO_BASE_MEMORY_H

#include <stddef.h>

#include "src/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Allocates n * size zeroed bytes, 64-byte aligned; also for n * size == 0. NULL, with err filled
   (KO_E_MEMORY), if the product overflows or memory is short. */
KO_MUST_CHECK void *ko_new(size_t n, size_t size, struct ko_error *err);

/* Makes room for `needed` items of `size` bytes in the array at old (may be NULL). *capacity
   (items) grows geometrically. New bytes are zero. Returns the array, which may have moved. On
   failure: NULL with err filled, and old is still valid. */
KO_MUST_CHECK void *ko_grow(void *old, size_t *capacity, size_t needed, size_t size,
                            struct ko_error *err);

/* Copies text, or its first n bytes, and adds a NUL. */
KO_MUST_CHECK char *ko_copy(const char *text, struct ko_error *err);
KO_MUST_CHECK char *ko_copy_n(const char *text, size_t n, struct ko_error *err);

/* Write a * b or a + b to *out. KO_E_INPUT, naming `what`, on overflow. */
KO_MUST_CHECK enum ko_code ko_multiply(size_t a, size_t b, size_t *out, const char *what,
                                       struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_add(size_t a, size_t b, size_t *out, const char *what,
                                  struct ko_error *err);

#ifdef __cplusplus
}
#endif

#endif
