/* The polite stop: TERM, INT and USR1, and --stop-at. A second INT ends the process at once. */
#ifndef KO_CLI_STOP_H
#define KO_CLI_STOP_H

#include <stdbool.h>
#include <stdint.h>

/* Installs the handlers; stop_at: epoch seconds, 0: never. */
void ko_stop_install(int64_t stop_at);
/* Whether a stop was asked for. */
bool ko_stop_wanted(void);

#endif
