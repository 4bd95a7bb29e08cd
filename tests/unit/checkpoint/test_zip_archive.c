/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "src/checkpoint/torch/zip_archive.h"
#include "tests/support/zip_bytes.h"

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])

static void refuses(const char *bytes, size_t n, const char *words, size_t row)
{
    struct ko_error err = {0};
    struct ko_zip_archive *zip = NULL;
    struct ko_mapping map = {.data = (void *)(uintptr_t)bytes, .bytes = n};
    enum ko_code code = ko_zip_open(&map, "toy: w.bin", &zip, &err);
    ko_zip_close(zip);
    if (code != KO_E_INPUT || !strstr(err.text, words) || strncmp(err.text, "toy: w.bin: ", 12)) {
        fail_msg("row %zu: code %d, '%s' lacks '%s'", row, (int)code, err.text, words);
    }
}

static void entries_are_found_where_their_data_lie(void **state)
{
    static const struct test_zip_entry entries[] = {
        {.name = "a/x", .bytes = "first", .n = 5},
        {.name = "a/empty"},
        {.name = "a/aligned", .bytes = "second", .n = 6, .n_extra = 61},
        {.name = "a/b", .bytes = "third", .n = 5},
    };
    (void)state;
    struct ko_error err = {0};
    struct ko_zip_archive *zip = NULL;
    struct ko_text text = {0};
    struct ko_mapping map = {0};
    char *bytes = test_zip(entries, COUNT(entries), &map.bytes);
    map.data = bytes;
    if (ko_zip_open(&map, "toy", &zip, &err)) {
        fail_msg("%s", err.text);
    }
    assert_string_equal(ko_zip_first_name(zip), "a/x");
    size_t n = 0;
    const struct ko_zip_entry *found = ko_zip_entries(zip, &n);
    assert_int_equal(n, COUNT(entries));
    for (size_t i = 1; i < n; i++) {
        assert_true(strcmp(found[i - 1].name, found[i].name) < 0);
    }
    for (size_t i = 0; i < COUNT(entries); i++) {
        const struct ko_zip_entry *entry = ko_zip_find(zip, entries[i].name);
        assert_non_null(entry);
        assert_int_equal(entry->bytes, entries[i].n);
        if (entries[i].n > 0) {
            assert_memory_equal(bytes + entry->begin, entries[i].bytes, entries[i].n);
        }
    }
    assert_null(ko_zip_find(zip, "a/y"));
    assert_int_equal(ko_zip_read(zip, ko_zip_find(zip, "a/b"), 5, &text, &err), KO_OK);
    assert_string_equal(ko_text_str(&text), "third");
    assert_int_equal(ko_zip_read(zip, ko_zip_find(zip, "a/b"), 4, &text, &err), KO_E_INPUT);
    assert_string_equal(err.text, "toy: a/b: has 5 bytes, more than 4");
    ko_text_free(&text);
    ko_zip_close(zip);
    free(bytes);
}

static void bytes_that_do_not_match_their_sum_are_refused(void **state)
{
    static const struct test_zip_entry entry = {.name = "a/x", .bytes = "x", .n = 1, .crc = 7};
    (void)state;
    struct ko_error err = {0};
    struct ko_zip_archive *zip = NULL;
    struct ko_text text = {0};
    struct ko_mapping map = {0};
    map.data = test_zip(&entry, 1, &map.bytes);
    if (ko_zip_open(&map, "toy", &zip, &err)) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(ko_zip_read(zip, ko_zip_find(zip, "a/x"), 5, &text, &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "toy: a/x: cannot be read (CRC error): copy the file again"));
    ko_text_free(&text);
    ko_zip_close(zip);
    free(map.data);
}

static void broken_entries_are_refused_by_name(void **state)
{
    /* The data of the first hold an entry of their own: header, name and five bytes. */
    static const char inner[] = "PK\3\4\24\0\0\0\0\0\0\0\0\0"
                                "\0\0\0\0\5\0\0\0\5\0\0\0\3\0\0\0a/yfives";
    static const struct {
        struct test_zip_entry entries[2];
        const char *words;
    } rows[] = {
        {{{.name = "a/x", .bytes = "x", .n = 1, .method = 8}, {.name = "a/y"}},
         "a/x: is compressed (method 8), its data cannot be mapped"},
        {{{.name = "a/x", .bytes = "x", .n = 1, .flags = 1}, {.name = "a/y"}},
         "a/x: is encrypted, only plain entries are read"},
        {{{.name = "a/x", .bytes = "x", .n = 1}, {.name = "a/x", .bytes = "y", .n = 1}},
         "the entry a/x occurs twice"},
        {{{.name = "a/x", .bytes = inner, .n = sizeof inner},
          {.name = "a/y", .n = 5, .at = 30 + 3}},
         "the entries a/x and a/y overlap"},
        {{{.name = "a/x", .bytes = inner, .n = sizeof inner},
          {.name = "a/z", .n = 5, .at = 30 + 3}},
         "a/z: the archive's directory leads to byte 66, where its header is missing"},
        {{{.name = "a/x", .bytes = "0123456789", .n = 10}, {.name = "a/y", .n = 5, .at = 2}},
         "a/y: its 5 bytes reach beyond the end of the file, which has 163"},
        {{{.name = "a/x", .bytes = "x", .n = 1, .local_name = "a/q"}, {.name = "a/y"}},
         "a/x: the archive's directory leads to byte 33, where its header is missing"},
        {{{.name = "a/x", .bytes = "x", .n = 1, .size = 4000}, {.name = "a/y"}},
         "a/x: its 4000 bytes reach beyond the end of the file"},
        {{{.name = "a/x", .bytes = "x", .n = 1, .at = 70000}, {.name = "a/y"}}, "a/x: its "},
        {{{.name = "a/\n", .bytes = "x", .n = 1}, {.name = "a/y"}},
         "a control character in an entry's name"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t n = 0;
        char *bytes = test_zip(rows[i].entries, 2, &n);
        refuses(bytes, n, rows[i].words, i);
        free(bytes);
    }
}

static void long_names_are_refused(void **state)
{
    char name[KO_ZIP_NAME + 2];
    size_t n = 0;
    (void)state;
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    struct test_zip_entry entry = {.name = name, .bytes = "x", .n = 1};
    char *bytes = test_zip(&entry, 1, &n);
    refuses(bytes, n, "an entry's name has 1025 bytes, more than 1024", 0);
    free(bytes);
}

static void every_truncation_is_refused(void **state)
{
    static const struct test_zip_entry entries[] = {{.name = "a/x", .bytes = "first", .n = 5},
                                                    {.name = "a/y", .bytes = "second", .n = 6}};
    size_t n = 0;
    (void)state;
    char *bytes = test_zip(entries, COUNT(entries), &n);
    refuses("", 0, "is empty", 0);
    for (size_t cut = 1; cut < n; cut++) {
        char *part = malloc(cut); /* so that a read beyond it is seen */
        assert_non_null(part);
        memcpy(part, bytes, cut);
        refuses(part, cut, "is not a valid zip archive (", cut);
        free(part);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_found_where_their_data_lie),
        cmocka_unit_test(bytes_that_do_not_match_their_sum_are_refused),
        cmocka_unit_test(broken_entries_are_refused_by_name),
        cmocka_unit_test(long_names_are_refused),
        cmocka_unit_test(every_truncation_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
