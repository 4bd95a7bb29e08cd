/* SPDX-License-Identifier: Apache-2.0 */
/* Starts and ends MPI, makes the groups of ranks, and sets the number of threads of each worker on
   a node. */
#include "mpi/world/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/world/agree.h"
#include "mpi/world/check.h"
#include "src/base/memory.h"

static enum ko_code split_ranks(struct ko_world *world, struct ko_error *err)
{
    const int color = world->alone || !world->root ? 0 : MPI_UNDEFINED;
    enum ko_code code = ko_mpi_check(
        MPI_Comm_split(world->all, color, world->rank, &world->workers), "MPI_Comm_split", err);
    if (code != KO_OK || color == MPI_UNDEFINED) {
        return code;
    }
    MPI_Comm_set_errhandler(world->workers, MPI_ERRORS_RETURN);
    code = ko_mpi_check(MPI_Comm_split_type(world->workers, MPI_COMM_TYPE_SHARED, world->rank,
                                            MPI_INFO_NULL, &world->node),
                        "MPI_Comm_split_type", err);
    if (code != KO_OK) {
        return code;
    }
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
    if (code != KO_OK) {
        return code;
    }
    if (provided < MPI_THREAD_FUNNELED) {
        return ko_fail(err, KO_E_FAILED, "MPI: MPI_THREAD_FUNNELED is needed, level %d is provided",
                       provided);
    }
    code = ko_mpi_check(MPI_Comm_dup(MPI_COMM_WORLD, &world->all), "MPI_Comm_dup", err);
    if (code != KO_OK) {
        return code;
    }
    MPI_Comm_set_errhandler(world->all, MPI_ERRORS_RETURN);
    MPI_Comm_rank(world->all, &world->rank);
    MPI_Comm_size(world->all, &world->n_ranks);
    int n = 0;
    MPI_Get_processor_name(world->host, &n);
    world->root = world->rank == 0;
    world->alone = world->n_ranks == 1;
    world->n_workers = world->alone ? 1 : world->n_ranks - 1;
    return split_ranks(world, err);
}

void ko_world_close(struct ko_world *world)
{
    int initialized = 0, finalized = 0;
    MPI_Initialized(&initialized);
    MPI_Finalized(&finalized);
    if (!initialized || finalized) {
        return;
    }
    if (world->node != MPI_COMM_NULL) {
        MPI_Comm_free(&world->node);
    }
    if (world->workers != MPI_COMM_NULL) {
        MPI_Comm_free(&world->workers);
    }
    if (world->all != MPI_COMM_NULL) {
        MPI_Comm_free(&world->all);
    }
    MPI_Finalize();
}

/* Warns if the workers of the node together have more threads than processors. */
static enum ko_code check_together(const struct ko_world *world, const struct ko_cpus *all,
                                   struct ko_threads *threads, struct ko_error *err)
{
    int n = 0;
    const enum ko_code code = ko_mpi_check(
        MPI_Allreduce(&threads->n, &n, 1, MPI_INT, MPI_SUM, world->node), "MPI_Allreduce", err);
    const int n_cpus = ko_cpus_together(all, world->n_node_workers);
    if (code == KO_OK && n > n_cpus && n > world->n_node_workers && world->node_worker == 0 &&
        threads->warning[0] == '\0') {
        snprintf(threads->warning, sizeof threads->warning,
                 "%s: %d workers have %d threads together on %d processor%s; more threads than "
                 "processors are slower",
                 threads->from, world->n_node_workers, n, n_cpus, n_cpus == 1 ? "" : "s");
    }
    return code;
}

enum ko_code ko_world_threads(const struct ko_world *world, int wanted, struct ko_threads *out,
                              struct ko_error *err)
{
    struct ko_thread_wish wish = {.option = wanted,
                                  .omp_num_threads = getenv("OMP_NUM_THREADS"),
                                  .omp_thread_limit = getenv("OMP_THREAD_LIMIT")};
    struct ko_cpus own;
    struct ko_cpus *all = ko_new((size_t)world->n_node_workers, sizeof *all, err);
    enum ko_code code = all ? ko_cpus_look(&own, err) : KO_E_MEMORY;
    code = ko_agree(world->node, code, err);
    if (code == KO_OK) {
        code = ko_mpi_check(
            MPI_Allgather(&own, sizeof own, MPI_BYTE, all, sizeof own, MPI_BYTE, world->node),
            "MPI_Allgather", err);
    }
    if (code == KO_OK) {
        wish.usable = ko_cpus_usable(&own, &wish.usable_from);
        wish.share =
            ko_cpus_share(all, world->n_node_workers, world->node_worker, &wish.share_from);
        code = ko_agree(world->node, ko_threads_choose(&wish, out, err), err);
    }
    if (code == KO_OK) {
        code = check_together(world, all, out, err);
    }
    free(all);
    return code;
}
