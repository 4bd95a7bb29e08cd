/* SPDX-License-Identifier: Apache-2.0 */
/* Which part of a cube `show` prints: the filters of the command line on the cube's axes. */
#ifndef KO_SHOW_CURVE_FILTER_H
#define KO_SHOW_CURVE_FILTER_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/cube/read/read.h"
#include "src/options/options.h"

/* 1: shown. */
struct ko_curve_filter {
    uint8_t *model, *route, *heat_route, *class, *size; /* 0/1 along the axes; owned */
};

/* Reads --model, --route, --target, --source, --feature and --window-size; without an option
   everything passes. --feature head:each is every head of the cube. KO_E_INPUT names the nearest known value for an unknown one. Free with
   ko_curve_filter_free. */
KO_MUST_CHECK enum ko_code ko_curve_filter_read(const struct ko_options *options, const char *path,
                                                const struct ko_cube_axes *axes,
                                                struct ko_curve_filter *out, struct ko_error *err);
void ko_curve_filter_free(struct ko_curve_filter *filter); /* leaves {0} */

#endif
