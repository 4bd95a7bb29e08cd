/* SPDX-License-Identifier: Apache-2.0 */
/* Starts and stops the thread that reads the next model's files early, and checks first that enough
   memory is free. */
#define _GNU_SOURCE
#include "mpi/compute/read_ahead.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "src/base/memory.h"
#include "src/models/model_load.h"
#include "src/models/model_open.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* since Linux 5.14, younger than some headers */
#endif

enum { PIECE = 4 << 20 }; /* bytes between two checks of `stop` */

struct ko_read_ahead {
    char *path, *name; /* owned */
    struct ko_read_part part;
    pthread_t thread;
    bool joined;
    atomic_bool stop;
    int64_t bytes; /* written by the thread until it ends */
};

/* Bytes that programs can allocate without swapping; 0 if the system does not report them. */
static double available_bytes(void)
{
    char line[256];
    unsigned long long kilobytes = 0;
    FILE *file = fopen("/proc/meminfo", "re");
    while (file && kilobytes == 0 && fgets(line, sizeof line, file)) {
        if (sscanf(line, "MemAvailable: %llu kB", &kilobytes) != 1) {
            kilobytes = 0;
        }
    }
    if (file) {
        fclose(file);
    }
    return (double)kilobytes * 1024;
}

static bool is_wanted(const struct ko_read_ahead *ahead, const struct ko_model *model,
                      const struct ko_weight *weight)
{
    return !weight->matrix ||
           ko_weight_in_part(model, weight, ahead->part.part, ahead->part.n_parts);
}

static double wanted_bytes(const struct ko_read_ahead *ahead, const struct ko_model *model,
                           const struct ko_checkpoint *checkpoint)
{
    double bytes = 0;
    for (size_t w = 0; w < model->n_weights; w++) {
        if (is_wanted(ahead, model, &model->weights[w])) {
            bytes += (double)ko_checkpoint_find(checkpoint, model->weights[w].tensor)->data_bytes;
        }
    }
    return bytes;
}

/* Reads whole pages of a mapped file. Populating reports a file that has shrunk; touching a page
   would end the process, and is done only if the kernel cannot populate. */
static void read_pages(unsigned char *begin, size_t bytes, size_t page)
{
    if (madvise(begin, bytes, MADV_WILLNEED) != 0 ||
        madvise(begin, bytes, MADV_POPULATE_READ) == 0 || errno != EINVAL) {
        return;
    }
    for (size_t at = 0; at < bytes; at += page) {
        (void)*(volatile unsigned char *)(begin + at);
    }
}

static void read_tensor(struct ko_read_ahead *ahead, const struct ko_tensor *tensor)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *data = (unsigned char *)(uintptr_t)tensor->data;
    for (size_t at = 0; at < tensor->data_bytes && !atomic_load(&ahead->stop); at += PIECE) {
        struct ko_tensor piece = *tensor;
        piece.data = data + at;
        piece.data_bytes = tensor->data_bytes - at < PIECE ? tensor->data_bytes - at : PIECE;
        const uintptr_t begin = (uintptr_t)piece.data / page * page;
        read_pages((unsigned char *)begin, (uintptr_t)piece.data + piece.data_bytes - begin, page);
        ko_tensor_release(&piece); /* the pages stay in the system's cache */
        ahead->bytes += (int64_t)piece.data_bytes;
    }
}

static void read_all(struct ko_read_ahead *ahead, const struct ko_model *model,
                     const struct ko_checkpoint *checkpoint)
{
    const double bytes = wanted_bytes(ahead, model, checkpoint);
    if (!(available_bytes() > 2 * bytes * ahead->part.n_node_workers)) {
        return;
    }
    for (size_t w = 0; w < model->n_weights && !atomic_load(&ahead->stop); w++) {
        if (is_wanted(ahead, model, &model->weights[w])) {
            read_tensor(ahead, ko_checkpoint_find(checkpoint, model->weights[w].tensor));
        }
    }
}

static void *read_ahead_thread(void *argument)
{
    struct ko_read_ahead *ahead = argument;
    struct ko_checkpoint *checkpoint = NULL;
    struct ko_model *model = NULL;
    struct ko_error ignored = {0};
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19); /* of this thread alone */
    enum ko_code code = ko_checkpoint_open(ahead->path, ahead->name, &checkpoint, &ignored);
    if (code == KO_OK) {
        code = ko_model_open(checkpoint, &model, &ignored);
    }
    if (code == KO_OK) {
        read_all(ahead, model, checkpoint);
    }
    ko_model_free(model);
    ko_checkpoint_close(checkpoint);
    return NULL;
}

enum ko_code ko_read_ahead_start(const char *path, const char *name,
                                 const struct ko_read_part *part, struct ko_read_ahead **out,
                                 struct ko_error *err)
{
    struct ko_read_ahead *ahead = ko_new(1, sizeof *ahead, err);
    if (!ahead) {
        return KO_E_MEMORY;
    }
    ahead->path = ko_copy(path, err);
    ahead->name = ko_copy(name, err);
    ahead->part = *part;
    atomic_init(&ahead->stop, false);
    enum ko_code code = ahead->path && ahead->name ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK && pthread_create(&ahead->thread, NULL, read_ahead_thread, ahead) != 0) {
        code = ko_fail(err, KO_E_FAILED, "read-ahead thread: cannot be started");
    }
    if (code != KO_OK) {
        ahead->joined = true;
        ko_read_ahead_stop(ahead);
    } else {
        *out = ahead;
    }
    return code;
}

void ko_read_ahead_finish(struct ko_read_ahead *ahead)
{
    if (!ahead->joined) {
        pthread_join(ahead->thread, NULL);
    }
    ahead->joined = true;
}

int64_t ko_read_ahead_stop(struct ko_read_ahead *ahead)
{
    if (!ahead) {
        return 0;
    }
    atomic_store(&ahead->stop, true);
    ko_read_ahead_finish(ahead);
    const int64_t bytes = ahead->bytes;
    free(ahead->path);
    free(ahead->name);
    free(ahead);
    return bytes;
}
