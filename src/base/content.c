/* SPDX-License-Identifier: Apache-2.0 */
/* Recognizes web pages, refused downloads, archives, Parquet and UTF-16 by their first bytes. */
#include "src/base/content.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* Skips a byte-order mark and white space. */
static const char *begin_of(const char *bytes, size_t *n)
{
    size_t at = *n >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    while (at < *n && bytes[at] != '\0' && strchr(" \t\r\n", bytes[at])) {
        at++;
    }
    *n -= at;
    return bytes + at;
}

enum ko_code ko_content_check(const void *bytes, size_t n, const char *where, struct ko_error *err)
{
    static const char pointer[] = "version https://git-lfs.github.com/spec/";
    static const char *const pages[] = {"<!doctype", "<html", "<?xml"};
    /* Plain-text answers of huggingface.co, which `curl` without -f saves as the file. */
    static const char *const answers[] = {"Access to model ", "Access to dataset ",
                                          "Entry not found", "Repository not found",
                                          "Invalid username or password"};
    if (n == 0) {
        return KO_OK;
    }
    const char *begin = begin_of(bytes, &n);
    if (n >= strlen(pointer) && memcmp(begin, pointer, strlen(pointer)) == 0) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: is a Git LFS pointer, not the file itself: run `git lfs pull` in its "
                       "folder, or download it with `hf download`",
                       where);
    }
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        if (n >= strlen(pages[i]) && strncasecmp(begin, pages[i], strlen(pages[i])) == 0) {
            return ko_fail(err, KO_E_INPUT,
                           "%s: is a web page, not the file itself: download it again, with `hf "
                           "download`, which reports why a download is refused",
                           where);
        }
    }
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        if (n >= strlen(answers[i]) && memcmp(begin, answers[i], strlen(answers[i])) == 0) {
            return ko_fail(err, KO_E_INPUT,
                           "%s: holds the answer '%s...' of a refused download, not the file "
                           "itself: download it again, with `hf download`",
                           where, answers[i]);
        }
    }
    return KO_OK;
}

enum ko_code ko_content_check_file(const char *path, const char *where, struct ko_error *err)
{
    char bytes[512];
    /* O_NONBLOCK: opening a pipe must not wait for a writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return KO_OK;
    }
    ssize_t n = pread(fd, bytes, sizeof bytes, 0);
    (void)close(fd);
    return n > 0 ? ko_content_check(bytes, (size_t)n, where, err) : KO_OK;
}

enum ko_code ko_content_check_text(const void *bytes, size_t n, const char *path,
                                   struct ko_error *err)
{
    static const struct {
        const char *magic;
        size_t n;
        const char *name, *command; /* the command's argument is the path */
    } packed[] = {
        {"\x1F\x8B", 2, "a gzip file", "gunzip"},
        {"BZh", 3, "a bzip2 file", "bunzip2"},
        {"\xFD"
         "7zXZ\0",
         6, "an xz file", "unxz"},
        {"\x28\xB5\x2F\xFD", 4, "a zstd file", "unzstd"},
        {"PK\x03\x04", 4, "a zip archive", "unzip"},
    };
    static const struct {
        const char *magic, *name, *reader;
    } tables[] = {{"PAR1", "a Parquet file", "read_parquet"},
                  {"ARROW1", "an Arrow file", "read_feather"}};
    for (size_t i = 0; i < sizeof packed / sizeof packed[0]; i++) {
        if (n >= packed[i].n && memcmp(bytes, packed[i].magic, packed[i].n) == 0) {
            return ko_fail(err, KO_E_INPUT, "%s: is %s, which is not read: unpack it with `%s %s`",
                           path, packed[i].name, packed[i].command, path);
        }
    }
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        if (n >= strlen(tables[i].magic) &&
            memcmp(bytes, tables[i].magic, strlen(tables[i].magic)) == 0) {
            return ko_fail(err, KO_E_INPUT,
                           "%s: is %s, which is not read: convert it with `python3 -c \"import "
                           "pandas; pandas.%s('%s').to_json('prompts.jsonl', orient='records', "
                           "lines=True)\"`",
                           path, tables[i].name, tables[i].reader, path);
        }
    }
    if (n >= 2 && (memcmp(bytes, "\xFF\xFE", 2) == 0 || memcmp(bytes, "\xFE\xFF", 2) == 0)) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: is UTF-16 text, which is not read: convert it with `iconv -f UTF-16 "
                       "-t UTF-8 %s`",
                       path, path);
    }
    return KO_OK;
}
