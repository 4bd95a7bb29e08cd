/* SPDX-License-Identifier: Apache-2.0 */
/* Members of struct ko_kernels for backends that compute in host memory, where nothing is
   asynchronous. */
#ifndef KO_KERNELS_HOST_H
#define KO_KERNELS_HOST_H

#include "kernels/kernels.h"

enum ko_code ko_host_alloc(struct ko_backend *be, size_t bytes, void **out, struct ko_error *err);
void ko_host_release(struct ko_backend *be, void *memory);
/* For both upload and download. */
enum ko_code ko_host_copy(struct ko_backend *be, void *to, const void *from, size_t bytes,
                          struct ko_error *err);
enum ko_code ko_host_wait(struct ko_backend *be, struct ko_error *err);

/* KO_E_INPUT, with the name of the backend, unless the precision is float32. */
KO_MUST_CHECK enum ko_code ko_host_check_precision(const char *backend, enum ko_precision precision,
                                                   struct ko_error *err);

#endif
