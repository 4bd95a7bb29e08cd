/* SPDX-License-Identifier: Apache-2.0 */
/* Takes, refreshes, checks and releases the lock file beside a cube. lock_file.c reads and writes
   its content, and lock_owner.c decides whether an owner is gone. */
#define _GNU_SOURCE
#include "mpi/lock/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mpi/lock/lock_file.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/memory.h"

enum { MOST_BYTES = 1 << 22 };

struct ko_lock {
    char *cube;       /* the output that is locked; owned */
    char *path;       /* owned */
    char *content;    /* what this lock wrote; owned */
    int file;         /* open, to touch it */
    bool beating;     /* the thread runs */
    bool ending;      /* guarded by mutex */
    pthread_t thread; /* touches the file */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
};

/* "results/cube.h5" -> "results/cube.lock" */
static char *lock_path(const char *cube, struct ko_error *err)
{
    const size_t n = strlen(cube);
    const bool suffix = n > 3 && strcmp(cube + n - 3, ".h5") == 0;
    struct ko_text text = {0};
    ko_text_add_bytes(&text, cube, suffix ? n - 3 : n);
    ko_text_add(&text, ".lock");
    char *path = ko_text_check(&text, err) == KO_OK ? ko_copy(ko_text_str(&text), err) : NULL;
    ko_text_free(&text);
    return path;
}

/* The time on the clock of the file's file system, which may be a server's. */
static double now_there(int file)
{
    struct stat info;
    if (futimens(file, NULL) == 0 && fstat(file, &info) == 0) {
        return (double)info.st_mtim.tv_sec + 1e-9 * (double)info.st_mtim.tv_nsec;
    }
    return (double)time(NULL);
}

static void *beat_thread(void *argument)
{
    struct ko_lock *lock = argument;
    pthread_mutex_lock(&lock->mutex);
    while (!lock->ending) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += KO_LOCK_BEAT_SECONDS;
        (void)pthread_cond_timedwait(&lock->changed, &lock->mutex, &until);
        if (!lock->ending) {
            (void)futimens(lock->file, NULL);
        }
    }
    pthread_mutex_unlock(&lock->mutex);
    return NULL;
}

