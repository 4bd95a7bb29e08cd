/* SPDX-License-Identifier: Apache-2.0 */
/* What `show` subtracts from a curve: another route, class or model, the matched random control, or
   the two kinds of mixers that a hybrid has. */
#ifndef KO_SHOW_CURVE_MINUS_H
#define KO_SHOW_CURVE_MINUS_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cube/read/read.h"
#include "src/options/options.h"

/* A curve: indices on the cube's axes. */
struct ko_curve_key {
    int32_t model, route, class, size;
};

/* What to subtract. Start from {.model = -1, .class = -1}. */
struct ko_curve_minus {
    bool control, interaction;
    char *target, *source; /* ends of the other route; NULL: the curve's own; owned */
    int32_t model, class;  /* on the axes; -1: the curve's own */
};

/* The classes of an interaction: what is knocked out as a whole, and its two parts. */
enum { KO_N_INTERACTION_CLASSES = 3 };
extern const char *const ko_interaction_classes[KO_N_INTERACTION_CLASSES];

/* Reads --minus-target, --minus-source, --minus-feature, --minus-model, --minus-control and
   --interaction. KO_E_INPUT names the nearest known value for an unknown one, --minus-control or
   --interaction beside another option, or a class of the interaction that the cube lacks. Free with
   ko_curve_minus_free. */
KO_MUST_CHECK enum ko_code ko_curve_minus_read(const struct ko_options *options, const char *path,
                                               const struct ko_cube_axes *axes,
                                               struct ko_curve_minus *out, struct ko_error *err);
void ko_curve_minus_free(struct ko_curve_minus *minus);
bool ko_curve_minus_given(const struct ko_curve_minus *minus);

/* The controls of a curve. Of its route: TARGET<-random-like:SOURCE:SEED for all SEEDs of the cube.
   Of its class: random-third:SEED for slow-third and fast-third (with +conv where the class has
   it). KO_MINUS_PARTS: of class `all`, the curves of attention and ssm. */
enum ko_minus_kind {
    KO_MINUS_OTHER,
    KO_MINUS_ROUTE_CONTROL,
    KO_MINUS_CLASS_CONTROL,
    KO_MINUS_PARTS
};

/* The curves whose mean is subtracted. Start from {0}. */
struct ko_curve_others {
    struct ko_curve_key *key; /* [n]; owned */
    size_t n, capacity;
    bool sum;    /* their sum is subtracted instead, where all have a value */
    char *label; /* "last<-relation", "mean of 3 last<-random-like:subject:SEED"; owned */
};
/* Finds the curves for one curve; n = 0 where the cube has no such curve. KO_MINUS_OTHER unless
   minus->control or minus->interaction. Free with ko_curve_others_free. */
KO_MUST_CHECK enum ko_code ko_curve_minus_find(const struct ko_curve_minus *minus,
                                               const struct ko_cube_axes *axes,
                                               const struct ko_curve_key *key,
                                               enum ko_minus_kind kind, struct ko_curve_others *out,
                                               struct ko_error *err);
void ko_curve_others_free(struct ko_curve_others *others); /* leaves {0} */

#endif
