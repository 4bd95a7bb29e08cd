/* SPDX-License-Identifier: Apache-2.0 */
/* Compares words of the command line with the labels of a cube's axes. */
#ifndef KO_SHOW_AXIS_WORDS_H
#define KO_SHOW_AXIS_WORDS_H

#include <stdbool.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cube/read/read.h"

/* Splits a route's label at its sign; free() both. "TARGET<-SOURCE" gives two token sets. Of
   "COMPONENT@SET" the component counts as the target and the set as the source. */
KO_MUST_CHECK enum ko_code ko_route_label_split(const char *label, char **target, char **source,
                                                struct ko_error *err);
/* The sign between the two parts: "<-" or "@". */
const char *ko_route_label_sign(const char *label);

/* Writes a word as cubes write labels: without blanks; for classes, an alias becomes its
   definition. free() it. */
KO_MUST_CHECK enum ko_code ko_axis_canonical(const char *word, bool classes, char **out,
                                             struct ko_error *err);
/* Lists the targets or sources of all routes, mean routes first. Free with ko_strings_free, also
   after a failure. */
KO_MUST_CHECK enum ko_code ko_axis_route_ends(const struct ko_cube_axes *axes, bool sources,
                                              struct ko_strings *out, struct ko_error *err);
/* Fails with "OPTION: PATH has no WHAT 'WORD'" and the nearest known label, or all labels. */
enum ko_code ko_axis_unknown(const char *option, const char *path, const char *what,
                             const char *word, const struct ko_strings *known,
                             struct ko_error *err);

#endif