/* The thread blocks signals: the main thread handles them. */
static enum ko_code start_beating(struct ko_lock *lock, struct ko_error *err)
{
    sigset_t all, before;
    pthread_mutex_init(&lock->mutex, NULL);
    pthread_cond_init(&lock->changed, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&lock->thread, NULL, beat_thread, lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    lock->beating = failed == 0;
    return failed ? ko_fail(err, KO_E_FAILED, "%s: cannot start its thread: %s", lock->path,
                            strerror(failed))
                  : KO_OK;
}

/* Creates the file with its content. KO_OK with lock->file < 0 if the file exists already. */
static enum ko_code create_file(struct ko_lock *lock, struct ko_error *err)
{
    const size_t n = strlen(lock->content);
    const int file = open(lock->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file < 0 && errno == EEXIST) {
        return KO_OK;
    }
    if (file < 0) {
        return ko_fail(err, KO_E_FAILED, "%s: cannot be created: %s", lock->path, strerror(errno));
    }
    errno = 0;
    if (write(file, lock->content, n) != (ssize_t)n || fsync(file) != 0) {
        const int why = errno ? errno : ENOSPC;
        (void)unlink(lock->path);
        (void)close(file);
        return ko_fail(err, KO_E_FAILED, "%s: cannot be written: %s", lock->path, strerror(why));
    }
    lock->file = file;
    return KO_OK;
}

/* A lock file that exists. */
struct found {
    char *content; /* owned; NULL: the file has gone */
    struct ko_lock_owner owner;
    double silence; /* seconds since the file was touched */
};

static void free_found(struct found *found)
{
    free(found->content);
    ko_lock_owner_free(&found->owner);
}

/* Measures the silence by the time of a new file beside the lock, which has the same clock. */
static double silence_of(const char *path, const struct stat *info)
{
    struct ko_text name = {0};
    double now = (double)time(NULL);
    ko_text_add(&name, "%s.%lld", path, (long long)getpid());
    if (!name.failed) {
        const int file = open(name.data, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        if (file >= 0) {
            now = now_there(file);
            (void)close(file);
            (void)unlink(name.data);
        }
    }
    ko_text_free(&name);
    return now - ((double)info->st_mtim.tv_sec + 1e-9 * (double)info->st_mtim.tv_nsec);
}

static enum ko_code inspect_file(const char *path, struct found *found, struct ko_error *err)
{
    struct stat info;
    size_t n = 0;
    *found = (struct found){0};
    if (lstat(path, &info) != 0) {
        return errno == ENOENT ? KO_OK
                               : ko_fail(err, KO_E_FAILED, "%s: cannot read its attributes: %s",
                                         path, strerror(errno));
    }
    if (!S_ISREG(info.st_mode)) {
        return ko_fail(err, KO_E_INPUT, "%s: is not a lock but %s, remove it", path,
                       ko_file_kind(info.st_mode));
    }
    enum ko_code code = ko_file_read(path, MOST_BYTES, &found->content, &n, err);
    if (code == KO_E_INPUT && lstat(path, &info) != 0 && errno == ENOENT) {
        return KO_OK; /* the owner has just removed it */
    }
    if (code == KO_OK) {
        code = ko_lock_read_owner(found->content, n, &found->owner, err);
    }
    found->silence = silence_of(path, &info);
    return code;
}

/* Removes a dead owner's file by renaming it. If it turns out to be another run's new lock, it is
   put back. */
static enum ko_code clear_stale(const char *path, const char *content, struct ko_error *err)
{
    struct ko_text name = {0};
    char *taken = NULL;
    size_t n = 0;
    ko_text_add(&name, "%s.stale-%lld", path, (long long)getpid());
    enum ko_code code = ko_text_check(&name, err);
    if (code == KO_OK && rename(path, name.data) == 0) {
        code = ko_file_read(name.data, MOST_BYTES, &taken, &n, err);
        if (code == KO_OK && strcmp(taken, content) != 0 && link(name.data, path) != 0 &&
            errno != EEXIST) {
            code = ko_fail(err, KO_E_FAILED, "%s: cannot be put back: %s", path, strerror(errno));
        }
        (void)unlink(name.data);
    } else if (code == KO_OK && errno != ENOENT) {
        code = ko_fail(err, KO_E_FAILED, "%s: cannot be taken over: %s", path, strerror(errno));
    }
    free(taken);
    ko_text_free(&name);
    return code;
}

static enum ko_code refuse_lock(const char *cube, const char *path, const struct found *found,
                                struct ko_error *err)
{
    enum { NAMED = 8 };
    const struct ko_lock_owner *owner = &found->owner;
    struct ko_text who = {0};
    char age[32], silence[32];
    if (owner->n == 0) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: %s says that it is in use, but not by whom, remove it if no run is on",
                       cube, path);
    }
    ko_text_add(&who, "%s", owner->process[0].host);
    if (owner->job[0] != '\0') {
        ko_text_add(&who, " (Slurm job %s)", owner->job);
    }
    ko_text_add(&who, ", process%s", owner->n > 1 ? "es" : "");
    for (int k = 0; k < owner->n && k < NAMED; k++) {
        const struct ko_lock_process *process = &owner->process[k];
        const bool elsewhere = strcmp(process->host, owner->process[0].host) != 0;
        ko_text_add(&who, "%s %lld%s%s", k ? "," : "", (long long)process->pid,
                    elsewhere ? " on " : "", elsewhere ? process->host : "");
    }
    if (owner->n > NAMED) {
        ko_text_add(&who, " and %d more", owner->n - NAMED);
    }
    const double begun = difftime(time(NULL), (time_t)owner->start);
    const enum ko_code code =
        ko_fail(err, KO_E_INPUT,
                "%s: is in use by a run on %s, begun %s ago, last sign of life %s ago, wait for "
                "its end or remove %s if it is gone",
                cube, ko_text_str(&who), ko_seconds_human(begun > 0 ? begun : 0, age),
                ko_seconds_human(found->silence > 0 ? found->silence : 0, silence), path);
    ko_text_free(&who);
    return code;
}

/* Tries until this lock has the file, or the wait is over. */
static enum ko_code take_file(struct ko_lock *lock, const char *cube,
                              const struct ko_lock_owner *owner, double wait_seconds,
                              bool (*stop_wanted)(void), struct ko_error *err)
{
    enum { UNSEEN = 1000 }; /* times */
    static const double LOCKED_NAP_SECONDS = 0.1, REMOVED_NAP_SECONDS = 0.001;
    const double begin = ko_now();
    int n_unseen = 0;
    for (;;) {
        struct found found;
        enum ko_code code = create_file(lock, err);
        if (code != KO_OK || lock->file >= 0) {
            return code;
        }
        code = inspect_file(lock->path, &found, err);
        const bool over = ko_now() - begin >= wait_seconds;
        if (code != KO_OK) {
            ;
        } else if (found.content && ko_lock_is_stale(&found.owner, owner, found.silence)) {
            code = clear_stale(lock->path, found.content, err);
        } else if (found.content && over) {
            code = refuse_lock(cube, lock->path, &found, err);
        } else if (stop_wanted && stop_wanted()) {
            code = ko_fail(err, KO_E_STOPPED, "%s: stopped early, continue with --resume", cube);
        } else if (found.content) {
            ko_nap(LOCKED_NAP_SECONDS);
        } else if (over && n_unseen++ >= UNSEEN) {
            code =
                ko_fail(err, KO_E_FAILED, "%s: exists but cannot be opened, remove it", lock->path);
        } else { /* it has just been removed */
            ko_nap(REMOVED_NAP_SECONDS);
        }
        free_found(&found);
        if (code != KO_OK) {
            return code;
        }
    }
}

