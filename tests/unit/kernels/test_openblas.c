/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cblas.h>
#include <cmocka.h>

#include "kernels/cpu/openblas.h"
#include "kernels/kernels.h"

static void the_core_fits_the_processor(void **state)
{
    (void)state;
    const struct {
        const char *chosen;
        bool avx512, avx2_fma;
        const char *wanted;
    } rows[] = {
        {"Prescott", true, true, "SkylakeX"}, {"Prescott", false, true, "Haswell"},
        {"Prescott", false, false, NULL},     {"Haswell", true, true, "SkylakeX"},
        {"Zen", true, true, "SkylakeX"},      {"Haswell", false, true, NULL},
        {"Zen", false, true, NULL},           {"SkylakeX", true, true, NULL},
        {"Cooperlake", true, true, NULL},     {"SapphireRapids", true, true, NULL},
        {"skylakex", true, true, NULL},       {"Sandybridge", false, true, "Haswell"},
    };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        const char *got = ko_openblas_core_for(rows[r].chosen, rows[r].avx512, rows[r].avx2_fma);
        if (!rows[r].wanted) {
            assert_null(got);
        } else {
            assert_non_null(got);
            assert_string_equal(got, rows[r].wanted);
        }
    }
}

static void a_core_that_is_set_already_stays(void **state)
{
    (void)state;
    char name[32] = "untouched";
    assert_int_equal(setenv("OPENBLAS_CORETYPE", "Prescott", 1), 0);
    assert_false(ko_openblas_core_wanted(name));
    assert_string_equal(name, "untouched");
    assert_int_equal(unsetenv("OPENBLAS_CORETYPE"), 0);
}

/* In a child with so much more address space than it has: whether it may compute on `threads`
   threads. */
static int prepare_within(size_t more_bytes, int threads)
{
    const pid_t child = fork();
    int status = -1;
    if (child == 0) {
        struct ko_error err = {0};
        long pages = 0;
        FILE *file = fopen("/proc/self/statm", "r");
        if (!file || fscanf(file, "%ld", &pages) != 1) {
            _exit(10);
        }
        fclose(file);
        const rlim_t bytes = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + more_bytes;
        const struct rlimit limit = {bytes, bytes};
        alarm(30); /* without the check it asks for ever */
        if (setrlimit(RLIMIT_AS, &limit) != 0) {
            _exit(11);
        }
        const enum ko_code code = ko_openblas_prepare(threads, &err);
        char expected[128];
        snprintf(expected, sizeof expected,
                 "OpenBLAS: %d times 128 MiB of address space cannot be had",
                 1 + threads - openblas_get_num_threads());
        _exit(code == KO_OK                                                               ? 0
              : code == KO_E_MEMORY && strncmp(err.text, expected, strlen(expected)) == 0 ? 1
                                                                                          : 12);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

static void memory_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    const size_t mib = (size_t)1 << 20;
    const int threads = openblas_get_num_threads();
    assert_int_equal(prepare_within(64 * mib, threads), 1);
    assert_int_equal(prepare_within(512 * mib, threads), 0);
    assert_int_equal(prepare_within(512 * mib, threads + 8), 1);
}

static void describe_names_core_threads_and_instruction_set(void **state)
{
    (void)state;
    struct ko_error err = {0};
    struct ko_backend *be = NULL;
    struct ko_backend_config config = {.threads = 2, .precision = KO_FLOAT32};
    char text[128], start[128];
    assert_int_equal(ko_kernels_cpu.open(&config, &be, &err), KO_OK);
    ko_kernels_cpu.describe(be, text, sizeof text);
    ko_kernels_cpu.close(be);
    snprintf(start, sizeof start, "OpenBLAS %s, 2 threads, ", ko_openblas_core());
    assert_memory_equal(text, start, strlen(start));
    assert_true(strlen(text) > strlen(start));
    print_message("%s\n", text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_core_fits_the_processor),
        cmocka_unit_test(a_core_that_is_set_already_stays),
        cmocka_unit_test(memory_that_is_not_there_is_an_error),
        cmocka_unit_test(describe_names_core_threads_and_instruction_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
