/* SPDX-License-Identifier: Apache-2.0 */
/* Words of the command line against the labels of a cube's axes. */
#ifndef KO_SHOW_AXIS_WORDS_H
#define KO_SHOW_AXIS_WORDS_H

#include <stdbool.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cube/read/read.h"

/* The two token sets of a route's label "TARGET<-SOURCE"; free() both. */
KO_MUST_CHECK enum ko_code ko_route_label_split(const char *label, char **target, char **source,
                                                struct ko_error *err);

/* A word as cubes write labels: without blanks, and (classes) an alias as its definition; free()
   it. */
KO_MUST_CHECK enum ko_code ko_axis_canonical(const char *word, bool classes, char **out,
                                             struct ko_error *err);
/* One end of every label of both route axes, mean ones first. Free with ko_strings_free, after a
   failure too. */
KO_MUST_CHECK enum ko_code ko_axis_route_ends(const struct ko_cube_axes *axes, bool sources,
                                              struct ko_strings *out, struct ko_error *err);
/* Fails with "OPTION: PATH has no WHAT 'WORD'", and the nearest known one or all. */
enum ko_code ko_axis_unknown(const char *option, const char *path, const char *what,
                             const char *word, const struct ko_strings *known,
                             struct ko_error *err);

#endif
