/* SPDX-License-Identifier: Apache-2.0 */
/* Creates a temporary file beside the wanted one, flushes it to disk and renames it. Also removes
   temporary files of processes that no longer run. */
#define _GNU_SOURCE
#include "src/base/new_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/memory.h"
#include "src/base/text.h"

enum { HOST_BYTES = 64 };

static enum ko_code system_fail(struct ko_error *err, const char *path, const char *what)
{
    const int number = errno;
    const bool disk = number == ENOSPC || number == EDQUOT || number == EIO;

    return ko_fail(err, disk ? KO_E_FAILED : KO_E_INPUT, "%s: %s: %s", path, what,
                   strerror(number));
}

/* The machine's name, for use in a file name. */
static void name_host(char host[HOST_BYTES])
{
    if (gethostname(host, HOST_BYTES) != 0) {
        (void)snprintf(host, HOST_BYTES, "host");
    }
    host[HOST_BYTES - 1] = '\0';
    for (char *c = host; *c; c++) {
        if (*c == '/' || *c == '-') {
            *c = '_';
        }
    }
}

/* Whether `name` is BEGIN, PID, '-', N, and process PID no longer runs. */
static bool is_stale(const char *name, const char *begin)
{
    const size_t n = strlen(begin);
    char *end = NULL;

    if (strncmp(name, begin, n) != 0 || name[n] < '1' || name[n] > '9') {
        return false;
    }
    const long process = strtol(name + n, &end, 10);
    if (*end != '-' || end[1] < '0' || end[1] > '9' || process > INT32_MAX) {
        return false;
    }
    (void)strtol(end + 1, &end, 10);
    return *end == '\0' && kill((pid_t)process, 0) != 0 && errno == ESRCH;
}

/* Files that cannot be listed or removed stay; they do no harm. */
static enum ko_code remove_stale(const char *path, const char *host, struct ko_error *err)
{
    char *folder = ko_path_folder(path, err), *last = ko_path_last(path, err);
    struct ko_text begin = {0};
    enum ko_code code = folder && last ? KO_OK : KO_E_MEMORY;
    DIR *list = code == KO_OK ? opendir(folder) : NULL;

    ko_text_add(&begin, "%s.new-%s-", last ? last : "", host);
    if (code == KO_OK) {
        code = ko_text_check(&begin, err);
    }
    for (const struct dirent *entry; code == KO_OK && list && (entry = readdir(list));) {
        if (is_stale(entry->d_name, begin.data)) {
            char *stale = ko_path_join(folder, entry->d_name, err);
            if (stale) {
                (void)unlink(stale);
            } else {
                code = KO_E_MEMORY;
            }
            free(stale);
        }
    }
    if (list) {
        (void)closedir(list);
    }
    ko_text_free(&begin);
    free(folder);
    free(last);
    return code;
}

enum ko_code ko_new_file_open(const char *path, struct ko_new_file *out, struct ko_error *err)
{
    struct ko_new_file file = {.path = ko_path_follow(path, err)};
    struct ko_text text = {0};
    enum ko_code code = file.path ? KO_OK : err->code;
    char host[HOST_BYTES];
    struct stat info;
    int id = -1;

    /* Never replace a device or a pipe. */
    if (code == KO_OK && stat(path, &info) == 0 && !S_ISREG(info.st_mode)) {
        code = ko_fail(err, KO_E_INPUT, "%s: is %s, name a file to write", path,
                       ko_file_kind(info.st_mode));
    }
    name_host(host);
    if (code == KO_OK) {
        code = remove_stale(file.path, host, err);
    }

    for (int attempt = 0; code == KO_OK && id < 0 && attempt < 100; attempt++) {
        ko_text_free(&text);
        ko_text_add(&text, "%s.new-%s-%ld-%d", file.path, host, (long)getpid(), attempt);
        code = ko_text_check(&text, err);
        if (code != KO_OK) {
            break;
        }
        id = open(text.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (id < 0 && errno != EEXIST) {
            break;
        }
    }
    if (code == KO_OK && id < 0) {
        code = system_fail(err, path, "cannot be created in its folder");
    }
    if (id >= 0) {
        (void)close(id);
    }
    if (code != KO_OK) {
        ko_text_free(&text);
        free(file.path);
        return code;
    }
    file.temporary = text.data;
    *out = file;
    return KO_OK;
}

static enum ko_code sync_path(const char *path, const char *named, struct ko_error *err)
{
    int id = open(path, O_RDONLY | O_CLOEXEC);
    enum ko_code code = KO_OK;

    /* Some file systems cannot sync a folder and return EINVAL. */
    if (id < 0 || (fsync(id) != 0 && errno != EINVAL)) {
        code = system_fail(err, named, "cannot be flushed to disk");
    }
    if (id >= 0) {
        (void)close(id);
    }
    return code;
}

/* `keeps` uses link(), which never replaces a file. On a file system without links, check for the
   name first; a file created after the check would be replaced. */
static enum ko_code take_name(const struct ko_new_file *file, struct ko_error *err)
{
    if (file->keeps && link(file->temporary, file->path) == 0) {
        (void)unlink(file->temporary);
        return KO_OK;
    }
    if (file->keeps && (errno == EEXIST || ko_file_exists(file->path))) {
        return ko_fail(err, KO_E_FAILED,
                       "%s: another process has created it meanwhile, it is left unchanged",
                       file->path);
    }
    if (rename(file->temporary, file->path) != 0) {
        return system_fail(err, file->path, "cannot be renamed into place");
    }
    return KO_OK;
}

enum ko_code ko_new_file_place(struct ko_new_file *file, struct ko_error *err)
{
    char *folder = ko_path_folder(file->path, err);
    enum ko_code code = folder ? KO_OK : KO_E_MEMORY;

    if (code == KO_OK) {
        code = sync_path(file->temporary, file->path, err);
    }
    if (code == KO_OK) {
        code = ko_consent_ask(file->consent, err);
    }
    if (code == KO_OK) {
        code = take_name(file, err);
    }
    if (code == KO_OK) {
        free(file->temporary);
        file->temporary = NULL;
        code = sync_path(folder, file->path, err);
    }
    free(folder);
    ko_new_file_drop(file);
    return code;
}

void ko_new_file_drop(struct ko_new_file *file)
{
    if (file->temporary) {
        (void)unlink(file->temporary);
    }
    free(file->temporary);
    free(file->path);
    *file = (struct ko_new_file){0};
}
