/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "mpi/world/launch.h"

static const char *const known[] = {"SLURM_STEP_NUM_TASKS",
                                    "OMPI_COMM_WORLD_SIZE",
                                    "PMI_SIZE",
                                    "PMI_RANK",
                                    "PMI_FD",
                                    "PMIX_RANK",
                                    "PMIX_NAMESPACE",
                                    "PALS_RANKID",
                                    "SLURM_STEP_ID",
                                    "SLURM_STEPID",
                                    "OMPI_MCA_sharedfp",
                                    "OMPI_MCA_orte_tmpdir_base",
                                    "TMPDIR",
                                    "TEMP",
                                    "TMP"};

static void clear(void)
{
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
        unsetenv(known[k]);
    }
}

static void a_step_of_several_tasks_needs_a_launcher_that_mpi_knows(void **state)
{
    static const struct {
        const char *tasks, *told;
        enum ko_code code;
    } rows[] = {
        {NULL, NULL, KO_OK},
        {"1", NULL, KO_OK},
        {"4", NULL, KO_E_INPUT},
        {"4", "PMIX_RANK", KO_OK},
        {"4", "PMI_RANK", KO_OK},
        {"4", "PMI_FD", KO_OK},
        {"4", "PALS_RANKID", KO_OK},
        {"4", "OMPI_COMM_WORLD_SIZE", KO_OK}, /* ranks of an mpirun inside an allocation */
        {"many", NULL, KO_OK},
    };
    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        struct ko_error err = {0};
        clear();
        if (rows[k].tasks) {
            setenv("SLURM_STEP_NUM_TASKS", rows[k].tasks, 1);
        }
        if (rows[k].told) {
            setenv(rows[k].told, "0", 1);
        }
        assert_int_equal(ko_launch_check_step(&err), rows[k].code);
        if (rows[k].code != KO_OK) {
            assert_non_null(strstr(err.text, "launched as 4 separate programs"));
            assert_non_null(strstr(err.text, "use srun --mpi=pmix or mpirun"));
        }
    }
    clear();
}

static void one_rank_of_several_processes_is_refused(void **state)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"};
    (void)state;
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        struct ko_error err = {0};
        clear();
        assert_int_equal(ko_launch_check(1, &err), KO_OK);
        setenv(names[k], "3", 1);
        assert_int_equal(ko_launch_check(1, &err), KO_E_INPUT);
        assert_non_null(strstr(err.text, "launched as 3 separate programs"));
        assert_non_null(strstr(err.text, names[k]));
        assert_int_equal(ko_launch_check(3, &err), KO_OK);
    }
    clear();
}

static void one_task_alone_leaves_its_step(void **state)
{
    static const struct {
        const char *name, *value; /* what else is set */
        bool leaves;
    } rows[] = {
        {NULL, NULL, true},
        {"SLURM_STEP_NUM_TASKS", "1", true},
        {"PMI_RANK", "0", true}, /* srun --mpi=pmi2, which this MPI may not know */
        {"PMI_SIZE", "1", true},
        {"SLURM_STEP_NUM_TASKS", "4", false},
        {"PMI_SIZE", "4", false},
        {"PMIX_RANK", "0", false},
        {"PMIX_NAMESPACE", "slurm.pmix.7.0", false},
        {"OMPI_COMM_WORLD_SIZE", "1", false}, /* mpirun -n 1 inside the step */
    };
    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        struct ko_error err = {0};
        clear();
        setenv("SLURM_STEP_ID", "0", 1);
        setenv("SLURM_STEPID", "0", 1);
        if (rows[k].name) {
            setenv(rows[k].name, rows[k].value, 1);
        }
        assert_int_equal(ko_launch_prepare(&err), KO_OK);
        assert_int_equal(!getenv("SLURM_STEP_ID"), rows[k].leaves);
        assert_int_equal(!getenv("SLURM_STEPID"), rows[k].leaves);
    }
    clear();
}

static void what_the_user_says_about_mpi_stays(void **state)
{
    struct ko_error err = {0};
    (void)state;
    clear();
    setenv("OMPI_MCA_sharedfp", "individual", 1);
    assert_int_equal(ko_launch_prepare(&err), KO_OK);
    assert_string_equal(getenv("OMPI_MCA_sharedfp"), "individual");
    clear();
    assert_int_equal(ko_launch_prepare(&err), KO_OK);
    assert_string_equal(getenv("OMPI_MCA_sharedfp"), "^sm,lockedfile");
    clear();
}

static void mpi_needs_a_folder_for_its_files(void **state)
{
    static const struct {
        const char *name, *folder, *why; /* why: NULL: accepted */
    } rows[] = {
        {"TMPDIR", "/tmp", NULL},
        {"TMPDIR", "/scratch/job77/none", "No such file or directory"},
        {"TMPDIR", "/dev/null", "Not a directory"},
        {"TMP", "/scratch/job77/none", "No such file or directory"},
        {"OMPI_MCA_orte_tmpdir_base", "/scratch/job77/none", "No such file or directory"},
    };
    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        struct ko_error err = {0};
        char begin[128];
        clear();
        setenv(rows[k].name, rows[k].folder, 1);
        assert_int_equal(ko_launch_prepare(&err), rows[k].why ? KO_E_INPUT : KO_OK);
        if (!rows[k].why) {
            continue;
        }
        snprintf(begin, sizeof begin, "%s=%s: ", rows[k].name, rows[k].folder);
        assert_int_equal(strncmp(err.text, begin, strlen(begin)), 0);
        assert_non_null(strstr(err.text, rows[k].why));
        /* The ranks of a launcher have their folder from it. */
        setenv("PMIX_RANK", "0", 1);
        assert_int_equal(ko_launch_prepare(&err), KO_OK);
    }
    clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_of_several_tasks_needs_a_launcher_that_mpi_knows),
        cmocka_unit_test(one_rank_of_several_processes_is_refused),
        cmocka_unit_test(one_task_alone_leaves_its_step),
        cmocka_unit_test(what_the_user_says_about_mpi_stays),
        cmocka_unit_test(mpi_needs_a_folder_for_its_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
