/* SPDX-License-Identifier: Apache-2.0 */
/* The program with faults: linked in front of it (`--wrap`), so that the program itself holds
   nothing of this. The environment says which:

     KO_FAULT=KIND:RANK:N       the N-th chance (from 1) of that kind on that rank fails; N 0: none
   does KO_FAULT_COUNTS=PATH       at its end every rank writes its number of chances of that kind
   to PATH.RANK */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <mpi.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ko_kernels_cpu __real_ko_kernels_cpu /* the name in the header is the wrapped one */
#include "kernels/kernels.h"
#undef ko_kernels_cpu

static struct {
    char kind[32];
    int rank, at;
    atomic_int n;
} fault;

static int this_rank(void)
{
    const char *rank = getenv("OMPI_COMM_WORLD_RANK");
    return rank ? atoi(rank) : 0;
}

__attribute__((constructor)) static void begin(void)
{
    const char *text = getenv("KO_FAULT");
    if (text && sscanf(text, "%31[^:]:%d:%d", fault.kind, &fault.rank, &fault.at) != 3) {
        abort();
    }
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("KO_FAULT_COUNTS");
    char name[4096];
    if (!path) {
        return;
    }
    snprintf(name, sizeof name, "%s.%d", path, this_rank());
    FILE *file = fopen(name, "w");
    if (file) {
        fprintf(file, "%d\n", atomic_load(&fault.n));
        fclose(file);
    }
}

/* Whether this chance of that kind is the one that fails. */
static bool fails(const char *kind)
{
    if (strcmp(kind, fault.kind) != 0) {
        return false;
    }
    const int n = atomic_fetch_add(&fault.n, 1) + 1;
    return n == fault.at && this_rank() == fault.rank;
}

/* ----------------------------------------------------------------------------------------------
   memory */

void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails("allocation") ? NULL : __real_aligned_alloc(alignment, size);
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    return fails("allocation") ? NULL : __real_malloc(size);
}

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size)
{
    return fails("allocation") ? NULL : __real_realloc(old, size);
}

/* ----------------------------------------------------------------------------------------------
   files */

void *__real_mmap(void *at, size_t n, int protection, int flags, int file, off_t offset);
void *__wrap_mmap(void *at, size_t n, int protection, int flags, int file, off_t offset);
void *__wrap_mmap(void *at, size_t n, int protection, int flags, int file, off_t offset)
{
    if (!fails("read")) {
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
    if (!(flags & O_CREAT) && strstr(path, "/ck/") && fails("read-and-stop")) {
        raise(SIGUSR1);
        errno = EIO;
        return -1;
    }
    if (!(flags & O_CREAT) && strstr(path, "/ck/") && fails("read")) {
        errno = EIO;
        return -1;
    }
    return __real_open(path, flags, mode);
}

herr_t __real_H5Dwrite(hid_t dataset, hid_t type, hid_t memory, hid_t file, hid_t plist,
                       const void *buffer);
herr_t __wrap_H5Dwrite(hid_t dataset, hid_t type, hid_t memory, hid_t file, hid_t plist,
                       const void *buffer);
herr_t __wrap_H5Dwrite(hid_t dataset, hid_t type, hid_t memory, hid_t file, hid_t plist,
                       const void *buffer)
{
    return fails("write") ? -1 : __real_H5Dwrite(dataset, type, memory, file, plist, buffer);
}

herr_t __real_H5Fflush(hid_t object, H5F_scope_t scope);
herr_t __wrap_H5Fflush(hid_t object, H5F_scope_t scope);
herr_t __wrap_H5Fflush(hid_t object, H5F_scope_t scope)
{
    return fails("write") ? -1 : __real_H5Fflush(object, scope);
}

/* ----------------------------------------------------------------------------------------------
   messages: of a kind that nobody knows, or cut off */

int __real_MPI_Send(const void *data, int n, MPI_Datatype type, int to, int tag, MPI_Comm comm);
int __wrap_MPI_Send(const void *data, int n, MPI_Datatype type, int to, int tag, MPI_Comm comm);
int __wrap_MPI_Send(const void *data, int n, MPI_Datatype type, int to, int tag, MPI_Comm comm)
{
    if (fails("message")) {
        tag = 99;
    }
    if (fails("short-message")) {
        n = 3;
    }
    return __real_MPI_Send(data, n, type, to, tag, comm);
}

/* ----------------------------------------------------------------------------------------------
   kernels */

struct ko_kernels __wrap_ko_kernels_cpu;

static enum ko_code linear(struct ko_backend *be, const struct ko_linear *args,
                           struct ko_error *err)
{
    if (fails("kernel")) {
        return ko_fail(err, KO_E_FAILED, "cpu: injected kernel error");
    }
    if (fails("kernel-memory")) {
        return ko_fail(err, KO_E_MEMORY, "out of memory: injected");
    }
    return __real_ko_kernels_cpu.linear(be, args, err);
}

/* What overflowed logits give: of a clean run (the first row), or of the last cell alone. */
static enum ko_code unembed(struct ko_backend *be, const struct ko_unembed *args,
                            struct ko_error *err)
{
    const struct ko_metrics none = {__builtin_nanf(""), __builtin_nanf(""), __builtin_nanf(""), -1,
                                    -1};
    const enum ko_code code = __real_ko_kernels_cpu.unembed(be, args, err);
    if (fails("not-finite")) {
        args->out[0] = none;
    }
    if (fails("not-finite-cell")) {
        args->out[args->n - 1] = none;
    }
    return code;
}

__attribute__((constructor)) static void wrap_kernels(void)
{
    __wrap_ko_kernels_cpu = __real_ko_kernels_cpu;
    __wrap_ko_kernels_cpu.linear = linear;
    __wrap_ko_kernels_cpu.unembed = unembed;
}
