/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/base/text.h"
#include "src/checkpoint/checkpoint.h"
#include "src/checkpoint/torch/torch_file.h"
#include "tests/support/folder.h"
#include "tests/support/pickle_bytes.h"
#include "tests/support/zip_bytes.h"

#define VARIANTS    KO_SOURCE_DIR "/tests/data/variants/"
#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])
#define DICT(items) TEST_PICKLE_DICT(items)
#define A           "X:a " TEST_PICKLE_2X3 " "
#define FLOATS(n, offset, shape, stride)                                                           \
    DICT("X:a " TEST_PICKLE_TENSOR("Float", "0", n, offset, shape, stride))

#define ROW  TEST_PICKLE_TENSOR("Float", "0", "6", "3", "K:3 %85", "K:1 %85")
#define FLAT TEST_PICKLE_TENSOR("Float", "0", "6", "0", "( K:1 K:6 K:1 t", "( K:99 K:1 K:5 t")
#define NONE TEST_PICKLE_TENSOR("Half", "1", "0", "0", "K:0 K:3 %86", "K:7 K:7 %86")

enum { MOST_ENTRIES = 6 };

static const float values[6] = {1, 2, 3, 4, 5, 6};

#define STORAGE_0                                                                                  \
    {                                                                                              \
        .name = "m/data/0", .bytes = values, .n = sizeof values                                    \
    }
#define ORDER                                                                                      \
    {                                                                                              \
        .name = "m/byteorder", .bytes = "little", .n = 6                                           \
    }

/* The folder's pytorch_model.bin: m/data.pkl (NULL: none) and then the entries, up to one without a
   name. */
static void write_file(const char *folder, const char *pickle, const struct test_zip_entry *entries)
{
    struct test_zip_entry all[MOST_ENTRIES] = {{0}};
    size_t n = 0, n_pickle = 0, n_bytes = 0;
    char *text = pickle ? test_pickle(pickle, &n_pickle) : NULL;
    if (pickle) {
        all[n++] = (struct test_zip_entry){.name = "m/data.pkl", .bytes = text, .n = n_pickle};
    }
    for (size_t i = 0; i < MOST_ENTRIES - 1 && entries[i].name; i++) {
        all[n++] = entries[i];
    }
    char *bytes = test_zip(all, n, &n_bytes);
    test_folder_write(folder, "pytorch_model.bin", bytes, n_bytes);
    free(bytes);
    free(text);
}

static int make_folder(void **state)
{
    *state = test_folder_make();
    test_folder_write_text(*state, "config.json", "{}");
    return 0;
}

static int remove_folder(void **state)
{
    test_folder_remove(*state);
    return 0;
}

static struct ko_checkpoint *opened(const char *folder)
{
    struct ko_error err = {0};
    struct ko_checkpoint *cp = NULL;
    if (ko_checkpoint_open(folder, "toy", &cp, &err)) {
        fail_msg("%s", err.text);
    }
    return cp;
}

static void refuses(const char *folder, const char *words, size_t row)
{
    struct ko_error err = {0};
    struct ko_checkpoint *cp = NULL;
    enum ko_code code = ko_checkpoint_open(folder, "toy", &cp, &err);
    ko_checkpoint_close(cp);
    if (code != KO_E_INPUT || !strstr(err.text, words)) {
        fail_msg("row %zu: code %d, '%s' lacks '%s'", row, (int)code, err.text, words);
    }
    if (strncmp(err.text, "toy: ", 5) != 0 || !strstr(err.text, "/pytorch_model.bin: ")) {
        fail_msg("row %zu: '%s' names neither model nor file", row, err.text);
    }
}

/* The lines of tensors.txt from the checkpoint. */
static void list_tensors(const struct ko_checkpoint *cp, struct ko_text *list)
{
    size_t n = 0;
    const struct ko_tensor *t = ko_checkpoint_tensors(cp, &n);
    for (size_t i = 0; i < n; i++) {
        ko_text_add(list, "%s %s [", t[i].name, ko_dtype_name(t[i].dtype));
        for (int d = 0; d < t[i].n_dims; d++) {
            ko_text_add(list, "%s%" PRId64, d ? "," : "", t[i].shape[d]);
        }
        ko_text_add(list, "] %08x\n", test_crc32(t[i].data, t[i].data_bytes));
    }
}

static void tensors_equal_those_of_torch_load(const char *folder)
{
    size_t n = 0;
    struct ko_text list = {0};
    struct ko_checkpoint *cp = opened(folder);
    char *path = test_folder_path(folder, "tensors.txt"), *expected = test_read(path, &n);
    list_tensors(cp, &list);
    if (strcmp(ko_text_str(&list), expected) != 0) {
        fail_msg("%s: expected\n%sgot\n%s", folder, expected, ko_text_str(&list));
    }
    assert_true(n > 0);
    ko_checkpoint_close(cp);
    ko_text_free(&list);
    free(expected);
    free(path);
}

