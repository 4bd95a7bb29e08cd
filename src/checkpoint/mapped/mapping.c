/* SPDX-License-Identifier: Apache-2.0 */
/* Opens, maps and closes one file. mapping_watch.c has the signal handler. */
#include "src/checkpoint/mapped/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/content.h"
#include "src/base/file.h"
#include "src/checkpoint/mapped/mapping_watch.h"

/* The file's size; 0 for an empty file. */
static enum ko_code size_of(int fd, const char *where, size_t *bytes, struct ko_error *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return ko_fail(err, KO_E_INPUT, "%s: cannot be looked at: %s", where, strerror(errno));
    }
    if (!S_ISREG(status.st_mode)) {
        return ko_fail(err, KO_E_INPUT, "%s: is not a regular file but %s", where,
                       ko_file_kind(status.st_mode));
    }
    *bytes = (size_t)status.st_size;
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
    size_t bytes = 0;
    void *data = NULL;
    enum ko_code code = size_of(fd, where, &bytes, err);
    if (code != KO_OK || bytes == 0) {
        (void)close(fd);
        return code;
    }
    data = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
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
    *map = (struct ko_mapping){data, bytes};
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
