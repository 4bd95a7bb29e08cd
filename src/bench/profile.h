/* SPDX-License-Identifier: Apache-2.0 */
/* A backend that forwards every operation to another one. While it is on, it waits before and after
   each operation and adds up the time of each. */
#ifndef KO_BENCH_PROFILE_H
#define KO_BENCH_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "src/base/error.h"

/* One operation, or a matrix product of one shape. */
struct ko_profile_entry {
    const char *name;
    int32_t n_out, n_in; /* of `linear`; else 0 */
    int64_t calls;
    double seconds;
};
enum { KO_PROFILE_ENTRIES = 64 };

struct ko_profile {
    const struct ko_kernels *inner; /* borrowed */
    struct ko_backend *be;          /* borrowed, of inner */
    struct ko_kernels kernels;      /* to use in place of inner, with ko_profile_backend */
    bool on;                        /* whether time is taken */
    struct ko_profile_entry entry[KO_PROFILE_ENTRIES];
    int n_entries;
};

/* The profile must not move while its kernels are used. They have no open and no close. */
void ko_profile_init(struct ko_profile *profile, const struct ko_kernels *inner,
                     struct ko_backend *be);
/* The backend argument for profile->kernels. */
struct ko_backend *ko_profile_backend(struct ko_profile *profile);
/* Sorts the entries, most seconds first. */
void ko_profile_sort(struct ko_profile *profile);
/* The seconds of all entries. */
double ko_profile_seconds(const struct ko_profile *profile);

#endif
