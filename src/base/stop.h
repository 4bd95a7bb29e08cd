/* SPDX-License-Identifier: Apache-2.0 */
/* How long work asks whether it is to be dropped, and says how far it is. */
#ifndef KO_BASE_STOP_H
#define KO_BASE_STOP_H

#include <stdbool.h>

/* Looked at between the parts of long work, which returns KO_E_STOPPED where it is true. */
struct ko_stop {
    bool (*wanted)(void *context);
    void *context;
    /* Told the share of the work that is done, 0 to 1 and never falling; NULL: nobody asks. */
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
