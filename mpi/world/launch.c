/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the environment variables of Open MPI and Slurm, sets some of them before MPI starts, and
   refuses a launch as separate programs. */
#include "mpi/world/launch.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/text.h"

/* The number of processes in the variable; 0 if it is unset or not a number. */
static int64_t env_number(const char *name)
{
    const char *text = getenv(name);
    int64_t n = 0;
    return text && ko_parse_int(text, 1, INT32_MAX, &n, name, NULL) == KO_OK ? n : 0;
}

static enum ko_code refuse_launch(const char *name, const char *why, struct ko_error *err)
{
    return ko_fail(err, KO_E_INPUT,
                   "launch: launched as %lld separate programs (%s=%s, but %s), use srun "
                   "--mpi=pmix or mpirun of the same MPI",
                   (long long)env_number(name), name, getenv(name), why);
}

enum ko_code ko_launch_check_step(struct ko_error *err)
{
    /* A launcher that connects the ranks sets one of these: PMIx, PMI-1, PMI-2, Open MPI's and
       HPE's mpirun. */
    static const char *const connected[] = {"PMIX_RANK", "PMI_RANK",    "PMI_SIZE",
                                            "PMI_FD",    "PALS_RANKID", "OMPI_COMM_WORLD_SIZE"};
    if (env_number("SLURM_STEP_NUM_TASKS") <= 1) {
        return KO_OK;
    }
    for (size_t k = 0; k < sizeof connected / sizeof connected[0]; k++) {
        if (getenv(connected[k])) {
            return KO_OK;
        }
    }
    return refuse_launch("SLURM_STEP_NUM_TASKS", "without PMIx no rank knows the others", err);
}

/* Whether this process is a single one without a launcher that Open MPI recognizes. PMI-1 and PMI-2
   do not count: Open MPI may be built without them. */
static bool is_alone(void)
{
    static const char *const connected[] = {"PMIX_RANK", "PMIX_NAMESPACE", "PALS_RANKID",
                                            "OMPI_COMM_WORLD_SIZE"};
    for (size_t k = 0; k < sizeof connected / sizeof connected[0]; k++) {
        if (getenv(connected[k])) {
            return false;
        }
    }
    return env_number("SLURM_STEP_NUM_TASKS") <= 1 && env_number("PMI_SIZE") <= 1;
}

/* Checks the folder in which Open MPI will keep its files. */
static enum ko_code check_folder(struct ko_error *err)
{
    static const char *const names[] = {"OMPI_MCA_orte_tmpdir_base", "TMPDIR", "TEMP", "TMP"};
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        const char *folder = getenv(names[k]);
        struct stat info;
        if (!folder) {
            continue;
        }
        if (stat(folder, &info) == 0 && !S_ISDIR(info.st_mode)) {
            errno = ENOTDIR;
        } else if (access(folder, W_OK | X_OK) == 0) {
            return KO_OK;
        }
        return ko_fail(
            err, KO_E_INPUT,
            "%s=%s: MPI cannot keep its files there: %s, make the folder (in a container: "
            "bind it) or set %s=/tmp",
            names[k], folder, strerror(errno), names[k]);
    }
    return KO_OK;
}

enum ko_code ko_launch_prepare(struct ko_error *err)
{
    setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0);
    setenv("OMPI_MCA_sharedfp", "^sm,lockedfile", 0);
    if (!is_alone()) {
        return KO_OK;
    }
    unsetenv("SLURM_STEP_ID");
    unsetenv("SLURM_STEPID");
    return check_folder(err);
}

enum ko_code ko_launch_check(int n_ranks, struct ko_error *err)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"};
    for (size_t k = 0; n_ranks == 1 && k < sizeof names / sizeof names[0]; k++) {
        if (env_number(names[k]) > 1) {
            return refuse_launch(names[k], "MPI sees one rank", err);
        }
    }
    return KO_OK;
}
