/* SPDX-License-Identifier: Apache-2.0 */
/* The GPUs and processors that each worker sees, and the choice of the backend from them. */
#ifndef KO_MPI_WORLD_SIGHT_H
#define KO_MPI_WORLD_SIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "mpi/world/gpus.h"
#include "mpi/world/world.h"
#include "src/base/error.h"
#include "src/base/log.h"

struct ko_sight {
    char host[MPI_MAX_PROCESSOR_NAME];
    int rank;          /* among all ranks */
    int node_worker;   /* number among the workers of its node */
    int n_visible;     /* GPUs; 0 on a coordinator */
    struct ko_gpu gpu; /* the one that it takes: its number among the node's workers, or the only
                          one that it sees; device -1 if there is no GPU for it */
    char problem[256]; /* why the GPU cannot be identified; "" if it can */
    double
        host_memory; /* bytes that the processes of its machine can have, see ko_machine_memory */
    struct ko_threads threads; /* that it computes with; not filled by ko_sight_look */
};

/* What this process sees, as worker number node_worker of its node. */
void ko_sight_look(const char *host, int node_worker, struct ko_sight *out);

/* Collective over all ranks: every worker sets world->gpu, and world->threads to `wanted` threads
   (0: chosen). The root gets the sights of the workers, [n_workers], in *out (free()); other ranks
   get NULL. KO_E_INPUT for a wrong OMP_NUM_THREADS is agreed on; a failure of MPI sets
   world->broken. */
KO_MUST_CHECK enum ko_code ko_sights_gather(struct ko_world *world, int wanted,
                                            struct ko_sight **out, struct ko_error *err);

/* The backend for all n workers: `wanted`; if that is NULL or empty, cuda if all workers see a GPU,
   or cpu if no worker does. cuda can be chosen only if build_has_cuda. KO_E_INPUT for a backend
   that this build lacks, and, with cuda, for workers without a GPU (it names their hosts), two
   workers on one GPU, and a node with more workers than GPUs. *out is a literal. */
KO_MUST_CHECK enum ko_code ko_backend_choose(const char *wanted, bool build_has_cuda,
                                             const struct ko_sight *sight, int n, const char **out,
                                             struct ko_error *err);

/* The models of the GPUs, each once, in alphabetical order: "NVIDIA H100 + NVIDIA H200". */
void ko_sights_device(const struct ko_sight *sight, int n, char *text, size_t size);

/* Descriptions of the CPU backend, one for each number of threads among the workers, joined by " +
   ": "OpenBLAS SkylakeX, 2 threads, x86-64-v4". */
KO_MUST_CHECK enum ko_code ko_sights_describe_host(const struct ko_sight *sight, int n,
                                                   const struct ko_kernels *kernels, char *text,
                                                   size_t size, struct ko_error *err);

/* The smallest and largest number of threads of a worker, "2" or "1..2". Returns text. */
const char *ko_sights_threads(const struct ko_sight *sight, int n, char text[32]);

/* Prints the warnings about the workers' threads, each once a host. */
void ko_sights_warn(const struct ko_sight *sight, int n, const struct ko_log *log);

/* Logs each worker's GPU at info level. */
void ko_sights_log(const struct ko_sight *sight, int n, const struct ko_log *log);

#endif