static void free_lock(struct ko_lock *lock)
{
    if (lock->file >= 0) {
        (void)close(lock->file);
    }
    free(lock->cube);
    free(lock->path);
    free(lock->content);
    free(lock);
}

enum ko_code ko_lock_take(const char *cube, const struct ko_lock_owner *owner, double wait_seconds,
                          bool (*stop_wanted)(void), struct ko_lock **out, struct ko_error *err)
{
    struct ko_lock *lock = ko_new(1, sizeof *lock, err);
    struct ko_text content = {0};
    if (!lock) {
        return KO_E_MEMORY;
    }
    lock->file = -1;
    ko_lock_write_owner(owner, &content);
    enum ko_code code = ko_text_check(&content, err);
    lock->content = content.data;
    if (code == KO_OK) {
        lock->cube = ko_copy(cube, err);
        lock->path = lock->cube ? lock_path(cube, err) : NULL;
        code =
            lock->path ? take_file(lock, cube, owner, wait_seconds, stop_wanted, err) : KO_E_MEMORY;
    }
    if (code == KO_OK) {
        code = start_beating(lock, err);
    }
    if (code == KO_OK) {
        *out = lock;
    } else if (lock->file >= 0) {
        ko_lock_release(lock);
    } else {
        free_lock(lock);
    }
    return code;
}

/* Names the lock's new owner, for an error text. */
static void name_successor(const char *content, size_t n, struct ko_text *out)
{
    struct ko_lock_owner owner = {0};
    struct ko_error err;
    if (content && ko_lock_read_owner(content, n, &owner, &err) == KO_OK && owner.n > 0) {
        ko_text_add(out, "was taken over by process %lld on %s", (long long)owner.process[0].pid,
                    owner.process[0].host);
    } else {
        ko_text_add(out, "%s", content ? "was taken over" : "is gone");
    }
    ko_lock_owner_free(&owner);
}

enum ko_code ko_lock_check(const struct ko_lock *lock, struct ko_error *err)
{
    /* A run that renames the file by mistake puts it back at once. */
    enum { LOOKS = 10 };
    static const double LOOK_NAP_SECONDS = 0.02;
    struct ko_error unread = {0};
    struct ko_text who = {0};
    char *content = NULL;
    size_t n = 0;
    enum ko_code code = KO_OK;
    for (int k = 0; k < LOOKS; k++) {
        free(content);
        content = NULL;
        code = ko_file_read(lock->path, MOST_BYTES, &content, &n, &unread);
        if (code == KO_OK && strcmp(content, lock->content) == 0) {
            free(content);
            return KO_OK;
        }
        if (code == KO_E_MEMORY) {
            return ko_fail(err, code, "%s: cannot be read: out of memory", lock->path);
        }
        ko_nap(LOOK_NAP_SECONDS);
    }
    if (code != KO_OK && ko_file_exists(lock->path)) {
        code = ko_fail(err, KO_E_FAILED, "%s", unread.text);
    } else {
        name_successor(content, n, &who);
        code =
            ko_fail(err, KO_E_FAILED,
                    "%s: its lock %s %s; was this run suspended? It writes nothing more. When no "
                    "other run is on, start it again with --resume or with another output",
                    lock->cube, lock->path, ko_text_str(&who));
    }
    ko_text_free(&who);
    free(content);
    return code;
}

void ko_lock_release(struct ko_lock *lock)
{
    char *content = NULL;
    size_t n = 0;
    struct ko_error err;
    if (!lock) {
        return;
    }
    if (lock->beating) {
        pthread_mutex_lock(&lock->mutex);
        lock->ending = true;
        pthread_cond_broadcast(&lock->changed);
        pthread_mutex_unlock(&lock->mutex);
        pthread_join(lock->thread, NULL);
        pthread_cond_destroy(&lock->changed);
        pthread_mutex_destroy(&lock->mutex);
    }
    if (ko_file_read(lock->path, MOST_BYTES, &content, &n, &err) == KO_OK &&
        strcmp(content, lock->content) == 0) {
        (void)unlink(lock->path);
    }
    free(content);
    free_lock(lock);
}
