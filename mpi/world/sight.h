/* SPDX-License-Identifier: Apache-2.0 */
/* What every worker sees of GPUs and processors, and the backend that follows from it for all. */
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
    int n_visible;     /* GPUs; 0 on a coordinator, which does not look */
    struct ko_gpu gpu; /* the one that it takes: its number among the node's workers, or the only
                          one that it sees; device -1 where there is none for it */
    char problem[256]; /* why the GPU cannot be asked; empty where it can */
    struct ko_threads threads; /* that it computes with; not filled by ko_sight_look */
};

/* What this process sees as the worker of this number on its node. */
void ko_sight_look(const char *host, int node_worker, struct ko_sight *out);

/* Collective over all ranks: every worker looks, chooses its number of threads (`wanted`, or 0),
   and takes both down in world->gpu and world->threads; the root gets the workers' sights,
   [n_workers], in *out (free()), the others NULL. KO_E_INPUT for a wrong OMP_NUM_THREADS, agreed
   on; a failure of MPI sets world->broken. */
KO_MUST_CHECK enum ko_code ko_sights_gather(struct ko_world *world, int wanted,
                                            struct ko_sight **out, struct ko_error *err);

/* The backend for all n workers: `wanted`, or where that is NULL or empty cuda where all see a GPU
   and cpu where none does. `build_has_cuda` says whether cuda can be chosen at all. KO_E_INPUT for
   an unknown backend, one that this build lacks, and workers without a GPU (naming their hosts);
   for cuda also where two workers would share a GPU, or a node has more workers than GPUs. *out is
   a literal. */
KO_MUST_CHECK enum ko_code ko_backend_choose(const char *wanted, bool build_has_cuda,
                                             const struct ko_sight *sight, int n, const char **out,
                                             struct ko_error *err);

/* The models of the GPUs, each once, in alphabetical order: "NVIDIA H100 + NVIDIA H200". Equal for
   equal GPUs, whoever has which. */
void ko_sights_device(const struct ko_sight *sight, int n, char *text, size_t size);

/* What computes with host memory, in words: as a backend with each worker's number of threads
   describes itself, "OpenBLAS SkylakeX, 2 threads, x86-64-v4", several with " + " between them. */
KO_MUST_CHECK enum ko_code ko_sights_describe_host(const struct ko_sight *sight, int n,
                                                   const struct ko_kernels *kernels, char *text,
                                                   size_t size, struct ko_error *err);

/* The least and the largest number of threads of a worker: "2" or "1..2" into text, which is
   returned. */
const char *ko_sights_threads(const struct ko_sight *sight, int n, char text[32]);

/* A warning for each thing that users should know of the workers' threads, once a host. */
void ko_sights_warn(const struct ko_sight *sight, int n, const struct ko_log *log);

/* A line for each worker's GPU at the info level. */
void ko_sights_log(const struct ko_sight *sight, int n, const struct ko_log *log);

#endif
