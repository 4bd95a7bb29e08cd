/* SPDX-License-Identifier: Apache-2.0 */
/* A backend that passes every operation on to another one and, while it is asked to, waits around
   each and adds up the time: which operation costs what. */
#ifndef KO_BENCH_PROFILE_H
#define KO_BENCH_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "src/base/error.h"

/* One operation; a matrix product of one shape. */
struct ko_profile_entry {
    const char *name;
    int32_t n_out, n_in; /* of `linear`; 0 */
    int64_t calls;
    double seconds;
};
enum { KO_PROFILE_ENTRIES = 64 };

struct ko_profile {
    const struct ko_kernels *inner; /* borrowed */
    struct ko_backend *be;          /* borrowed, of inner */
    struct ko_kernels kernels;      /* to be used in its place, */
    bool on;                        /* with ko_profile_backend; time is taken */
    struct ko_profile_entry entry[KO_PROFILE_ENTRIES];
    int n_entries;
};

/* The profile stays where it is while its kernels are used. They are neither opened nor closed. */
void ko_profile_init(struct ko_profile *profile, const struct ko_kernels *inner,
                     struct ko_backend *be);
/* What profile->kernels take for a backend. */
struct ko_backend *ko_profile_backend(struct ko_profile *profile);
/* Most seconds first. */
void ko_profile_sort(struct ko_profile *profile);
double ko_profile_seconds(const struct ko_profile *profile);

#endif
