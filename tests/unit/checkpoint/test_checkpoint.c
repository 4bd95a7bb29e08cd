/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/checkpoint/checkpoint.h"
#include "tests/support/checkpoint_edit.h"
#include "tests/support/folder.h"

#define MAMBA_FACTS KO_SOURCE_DIR "/jobs/models/mamba-facts"
#define U8(name)    "{\"" name "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}"

static struct ko_checkpoint *opened(const char *folder)
{
    struct ko_error err = {0};
    struct ko_checkpoint *cp = NULL;
    if (ko_checkpoint_open(folder, "toy", &cp, &err)) {
        fail_msg("%s", err.text);
    }
    return cp;
}

static void a_real_checkpoint_is_read(void **state)
{
    (void)state;
    struct ko_checkpoint *cp = opened(MAMBA_FACTS);
    size_t n = 0;
    const struct ko_tensor *tensors = ko_checkpoint_tensors(cp, &n);
    assert_int_equal(n, 12 * 10 + 2);
    for (size_t i = 1; i < n; i++) {
        assert_true(strcmp(tensors[i - 1].name, tensors[i].name) < 0);
    }
    const struct ko_tensor *conv = ko_checkpoint_find(cp, "backbone.layers.11.mixer.conv1d.weight");
    assert_non_null(conv);
    assert_int_equal(conv->dtype, KO_BF16);
    assert_int_equal(conv->n_dims, 3);
    assert_int_equal(conv->shape[0], 192);
    assert_int_equal(conv->shape[1], 1);
    assert_int_equal(conv->shape[2], 4);
    assert_string_equal(ko_checkpoint_name(cp), "toy");
    assert_true(json_object_is_type(ko_checkpoint_config(cp), json_type_object));
    ko_checkpoint_close(cp);
}

static void folders_that_are_no_checkpoint_are_refused(void **state)
{
    static const struct {
        const char *config, *weights, *words;
    } rows[] = {
        {NULL, NULL, "/config.json: cannot be opened: No such file or directory"},
        {"{\"a\": }", NULL, "/config.json:1:7: not valid JSON"},
        {"[1]", NULL, "/config.json: expected a JSON object"},
        {"null", NULL, "/config.json: expected a JSON object"},
        {"{}", NULL, "holds neither model.safetensors nor pytorch_model.bin, nor an index"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_checkpoint *cp = NULL;
        char *folder = test_folder_make();
        if (rows[i].config) {
            test_folder_write_text(folder, "config.json", rows[i].config);
        }
        enum ko_code code = ko_checkpoint_open(folder, "toy", &cp, &err);
        test_folder_remove(folder);
        if (code != KO_E_INPUT || cp || !strstr(err.text, rows[i].words) ||
            strncmp(err.text, "toy: /tmp/", 10) != 0) {
            fail_msg("row %zu: code %d, '%s' lacks '%s'", i, (int)code, err.text, rows[i].words);
        }
    }
    struct ko_error err = {0};
    struct ko_checkpoint *cp = NULL;
    char *folder = test_folder_make();
    test_folder_write_text(folder, "adapter_config.json", "{}");
    assert_int_equal(ko_checkpoint_open(folder, "toy", &cp, &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, ": holds an adapter (adapter_config.json), not a model: merge "
                                     "it into its model first"));
    test_folder_remove(folder);
    assert_int_equal(ko_checkpoint_open("/nowhere/at/all", "toy", &cp, &err), KO_E_INPUT);
    assert_string_equal(err.text,
                        "toy: /nowhere/at/all: cannot be opened: No such file or directory");
    assert_int_equal(ko_checkpoint_open(MAMBA_FACTS "/config.json", "toy", &cp, &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "is not a folder"));
}

static void pointers_and_pages_in_the_place_of_weights_are_named(void **state)
{
    static const char *const files[] = {"model.safetensors", "pytorch_model.bin",
                                        "model.safetensors.index.json", "config.json"};
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"version https://git-lfs.github.com/spec/v1\noid sha256:d017\nsize 45108470\n",
         ": is a Git LFS pointer, not the file itself: run `git lfs pull`"},
        {"<!DOCTYPE html>\n<html>", ": is a web page, not the file itself"},
    };
    (void)state;
    for (size_t f = 0; f < sizeof files / sizeof files[0]; f++) {
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            struct ko_error err = {0};
            struct ko_checkpoint *cp = NULL;
            char *folder = test_folder_make(), expected[128];
            snprintf(expected, sizeof expected, "/%s%s", files[f], rows[i].words);
            test_folder_write_text(folder, "config.json", "{}");
            test_folder_write_text(folder, files[f], rows[i].text);
            assert_int_equal(ko_checkpoint_open(folder, "toy", &cp, &err), KO_E_INPUT);
            test_folder_remove(folder);
            if (!strstr(err.text, expected)) {
                fail_msg("'%s' lacks '%s'", err.text, expected);
            }
        }
    }
}

