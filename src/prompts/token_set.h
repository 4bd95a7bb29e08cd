/* SPDX-License-Identifier: Apache-2.0 */
/* Token sets, routes and their edges in one prompt. */
#ifndef KO_PROMPTS_TOKEN_SET_H
#define KO_PROMPTS_TOKEN_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/prompts/prompt.h"

/* Token sets: first, bos, first-text, last, subject, subject-last, relation, context,
   after-subject, all, position:K, a named span, A\B\C (A without B and C), random-like:SET:SEED
   (SET one plain set or span name). */

/* Whether `name` can be parsed, given the names of spans that any prompt has. KO_E_INPUT naming the
   nearest known set. */
KO_MUST_CHECK enum ko_code ko_token_set_check(const char *name, const struct ko_strings *span_names,
                                              struct ko_error *err);

/* Sets member[0 .. T) to 1 where the position is in the set, 0 elsewhere. `name` has been checked.
 */
KO_MUST_CHECK enum ko_code ko_token_set_eval(const char *name, const struct ko_prompt *prompt,
                                             uint8_t *member, struct ko_error *err);

/* Seeded draws, as `draw` of the oracle: splitmix64 and a partial Fisher-Yates shuffle. Moves the
   drawn k of the n items to the front of items, in the order drawn. k <= n. */
void ko_draw(int64_t *items, size_t n, size_t k, uint64_t seed, uint64_t stream);
uint64_t ko_fnv1a64(const char *text);

enum ko_route_kind {
    KO_ROUTE_PRODUCT,
    KO_ROUTE_LATER,
    KO_ROUTE_EACH /* one source position at a time, for heatmaps */,
    KO_ROUTE_LATER_EACH
};

struct ko_route {
    char *label;  /* as the spec writes it, without blanks: "last<-subject"; owned */
    char *target; /* owned */
    char *source; /* owned */
    enum ko_route_kind kind;
};

/* "TARGET<-SOURCE". `each` is a source only, `later` a target only; unknown sets name the nearest.
   Free with ko_route_free. */
KO_MUST_CHECK enum ko_code ko_route_parse(const char *text, const struct ko_strings *span_names,
                                          struct ko_route *out, struct ko_error *err);
void ko_route_free(struct ko_route *route); /* leaves {0} */

/* The effective edges of a route in one prompt, in canonical form: product edges are {(i, j): i in
   target, j in source, j <= i, i - j < reach}; `later` edges are {(i, j): j in source, i > j, i - j
   < reach}. Positions that take part in no edge are in neither set, so two routes that select the
   same edges compare equal; a `later` with one source is a product. */
struct ko_edges {
    bool later;
    int32_t n_tokens;
    int32_t n_edges;      /* 0: vacuous */
    int32_t first_target; /* t0: the smallest position that loses an edge */
    int32_t min_span;     /* the smallest i - j of any edge */
    uint8_t *target;      /* [T] (for later: every position that loses an edge); owned */
    uint8_t *source;      /* [T]; owned */
};

/* source_position: the one source of a route of kind EACH or LATER_EACH, otherwise ignored. reach:
   INT32_MAX without a sliding window. Free with ko_edges_free. */
KO_MUST_CHECK enum ko_code ko_route_edges(const struct ko_route *route,
                                          const struct ko_prompt *prompt, int32_t source_position,
                                          int32_t reach, struct ko_edges *out,
                                          struct ko_error *err);
void ko_edges_free(struct ko_edges *edges); /* leaves {0} */
bool ko_edges_equal(const struct ko_edges *a, const struct ko_edges *b);
/* Whether (i, j) is an edge (i - j < reach is not looked at again: attention never sees beyond it).
 */
bool ko_edges_has(const struct ko_edges *edges, int32_t i, int32_t j);

#endif
