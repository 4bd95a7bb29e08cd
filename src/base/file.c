/* SPDX-License-Identifier: Apache-2.0 */
/* Reads whole files; splits and joins paths and follows links. */
#include "src/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/content.h"
#include "src/base/memory.h"

/* Reads exactly n bytes. A file that ends earlier has changed since its size was read. */
static enum ko_code read_all(int fd, const char *path, char *bytes, size_t n, struct ko_error *err)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = read(fd, bytes + done, n - done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return ko_fail(err, KO_E_INPUT, "%s: cannot be read: %s", path, strerror(errno));
        }
        if (got == 0) {
            return ko_fail(err, KO_E_INPUT,
                           "%s: ended after %zu of %zu bytes, it was changed while being read",
                           path, done, n);
        }
        done += (size_t)got;
    }
    return KO_OK;
}

/* The size of the open regular file, at most max_bytes. */
static enum ko_code checked_size(int fd, const char *path, size_t max_bytes, size_t *n,
                                 struct ko_error *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        return ko_fail(err, KO_E_INPUT, "%s: cannot be read: %s", path, strerror(errno));
    }
    if (S_ISDIR(info.st_mode)) {
        return ko_fail(err, KO_E_INPUT, "%s: is a folder, expected a file", path);
    }
    if (!S_ISREG(info.st_mode)) {
        return ko_fail(err, KO_E_INPUT, "%s: is not a regular file but %s", path,
                       ko_file_kind(info.st_mode));
    }
    if ((uintmax_t)info.st_size > max_bytes) {
        return ko_fail(err, KO_E_INPUT, "%s: has %lld bytes, expected at most %zu", path,
                       (long long)info.st_size, max_bytes);
    }
    *n = (size_t)info.st_size;
    return KO_OK;
}

enum ko_code ko_file_read(const char *path, size_t max_bytes, char **bytes, size_t *n,
                          struct ko_error *err)
{
    char *block = NULL;
    size_t size = 0;
    /* O_NONBLOCK: opening a pipe must not wait for a writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return ko_fail(err, KO_E_INPUT, "%s: cannot be opened: %s", path, strerror(errno));
    }
    enum ko_code code = checked_size(fd, path, max_bytes, &size, err);
    if (code != KO_OK) {
        goto done;
    }
    block = ko_new(size + 1, 1, err);
    if (!block) {
        code = KO_E_MEMORY;
        goto done;
    }
    code = read_all(fd, path, block, size, err);
    if (code == KO_OK) {
        code = ko_content_check(block, size, path, err);
    }
    if (code != KO_OK) {
        goto done;
    }
    *bytes = block;
    *n = size;
    block = NULL;
done:
    free(block);
    (void)close(fd);
    return code;
}

enum ko_code ko_standard_input_read(size_t max_bytes, char **bytes, size_t *n, struct ko_error *err)
{
    char *block = NULL;
    size_t capacity = 0, size = 0;
    enum ko_code code = KO_OK;
    for (;;) {
        char *grown = ko_grow(block, &capacity, size + 4096, 1, err);
        if (!grown) {
            code = KO_E_MEMORY;
            break;
        }
        block = grown;
        const ssize_t got = read(STDIN_FILENO, block + size, capacity - size - 1);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            code =
                ko_fail(err, KO_E_INPUT, KO_STANDARD_INPUT ": cannot be read: %s", strerror(errno));
            break;
        }
        size += (size_t)got;
        if (size > max_bytes) {
            code =
                ko_fail(err, KO_E_INPUT, KO_STANDARD_INPUT ": has more than %zu bytes", max_bytes);
            break;
        }
        if (got == 0) {
            block[size] = '\0';
            code = ko_content_check(block, size, KO_STANDARD_INPUT, err);
            break;
        }
    }
    if (code != KO_OK) {
        free(block);
        return code;
    }
    *bytes = block;
    *n = size;
    return KO_OK;
}

char *ko_path_join(const char *folder, const char *name, struct ko_error *err)
{
    size_t n_folder = folder ? strlen(folder) : 0;
    if (name[0] == '/' || n_folder == 0) {
        return ko_copy(name, err);
    }
    size_t n_slash = folder[n_folder - 1] == '/' ? 0 : 1;
    size_t n_name = strlen(name);
    char *path = ko_new(n_folder + n_slash + n_name + 1, 1, err);
    if (!path) {
        return NULL;
    }
    memcpy(path, folder, n_folder);
    if (n_slash) {
        path[n_folder] = '/';
    }
    memcpy(path + n_folder + n_slash, name, n_name + 1);
    return path;
}

/* The length of path[0..n) without trailing slashes. A lone root slash stays. */
static size_t without_slashes(const char *path, size_t n)
{
    while (n > 1 && path[n - 1] == '/') {
        n--;
    }
    return n;
}

/* Where the last component of path[0..n) begins. The path has no trailing slashes. */
static size_t last_begins(const char *path, size_t n)
{
    size_t begin = n;
    while (begin > 0 && path[begin - 1] != '/') {
        begin--;
    }
    return begin;
}

char *ko_path_folder(const char *path, struct ko_error *err)
{
    size_t n = last_begins(path, without_slashes(path, strlen(path)));
    if (n == 0) {
        return ko_copy(".", err);
    }
    return ko_copy_n(path, without_slashes(path, n), err);
}

char *ko_path_last(const char *path, struct ko_error *err)
{
    size_t n = without_slashes(path, strlen(path));
    size_t begin = last_begins(path, n);
    if (begin == n) {
        begin = 0;
    }
    return ko_copy_n(path + begin, n - begin, err);
}

/* The target of the link at `path`. A relative target is joined to the link's folder. */
static char *link_target(const char *path, struct ko_error *err)
{
    char target[PATH_MAX + 1];
    const ssize_t n = readlink(path, target, PATH_MAX);

    if (n < 0) {
        (void)ko_fail(err, KO_E_INPUT, "%s: cannot be read as a link: %s", path, strerror(errno));
        return NULL;
    }
    target[n] = '\0';
    if (target[0] == '/') {
        return ko_copy(target, err);
    }
    char *folder = ko_path_folder(path, err), *joined = NULL;
    if (folder) {
        joined =
            strcmp(folder, ".") == 0 ? ko_copy(target, err) : ko_path_join(folder, target, err);
    }
    free(folder);
    return joined;
}

char *ko_path_follow(const char *path, struct ko_error *err)
{
    enum { MOST_LINKS = 40 }; /* as Linux itself follows */
    char *at = ko_copy(path, err);
    struct stat info;

    for (int n = 0; at && lstat(at, &info) == 0 && S_ISLNK(info.st_mode); n++) {
        char *next = NULL;
        if (n == MOST_LINKS) {
            (void)ko_fail(err, KO_E_INPUT, "%s: too many symbolic links, choose another name",
                          path);
        } else {
            next = link_target(at, err);
        }
        free(at);
        at = next;
    }
    /* Folders, pipes and devices keep the user's name for them, which errors print. */
    if (at && stat(at, &info) == 0 && !S_ISREG(info.st_mode)) {
        free(at);
        at = ko_copy(path, err);
    }
    return at;
}

const char *ko_file_kind(unsigned mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return "a regular file";
    case S_IFDIR:
        return "a folder";
    case S_IFIFO:
        return "a named pipe";
    case S_IFLNK:
        return "a symbolic link";
    case S_IFSOCK:
        return "a socket";
    case S_IFCHR:
    case S_IFBLK:
        return "a device";
    default:
        return "a special file";
    }
}

bool ko_file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}
