/* SPDX-License-Identifier: Apache-2.0 */
/* A route: between which positions edges are removed (TARGET<-SOURCE), which edges alone stay
   (keep:TARGET<-SOURCE), or at which positions a component is taken out (KIND@SET). */
#ifndef KO_PROMPTS_ROUTE_H
#define KO_PROMPTS_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"

enum ko_route_kind {
    KO_ROUTE_PRODUCT,
    KO_ROUTE_LATER,
    KO_ROUTE_EACH, /* one source position at a time, for heatmaps */
    KO_ROUTE_LATER_EACH,
    KO_ROUTE_COMPONENT,
    KO_ROUTE_COMPONENT_EACH, /* one position at a time */
    KO_ROUTE_KEEP
};

/* What a route keep:TARGET<-SOURCE+...+diagonal keeps. Only its targets lose anything. */
struct ko_kept {
    struct ko_strings sets; /* [2 n] TARGET, SOURCE, TARGET, SOURCE, ... */
    bool diagonal;          /* every target keeps the edge to itself */
};

struct ko_route {
    char *label;  /* as the spec writes it, without blanks: "last<-subject", "mlp@last"; owned */
    char *target; /* a component's: SET, or "each"; owned */
    char *source; /* a component's: NULL; owned */
    enum ko_route_kind kind;
    uint8_t components;  /* a component's: KIND, a set of kinds (src/base/mixer.h); else 0 */
    struct ko_kept kept; /* of KO_ROUTE_KEEP, which has neither target nor source; owned */
};

/* Parses "TARGET<-SOURCE", "KIND@SET" or "keep:TARGET<-SOURCE", where further "+TARGET<-SOURCE" and
   "+diagonal" may follow. `each` may only be a source or a SET, `later` only a target; neither stands
   in a keep route. KIND is attention, ssm, conv, mlp, or mixer (the first three together). KO_E_INPUT suggests the
   nearest known set or kind for an unknown one. Free with ko_route_free. */
KO_MUST_CHECK enum ko_code ko_route_parse(const char *text, const struct ko_strings *span_names,
                                          struct ko_route *out, struct ko_error *err);
void ko_route_free(struct ko_route *route); /* leaves {0} */

/* Checks what does not depend on the spans of the prompts: the form, and where `each` and `later`
   stand. KO_E_INPUT "route 'LABEL': ...". */
KO_MUST_CHECK enum ko_code ko_route_check_form(const char *label, struct ko_error *err);

/* The target of a `later` route is not a set. */
static inline bool ko_route_is_later(const struct ko_route *route)
{
    return route->kind == KO_ROUTE_LATER || route->kind == KO_ROUTE_LATER_EACH;
}

/* Whether the route takes one position at a time, so that it gives heat maps. */
static inline bool ko_route_is_each(const struct ko_route *route)
{
    return route->kind == KO_ROUTE_EACH || route->kind == KO_ROUTE_LATER_EACH ||
           route->kind == KO_ROUTE_COMPONENT_EACH;
}

static inline bool ko_route_is_component(const struct ko_route *route)
{
    return route->kind == KO_ROUTE_COMPONENT || route->kind == KO_ROUTE_COMPONENT_EACH;
}

/* The number of token sets that a route may name, and the name of set k. NULL: it names none there.
   Borrowed. */
static inline size_t ko_route_n_sets(const struct ko_route *route)
{
    return route->kind == KO_ROUTE_KEEP ? route->kept.sets.n : 2;
}

static inline const char *ko_route_set(const struct ko_route *route, size_t k)
{
    if (route->kind == KO_ROUTE_KEEP) {
        return route->kept.sets.item[k];
    }
    if (k == 0) {
        const bool named = !ko_route_is_later(route) && route->kind != KO_ROUTE_COMPONENT_EACH;
        return named ? route->target : NULL;
    }
    return ko_route_is_each(route) ? NULL : route->source;
}

/* A copy without blanks, as labels of routes and feature classes are written; free(). NULL: out of
   memory, err is filled. */
KO_MUST_CHECK char *ko_label_copy(const char *text, struct ko_error *err);

#endif
