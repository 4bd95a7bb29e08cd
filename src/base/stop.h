/* SPDX-License-Identifier: Apache-2.0 */
/* Lets long work be stopped, and report its progress. */
#ifndef KO_BASE_STOP_H
#define KO_BASE_STOP_H

#include <stdbool.h>

/* Long work calls `wanted` between its parts and returns KO_E_STOPPED if it is true. */
struct ko_stop {
    bool (*wanted)(void *context);
    void *context;
    /* Called with the finished share of the work, from 0 to 1, never decreasing. May be NULL. */
    void (*reached)(void *context, double share);
};

static inline bool ko_stop_is_wanted(const struct ko_stop *stop)
{
    return stop && stop->wanted(stop->context);
}

static inline void ko_stop_reached(const struct ko_stop *stop, double share)
{
    if (stop && stop->reached) {
        stop->reached(stop->context, share);
    }
}

#endif
