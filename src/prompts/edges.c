/* SPDX-License-Identifier: Apache-2.0 */
/* Computes the attention edges that a route removes in one prompt: row by row, and then rows with the
   same sources together. */
#include "src/prompts/edges.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/prompts/token_set.h"

/* What a route says of each position, whether or not it has an edge. */
struct sides {
    const struct ko_prompt *prompt;
    int32_t reach;
    uint8_t *member; /* [2 n, T] targets, sources, targets, sources, ...; owned */
    size_t n;        /* pairs of targets and sources */
    bool keep;       /* the pairs stay, and everything else into their targets goes */
    bool later;      /* the diagonal stays */
};

static uint8_t *set_of(const struct sides *sides, size_t k)
{
    return sides->member + k * (size_t)sides->prompt->n_tokens;
}

/* For `later` every position is a target. */
static enum ko_code eval_pair(const struct ko_route *route, const struct sides *sides,
                              int32_t source_position, struct ko_error *err)
{
    const int32_t n = sides->prompt->n_tokens;
    uint8_t *target = set_of(sides, 0), *source = set_of(sides, 1);
    enum ko_code code = KO_OK;
    if (ko_route_is_later(route)) {
        memset(target, 1, (size_t)n);
    } else {
        code = ko_token_set_eval(route->target, sides->prompt, target, err);
    }
    if (code != KO_OK || !ko_route_is_each(route)) {
        return code != KO_OK ? code : ko_token_set_eval(route->source, sides->prompt, source, err);
    }
    if (source_position >= 0 && source_position < n) {
        source[source_position] = 1;
    }
    return KO_OK;
}

static enum ko_code eval_sides(const struct ko_route *route, const struct ko_prompt *prompt,
                               int32_t source_position, int32_t reach, struct sides *out,
                               struct ko_error *err)
{
    const bool keep = route->kind == KO_ROUTE_KEEP;
    const size_t n_sets = ko_route_n_sets(route);
    *out = (struct sides){.prompt = prompt,
                          .reach = reach,
                          .member = ko_new(n_sets * (size_t)prompt->n_tokens, 1, err),
                          .n = n_sets / 2,
                          .keep = keep,
                          .later = keep ? route->kept.diagonal : ko_route_is_later(route)};
    if (!out->member) {
        return KO_E_MEMORY;
    }
    if (!keep) {
        return eval_pair(route, out, source_position, err);
    }
    enum ko_code code = KO_OK;
    for (size_t k = 0; code == KO_OK && k < n_sets; k++) {
        code = ko_token_set_eval(ko_route_set(route, k), prompt, set_of(out, k), err);
    }
    return code;
}

static int32_t first_seen(int32_t i, int32_t reach)
{
    return i >= reach ? i - reach + 1 : 0;
}

/* row[j] for j <= i: whether the edge (i, j) is removed. Returns whether i is a target at all. */
static bool list_row(const struct sides *sides, int32_t i, uint8_t *row)
{
    const size_t n = (size_t)i + 1;
    bool target = false;
    for (size_t k = 0; k < sides->n; k++) {
        const uint8_t *source = set_of(sides, 2 * k + 1);
        if (!set_of(sides, 2 * k)[i]) {
            continue;
        }
        if (!sides->keep) {
            memcpy(row, source, n);
        } else {
            for (size_t j = 0; j < n; j++) {
                row[j] = (!target || row[j]) && !source[j];
            }
        }
        target = true;
    }
    if (target) {
        memset(row, 0, (size_t)first_seen(i, sides->reach));
        row[i] = row[i] && !sides->later;
    }
    return target;
}

/* Counts the row's edges into the totals. Returns whether it has any. */
static bool count_row(struct ko_edges *e, const uint8_t *row, int32_t i)
{
    int32_t n = 0, last = -1;
    for (int32_t j = 0; j <= i; j++) {
        n += row[j];
        last = row[j] ? j : last;
    }
    if (n == 0) {
        return false;
    }
    e->min_span = e->n_edges == 0 || i - last < e->min_span ? i - last : e->min_span;
    e->first_target = e->n_edges == 0 ? i : e->first_target;
    e->n_edges += n;
    return true;
}

