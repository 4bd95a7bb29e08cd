/* SPDX-License-Identifier: Apache-2.0 */
/* Sleeps with nanosleep(). */
#define _GNU_SOURCE
#include "src/base/nap.h"

#include <time.h>

void ko_nap(double seconds)
{
    const struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&t, NULL);
}
