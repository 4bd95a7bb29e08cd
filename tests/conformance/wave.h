/* SPDX-License-Identifier: Apache-2.0 */
/* Waves for the tests: the rows of a token tree from a short description, and random trees. */
#ifndef KO_TESTS_CONFORMANCE_WAVE_H
#define KO_TESTS_CONFORMANCE_WAVE_H

#include "kernels/kernels.h"

enum { WAVE_PROMPTS = 4, WAVE_BRANCHES = 32, WAVE_SETS = 16, WAVE_TOKENS = 16, WAVE_LAYERS = 6 };

/* Bit j: position j. */
struct wave_edges {
    bool later;
    uint32_t target, source;
};

/* As struct ko_branch, parent an index into the same list; the order of the list is free. */
struct wave_branch {
    int32_t prompt, parent, first_position, leaves_at, window_begin, window_end, edge_set, mask;
    bool conv, after_softmax;
};

struct wave_plan {
    const char *name;
    int32_t n_layers, n_prompts, n_sets, n_branches;
    int32_t n_tokens[WAVE_PROMPTS];
    struct wave_edges sets[WAVE_SETS];
    struct wave_branch branches[WAVE_BRANCHES];
};

/* rows points into the rest, so a wave stays where it is. */
struct wave {
    struct ko_rows rows;
    int32_t order[WAVE_BRANCHES]; /* number in the plan of each branch */
    struct ko_branch branches[WAVE_BRANCHES];
    struct ko_edge_set edges[WAVE_SETS];
    uint8_t target[WAVE_SETS][WAVE_TOKENS], source[WAVE_SETS][WAVE_TOKENS];
    int32_t trunk_first[WAVE_PROMPTS], n_tokens[WAVE_PROMPTS];
    int32_t counts[4][WAVE_LAYERS];
    int32_t columns[6][(WAVE_PROMPTS + WAVE_BRANCHES) * WAVE_TOKENS];
};

void wave_build(const struct wave_plan *plan, struct wave *wave);

/* The plans that name each situation, *n of them. */
const struct wave_plan *wave_plans(size_t *n);

/* A tree of random prompts, routes, windows, nested branches and full passes; the same seed gives
   the same tree. */
void wave_random(uint32_t seed, struct wave_plan *plan);

/* The source rows of all positions on row r's path, by the rule `source`, into path [position + 1];
   returns the position. */
int32_t wave_path(const struct ko_rows *rows, int32_t row, int32_t layer,
                  int32_t (*source)(const struct ko_rows *, int32_t, int32_t), int32_t *path);

/* Whether the branch of row r loses (i, j) in this layer. */
bool wave_removed(const struct ko_rows *rows, int32_t row, int32_t layer, int32_t i, int32_t j);

#endif
