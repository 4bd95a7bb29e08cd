/* SPDX-License-Identifier: Apache-2.0 */
/* The backends of this build. */
#ifndef KO_KERNELS_BACKENDS_H
#define KO_KERNELS_BACKENDS_H

#include <stddef.h>
#include <string.h>

#include "kernels/kernels.h"

/* The backend with this name, "cpu" or "cuda"; NULL if this build has no such backend. */
static inline const struct ko_kernels *ko_backend_find(const char *name)
{
    static const struct ko_kernels *const backends[] = {
        &ko_kernels_cpu,
#if KO_HAVE_CUDA
        &ko_kernels_cuda,
#endif
    };
    for (size_t k = 0; k < sizeof backends / sizeof *backends; k++) {
        if (strcmp(name, backends[k]->name) == 0) {
            return backends[k];
        }
    }
    return NULL;
}

/* ko_kernels_cuda, or NULL in a build without it. */
static inline const struct ko_kernels *ko_backend_cuda(void)
{
    return ko_backend_find("cuda");
}

#endif
