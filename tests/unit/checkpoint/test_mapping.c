/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/checkpoint/checkpoint.h"
#include "src/checkpoint/mapped/mapping.h"
#include "src/checkpoint/mapped/mapping_watch.h"
#include "src/models/model_load.h"
#include "src/models/model_open.h"
#include "tests/support/checkpoint_edit.h"
#include "tests/support/folder.h"

enum { BYTES = 1 << 16 };

/* A file of BYTES sevens, mapped. */
static char *open_sevens(struct ko_mapping *map, char **folder)
{
    struct ko_error err = {0};
    char *bytes = malloc(BYTES);
    assert_non_null(bytes);
    memset(bytes, 7, BYTES);
    *folder = test_folder_make();
    char *path = test_folder_path(*folder, "f");
    test_folder_write(*folder, "f", bytes, BYTES);
    free(bytes);
    if (ko_mapping_open(path, "f", map, &err)) {
        fail_msg("%s", err.text);
    }
    assert_true(ko_watch_is_whole(map->data));
    return path;
}

static void what_a_file_has_lost_reads_as_zeros_and_is_known(void **state)
{
    static const off_t left[] = {0, 1, 4096, 3 * 4096 + 5, BYTES - 1};
    (void)state;
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        struct ko_mapping map, other;
        char *folder, *other_folder, *path = open_sevens(&map, &folder);
        char *other_path = open_sevens(&other, &other_folder);
        assert_int_equal(truncate(path, left[i]), 0);
        for (size_t at = 0; at < BYTES; at++) {
            assert_int_equal(((const char *)map.data)[at], (off_t)at < left[i] ? 7 : 0);
        }
        assert_false(ko_watch_is_whole(map.data));
        assert_false(ko_watch_is_whole((const char *)map.data + BYTES - 1));
        assert_true(ko_watch_is_whole(other.data));
        assert_int_equal(((const char *)other.data)[BYTES - 1], 7);
        ko_mapping_close(&map);
        ko_mapping_close(&other);
        free(path);
        free(other_path);
        test_folder_remove(folder);
        test_folder_remove(other_folder);
    }
}

/* A loss that was there when it was read stays known when the file is whole again. */
static void a_file_that_grows_again_was_cut_all_the_same(void **state)
{
    struct ko_mapping map;
    char *folder, *path = open_sevens(&map, &folder);
    (void)state;
    assert_int_equal(truncate(path, 4096), 0);
    assert_int_equal(((const volatile char *)map.data)[BYTES - 1], 0);
    assert_int_equal(truncate(path, BYTES), 0);
    assert_false(ko_watch_is_whole(map.data));
    ko_mapping_close(&map);
    free(path);
    test_folder_remove(folder);
}

/* The process ends by SIGBUS, not by what the handler does. */
static void other_faults_end_the_process_as_ever(void **state)
{
    struct ko_mapping map;
    char *folder, *path = open_sevens(&map, &folder);
    int status = 0;
    (void)state;
    (void)fflush(NULL); /* what waits would be printed by every child too */
    for (int sent = 0; sent < 2; sent++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            const struct rlimit none = {0, 0};
            struct ko_mapping again;
            (void)setrlimit(RLIMIT_CORE, &none);
            (void)signal(SIGBUS, SIG_DFL); /* in place of the test library's */
            if (ko_mapping_open(path, "f", &again, NULL)) {
                _exit(0);
            }
            ko_watch_end(again.data);
            if (sent) {
                (void)raise(SIGBUS);
            } else if (truncate(path, 0) == 0) {
                (void)((const volatile char *)again.data)[0];
            }
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    }
    ko_mapping_close(&map);
    free(path);
    test_folder_remove(folder);
}

static void a_checkpoint_that_becomes_shorter_is_refused_by_the_loader(void **state)
{
    (void)state;
    for (int lost = 1; lost < 3; lost++) {
        struct ko_error err = {0};
        struct ko_checkpoint *cp = NULL;
        struct ko_model *model = NULL;
        char *folder = test_folder_make(), *path = test_folder_path(folder, "model.safetensors");
        test_checkpoint_edit(KO_SOURCE_DIR "/jobs/models/mamba-facts", folder,
                             &(struct test_edit){0});
        size_t n = 0;
        free(test_read(path, &n));
        assert_int_equal(ko_checkpoint_open(folder, "toy", &cp, &err), KO_OK);
        assert_int_equal(ko_model_open(cp, &model, &err), KO_OK);
        float *floats = calloc(ko_model_floats(model), sizeof *floats);
        uint64_t *hash = calloc(model->n_weights, sizeof *hash);
        assert_non_null(floats);
        assert_non_null(hash);
        assert_int_equal(
            ko_model_load(model, cp, &(struct ko_load_part){0, 1, 2}, floats, hash, &err), KO_OK);
        assert_int_equal(truncate(path, (off_t)(lost == 1 ? n - 1 : n / 2)), 0);
        assert_int_equal(
            ko_model_load(model, cp, &(struct ko_load_part){0, 1, 2}, floats, hash, &err),
            KO_E_INPUT);
        assert_non_null(strstr(err.text, ": the file became shorter while it was read"));
        assert_int_equal(strncmp(err.text, "toy: backbone.", 14), 0);
        free(hash);
        free(floats);
        ko_model_free(model);
        ko_checkpoint_close(cp);
        free(path);
        test_folder_remove(folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_file_has_lost_reads_as_zeros_and_is_known),
        cmocka_unit_test(a_file_that_grows_again_was_cut_all_the_same),
        cmocka_unit_test(other_faults_end_the_process_as_ever),
        cmocka_unit_test(a_checkpoint_that_becomes_shorter_is_refused_by_the_loader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
