/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "src/base/content.h"
#include "src/base/file.h"
#include "tests/support/folder.h"

#define POINTER "version https://git-lfs.github.com/spec/v1\noid sha256:d0\nsize 45108470\n"

static const struct {
    const char *text, *error; /* NULL: is read */
} rows[] = {
    {POINTER, ": is a Git LFS pointer, not the file itself: run `git lfs pull` in its folder, or "
              "download it with `hf download`"},
    {"\n" POINTER, ": is a Git LFS pointer"},
    {"<!DOCTYPE html><html>", ": is a web page, not the file itself: download it again"},
    {"<!doctype html>", ": is a web page"},
    {"\xEF\xBB\xBF \r\n\t<HTML lang=en>", ": is a web page"},
    {"<?xml version=\"1.0\"?><Error>", ": is a web page"},
    {"Access to model meta-llama/Llama-3.2-1B is restricted.",
     ": holds the answer 'Access to model ...' of a refused download"},
    {"Entry not found", ": holds the answer 'Entry not found...' of a refused download"},
    {"", NULL},
    {"<", NULL},
    {"version https://git-lfs", NULL},
    {"{\"a\": \"<html>\"}", NULL},
    {"version: 1\n", NULL},
};

static void what_lies_in_a_files_place_is_named(void **state)
{
    char *folder = test_folder_make(), *path = test_folder_path(folder, "data");
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const enum ko_code expected = rows[i].error ? KO_E_INPUT : KO_OK;
        struct ko_error err = {0}, read = {0};
        char *bytes = NULL;
        size_t n = 0;
        test_folder_write(folder, "data", rows[i].text, strlen(rows[i].text));
        assert_int_equal(ko_content_check_file(path, "it", &err), expected);
        assert_int_equal(ko_file_read(path, 4096, &bytes, &n, &read), expected);
        free(bytes);
        if (!rows[i].error) {
            continue;
        }
        if (strncmp(err.text, "it", 2) != 0 || strncmp(read.text, path, strlen(path)) != 0 ||
            strncmp(err.text + 2, rows[i].error, strlen(rows[i].error)) != 0 ||
            strcmp(err.text + 2, read.text + strlen(path)) != 0) {
            fail_msg("row %zu: %s, %s", i, err.text, read.text);
        }
    }
    free(path);
    test_folder_remove(folder);
}

static void what_cannot_be_read_passes(void **state)
{
    struct ko_error err = {0};
    (void)state;
    assert_int_equal(ko_content_check_file("/no/such/file", "it", &err), KO_OK);
    assert_int_equal(ko_content_check_file("/tmp", "it", &err), KO_OK);
}

static void what_is_not_text_is_named_with_its_converter(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *error;
    } packed[] = {
        {"PAR1", 4,
         "f: is a Parquet file, which is not read: convert it with `python3 -c \"import pandas; "
         "pandas.read_parquet('f').to_json('prompts.jsonl', orient='records', lines=True)\"`"},
        {"\x1F\x8B\x08", 3, "f: is a gzip file, which is not read: unpack it with `gunzip f`"},
        {"PK\x03\x04\x14", 5, "f: is a zip archive, which is not read: unpack it with `unzip f`"},
        {"\xFD"
         "7zXZ\0\0",
         7, "f: is an xz file, which is not read: unpack it with `unxz f`"},
        {"\xFE\xFF\0i", 4,
         "f: is UTF-16 text, which is not read: convert it with `iconv -f UTF-16 "
         "-t UTF-8 f`"},
    };
    struct ko_error err = {0};
    (void)state;
    for (size_t i = 0; i < sizeof packed / sizeof packed[0]; i++) {
        assert_int_equal(ko_content_check_text(packed[i].bytes, packed[i].n, "f", &err),
                         KO_E_INPUT);
        assert_string_equal(err.text, packed[i].error);
    }
    assert_int_equal(ko_content_check_text("PAR", 3, "f", &err), KO_OK);
    assert_int_equal(ko_content_check_text("", 0, "f", &err), KO_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_lies_in_a_files_place_is_named),
        cmocka_unit_test(what_cannot_be_read_passes),
        cmocka_unit_test(what_is_not_text_is_named_with_its_converter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
