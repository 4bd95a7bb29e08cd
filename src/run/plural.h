/* SPDX-License-Identifier: Apache-2.0 */
/* The plural of a noun in a message. */
#ifndef KO_RUN_PLURAL_H
#define KO_RUN_PLURAL_H

#include <stdint.h>

/* "" for 1, else "s". */
static inline const char *ko_plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

#endif
