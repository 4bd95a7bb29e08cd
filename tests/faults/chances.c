/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tests/faults/chances.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <mpi.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/faults/chance_list.h"

enum { MOST_BLOCKS = 1 << 16 };

static struct {
    pthread_mutex_t lock;
    bool counting, failed;
    enum test_chance kind;
    long n, at;
    const char *call;
    void *block[MOST_BLOCKS]; /* open addressing; NULL: free */
    long n_blocks;
} chances = {.lock = PTHREAD_MUTEX_INITIALIZER, .call = ""};

void test_chances_begin(enum test_chance kind, long at)
{
    pthread_mutex_lock(&chances.lock);
    chances.kind = kind;
    chances.at = at;
    chances.n = 0;
    chances.call = "";
    chances.failed = false;
    chances.counting = true;
    pthread_mutex_unlock(&chances.lock);
}

long test_chances_end(bool *failed)
{
    pthread_mutex_lock(&chances.lock);
    chances.counting = false;
    *failed = chances.failed;
    const long n = chances.n;
    pthread_mutex_unlock(&chances.lock);
    return n;
}

const char *test_chances_call(void)
{
    return chances.call;
}

long test_chances_live(void)
{
    return chances.n_blocks;
}

static bool fails(enum test_chance kind, const char *call)
{
    bool now = false;
    pthread_mutex_lock(&chances.lock);
    if (chances.counting && chances.kind == kind && ++chances.n == chances.at) {
        now = chances.failed = true;
        chances.call = call;
    }
    pthread_mutex_unlock(&chances.lock);
    return now;
}

/* ----------------------------------------------------------------------------------------------
   memory */

static size_t place_of(const void *block)
{
    return (size_t)(((uintptr_t)block >> 4) * 0x9E3779B97F4A7C15U >> 40) % MOST_BLOCKS;
}

static void *remember(void *block)
{
    if (!block) {
        return NULL;
    }
    pthread_mutex_lock(&chances.lock);
    size_t at = place_of(block);
    if (chances.n_blocks >= MOST_BLOCKS / 2) {
        abort();
    }
    while (chances.block[at] && chances.block[at] != block) {
        at = (at + 1) % MOST_BLOCKS;
    }
    chances.n_blocks += !chances.block[at];
    chances.block[at] = block;
    pthread_mutex_unlock(&chances.lock);
    return block;
}

/* Blocks that libraries allocated and the program frees are not here. */
static void forget(const void *block)
{
    pthread_mutex_lock(&chances.lock);
    size_t at = place_of(block);
    while (chances.block[at] && chances.block[at] != block) {
        at = (at + 1) % MOST_BLOCKS;
    }
    if (chances.block[at]) {
        chances.block[at] = NULL;
        chances.n_blocks--;
        /* Those behind it that it kept from their own places. */
        for (size_t next = (at + 1) % MOST_BLOCKS; chances.block[next];
             next = (next + 1) % MOST_BLOCKS) {
            void *moved = chances.block[next];
            chances.block[next] = NULL;
            size_t to = place_of(moved);
            while (chances.block[to]) {
                to = (to + 1) % MOST_BLOCKS;
            }
            chances.block[to] = moved;
        }
    }
    pthread_mutex_unlock(&chances.lock);
}

void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    if (fails(TEST_CHANCE_ALLOCATION, "aligned_alloc")) {
        return NULL;
    }
    return remember(__real_aligned_alloc(alignment, size));
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    return fails(TEST_CHANCE_ALLOCATION, "malloc") ? NULL : remember(__real_malloc(size));
}

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size)
{
    if (fails(TEST_CHANCE_ALLOCATION, "realloc")) {
        return NULL;
    }
    if (old) {
        forget(old);
    }
    return remember(__real_realloc(old, size));
}

void __real_free(void *block);
void __wrap_free(void *block);
void __wrap_free(void *block)
{
    if (block) {
        forget(block);
    }
    __real_free(block);
}

/* ----------------------------------------------------------------------------------------------
   files */

void *__real_mmap(void *at, size_t n, int protection, int flags, int file, off_t offset);
void *__wrap_mmap(void *at, size_t n, int protection, int flags, int file, off_t offset);
void *__wrap_mmap(void *at, size_t n, int protection, int flags, int file, off_t offset)
{
    if (!fails(TEST_CHANCE_SYSTEM, "mmap")) {
        return __real_mmap(at, n, protection, flags, file, offset);
    }
    errno = EIO;
    return MAP_FAILED;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    const int mode = flags & O_CREAT ? va_arg(arguments, int) : 0;
    va_end(arguments);
    if (!fails(TEST_CHANCE_SYSTEM, "open")) {
        return __real_open(path, flags, mode);
    }
    errno = EIO;
    return -1;
}

/* ----------------------------------------------------------------------------------------------
   the lists */

#define WRAP(type, name, parameters, arguments, kind, bad)                                         \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        if (!fails(kind, #name))                                                                   \
            return __real_##name arguments;                                                        \
        errno = EIO;                                                                               \
        return bad;                                                                                \
    }
#define WRAP_SYSTEM(type, name, parameters, arguments)                                             \
    WRAP(type, name, parameters, arguments, TEST_CHANCE_SYSTEM, -1)
#define WRAP_HDF5(type, name, parameters, arguments)                                               \
    WRAP(type, name, parameters, arguments, TEST_CHANCE_HDF5, -1)
#define WRAP_MPI(type, name, parameters, arguments)                                                \
    WRAP(type, name, parameters, arguments, TEST_CHANCE_MPI, MPI_ERR_OTHER)
#define WRAP_CLOSE(type, name, parameters, arguments)                                              \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        const type result = __real_##name arguments;                                               \
        return fails(TEST_CHANCE_HDF5, #name) ? -1 : result;                                       \
    }

TEST_SYSTEM_CALLS(WRAP_SYSTEM)
TEST_HDF5_IDS(WRAP_HDF5)
TEST_HDF5_CODES(WRAP_HDF5)
TEST_HDF5_CLOSES(WRAP_CLOSE)
TEST_MPI_CALLS(WRAP_MPI)
