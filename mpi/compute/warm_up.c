/* SPDX-License-Identifier: Apache-2.0 */
/* Opens and closes the GPU's backend in a thread. */
#include "mpi/compute/warm_up.h"

#include <string.h>

#include "kernels/backends/backends.h"

static void *open_and_close(void *argument)
{
    const struct ko_warm_up *warm_up = argument;
    const struct ko_kernels *cuda = ko_backend_cuda();
    const struct ko_backend_config config = {.device = warm_up->device};
    struct ko_backend *be = NULL;
    struct ko_error ignored = {0};
    if (cuda->open(&config, &be, &ignored) == KO_OK) {
        cuda->close(be);
    }
    return NULL;
}

void ko_warm_up_start(const struct ko_world *world, const char *backend, struct ko_warm_up *warm_up)
{
    *warm_up = (struct ko_warm_up){.device = world->gpu.device};
    const bool other = backend && backend[0] != '\0' && strcmp(backend, "cuda") != 0;
    if (!ko_backend_cuda() || warm_up->device < 0 || other) {
        return;
    }
    warm_up->runs = pthread_create(&warm_up->thread, NULL, open_and_close, warm_up) == 0;
}

void ko_warm_up_end(struct ko_warm_up *warm_up)
{
    if (warm_up->runs) {
        pthread_join(warm_up->thread, NULL);
    }
    *warm_up = (struct ko_warm_up){0};
}
