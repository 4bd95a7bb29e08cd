/* SPDX-License-Identifier: Apache-2.0 */
/* Waves for the tests. A plan is a short description of a token tree, and wave_rows makes its rows.
 */
#ifndef KO_TESTS_CONFORMANCE_WAVE_H
#define KO_TESTS_CONFORMANCE_WAVE_H

#include "kernels/kernels.h"

enum { WAVE_PROMPTS = 4, WAVE_BRANCHES = 32, WAVE_SETS = 32, WAVE_TOKENS = 16, WAVE_LAYERS = 6 };
/* The largest stretch of a plan, and then the most tokens of a prompt. */
enum { WAVE_STRETCH = 16, WAVE_POSITIONS = (WAVE_TOKENS - 1) * WAVE_STRETCH + 1 };

/* Bit j: position j. */
struct wave_edges {
    bool later;
    uint32_t target, source;
};

/* As struct ko_branch. `parent` is an index into the same list, whose order is free. */
struct wave_branch {
    int32_t prompt, parent, first_position, leaves_at, window_begin, window_end, edge_set, mask;
    bool conv, after_softmax;
    uint8_t skips;  /* bit s: it does not act in stage s of its window */
    uint8_t spares; /* the kinds of mixers that it does not act on, bits of enum ko_mixer */
};

/* The rows of another answer, in the trunk and in every branch that begins before them: `n` positions
   from position `at` on, 1 <= at, at + n <= T. n 0: there is none. */
struct wave_fork {
    int32_t at, n;
};
enum { WAVE_FORKS = 2 };

struct wave_plan {
    const char *name;
    int32_t n_layers, n_prompts, n_sets, n_branches;
    int32_t n_tokens[WAVE_PROMPTS];
    struct wave_fork forks[WAVE_PROMPTS][WAVE_FORKS];
    struct wave_edges sets[WAVE_SETS];
    struct wave_branch branches[WAVE_BRANCHES];
    uint32_t more; /* bit s: set s + 1 is a further part of the edges of set s */
    /* Each position of the plan stands for this many of the wave, but the last of a prompt for one.
       0: as 1. */
    int32_t stretch;
};

/* The rows of a plan. Borrowed, valid until the next call. */
const struct ko_rows *wave_rows(const struct wave_plan *plan);

/* The *n plans for the known situations. */
const struct wave_plan *wave_plans(size_t *n);

/* A tree of random prompts, routes, windows, nested branches and full passes. The same seed gives
   the same tree. */
void wave_random(uint32_t seed, struct wave_plan *plan);

/* The same plan, where no branch removes an edge in any layer. */
struct wave_plan wave_without_windows(const struct wave_plan *plan);

/* Two layers, six tokens, and two branches of which each removes every edge. The trunk has the rows
   [0, 6), the branches have [6, 18). */
extern const struct wave_plan wave_all_removed;

/* The rows of wave_random's plan. */
const struct ko_rows *wave_random_rows(uint32_t seed);

/* One layer and a trunk of up to WAVE_LONGEST rows, with six branches: several rows with inputs of
   their own, of which some are targets; one row with a mask, and one without; `later`; the last five
   rows; and a fork of these, of two rows.
   WAVE_LONG rows are more than backends compute at once. Borrowed, valid until the next call. */
enum { WAVE_LONG = 150, WAVE_LONGEST = 400 };
const struct ko_rows *wave_long_rows(int32_t n_tokens);

/* Three stages, and three prompts: a long one, with lengths around whole chunks of the backends, one of 161
   tokens and one of 21. Sources, targets, t0, windows and masks are drawn so that they lie at the
   ends of chunks, within and across them. Borrowed, valid until the next call. */
const struct ko_rows *wave_chunked_rows(uint32_t seed);

/* The source rows of all positions on the path of a row, into path [position + 1]. Returns the
   position. */
int32_t wave_path(const struct ko_rows *rows, int32_t row, int32_t layer, ko_row_source *source,
                  int32_t *path);

/* Whether the branch of the row loses the edge (i, j) in this layer's mixer of the kind, and whether it loses edges in
   this feature. masks [n_masks, n_layers, n_features]. */
bool wave_removed(const struct ko_rows *rows, int32_t row, int32_t layer, enum ko_mixer mixer,
                  int32_t i, int32_t j);
bool wave_masked(const struct ko_rows *rows, int32_t row, int32_t layer, const uint8_t *masks,
                 int32_t n_features, int32_t feature);

#endif
