/* The clock that durations are measured with. */
#ifndef KO_BASE_CLOCK_H
#define KO_BASE_CLOCK_H

/* Seconds of a clock that never steps back. */
double ko_now(void);

#endif
