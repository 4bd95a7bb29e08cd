/* SPDX-License-Identifier: Apache-2.0 */
/* A route: from which positions (sources) to which positions (targets) attention is removed. */
#ifndef KO_PROMPTS_ROUTE_H
#define KO_PROMPTS_ROUTE_H

#include "src/base/error.h"
#include "src/base/text.h"

enum ko_route_kind {
    KO_ROUTE_PRODUCT,
    KO_ROUTE_LATER,
    KO_ROUTE_EACH, /* one source position at a time, for heatmaps */
    KO_ROUTE_LATER_EACH
};

struct ko_route {
    char *label;  /* as the spec writes it, without blanks: "last<-subject"; owned */
    char *target; /* owned */
    char *source; /* owned */
    enum ko_route_kind kind;
};

/* Parses "TARGET<-SOURCE". `each` may only be a source, `later` only a target. KO_E_INPUT suggests
   the nearest known set for an unknown one. Free with ko_route_free. */
KO_MUST_CHECK enum ko_code ko_route_parse(const char *text, const struct ko_strings *span_names,
                                          struct ko_route *out, struct ko_error *err);
void ko_route_free(struct ko_route *route); /* leaves {0} */

/* A copy without blanks, as labels of routes and feature classes are written; free(). NULL: out of
   memory, err is filled. */
KO_MUST_CHECK char *ko_label_copy(const char *text, struct ko_error *err);

#endif
