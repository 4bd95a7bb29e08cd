/* SPDX-License-Identifier: Apache-2.0 */
/* A backend with memory of its own, as a GPU has, for machines without one: the cpu backend behind
   memory that only upload, download and import reach. An operation that is handed host memory, or
   more than was reserved, fails by name. One at a time. */
#ifndef TESTS_SUPPORT_FAR_H
#define TESTS_SUPPORT_FAR_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/kernels.h"

/* Matrices are float32 there, or bfloat16, or in two parts as in bf16x3. */
extern const struct ko_kernels test_far;
extern const struct ko_kernels test_far_narrow;
extern const struct ko_kernels test_far_split;

/* Bytes that are allocated and not released. */
size_t test_far_bytes(void);
/* Bytes that import has taken from host memory since the backend was opened. */
size_t test_far_imported(void);
/* Whether [memory, memory + bytes) is far memory. */
bool test_far_has(const void *memory, size_t bytes);

#endif
