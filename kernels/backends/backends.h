/* SPDX-License-Identifier: Apache-2.0 */
/* The backends of this build, by name. */
#ifndef KO_KERNELS_BACKENDS_BACKENDS_H
#define KO_KERNELS_BACKENDS_BACKENDS_H

#include "kernels/kernels.h"

/* The backend with this name, "cpu" or "cuda"; NULL if this build has no such backend. */
const struct ko_kernels *ko_backend_find(const char *name);

/* ko_kernels_cuda, or NULL in a build without it. */
const struct ko_kernels *ko_backend_cuda(void);

#endif
