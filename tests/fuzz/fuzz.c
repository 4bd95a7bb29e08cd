/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memfd_create */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

static char scratch[64];

void fuzz_check(int holds, const char *claim, const char *file, int line)
{
    if (holds) {
        return;
    }
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, claim);
    abort();
}

void fuzz_file_open(struct fuzz_file *file)
{
    file->fd = memfd_create("fuzz", 0);
    FUZZ_CHECK(file->fd >= 0);
    (void)snprintf(file->path, sizeof file->path, "/proc/self/fd/%d", file->fd);
}

void fuzz_file_fill(struct fuzz_file *file, const void *bytes, size_t n)
{
    FUZZ_CHECK(ftruncate(file->fd, 0) == 0);
    for (size_t done = 0; done < n;) {
        ssize_t put = pwrite(file->fd, (const char *)bytes + done, n - done, (off_t)done);
        FUZZ_CHECK(put > 0);
        done += (size_t)put;
    }
}

void fuzz_file_link(const struct fuzz_file *file, const char *folder, const char *name)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FUZZ_CHECK(symlink(file->path, path) == 0);
}

static void remove_folder(void)
{
    DIR *folder = opendir(scratch);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char path[PATH_BYTES];
        (void)snprintf(path, sizeof path, "%s/%s", scratch, entry->d_name);
        (void)unlink(path);
    }
    if (folder) {
        (void)closedir(folder);
    }
    (void)rmdir(scratch);
}

const char *fuzz_folder(void)
{
    (void)snprintf(scratch, sizeof scratch, "/tmp/ko-fuzz.XXXXXX");
    FUZZ_CHECK(mkdtemp(scratch) != NULL);
    FUZZ_CHECK(atexit(remove_folder) == 0);
    return scratch;
}
