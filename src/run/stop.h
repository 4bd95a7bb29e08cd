/* SPDX-License-Identifier: Apache-2.0 */
/* The polite stop: TERM, INT and USR1, and --stop-at. A second INT or TERM ends the
   process at once, wherever it is. */
#ifndef KO_RUN_STOP_H
#define KO_RUN_STOP_H

#include <stdbool.h>
#include <stdint.h>

/* Holds the three signals back until the handlers are installed, over a new start of the process
   too; or lets them through without handlers. */
void ko_stop_hold(void);
void ko_stop_release(void);
/* Installs the handlers and lets the signals through; stop_at: epoch seconds, 0: never. */
void ko_stop_install(int64_t stop_at);
/* Whether a stop was asked for. */
bool ko_stop_wanted(void);

#endif
