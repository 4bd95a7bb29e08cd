/* SPDX-License-Identifier: Apache-2.0 */
/* The attention edges that a route removes in one prompt. */
#ifndef KO_PROMPTS_EDGES_H
#define KO_PROMPTS_EDGES_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/prompts/prompt.h"
#include "src/prompts/route.h"

/* Edge (i, j) lets position i see position j. A product removes {(i, j): i in target, j in source,
   j <= i, i - j < reach}. A `later` route removes {(i, j): j in source, j < i, i - j < reach}.

   The form is canonical: two routes that remove the same edges compare equal. So both sets hold
   only positions that have an edge, and a `later` route whose targets and sources do not overlap is
   stored as a product. */
struct ko_edges {
    bool later;
    int32_t n_tokens;
    int32_t n_edges;      /* 0: vacuous */
    int32_t first_target; /* t0: the smallest position that loses an edge */
    int32_t min_span;     /* the smallest i - j of any edge */
    uint8_t *target;      /* [T]; of a `later` route too; owned */
    uint8_t *source;      /* [T]; owned */
};

/* source_position: the source of a route of kind EACH or LATER_EACH, otherwise ignored. reach: the
   largest sliding window of any layer, INT32_MAX: a layer has none. A layer with a smaller one cuts
   the edges itself. Free with ko_edges_free. */
KO_MUST_CHECK enum ko_code ko_route_edges(const struct ko_route *route,
                                          const struct ko_prompt *prompt, int32_t source_position,
                                          int32_t reach, struct ko_edges *out,
                                          struct ko_error *err);
void ko_edges_free(struct ko_edges *edges); /* leaves {0} */
bool ko_edges_equal(const struct ko_edges *a, const struct ko_edges *b);
/* Whether (i, j) is an edge. The caller checks i - j < reach. */
bool ko_edges_has(const struct ko_edges *edges, int32_t i, int32_t j);

#endif
