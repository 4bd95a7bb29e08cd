/* SPDX-License-Identifier: Apache-2.0 */
/* Compares words of the command line with the labels of a cube's axes. */
#ifndef KO_SHOW_AXIS_WORDS_H
#define KO_SHOW_AXIS_WORDS_H

#include <stdbool.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cube/read/read.h"

/* Splits a route's label into its target and its source; free() both. Those of "TARGET<-SOURCE" are
   token sets. Those of a component, "KIND@SET", are the set SET and the word KIND. */
KO_MUST_CHECK enum ko_code ko_route_label_split(const char *label, char **target, char **source,
                                                struct ko_error *err);
/* Adds the label of these ends, written as the label `like` is. */
void ko_route_label_join(const char *like, const char *target, const char *source,
                         struct ko_text *out);

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
