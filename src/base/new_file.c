#define _GNU_SOURCE
#include "src/base/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/memory.h"
#include "src/base/text.h"

static enum ko_code system_fail(struct ko_error *err, const char *path, const char *what)
{
    const int number = errno;
    const bool disk = number == ENOSPC || number == EDQUOT || number == EIO;

    return ko_fail(err, disk ? KO_E_FAILED : KO_E_INPUT, "%s: %s: %s", path, what,
                   strerror(number));
}

enum ko_code ko_new_file_open(const char *path, struct ko_new_file *out, struct ko_error *err)
{
    struct ko_new_file file = {.path = ko_copy(path, err)};
    struct ko_text text = {0};
    enum ko_code code = file.path ? KO_OK : KO_E_MEMORY;
    int id = -1;

    for (int attempt = 0; code == KO_OK && id < 0 && attempt < 100; attempt++) {
        ko_text_free(&text);
        ko_text_add(&text, "%s.new-%ld-%d", path, (long)getpid(), attempt);
        code = ko_text_check(&text, err);
        if (code != KO_OK)
            break;
        id = open(text.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (id < 0 && errno != EEXIST)
            break;
    }
    if (code == KO_OK && id < 0)
        code = system_fail(err, path, "cannot be created in its folder");
    if (id >= 0)
        (void)close(id);
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

    /* Some file systems cannot sync a folder: they say EINVAL. */
    if (id < 0 || (fsync(id) != 0 && errno != EINVAL))
        code = system_fail(err, named, "cannot be brought to disk");
    if (id >= 0)
        (void)close(id);
    return code;
}

enum ko_code ko_new_file_place(struct ko_new_file *file, struct ko_error *err)
{
    char *folder = ko_path_folder(file->path, err);
    enum ko_code code = folder ? KO_OK : KO_E_MEMORY;

    if (code == KO_OK)
        code = sync_path(file->temporary, file->path, err);
    if (code == KO_OK && rename(file->temporary, file->path) != 0)
        code = system_fail(err, file->path, "cannot be renamed into place");
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
    if (file->temporary)
        (void)unlink(file->temporary);
    free(file->temporary);
    free(file->path);
    *file = (struct ko_new_file){0};
}
