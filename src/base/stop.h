/* How long work asks whether it is to be dropped. */
#ifndef KO_BASE_STOP_H
#define KO_BASE_STOP_H

#include <stdbool.h>

/* Looked at between the parts of long work, which returns KO_E_STOPPED where it is true. */
struct ko_stop {
    bool (*wanted)(void *context);
    void *context;
};

static inline bool ko_stop_is_wanted(const struct ko_stop *stop)
{
    return stop && stop->wanted(stop->context);
}

#endif
