/* SPDX-License-Identifier: Apache-2.0 */
/* What a commit round asks of HDF5, in which order, and what it says where one of these calls
   fails. The calls are caught by the linker (`--wrap`). */
#include <mpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <hdf5.h>

#include "mpi/cube/commit.h"
#include "mpi/cube/cube.h"
#include "src/cube/create/create.h"
#include "tests/support/folder.h"
#include "tests/support/small_plan.h"

enum { MOST_CALLS = 256 };

static int rank;
static struct ko_error err;
static char *folder; /* this rank's own */

/* The calls so far: v a dataset of values, s of statuses, r of the run's row, f a flush. */
static struct {
    char call[MOST_CALLS + 1];
    int n, fails_at; /* the call of this number fails; -1: none */
    char name[72];   /* of the dataset whose write failed, quoted */
} seen;

static bool note(char what)
{
    if (seen.n < MOST_CALLS) {
        seen.call[seen.n] = what;
    }
    return seen.n++ == seen.fails_at;
}

herr_t __real_H5Dwrite(hid_t dataset, hid_t type, hid_t memory, hid_t file, hid_t plist,
                       const void *buffer);
herr_t __wrap_H5Dwrite(hid_t dataset, hid_t type, hid_t memory, hid_t file, hid_t plist,
                       const void *buffer);
herr_t __wrap_H5Dwrite(hid_t dataset, hid_t type, hid_t memory, hid_t file, hid_t plist,
                       const void *buffer)
{
    char name[64] = "";
    (void)H5Iget_name(dataset, name, sizeof name);
    if (note(strstr(name, "status") ? 's' : strstr(name, "run_") ? 'r' : 'v')) {
        (void)snprintf(seen.name, sizeof seen.name, "'%s'", name[0] == '/' ? name + 1 : name);
        return -1;
    }
    return __real_H5Dwrite(dataset, type, memory, file, plist, buffer);
}

herr_t __real_H5Fflush(hid_t object, H5F_scope_t scope);
herr_t __wrap_H5Fflush(hid_t object, H5F_scope_t scope);
herr_t __wrap_H5Fflush(hid_t object, H5F_scope_t scope)
{
    return note('f') ? -1 : __real_H5Fflush(object, scope);
}

static bool everywhere(bool good)
{
    int mine = good, all = 0;

    MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    return all;
}

/* One round of one record into a new cube of this rank's own; its calls are in `seen`. */
static enum ko_code commit_one(int fails_at)
{
    const struct ko_cube_attribute attributes[] = {{"backend", "plain"}, {"precision", "float32"}};
    struct ko_plan *plan = small_plan_sweep(true);
    struct ko_cube_content content = {.plan = plan, .attribute = attributes, .n_attributes = 2};
    char *path = test_folder_path(folder, "cube.h5");
    struct ko_cube *cube = NULL;
    struct ko_record record = {0};
    struct ko_error closing;

    (void)remove(path);
    seen.fails_at = -1;
    enum ko_code code = ko_cube_create(path, &content, &err);
    if (code == KO_OK) {
        code = ko_cube_open(path, plan, MPI_COMM_SELF, &cube, &err);
    }
    if (code == KO_OK) {
        code = ko_record_new(plan, 0, 1, &record, &err);
    }
    if (code == KO_OK) {
        memset(&seen, 0, sizeof seen);
        seen.fails_at = fails_at;
        code = ko_cube_commit(cube, &record, 1, &err);
        seen.fails_at = -1;
    }
    ko_record_free(&record);
    if (cube && ko_cube_close(cube, &closing) != KO_OK && code == KO_OK) {
        code = closing.code;
    }
    ko_plan_free(plan);
    free(path);
    return code;
}

static void values_are_on_disk_before_the_flags_that_say_so(void **state)
{
    (void)state;
    bool good = commit_one(-1) == KO_OK;
    const char *at = seen.call;
    /* values, flush, statuses, the run's row, flush */
    good = good && strspn(at, "v") > 6;
    at += strspn(at, "v");
    good = good && *at++ == 'f';
    good = good && strspn(at, "s") >= 2;
    at += strspn(at, "s");
    at += strspn(at, "r");
    good = good && strcmp(at, "f") == 0;
    if (!good) {
        (void)fprintf(stderr, "rank %d: calls %s: %s\n", rank, seen.call, err.text);
    }
    assert_true(everywhere(good));
}

static void a_call_that_fails_ends_the_round_and_is_named(void **state)
{
    (void)state;
    bool good = commit_one(-1) == KO_OK;
    const int n = seen.n;
    for (int k = 0; k < n && good; k++) {
        const enum ko_code code = commit_one(k);
        const char *what = seen.call[k] == 'f' ? "cannot flush the file to disk" : seen.name;
        good = code == KO_E_FAILED && seen.n == k + 1 && strstr(err.text, what) &&
               strstr(err.text, "cube.h5");
        if (!good) {
            (void)fprintf(stderr, "rank %d: call %d (%c): %s\n", rank, k, seen.call[k], err.text);
        }
    }
    assert_true(everywhere(good));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_on_disk_before_the_flags_that_say_so),
        cmocka_unit_test(a_call_that_fails_ends_the_round_and_is_named),
    };

    if (MPI_Init(&argc, &argv) != MPI_SUCCESS) {
        return 1;
    }
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    folder = test_folder_make();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_folder_remove(folder);
    MPI_Finalize();
    return failed;
}
