/* SPDX-License-Identifier: Apache-2.0 */
/* The clock for durations, and wall-clock time. */
#ifndef KO_BASE_CLOCK_H
#define KO_BASE_CLOCK_H

/* Seconds of a clock that never goes back. */
double ko_now(void);

/* Seconds since 1970 (UTC), for timestamps. */
double ko_wall_clock(void);

#endif
