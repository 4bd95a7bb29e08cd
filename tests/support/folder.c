/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* nftw, asprintf */
#include "tests/support/folder.h"

#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void need(int true_here, const char *what)
{
    if (true_here) {
        return;
    }
    perror(what);
    abort();
}

char *test_folder_make(void)
{
    char *path = strdup("/tmp/ko-test-XXXXXX");
    need(path && mkdtemp(path), "a scratch folder");
    return path;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void test_folder_remove(char *folder)
{
    if (folder) {
        need(nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0, folder);
    }
    free(folder);
}

char *test_folder_path(const char *folder, const char *name)
{
    char *path = NULL;
    need(asprintf(&path, "%s/%s", folder, name) > 0, name);
    return path;
}

static FILE *open_in(const char *folder, const char *name)
{
    char *path = test_folder_path(folder, name);
    FILE *file = fopen(path, "wb");
    need(file != NULL, path);
    free(path);
    return file;
}

void test_folder_write(const char *folder, const char *name, const void *bytes, size_t n)
{
    FILE *file = open_in(folder, name);
    need(n == 0 || fwrite(bytes, 1, n, file) == n, name);
    need(fclose(file) == 0, name);
}

void test_folder_write_text(const char *folder, const char *name, const char *text)
{
    test_folder_write(folder, name, text, strlen(text));
}

void test_folder_write_safetensors(const char *folder, const char *name, const char *header,
                                   const void *data, size_t n)
{
    FILE *file = open_in(folder, name);
    uint64_t length = strlen(header);
    need(fwrite(&length, sizeof length, 1, file) == 1, name);
    need(fwrite(header, 1, length, file) == length, name);
    for (size_t i = 0; i < n; i++) {
        need(fputc(data ? ((const unsigned char *)data)[i] : 0, file) != EOF, name);
    }
    need(fclose(file) == 0, name);
}

char *test_read(const char *path, size_t *n)
{
    FILE *file = fopen(path, "rb");
    need(file && fseek(file, 0, SEEK_END) == 0, path);
    long end = ftell(file);
    need(end >= 0 && fseek(file, 0, SEEK_SET) == 0, path);
    char *bytes = calloc((size_t)end + 1, 1);
    need(bytes && fread(bytes, 1, (size_t)end, file) == (size_t)end, path);
    need(fclose(file) == 0, path);
    *n = (size_t)end;
    return bytes;
}
