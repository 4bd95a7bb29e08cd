#include "src/checkpoint/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static enum ko_code map_open_file(int fd, const char *where, struct ko_mapping *map,
                                  struct ko_error *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return ko_fail(err, KO_E_INPUT, "%s: cannot be looked at: %s", where, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return ko_fail(err, KO_E_INPUT, "%s: is not a regular file", where);
    if (status.st_size == 0)
        return KO_OK;
    void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return ko_fail(err, KO_E_FAILED, "%s: cannot be mapped: %s", where, strerror(errno));
    *map = (struct ko_mapping){data, (size_t)status.st_size};
    return KO_OK;
}

enum ko_code ko_mapping_open(const char *path, const char *where, struct ko_mapping *map,
                             struct ko_error *err)
{
    *map = (struct ko_mapping){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block */
    if (fd < 0)
        return ko_fail(err, KO_E_INPUT, "%s: cannot be opened: %s", where, strerror(errno));
    enum ko_code code = map_open_file(fd, where, map, err);
    (void)close(fd);
    return code;
}

void ko_mapping_close(struct ko_mapping *map)
{
    if (map->data)
        munmap(map->data, map->bytes);
    *map = (struct ko_mapping){0};
}
