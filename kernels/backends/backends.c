/* SPDX-License-Identifier: Apache-2.0 */
/* Lists the backends of this build. It stands above them, so it has a folder of its own. */
#include "kernels/backends/backends.h"

#include <stddef.h>
#include <string.h>

const struct ko_kernels *ko_backend_find(const char *name)
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

const struct ko_kernels *ko_backend_cuda(void)
{
    return ko_backend_find("cuda");
}
