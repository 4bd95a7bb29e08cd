/* SPDX-License-Identifier: Apache-2.0 */
/* The attention edges that a route removes in one prompt. */
#ifndef KO_PROMPTS_EDGES_H
#define KO_PROMPTS_EDGES_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/prompts/prompt.h"
#include "src/prompts/route.h"

/* Edges from every source to every target of the part. */
struct ko_edge_part {
    uint8_t *target; /* [T]; owned */
    uint8_t *source; /* [T]; owned */
};

/* Edge (i, j) lets position i see position j. A product removes {(i, j): i in target, j in source,
   j <= i, i - j < reach}. A `later` route removes {(i, j): j in source, j < i, i - j < reach}. A keep
   route removes {(i, j): i in a target, j in no source of such a target, j <= i, i - j < reach}, and
   with the diagonal kept j < i.

   So the edges are a union of parts, and a position is a target in one part at most. Only keep routes
   with several targets need more than one part.

   The form is canonical: two routes that remove the same edges compare equal. Both sets of a part
   hold only positions that have an edge in it. A position joins the first part whose sources are its
   own, as far as earlier targets of the part tell. */
struct ko_edges {
    bool later; /* no part has the diagonal, although a position is target and source in one */
    int32_t n_tokens;
    int32_t n_edges;           /* 0: vacuous */
    int32_t first_target;      /* t0: the smallest position that loses an edge */
    int32_t min_span;          /* the smallest i - j of any edge */
    struct ko_edge_part *part; /* [n_parts]; owned */
    int32_t n_parts;           /* 1 or more, one without positions if vacuous */
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
/* Whether position i loses an edge. */
bool ko_edges_has_target(const struct ko_edges *edges, int32_t i);
/* Whether (i, j) is an edge. The caller checks i - j < reach. */
bool ko_edges_has(const struct ko_edges *edges, int32_t i, int32_t j);

#endif
