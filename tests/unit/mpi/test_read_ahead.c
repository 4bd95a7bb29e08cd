/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mpi/compute/read_ahead.h"
#include "src/models/model_load.h"
#include "src/models/model_open.h"
#include "tests/support/checkpoint_edit.h"
#include "tests/support/folder.h"

#define FOLDER KO_SOURCE_DIR "/jobs/models/llama-facts"

static int64_t read_part(const char *folder, int32_t part, int32_t n_parts)
{
    struct ko_read_ahead *ahead = NULL;
    struct ko_error err = {0};
    if (ko_read_ahead_start(folder, "toy", &(struct ko_read_part){part, n_parts, 1}, &ahead,
                            &err)) {
        fail_msg("%s", err.text);
    }
    ko_read_ahead_finish(ahead);
    return ko_read_ahead_stop(ahead);
}

static void every_part_reads_the_values_and_its_matrices(void **state)
{
    enum { N_PARTS = 3 };
    struct ko_error err = {0};
    struct ko_checkpoint *cp = NULL;
    struct ko_model *model = NULL;
    (void)state;
    if (ko_checkpoint_open(FOLDER, "toy", &cp, &err) || ko_model_open(cp, &model, &err)) {
        fail_msg("%s", err.text);
    }
    for (int32_t part = 0; part < N_PARTS; part++) {
        int64_t wanted = 0;
        for (size_t w = 0; w < model->n_weights; w++) {
            if (!model->weights[w].matrix ||
                ko_weight_in_part(model, &model->weights[w], part, N_PARTS)) {
                wanted += (int64_t)ko_checkpoint_find(cp, model->weights[w].tensor)->data_bytes;
            }
        }
        assert_int_equal(read_part(FOLDER, part, N_PARTS), wanted);
    }
    ko_model_free(model);
    ko_checkpoint_close(cp);
}

/* Pages of the file in the system's cache, of *n. */
static size_t cached_pages(const char *path, size_t *n)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    const size_t bytes = (size_t)lseek(file, 0, SEEK_END);
    *n = (bytes + page - 1) / page;
    void *map = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, file, 0);
    unsigned char *in_core = calloc(*n, 1);
    assert_true(map != MAP_FAILED && in_core);
    assert_int_equal(mincore(map, bytes, in_core), 0);
    size_t cached = 0;
    for (size_t k = 0; k < *n; k++) {
        cached += in_core[k] & 1;
    }
    munmap(map, bytes);
    free(in_core);
    close(file);
    return cached;
}

static void the_file_comes_into_the_cache(void **state)
{
    char *folder = test_folder_make();
    size_t n = 0;
    (void)state;
    test_checkpoint_edit(FOLDER, folder, &(struct test_edit){0});
    char *path = test_folder_path(folder, "model.safetensors");
    const int file = open(path, O_RDWR | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(fsync(file), 0);
    assert_int_equal(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
    close(file);
    const size_t before = cached_pages(path, &n);
    assert_true(read_part(folder, 0, 1) > 0);
    const size_t after = cached_pages(path, &n);
    free(path);
    test_folder_remove(folder);
    print_message("%zu of %zu pages were cached, then %zu\n", before, n, after);
    if (before >= n / 2) {
        skip(); /* the file system keeps what it was told to drop */
    }
    assert_int_equal(after, n);
}

static void it_stops_where_it_is(void **state)
{
    (void)state;
    const int64_t all = read_part(FOLDER, 0, 1);
    for (int turn = 0; turn < 50; turn++) {
        struct ko_read_ahead *ahead = NULL;
        struct ko_error err = {0};
        assert_int_equal(
            ko_read_ahead_start(FOLDER, "toy", &(struct ko_read_part){0, 1, 1}, &ahead, &err),
            KO_OK);
        const int64_t bytes = ko_read_ahead_stop(ahead);
        assert_true(bytes >= 0 && bytes <= all);
    }
    assert_int_equal(ko_read_ahead_stop(NULL), 0);
}

static void without_the_file_or_the_memory_nothing_is_read(void **state)
{
    struct ko_read_ahead *ahead = NULL;
    struct ko_error err = {0};
    (void)state;
    assert_int_equal(read_part(KO_SOURCE_DIR "/jobs/models/none", 0, 1), 0);
    /* A node of a billion workers, each with as much to read. */
    assert_int_equal(
        ko_read_ahead_start(FOLDER, "toy", &(struct ko_read_part){0, 1, 1000000000}, &ahead, &err),
        KO_OK);
    ko_read_ahead_finish(ahead);
    assert_int_equal(ko_read_ahead_stop(ahead), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_reads_the_values_and_its_matrices),
        cmocka_unit_test(the_file_comes_into_the_cache),
        cmocka_unit_test(it_stops_where_it_is),
        cmocka_unit_test(without_the_file_or_the_memory_nothing_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