static void stored_checkpoints_equal_torch_load(void **state)
{
    (void)state;
    tensors_equal_those_of_torch_load(VARIANTS "mamba-original");
    tensors_equal_those_of_torch_load(VARIANTS "mamba2-original");
}

/* Those of tests/oracle/torch_files.py, where KO_TORCH_FOLDERS names their folder. */
static void generated_checkpoints_equal_torch_load(void **state)
{
    (void)state;
    const char *root = getenv("KO_TORCH_FOLDERS");
    if (!root) {
        skip();
    }
    DIR *folder = opendir(root);
    size_t n = 0;
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        char *path = test_folder_path(root, entry->d_name);
        tensors_equal_those_of_torch_load(path);
        free(path);
        n++;
    }
    closedir(folder);
    assert_true(n > 0);
    print_message("%zu checkpoints\n", n);
}

static void tensors_are_mapped_and_may_share_a_storage(void **state)
{
    static const char pickle[] = DICT("X:whole " TEST_PICKLE_2X3 " q:1 X:again h:1 X:row " ROW
                                      " X:flat " FLAT " X:none " NONE);
    static const struct test_zip_entry entries[] = {
        STORAGE_0, {.name = "m/data/1"}, {.name = "m/version", .bytes = "3\n", .n = 2}, {0}};
    write_file(*state, pickle, entries);

    struct ko_error err = {0};
    struct ko_torch_file file;
    char *path = test_folder_path(*state, "pytorch_model.bin");
    if (ko_torch_file_open(path, "toy", &file, &err)) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(file.n, 5);
    const struct ko_tensor *again = &file.tensors[0], *flat = &file.tensors[1];
    const struct ko_tensor *none = &file.tensors[2], *row = &file.tensors[3];
    const struct ko_tensor *whole = &file.tensors[4];
    assert_string_equal(again->name, "again");
    assert_string_equal(whole->name, "whole");
    assert_ptr_equal(again->data, whole->data);
    assert_ptr_equal(flat->data, whole->data);
    assert_ptr_equal(row->data, (const char *)whole->data + 12);
    assert_memory_equal(whole->data, values, sizeof values);
    assert_in_range((uintptr_t)whole->data, (uintptr_t)file.map.data,
                    (uintptr_t)file.map.data + file.map.bytes - sizeof values);
    assert_int_equal(flat->n_dims, 3);
    assert_int_equal(none->n, 0);
    assert_int_equal(none->dtype, KO_F16);
    ko_torch_file_close(&file);
    free(path);
}

