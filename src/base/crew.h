/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that share out a list of items. */
#ifndef KO_BASE_CREW_H
#define KO_BASE_CREW_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/error.h"
#include "src/base/stop.h"

struct ko_crew;

struct ko_crew_work {
    size_t n_items;
    int n_threads; /* at least 1; no more are started than there are items */
    /* Does one item; returns early once ko_crew_is_over(crew, item). Runs in thread `lane`, from 0
       to n_threads - 1, one item of a lane at a time. */
    enum ko_code (*item)(void *context, const struct ko_crew *crew, int lane, size_t item,
                         struct ko_error *err);
    void *context;
    /* Asked in the caller's thread only, first and then about every 10 ms. May be NULL. */
    const struct ko_stop *stop;
    const char *what; /* for messages: "PURPOSE: thread cannot be started" */
};

/* Does all items, in order as far as threads are free, and waits for them. If items fail, the error
   is that of the first one in the list, whichever fails first in time. Without one, KO_E_STOPPED if
   `stop` asked for it ("WHAT: stopped as requested"). */
KO_MUST_CHECK enum ko_code ko_crew_run(const struct ko_crew_work *work, struct ko_error *err);

/* Whether the result of the item is not needed any more: an earlier item failed, or a stop is
   wanted. The code that the item then returns is ignored. */
bool ko_crew_is_over(const struct ko_crew *crew, size_t item);

#endif
