/* SPDX-License-Identifier: Apache-2.0 */
/* Allocates, grows and copies memory, and adds and multiplies sizes. Each function returns an error
   if memory runs out or a size overflows. */
#include "src/base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, FIRST_CAPACITY = 8 };

/* Returns NULL, so that a caller can return it. */
static void *out_of_memory(size_t n, size_t size, struct ko_error *err)
{
    (void)ko_fail(err, KO_E_MEMORY,
                  "out of memory: %zu items of %zu bytes could not be allocated, use a smaller "
                  "row budget or a machine with more memory",
                  n, size);
    return NULL;
}

void *ko_new(size_t n, size_t size, struct ko_error *err)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(n, size, &bytes) || bytes > PTRDIFF_MAX - ALIGNMENT) {
        return out_of_memory(n, size, err);
    }
    size_t rounded = bytes == 0 ? ALIGNMENT : (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    void *block = aligned_alloc(ALIGNMENT, rounded);
    if (!block) {
        return out_of_memory(n, size, err);
    }
    memset(block, 0, rounded);
    return block;
}

void *ko_grow(void *old, size_t *capacity, size_t needed, size_t size, struct ko_error *err)
{
    if (old && needed <= *capacity) {
        return old;
    }
    size_t had = old ? *capacity : 0;
    size_t target = had > SIZE_MAX / 2 ? needed : had + had / 2;
    if (target < needed) {
        target = needed;
    }
    if (target < FIRST_CAPACITY) {
        target = FIRST_CAPACITY;
    }

    size_t bytes = 0;
    if (__builtin_mul_overflow(target, size, &bytes) || bytes > PTRDIFF_MAX) {
        return out_of_memory(target, size, err);
    }
    char *grown = realloc(old, bytes ? bytes : 1);
    if (!grown) {
        return out_of_memory(target, size, err);
    }
    memset(grown + had * size, 0, bytes - had * size);
    *capacity = target;
    return grown;
}

char *ko_copy_n(const char *text, size_t n, struct ko_error *err)
{
    char *copy = n < PTRDIFF_MAX ? malloc(n + 1) : NULL;
    if (!copy) {
        return out_of_memory(n, 1, err);
    }
    if (n) {
        memcpy(copy, text, n);
    }
    copy[n] = '\0';
    return copy;
}

char *ko_copy(const char *text, struct ko_error *err)
{
    return ko_copy_n(text, strlen(text), err);
}

enum ko_code ko_multiply(size_t a, size_t b, size_t *out, const char *what, struct ko_error *err)
{
    size_t product = 0;
    if (__builtin_mul_overflow(a, b, &product)) {
        return ko_fail(err, KO_E_INPUT, "%s: %zu times %zu is too large for this machine", what, a,
                       b);
    }
    *out = product;
    return KO_OK;
}

enum ko_code ko_add(size_t a, size_t b, size_t *out, const char *what, struct ko_error *err)
{
    size_t sum = 0;
    if (__builtin_add_overflow(a, b, &sum)) {
        return ko_fail(err, KO_E_INPUT, "%s: %zu plus %zu is too large for this machine", what, a,
                       b);
    }
    *out = sum;
    return KO_OK;
}
