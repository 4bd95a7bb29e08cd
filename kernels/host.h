/* SPDX-License-Identifier: Apache-2.0 */
/* What backends that compute in host memory share: their memory is the system's, and nothing there
   is asynchronous. The functions are members of struct ko_kernels, and say what it says. */
#ifndef KO_KERNELS_HOST_H
#define KO_KERNELS_HOST_H

#include "kernels/kernels.h"

enum ko_code ko_host_alloc(struct ko_backend *be, size_t bytes, void **out, struct ko_error *err);
void ko_host_release(struct ko_backend *be, void *memory);
/* Both upload and download. */
enum ko_code ko_host_copy(struct ko_backend *be, void *to, const void *from, size_t bytes,
                          struct ko_error *err);
enum ko_code ko_host_wait(struct ko_backend *be, struct ko_error *err);

/* KO_E_INPUT, naming the backend, unless it is float32. */
KO_MUST_CHECK enum ko_code ko_host_check_precision(const char *backend, enum ko_precision precision,
                                                   struct ko_error *err);

#endif
