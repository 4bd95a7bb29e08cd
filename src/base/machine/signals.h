/* SPDX-License-Identifier: Apache-2.0 */
/* Stopping a run early: by TERM, INT or USR1, or at --stop-at. A second INT or TERM ends the
   process at once. */
#ifndef KO_BASE_MACHINE_SIGNALS_H
#define KO_BASE_MACHINE_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>

/* Blocks the three signals, also across an exec; or unblocks them without installing handlers. */
void ko_stop_hold(void);
void ko_stop_release(void);
/* Installs the handlers and unblocks the signals. stop_at: epoch seconds, 0: never. */
void ko_stop_install(int64_t stop_at);
/* Whether the run should stop. */
bool ko_stop_wanted(void);

#endif
