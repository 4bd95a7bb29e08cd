#include "mpi/launch.h"

#include <stdbool.h>
#include <stdlib.h>

#include "src/base/text.h"

/* The number of processes in that variable, 0 where it holds none. */
static int64_t number(const char *name)
{
    const char *text = getenv(name);
    int64_t n = 0;
    return text && ko_parse_int(text, 1, INT32_MAX, &n, name, NULL) == KO_OK ? n : 0;
}

static enum ko_code refuse(const char *name, const char *why, struct ko_error *err)
{
    return ko_fail(err, KO_E_INPUT,
                   "launch: launched as %lld separate programs (%s=%s, but %s), use srun "
                   "--mpi=pmix or mpirun of the same MPI",
                   (long long)number(name), name, getenv(name), why);
}

enum ko_code ko_launch_check_step(struct ko_error *err)
{
    /* One of these is set wherever a launcher has told the MPI library of the other ranks: PMIx,
     * PMI-1 and PMI-2, Open MPI's and HPE's mpirun. */
    static const char *const told[] = {"PMIX_RANK", "PMI_RANK",    "PMI_SIZE",
                                       "PMI_FD",    "PALS_RANKID", "OMPI_COMM_WORLD_SIZE"};
    if (number("SLURM_STEP_NUM_TASKS") <= 1)
        return KO_OK;
    for (size_t k = 0; k < sizeof told / sizeof told[0]; k++)
        if (getenv(told[k]))
            return KO_OK;
    return refuse("SLURM_STEP_NUM_TASKS", "without PMIx no rank knows the others", err);
}

enum ko_code ko_launch_check(int n_ranks, struct ko_error *err)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"};
    for (size_t k = 0; n_ranks == 1 && k < sizeof names / sizeof names[0]; k++)
        if (number(names[k]) > 1)
            return refuse(names[k], "MPI sees one rank", err);
    return KO_OK;
}
