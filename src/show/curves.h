/* SPDX-License-Identifier: Apache-2.0 */
/* The curves of a sweep: one figure for each window, over the prompts of a model. */
#ifndef KO_SHOW_CURVES_H
#define KO_SHOW_CURVES_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cube/read/part.h"
#include "src/show/curve_filter.h"
#include "src/show/curve_query.h"
#include "src/stats/statistics.h"

struct ko_curve_point {
    int32_t start; /* the window's first layer, of those that windows count */
    double depth;  /* percent */
    struct ko_estimate estimate;
    /* p of the t-test that the mean is 0, and Holm's p within the curve; NaN unless the query tests */
    double p, p_holm;
};

struct ko_curve {
    struct ko_curve_key key;
    int32_t relation;             /* index into the list's relations; -1: all prompts */
    char *minus;                  /* what is subtracted; NULL: nothing; owned by the list */
    struct ko_curve_point *point; /* [n_points]; owned by the list */
    int32_t n_points;
    int32_t n_left_out; /* windows of an interaction in which a part is vacuous for every prompt */
};

struct ko_curves {
    struct ko_curve *curve; /* model by model, then route, class, size, relation */
    size_t n, capacity;
    struct ko_strings relation; /* in the order of the prompts; empty unless asked for */
    size_t n_found; /* (model, route, class, size) that pass the filter; some may have no curve */
    int64_t n_unfinished; /* pending or failed statuses of these curves */
};

/* Reads all curves of the mean routes that pass the filter. Only done cells count; vacuous cells
   are not in n. With subtraction: the curves that have a counterpart, over the prompts and windows
   that both sides have. KO_E_INPUT where curves are split by relation and no prompt has one. Free
   with ko_curves_free. */
KO_MUST_CHECK enum ko_code ko_curves_read(const struct ko_cube_part *part,
                                          const struct ko_curve_filter *filter,
                                          const struct ko_curve_query *query, const char *path,
                                          struct ko_curves *out, struct ko_error *err);
void ko_curves_free(struct ko_curves *curves); /* leaves {0} */

#endif
