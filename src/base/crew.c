/* SPDX-License-Identifier: Apache-2.0 */
/* Each thread takes the next item of the list until there is none. An item that fails ends the
   later ones only, so that the error does not depend on which thread was faster. */
#define _GNU_SOURCE
#include "src/base/crew.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "src/base/memory.h"

static const long STOP_NANOSECONDS = 10000000; /* between two questions whether to stop */

struct member {
    struct ko_crew *crew;
    int lane;
    pthread_t thread;
};

struct ko_crew {
    const struct ko_crew_work *work;
    atomic_size_t next;   /* item */
    atomic_size_t failed; /* the first item that failed; n_items: none */
    atomic_bool stops;
    pthread_mutex_t lock; /* held to write `failed`, and for all members below */
    pthread_cond_t ended;
    int n_working; /* threads */
    struct ko_error failure;
};

bool ko_crew_is_over(const struct ko_crew *crew, size_t item)
{
    return atomic_load(&crew->stops) || atomic_load(&crew->failed) < item;
}

static void note_failure(struct ko_crew *crew, size_t item, enum ko_code code,
                         const struct ko_error *error)
{
    pthread_mutex_lock(&crew->lock);
    if (item < atomic_load(&crew->failed)) {
        atomic_store(&crew->failed, item);
        crew->failure = *error;
        crew->failure.code = code;
    }
    pthread_mutex_unlock(&crew->lock);
}

static void *work_on_items(void *argument)
{
    const struct member *member = argument;
    struct ko_crew *crew = member->crew;
    const struct ko_crew_work *work = crew->work;
    for (;;) {
        const size_t item = atomic_fetch_add(&crew->next, 1);
        struct ko_error error = {0};
        if (item >= work->n_items || ko_crew_is_over(crew, item)) {
            break;
        }
        const enum ko_code code = work->item(work->context, crew, member->lane, item, &error);
        if (code != KO_OK && !ko_crew_is_over(crew, item)) {
            note_failure(crew, item, code, &error);
        }
    }
    pthread_mutex_lock(&crew->lock);
    crew->n_working--;
    pthread_cond_signal(&crew->ended);
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

static struct timespec next_question(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += STOP_NANOSECONDS;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

static void await_end(struct ko_crew *crew)
{
    const struct ko_stop *stop = crew->work->stop;
    pthread_mutex_lock(&crew->lock);
    while (crew->n_working > 0) {
        const struct timespec until = next_question();
        if (!stop) {
            pthread_cond_wait(&crew->ended, &crew->lock);
        } else if (pthread_cond_timedwait(&crew->ended, &crew->lock, &until) == ETIMEDOUT) {
            pthread_mutex_unlock(&crew->lock);
            if (ko_stop_is_wanted(stop)) {
                atomic_store(&crew->stops, true);
            }
            pthread_mutex_lock(&crew->lock);
        }
    }
    pthread_mutex_unlock(&crew->lock);
}

/* Returns how many threads have started. */
static int start_threads(struct ko_crew *crew, struct member *member, int n, struct ko_error *err)
{
    int started = 0;
    while (started < n) {
        member[started] = (struct member){.crew = crew, .lane = started};
        pthread_mutex_lock(&crew->lock);
        crew->n_working++;
        pthread_mutex_unlock(&crew->lock);
        if (pthread_create(&member[started].thread, NULL, work_on_items, &member[started]) != 0) {
            pthread_mutex_lock(&crew->lock);
            crew->n_working--;
            pthread_mutex_unlock(&crew->lock);
            (void)ko_fail(err, KO_E_FAILED, "%s: thread cannot be started", crew->work->what);
            atomic_store(&crew->stops, true);
            break;
        }
        started++;
    }
    return started;
}

static void open_crew(struct ko_crew *crew, const struct ko_crew_work *work)
{
    pthread_condattr_t attributes;
    *crew = (struct ko_crew){.work = work};
    atomic_init(&crew->next, 0);
    atomic_init(&crew->failed, work->n_items);
    atomic_init(&crew->stops, false);
    pthread_mutex_init(&crew->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&crew->ended, &attributes);
    pthread_condattr_destroy(&attributes);
}

enum ko_code ko_crew_run(const struct ko_crew_work *work, struct ko_error *err)
{
    const size_t wanted = (size_t)(work->n_threads > 1 ? work->n_threads : 1);
    const int n = (int)(wanted < work->n_items ? wanted : work->n_items);
    struct member *member = ko_new((size_t)n, sizeof *member, err);
    struct ko_crew crew;
    if (!member) {
        return KO_E_MEMORY;
    }
    open_crew(&crew, work);
    atomic_store(&crew.stops, ko_stop_is_wanted(work->stop));
    const int started = start_threads(&crew, member, n, err);
    await_end(&crew);
    for (int k = 0; k < started; k++) {
        pthread_join(member[k].thread, NULL);
    }
    enum ko_code code = started < n ? KO_E_FAILED : crew.failure.code;
    if (started == n && code != KO_OK && err) {
        *err = crew.failure;
    }
    if (code == KO_OK && atomic_load(&crew.stops)) {
        code = ko_fail(err, KO_E_STOPPED, "%s: stopped as requested", work->what);
    }
    pthread_cond_destroy(&crew.ended);
    pthread_mutex_destroy(&crew.lock);
    free(member);
    return code;
}
