/* SPDX-License-Identifier: Apache-2.0 */
/* The backends of this build. */
#ifndef KO_KERNELS_BACKENDS_H
#define KO_KERNELS_BACKENDS_H

#include <stddef.h>
#include <string.h>

#include "kernels/kernels.h"

/* ko_kernels_cuda, or NULL in a build without it. */
static inline const struct ko_kernels *ko_backend_cuda(void)
{
#if KO_HAVE_CUDA
    return &ko_kernels_cuda;
#else
    return NULL;
#endif
}

/* The backend with this name, "cpu" or "cuda"; NULL if this build has no such backend. */
static inline const struct ko_kernels *ko_backend_find(const char *name)
{
    const struct ko_kernels *cuda = ko_backend_cuda();
    if (cuda && strcmp(name, cuda->name) == 0) {
        return cuda;
    }
    return strcmp(name, ko_kernels_cpu.name) == 0 ? &ko_kernels_cpu : NULL;
}

#endif
