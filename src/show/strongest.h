/* SPDX-License-Identifier: Apache-2.0 */
/* The strongest cells of many curves: the windows with the greatest |value|. */
#ifndef KO_SHOW_STRONGEST_H
#define KO_SHOW_STRONGEST_H

#include <stddef.h>

#include "src/base/error.h"
#include "src/show/curves.h"

/* A window of a curve; both borrowed from the list of curves. */
struct ko_strong_cell {
    const struct ko_curve *curve;
    const struct ko_curve_point *point;
};

struct ko_strongest {
    struct ko_strong_cell *cell; /* [n] the strongest first; owned */
    size_t n;
    size_t n_cells; /* with a value, in all curves */
    size_t n_tests; /* with a p-value: over these Holm's method corrects */
};

/* Finds the `wanted` strongest cells; of equally strong ones the earlier in the cube. Replaces
   p_holm of every point by the correction over all points of all curves. Free with
   ko_strongest_free, before the curves. */
KO_MUST_CHECK enum ko_code ko_strongest_find(struct ko_curves *curves, size_t wanted,
                                             struct ko_strongest *out, struct ko_error *err);
void ko_strongest_free(struct ko_strongest *strongest); /* leaves {0} */

#endif
