#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "mpi/launch.h"

static const char *const known[] = {
    "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMI_RANK", "PMI_FD", "PMIX_RANK",
    "PALS_RANKID"};

static void clear(void)
{
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++)
        unsetenv(known[k]);
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
        if (rows[k].tasks)
            setenv("SLURM_STEP_NUM_TASKS", rows[k].tasks, 1);
        if (rows[k].told)
            setenv(rows[k].told, "0", 1);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_of_several_tasks_needs_a_launcher_that_mpi_knows),
        cmocka_unit_test(one_rank_of_several_processes_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
