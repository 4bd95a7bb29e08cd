/* SPDX-License-Identifier: Apache-2.0 */
/* The SIGBUS handler and the list of watched mappings. A signal handler can only use global
   variables and may call very little. */
#include "src/checkpoint/mapped/mapping_watch.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_WATCHED = 4096 };

/* For the signal handler. The readers have no other globals. */
static struct watched {
    atomic_bool taken;
    atomic_uintptr_t begin, end; /* begin 0: not watched */
    atomic_bool cut;
    int fd;
    struct timespec written; /* when the file was last written, before the watch began */
} watched[MAX_WATCHED];
static struct sigaction before;
static uintptr_t page_bytes;

static struct watched *find_watched(uintptr_t at)
{
    for (size_t i = 0; i < MAX_WATCHED; i++) {
        uintptr_t begin = atomic_load(&watched[i].begin);
        if (begin && at >= begin && at < atomic_load(&watched[i].end)) {
            return &watched[i];
        }
    }
    return NULL;
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    const int saved = errno;
    const uintptr_t at = (uintptr_t)info->si_addr, page = at / page_bytes * page_bytes;
    struct watched *w = info->si_code > 0 ? find_watched(at) : NULL;
    (void)context;
    if (w) {
        atomic_store(&w->cut, true);
        if (mmap((void *)page, atomic_load(&w->end) - page, PROT_READ,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED) {
            errno = saved;
            return;
        }
    }
    /* Restore the previous handler. The faulting instruction then runs again; a sent signal is sent
       again. */
    (void)sigaction(SIGBUS, &before, NULL);
    if (info->si_code <= 0) {
        (void)raise(number);
    }
    errno = saved;
}

/* Called for every mapping, because a library may have set its own handler since. */
static void set_handler(void)
{
    static atomic_flag busy = ATOMIC_FLAG_INIT;
    struct sigaction now, action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    while (atomic_flag_test_and_set(&busy)) {
        ;
    }
    if (sigaction(SIGBUS, NULL, &now) == 0 && now.sa_sigaction != on_fault) {
        before = now;
        page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
        (void)sigemptyset(&action.sa_mask);
        (void)sigaction(SIGBUS, &action, NULL);
    }
    atomic_flag_clear(&busy);
}

enum ko_code ko_watch_begin(const void *data, size_t bytes, int fd, const char *where,
                            struct ko_error *err)
{
    struct stat status = {0};
    set_handler();
    (void)fstat(fd, &status); /* on failure ko_watch_is_unchanged will fail as well */
    for (size_t i = 0; i < MAX_WATCHED; i++) {
        struct watched *w = &watched[i];
        if (atomic_exchange(&w->taken, true)) {
            continue;
        }
        w->fd = fd;
        w->written = status.st_mtim;
        atomic_store(&w->cut, false);
        atomic_store(&w->end, (uintptr_t)data + bytes);
        atomic_store(&w->begin, (uintptr_t)data);
        return KO_OK;
    }
    (void)close(fd);
    return ko_fail(err, KO_E_FAILED, "%s: more than %d files are mapped at once", where,
                   MAX_WATCHED);
}

void ko_watch_end(const void *data)
{
    struct watched *w = find_watched((uintptr_t)data);
    if (!w) {
        return;
    }
    atomic_store(&w->begin, 0);
    (void)close(w->fd);
    atomic_store(&w->taken, false);
}

static bool is_whole(const struct watched *w, struct stat *status)
{
    /* Reads between the new end and the end of its page give zeros without a fault. */
    return !atomic_load(&w->cut) && fstat(w->fd, status) == 0 &&
           (uintmax_t)status->st_size >= atomic_load(&w->end) - atomic_load(&w->begin);
}

bool ko_watch_is_whole(const void *at)
{
    const struct watched *w = find_watched((uintptr_t)at);
    struct stat status;
    return !w || is_whole(w, &status);
}

bool ko_watch_is_unchanged(const void *at)
{
    const struct watched *w = find_watched((uintptr_t)at);
    struct stat status;
    return !w || (is_whole(w, &status) && status.st_mtim.tv_sec == w->written.tv_sec &&
                  status.st_mtim.tv_nsec == w->written.tv_nsec);
}
