/* SPDX-License-Identifier: Apache-2.0 */
/* The clock for durations, wall-clock time, and sleeping. */
#ifndef KO_BASE_CLOCK_H
#define KO_BASE_CLOCK_H

/* Seconds of a clock that never goes back. */
double ko_now(void);

/* Seconds since 1970 (UTC), for timestamps. */
double ko_wall_clock(void);

/* Sleeps between two polls. Ranks share cores, so a waiting rank must not spin. */
void ko_nap(double seconds);

#endif