static void files_that_are_no_state_dict_are_refused(void **state)
{
    static const struct {
        const char *pickle;
        struct test_zip_entry entries[MOST_ENTRIES - 1];
        const char *words;
    } rows[] = {
        {"%80:2 c:os/system ( X:ls t R .",
         {STORAGE_0},
         "pytorch_model.bin: data.pkl: global 'os.system' is not allowed"},
        {"%80:2 c:collections/OrderedDict ) %81 .",
         {STORAGE_0},
         "pytorch_model.bin: data.pkl: opcode NEWOBJ is not allowed (byte 28)"},
        {NULL, {STORAGE_0}, "has no m/data.pkl: torch.save did not write it"},
        {NULL, {{.name = "data.pkl", .bytes = "x", .n = 1}}, "its entries are not in a folder"},
        {NULL,
         {STORAGE_0, {.name = "x/data.pkl", .bytes = "\x80\2}.", .n = 4}},
         "has no m/data.pkl"},
        {NULL,
         {{.name = "m/data.pkl", .bytes = "\x80\2}.", .n = 4, .crc = 3}},
         "m/data.pkl: cannot be read (CRC error)"},
        {DICT(A),
         {STORAGE_0, {.name = "m/byteorder", .bytes = "big", .n = 3}},
         "m/byteorder: does not say 'little', files of big-endian machines are not read"},
        {DICT(A),
         {STORAGE_0, {.name = "m/byteorder", .bytes = "little-or-not-little", .n = 20}},
         "m/byteorder: has 20 bytes, more than 16"},
        {DICT(A), {ORDER}, "tensor 'a': there is no entry m/data/0"},
        {DICT(A),
         {{.name = "m/data/0", .bytes = values, .n = 20}},
         "tensor 'a': m/data/0 has 20 bytes, its 6 elements of F32 take more"},
        {DICT(A),
         {{.name = "m/data/0", .n = 28}},
         "tensor 'a': m/data/0 has 28 bytes, its 6 elements of F32 take fewer"},
        {DICT(A), {{.name = "m/data/0", .n = 25}}, "m/data/0 has 25 bytes, its 6 elements"},
        {DICT(A), {{.name = "m/data/0"}}, "m/data/0 has 0 bytes, its 6 elements of F32 take more"},
        {FLOATS("6", "0", "K:7 %85", "K:1 %85"),
         {STORAGE_0},
         "tensor 'a': elements 0 to 7 reach beyond its storage m/data/0, which holds 6"},
        {FLOATS("6", "4", "K:3 %85", "K:1 %85"), {STORAGE_0}, "elements 4 to 7 reach beyond"},
        {FLOATS("6", "7", "K:0 %85", "K:1 %85"), {STORAGE_0}, "elements 7 to 7 reach beyond"},
        {FLOATS("6", "0", "K:2 K:3 %86", "K:1 K:2 %86"),
         {STORAGE_0},
         "tensor 'a': shape [2,3] with strides [1,2] is not contiguous"},
        {FLOATS("6", "0", "K:2 K:3 %86", "K:0 K:1 %86"), {STORAGE_0}, "is not contiguous"},
        {FLOATS("6", "0", "K:3 %85", "K:2 %85"), {STORAGE_0}, "is not contiguous"},
        {FLOATS("6", "0", "%8a:4611686018427387904 %85", "K:1 %85"),
         {STORAGE_0},
         "tensor 'a': the product of its shape overflows"},
        {FLOATS("6", "0", "%8a:9223372036854775807 K:3 %86", "K:3 K:1 %86"),
         {STORAGE_0},
         "tensor 'a': the product of its shape overflows"},
        {DICT(A),
         {{.name = "m/data/0", .bytes = values, .n = sizeof values, .method = 8}},
         "m/data/0: is compressed (method 8)"},
        {DICT(A),
         {{.name = "m/data/0", .bytes = values, .n = sizeof values, .flags = 1}},
         "m/data/0: is encrypted"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        write_file(*state, rows[i].pickle, rows[i].entries);
        refuses(*state, rows[i].words, i);
    }
}

static void other_formats_are_refused_with_what_to_do(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *words;
    } rows[] = {
        {"\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\2M\xe9\3.", 20,
         "is in torch's format from before version 1.6, which is not read: convert it with "
         "python3"},
        {"", 0, "does not begin like a zip archive"},
        {"PK\3", 3, "does not begin like a zip archive"},
        {"\x89HDF\r\n\x1a\n", 8, "does not begin like a zip archive"},
        {"PK\3\4 and nothing more", 21, "is not a valid zip archive ("},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        test_folder_write(*state, "pytorch_model.bin", rows[i].bytes, rows[i].n);
        refuses(*state, rows[i].words, i);
    }
}

static void every_truncation_is_refused(void **state)
{
    static const struct test_zip_entry entries[] = {STORAGE_0, ORDER, {0}};
    size_t n = 0;
    write_file(*state, DICT(A), entries);
    char *path = test_folder_path(*state, "pytorch_model.bin"), *bytes = test_read(path, &n);
    for (size_t cut = 0; cut < n; cut++) {
        test_folder_write(*state, "pytorch_model.bin", bytes, cut);
        refuses(*state, cut < 4 ? "does not begin like" : "is not a valid zip archive (", cut);
    }
    free(bytes);
    free(path);
}

static void fingerprint_of(const char *folder, const char *pickle,
                           const struct test_zip_entry *entries, char text[33])
{
    write_file(folder, pickle, entries);
    struct ko_checkpoint *cp = opened(folder);
    snprintf(text, 33, "%s", ko_checkpoint_fingerprint(cp));
    ko_checkpoint_close(cp);
}

static void the_fingerprint_is_of_pickle_and_entries(void **state)
{
    static const struct test_zip_entry first[] = {STORAGE_0, ORDER, {0}};
    static const struct test_zip_entry data[] = {{.name = "m/data/0", .n = 24}, ORDER, {0}};
    static const struct test_zip_entry moved[] = {
        {.name = "m/data/0", .n = 24, .n_extra = 8}, ORDER, {0}};
    static const struct test_zip_entry named[] = {
        STORAGE_0, {.name = "m/byteOrder", .bytes = "little", .n = 6}, {0}};
    char text[5][33];
    fingerprint_of(*state, DICT(A), first, text[0]);
    fingerprint_of(*state, DICT(A), data, text[1]);
    fingerprint_of(*state, DICT(A), moved, text[2]);
    fingerprint_of(*state, DICT(A), named, text[3]);
    fingerprint_of(*state, DICT("X:b " TEST_PICKLE_2X3 " "), first, text[4]);
    assert_string_equal(text[0], text[1]); /* the values are the content hash's matter */
    for (size_t i = 2; i < COUNT(text); i++) {
        assert_string_not_equal(text[0], text[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stored_checkpoints_equal_torch_load),
        cmocka_unit_test(generated_checkpoints_equal_torch_load),
        cmocka_unit_test(tensors_are_mapped_and_may_share_a_storage),
        cmocka_unit_test(files_that_are_no_state_dict_are_refused),
        cmocka_unit_test(other_formats_are_refused_with_what_to_do),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(the_fingerprint_is_of_pickle_and_entries),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