static enum ko_code add_part(struct ko_edges *e, size_t *capacity, struct ko_error *err)
{
    const size_t n = (size_t)e->n_tokens;
    struct ko_edge_part *grown =
        ko_grow(e->part, capacity, (size_t)e->n_parts + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    e->part = grown;
    struct ko_edge_part part = {ko_new(n, 1, err), ko_new(n, 1, err)};
    grown[e->n_parts++] = part;
    return part.target && part.source ? KO_OK : KO_E_MEMORY;
}

/* The last target of a part before position i; -1: it has none. */
static int32_t target_before(const struct ko_edge_part *part, int32_t i)
{
    do {
        i--;
    } while (i >= 0 && !part->target[i]);
    return i;
}

/* Adds row i, which comes behind all others, to the first part that it fits. The part's sources are
   known up to its last target, which may keep the edge to itself. A position that a row sees was seen
   by all earlier rows behind the position. */
static enum ko_code place_row(struct ko_edges *e, const struct sides *sides, const uint8_t *row,
                              int32_t i, size_t *capacity, struct ko_error *err)
{
    const int32_t low = first_seen(i, sides->reach);
    for (int32_t p = 0;; p++) {
        if (p == e->n_parts && add_part(e, capacity, err) != KO_OK) {
            return KO_E_MEMORY;
        }
        const struct ko_edge_part *part = &e->part[p];
        const int32_t known = target_before(part, i) + !e->later;
        if (low < known && memcmp(part->source + low, row + low, (size_t)(known - low)) != 0) {
            continue;
        }
        const int32_t first = known > low ? known : low;
        memcpy(part->source + first, row + first, (size_t)(i - first + 1));
        part->target[i] = 1;
        return KO_OK;
    }
}

/* Whether a position is target and source of a part. */
static bool sides_meet(const struct ko_edges *e)
{
    for (int32_t p = 0; p < e->n_parts; p++) {
        for (int32_t i = 0; i < e->n_tokens; i++) {
            if (e->part[p].target[i] && e->part[p].source[i]) {
                return true;
            }
        }
    }
    return false;
}

static enum ko_code collect_edges(struct ko_edges *e, const struct sides *sides, uint8_t *row,
                                  struct ko_error *err)
{
    size_t capacity = 0;
    e->first_target = e->n_tokens;
    for (int32_t i = 0; i < e->n_tokens; i++) {
        (void)(list_row(sides, i, row) && count_row(e, row, i));
    }
    e->later = e->n_edges > 0 && e->min_span > 0;
    enum ko_code code = add_part(e, &capacity, err);
    for (int32_t i = e->first_target; code == KO_OK && i < e->n_tokens; i++) {
        if (list_row(sides, i, row) && memchr(row, 1, (size_t)i + 1)) {
            code = place_row(e, sides, row, i, &capacity, err);
        }
    }
    e->later = code == KO_OK && e->later && sides_meet(e);
    return code;
}

enum ko_code ko_route_edges(const struct ko_route *route, const struct ko_prompt *prompt,
                            int32_t source_position, int32_t reach, struct ko_edges *out,
                            struct ko_error *err)
{
    struct ko_edges e = {.n_tokens = prompt->n_tokens};
    struct sides sides = {0};
    uint8_t *row = ko_new((size_t)prompt->n_tokens, 1, err);
    enum ko_code code =
        row ? eval_sides(route, prompt, source_position, reach, &sides, err) : KO_E_MEMORY;
    if (code == KO_OK) {
        code = collect_edges(&e, &sides, row, err);
    }
    free(sides.member);
    free(row);
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
    for (int32_t p = 0; p < edges->n_parts; p++) {
        free(edges->part[p].target);
        free(edges->part[p].source);
    }
    free(edges->part);
    *edges = (struct ko_edges){0};
}

bool ko_edges_equal(const struct ko_edges *a, const struct ko_edges *b)
{
    const size_t n = (size_t)a->n_tokens;
    bool equal = a->n_tokens == b->n_tokens && a->later == b->later && a->n_edges == b->n_edges &&
                 a->n_parts == b->n_parts;
    for (int32_t p = 0; equal && p < a->n_parts; p++) {
        equal = memcmp(a->part[p].target, b->part[p].target, n) == 0 &&
                memcmp(a->part[p].source, b->part[p].source, n) == 0;
    }
    return equal;
}

bool ko_edges_has_target(const struct ko_edges *edges, int32_t i)
{
    for (int32_t p = 0; p < edges->n_parts; p++) {
        if (edges->part[p].target[i]) {
            return true;
        }
    }
    return false;
}

bool ko_edges_has(const struct ko_edges *edges, int32_t i, int32_t j)
{
    for (int32_t p = 0; p < edges->n_parts; p++) {
        if (edges->part[p].target[i]) {
            return edges->part[p].source[j] && (edges->later ? j < i : j <= i);
        }
    }
    return false;
}
