#define _GNU_SOURCE
#include "mpi/world.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/text.h"

enum ko_code ko_mpi_check(int result, const char *what, struct ko_error *err)
{
    if (result == MPI_SUCCESS)
        return KO_OK;
    char text[MPI_MAX_ERROR_STRING] = "unknown error";
    int n = 0;
    MPI_Error_string(result, text, &n);
    return ko_fail(err, KO_E_FAILED, "MPI: %s: %s", what, text);
}

static enum ko_code split(struct ko_world *world, struct ko_error *err)
{
    const int color = world->alone || !world->root ? 0 : MPI_UNDEFINED;
    enum ko_code code = ko_mpi_check(
        MPI_Comm_split(world->all, color, world->rank, &world->workers), "MPI_Comm_split", err);
    if (code != KO_OK || color == MPI_UNDEFINED)
        return code;
    MPI_Comm_set_errhandler(world->workers, MPI_ERRORS_RETURN);
    code = ko_mpi_check(MPI_Comm_split_type(world->workers, MPI_COMM_TYPE_SHARED, world->rank,
                                            MPI_INFO_NULL, &world->node),
                        "MPI_Comm_split_type", err);
    if (code != KO_OK)
        return code;
    MPI_Comm_set_errhandler(world->node, MPI_ERRORS_RETURN);
    MPI_Comm_rank(world->workers, &world->worker);
    MPI_Comm_rank(world->node, &world->node_worker);
    MPI_Comm_size(world->node, &world->n_node_workers);
    return KO_OK;
}

enum ko_code ko_world_open(int *argc, char ***argv, struct ko_world *world, struct ko_error *err)
{
    *world = (struct ko_world){.all = MPI_COMM_NULL,
                               .workers = MPI_COMM_NULL,
                               .node = MPI_COMM_NULL,
                               .worker = -1,
                               .node_worker = -1,
                               .gpu.device = -1};
    int provided = 0;
    enum ko_code code = ko_mpi_check(MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided),
                                     "MPI_Init_thread", err);
    if (code != KO_OK)
        return code;
    if (provided < MPI_THREAD_FUNNELED)
        return ko_fail(err, KO_E_FAILED, "MPI: MPI_THREAD_FUNNELED is needed, level %d is provided",
                       provided);
    code = ko_mpi_check(MPI_Comm_dup(MPI_COMM_WORLD, &world->all), "MPI_Comm_dup", err);
    if (code != KO_OK)
        return code;
    MPI_Comm_set_errhandler(world->all, MPI_ERRORS_RETURN);
    MPI_Comm_rank(world->all, &world->rank);
    MPI_Comm_size(world->all, &world->n_ranks);
    int n = 0;
    MPI_Get_processor_name(world->host, &n);
    world->root = world->rank == 0;
    world->alone = world->n_ranks == 1;
    world->n_workers = world->alone ? 1 : world->n_ranks - 1;
    return split(world, err);
}

void ko_world_close(struct ko_world *world)
{
    int initialized = 0, finalized = 0;
    MPI_Initialized(&initialized);
    MPI_Finalized(&finalized);
    if (!initialized || finalized)
        return;
    if (world->node != MPI_COMM_NULL)
        MPI_Comm_free(&world->node);
    if (world->workers != MPI_COMM_NULL)
        MPI_Comm_free(&world->workers);
    if (world->all != MPI_COMM_NULL)
        MPI_Comm_free(&world->all);
    MPI_Finalize();
}

/* Whether no processor is in two masks. */
static bool disjoint(const cpu_set_t *mask, int n)
{
    cpu_set_t seen;
    CPU_ZERO(&seen);
    for (int k = 0; k < n; k++) {
        cpu_set_t both;
        CPU_AND(&both, &seen, &mask[k]);
        if (CPU_COUNT(&both) > 0)
            return false;
        CPU_OR(&seen, &seen, &mask[k]);
    }
    return true;
}

static enum ko_code from_affinity(const struct ko_world *world, int *threads, const char **origin,
                                  struct ko_error *err)
{
    const int n = world->n_node_workers;
    cpu_set_t own;
    CPU_ZERO(&own);
    if (sched_getaffinity(0, sizeof own, &own) != 0)
        return ko_fail(err, KO_E_FAILED, "threads: the affinity mask cannot be read");
    cpu_set_t *mask = ko_new((size_t)n, sizeof *mask, err);
    if (!mask)
        return KO_E_MEMORY;
    const enum ko_code code = ko_mpi_check(
        MPI_Allgather(&own, sizeof own, MPI_BYTE, mask, sizeof own, MPI_BYTE, world->node),
        "MPI_Allgather", err);
    if (code == KO_OK && disjoint(mask, n)) {
        *threads = CPU_COUNT(&own);
        *origin = "affinity mask";
    } else if (code == KO_OK) {
        for (int k = 0; k < n; k++)
            CPU_OR(&own, &own, &mask[k]);
        *threads = CPU_COUNT(&own) > n ? CPU_COUNT(&own) / n : 1;
        *origin = "equal share";
    }
    free(mask);
    return code;
}

enum ko_code ko_world_threads(const struct ko_world *world, int wanted, int *threads,
                              const char **origin, struct ko_error *err)
{
    const char *text = getenv("OMP_NUM_THREADS");
    int64_t n = 0;
    if (wanted > 0) {
        *threads = wanted;
        *origin = "--threads";
        return KO_OK;
    }
    if (text && text[0] != '\0') {
        *origin = "OMP_NUM_THREADS";
        const enum ko_code code = ko_parse_int(text, 1, 4096, &n, "OMP_NUM_THREADS", err);
        *threads = (int)n;
        return code;
    }
    return from_affinity(world, threads, origin, err);
}