static void fingerprint_of(const char *config, const char *header, const char *data, char text[33])
{
    char *folder = test_folder_make();
    test_folder_write_text(folder, "config.json", config);
    test_folder_write_safetensors(folder, "model.safetensors", header, data, 1);
    struct ko_checkpoint *cp = opened(folder);
    snprintf(text, 33, "%s", ko_checkpoint_fingerprint(cp));
    ko_checkpoint_close(cp);
    test_folder_remove(folder);
}

static void the_fingerprint_is_of_configuration_and_headers(void **state)
{
    char first[33], same[33], other_config[33], other_header[33];
    (void)state;
    fingerprint_of("{}", U8("a"), "x", first);
    fingerprint_of("{}", U8("a"), "y", same);
    fingerprint_of("{ }", U8("a"), "x", other_config);
    fingerprint_of("{}", U8("b"), "x", other_header);
    assert_int_equal(strspn(first, "0123456789abcdef"), 32);
    assert_string_equal(first, same);
    assert_string_not_equal(first, other_config);
    assert_string_not_equal(first, other_header);
}

/* Pages of the tensor that are in memory for this process and wholly inside it. */
static size_t resident_pages(const struct ko_tensor *t)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[512];
    size_t kilobytes = 0;
    uintptr_t at = (uintptr_t)t->data;
    int inside = 0;
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps)) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
            inside = from <= at && at < to;
        } else if (inside) {
            (void)sscanf(line, "Rss: %zu kB", &kilobytes);
        }
    }
    fclose(maps);
    return kilobytes * 1024 / (size_t)sysconf(_SC_PAGESIZE);
}

enum change { NOTHING, WRITTEN, TOUCHED_BACK, REPLACED, CONFIGURED, SHORTER, N_CHANGES };

/* The clock of a file system moves in steps of some milliseconds. */
static void change_files(const char *folder, enum change change)
{
    size_t n = 0;
    struct stat before;
    char *path = test_folder_path(folder, "model.safetensors"), *bytes = test_read(path, &n);
    usleep(50000);
    assert_int_equal(stat(path, &before), 0);
    if (change == WRITTEN || change == TOUCHED_BACK) {
        test_folder_write(folder, "model.safetensors", bytes, n);
    }
    if (change == TOUCHED_BACK) {
        const struct timespec times[2] = {before.st_atim, before.st_mtim};
        assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    }
    if (change == REPLACED) {
        char *other = test_folder_path(folder, "other");
        test_folder_write(folder, "other", bytes, n);
        assert_int_equal(rename(other, path), 0);
        free(other);
    }
    if (change == CONFIGURED) {
        test_folder_write_text(folder, "config.json", "{\"model_type\": \"another\"}");
    }
    if (change == SHORTER) {
        assert_int_equal(truncate(path, (off_t)n - 4), 0);
    }
    free(bytes);
    free(path);
}

static void files_that_were_written_or_replaced_are_not_the_same(void **state)
{
    (void)state;
    for (int change = NOTHING; change < N_CHANGES; change++) {
        char *folder = test_folder_make();
        test_checkpoint_edit(KO_SOURCE_DIR "/tests/data/variants/llama2", folder,
                             &(struct test_edit){0});
        struct ko_checkpoint *first = opened(folder), *again = NULL;
        assert_true(ko_checkpoint_same_files(first, first));
        if (change != SHORTER) {
            change_files(folder, change);
        }
        again = opened(folder);
        if (change == SHORTER) { /* a short file cannot be opened */
            change_files(folder, change);
        }
        assert_int_equal(ko_checkpoint_same_files(first, again), change == NOTHING);
        ko_checkpoint_close(first);
        ko_checkpoint_close(again);
        test_folder_remove(folder);
    }
}

static void a_released_tensor_leaves_memory_and_keeps_its_values(void **state)
{
    (void)state;
    struct ko_checkpoint *cp = opened(MAMBA_FACTS);
    const struct ko_tensor *t = ko_checkpoint_find(cp, "backbone.embeddings.weight");
    assert_non_null(t);
    float *before = malloc((size_t)t->n * sizeof *before);
    float *after = malloc((size_t)t->n * sizeof *after);
    assert_non_null(before);
    assert_non_null(after);
    ko_tensor_to_float(t, 0, t->n, before);
    size_t had = resident_pages(t);
    ko_tensor_release(t);
    size_t has = resident_pages(t);
    assert_true(had >= has + t->data_bytes / (size_t)sysconf(_SC_PAGESIZE) - 1);
    ko_tensor_to_float(t, 0, t->n, after);
    assert_memory_equal(before, after, (size_t)t->n * sizeof *before);
    free(before);
    free(after);
    ko_checkpoint_close(cp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_real_checkpoint_is_read),
        cmocka_unit_test(folders_that_are_no_checkpoint_are_refused),
        cmocka_unit_test(pointers_and_pages_in_the_place_of_weights_are_named),
        cmocka_unit_test(the_fingerprint_is_of_configuration_and_headers),
        cmocka_unit_test(files_that_were_written_or_replaced_are_not_the_same),
        cmocka_unit_test(a_released_tensor_leaves_memory_and_keeps_its_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
