/* SPDX-License-Identifier: Apache-2.0 */
/* The clock that durations are measured with, and the one on the wall. */
#ifndef KO_BASE_CLOCK_H
#define KO_BASE_CLOCK_H

/* Seconds of a clock that never steps back. */
double ko_now(void);

/* Seconds since 1970 (UTC), for what is stored. */
double ko_wall_clock(void);

#endif
