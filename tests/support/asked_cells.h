/* SPDX-License-Identifier: Apache-2.0 */
/* What a sweep spec asks for, enumerated cell by cell by a code that shares nothing with the
   planner but the token sets. The functions abort where the machine fails them. */
#ifndef TESTS_SUPPORT_ASKED_CELLS_H
#define TESTS_SUPPORT_ASKED_CELLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/plan/plan.h"

/* One cell of the enumeration. */
struct asked_cell {
    bool planned, vacuous;
    int hits; /* of the waves */
};

/* A slot of a record, taken apart. */
struct asked_place {
    int32_t route, class, source, size, start;
};

struct asked_cells {
    const struct ko_plan *plan;
    struct asked_place *place; /* [record] */
    size_t record;             /* values of one (model, fact) */
    struct asked_cell *asked;  /* [n_models, n_facts, record] */
    /* [n_models, n_routes, n_facts] 1: a block asks for the prompt with a class that takes values */
    uint8_t *reference;
};

/* The cells of a plan that was made from the spec. Free with asked_cells_free. */
struct asked_cells asked_cells_of(const struct ko_plan *plan, const struct ko_spec *spec);
void asked_cells_free(struct asked_cells *e);
/* The cell of model m and prompt f in a slot of the record; borrowed. */
struct asked_cell *asked_cell_at(const struct asked_cells *e, int32_t m, int32_t f, int64_t slot);

/* The layers of model m that windows count, then -1. Caller frees. */
int32_t *asked_counted(const struct ko_plan *plan, int32_t m);

enum { ASKED_LAYERS = 64 };
/* Sets in [ASKED_LAYERS] to 1 for the layers of a window of model m, from the words of the spec.
   Returns their number; 0: it does not fit. */
int32_t asked_window(const struct ko_plan *plan, int32_t m, int32_t size, int32_t start,
                     uint8_t *in);

/* The prompt that a class ~resample:SEED takes from, of the route's references without f: drawn by the
   formula of docs/semantics.md. -1: there is none. */
int32_t asked_donor(const struct asked_cells *e, int32_t m, int32_t f, int32_t route,
                    uint64_t seed);

enum { ASKED_TOKENS = 16 };

/* The positions of a component route. at [ASKED_TOKENS]. Returns their number. */
int32_t asked_positions_of(const struct ko_route *route, const struct ko_prompt *prompt,
                           int32_t position, uint8_t *at);
/* Whether a sublayer has the component that the route names by its word. */
bool asked_has_component(const struct ko_route *route, const struct ko_plan_sublayer *sublayer);

/* The edges of a route by its definition. */
struct asked_edges {
    bool has[ASKED_TOKENS][ASKED_TOKENS];
    bool any;
    int32_t first_target, min_span;
};

struct asked_edges asked_edges_of(const struct ko_route *route, const struct ko_prompt *prompt,
                                  int32_t source, int32_t reach);

#endif
