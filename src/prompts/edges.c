/* SPDX-License-Identifier: Apache-2.0 */
/* Computes the attention edges that a route removes in one prompt. */
#include "src/prompts/edges.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/prompts/token_set.h"

/* The sets as the route names them, whether or not a position has an edge. For `later` every
   position is a target. */
static enum ko_code eval_sides(const struct ko_route *route, const struct ko_prompt *prompt,
                               int32_t source_position, uint8_t *target, uint8_t *source,
                               struct ko_error *err)
{
    enum ko_code code = KO_OK;
    if (ko_route_is_later(route)) {
        memset(target, 1, (size_t)prompt->n_tokens);
    } else {
        code = ko_token_set_eval(route->target, prompt, target, err);
    }
    if (code != KO_OK || !ko_route_is_each(route)) {
        return code != KO_OK ? code : ko_token_set_eval(route->source, prompt, source, err);
    }
    if (source_position >= 0 && source_position < prompt->n_tokens) {
        source[source_position] = 1;
    }
    return KO_OK;
}

/* Counts the edges and marks the positions that have one. */
static void collect_edges(struct ko_edges *e, const uint8_t *target, const uint8_t *source,
                          int32_t reach)
{
    bool meets = false;
    e->first_target = e->n_tokens;
    for (int32_t i = 0; i < e->n_tokens; i++) {
        for (int32_t j = 0; target[i] && j <= i - e->later; j++) {
            if (!source[j] || i - j >= reach) {
                continue;
            }
            if (e->n_edges == 0 || i - j < e->min_span) {
                e->min_span = i - j;
            }
            if (e->n_edges++ == 0) {
                e->first_target = i;
            }
            e->target[i] = e->source[j] = 1;
        }
    }
    /* `later` differs from a product in the diagonal alone, so only where a source is also a
       target. */
    for (int32_t i = 0; i < e->n_tokens; i++) {
        meets = meets || (e->target[i] && e->source[i]);
    }
    e->later = e->later && meets;
}

enum ko_code ko_route_edges(const struct ko_route *route, const struct ko_prompt *prompt,
                            int32_t source_position, int32_t reach, struct ko_edges *out,
                            struct ko_error *err)
{
    size_t n = (size_t)prompt->n_tokens;
    struct ko_edges e = {.later = ko_route_is_later(route),
                         .n_tokens = prompt->n_tokens,
                         .target = ko_new(n, 1, err),
                         .source = ko_new(n, 1, err)};
    uint8_t *target = ko_new(n, 1, err), *source = ko_new(n, 1, err);
    enum ko_code code = e.target && e.source && target && source ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK) {
        code = eval_sides(route, prompt, source_position, target, source, err);
    }
    if (code == KO_OK) {
        collect_edges(&e, target, source, reach);
    }
    free(target);
    free(source);
    if (code != KO_OK) {
        ko_edges_free(&e);
    } else {
        *out = e;
    }
    return code;
}

void ko_edges_free(struct ko_edges *edges)
{
    if (!edges) {
        return;
    }
    free(edges->target);
    free(edges->source);
    *edges = (struct ko_edges){0};
}

bool ko_edges_equal(const struct ko_edges *a, const struct ko_edges *b)
{
    size_t n = (size_t)a->n_tokens;
    return a->n_tokens == b->n_tokens && a->later == b->later && a->n_edges == b->n_edges &&
           memcmp(a->target, b->target, n) == 0 && memcmp(a->source, b->source, n) == 0;
}

bool ko_edges_has(const struct ko_edges *edges, int32_t i, int32_t j)
{
    return edges->target[i] && edges->source[j] && (edges->later ? j < i : j <= i);
}
