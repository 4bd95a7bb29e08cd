/* SPDX-License-Identifier: Apache-2.0 */
/* Opens, maps and closes one file. mapping_watch.c has the signal handler. */
#include "src/checkpoint/mapped/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "src/base/content.h"
#include "src/base/file.h"
#include "src/checkpoint/mapped/mapping_watch.h"

/* Of the file's identity, length and time of last change, which a copy that keeps the time of last
   writing sets too. */
static uint64_t version_of(const struct stat *status)
{
    const int64_t of[] = {(int64_t)status->st_dev, (int64_t)status->st_ino,
                          (int64_t)status->st_size, (int64_t)status->st_ctim.tv_sec,
                          (int64_t)status->st_ctim.tv_nsec};
    return XXH3_64bits(of, sizeof of);
}

/* The file's size, 0 for an empty file, and its version. */
static enum ko_code look_at(int fd, const char *where, struct ko_mapping *map, struct ko_error *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return ko_fail(err, KO_E_INPUT, "%s: cannot be looked at: %s", where, strerror(errno));
    }
    if (!S_ISREG(status.st_mode)) {
        return ko_fail(err, KO_E_INPUT, "%s: is not a regular file but %s", where,
                       ko_file_kind(status.st_mode));
    }
    *map = (struct ko_mapping){.bytes = (size_t)status.st_size, .version = version_of(&status)};
    return KO_OK;
}

enum ko_code ko_mapping_open(const char *path, const char *where, struct ko_mapping *map,
                             struct ko_error *err)
{
    *map = (struct ko_mapping){0};
    int fd = open(path,
                  O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* O_NONBLOCK: opening a pipe must not wait */
    if (fd < 0) {
        return ko_fail(err, KO_E_INPUT, "%s: cannot be opened: %s", where, strerror(errno));
    }
    struct ko_mapping seen = {0};
    enum ko_code code = look_at(fd, where, &seen, err);
    const size_t bytes = seen.bytes;
    if (code != KO_OK || bytes == 0) {
        (void)close(fd);
        return code;
    }
    void *data = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
        code = ko_fail(err, KO_E_FAILED, "%s: cannot be mapped: %s", where, strerror(errno));
        (void)close(fd);
        return code;
    }
    code = ko_watch_begin(data, bytes, fd, where, err);
    if (code != KO_OK) {
        munmap(data, bytes);
        return code;
    }
    seen.data = data;
    *map = seen;
    code = ko_content_check(data, bytes, where, err);
    if (code != KO_OK) {
        ko_mapping_close(map);
    }
    return code;
}

void ko_mapping_close(struct ko_mapping *map)
{
    if (map->data) {
        ko_watch_end(map->data);
        munmap(map->data, map->bytes);
    }
    *map = (struct ko_mapping){0};
}
