/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of one wave of the token tree, as the backends' operations see them.

   A *stage* is a step of the forward pass that mixes positions: one mixer, or several that read the
   same rows (Falcon-H1 has attention and Mamba-2 side by side in every layer). Most models have one
   stage a layer. Stages count from 0 over all layers.

   First come all trunk rows (prompt after prompt, position after position), then the rows of the
   branches, ordered by the stage at which they leave their parent (within a stage, branches that
   compute their own convolution come first). So the active rows of a stage are a prefix of the
   array. Forks of trunks, which leave at no stage, come before all other branches; the forks of a
   branch follow it directly. In the stage where a branch leaves, its rows still equal its parent's.
   There, projections are read from the parent's rows (ko_rows_source), and only the mixing differs. */
#ifndef KO_KERNELS_ROWS_H
#define KO_KERNELS_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/mixer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Values of leaves_at that are not stages. */
enum { KO_HAS_TOKENS = -2, KO_LEAVES_EMBEDDED = -1 };

struct ko_branch {
    int32_t prompt;    /* index in the wave */
    int32_t parent;    /* branch that it leaves; -1: the trunk */
    int32_t first_row; /* its rows are [first_row, first_row + n_rows), in order of position */
    int32_t n_rows;
    int32_t first_position; /* of its first row */
    /* A *fork* has the rows of another answer. It begins where its tokens differ from those of its
       *stem*, a branch or the trunk. Its n_shared positions before first_position are rows of its
       stem, from shared_row on, and all earlier positions are the trunk's. 0: it is not a fork, or
       its stem is the trunk. */
    int32_t n_shared, shared_row;
    /* Stage before which its rows are copied from its parent. KO_LEAVES_EMBEDDED: they are copied after
       the embedding, and the branch is a full forward pass of its own. KO_HAS_TOKENS: they are
       embedded, since it is a fork of the trunk. */
    int32_t leaves_at;
    /* Edges are removed in the stages [begin, end), in the mixers of the kinds `mixers`. Equal: in
       no stage; the branch left its parent at the end of its window. */
    int32_t window_begin, window_end;
    /* [n_stages] Of these stages in those with a 1 alone; NULL: in all of them. Host memory here; the
       copy of a branch on a device has the device's. */
    const uint8_t *stages;
    uint8_t mixers;     /* bits of enum ko_mixer */
    int32_t edge_set;   /* index into ko_rows.edges, of the first part */
    int32_t mask;       /* index into the feature masks; -1: every feature */
    bool conv;          /* the taps of removed edges are removed too (+conv) */
    bool after_softmax; /* attention: weights are zeroed after the softmax, not renormalised */
    int32_t
        only_head; /* attention: edges are removed in head only_head - 1 alone; 0: in every head */
    int32_t removal; /* index into ko_rows.removals; -1: it takes out no component */
};

/* Removed edges of a branch in its prompt, as struct ko_edges of src/prompts: the edge (i, j) with
   target[i], source[j] and j <= i, or with `later` j < i. T counts the rows of an answer too. Edges
   may have several parts side by side in ko_rows.edges: with the same `later`, and no two with a
   common target or with the same sources. */
struct ko_edge_set {
    bool later;
    const uint8_t *target; /* [T] host memory */
    const uint8_t *source; /* [T] host memory */
    bool more;             /* the next one is a further part */
};

/* A component that one branch takes out: what sublayers add to the residual stream, or the input of
   their output projections for one head. Operations do not read it. */
struct ko_removal {
    uint8_t components; /* of sublayers with these components (src/base/mixer.h) */
    int32_t begin, end; /* of the sublayers [begin, end) of the model */
    const uint8_t
        *within;  /* [sublayers] host memory; 1: it acts in the sublayer; NULL: in all these */
    int32_t head; /* this head alone; -1: the whole output */
    /* What takes its place: the mean with this number of those that the pass has; or the same
       component of the prompt `donor` of the wave, at its position donor_at[i] for the position i of
       `at` ([T] host memory). Both -1: nothing, or zeros for a head. */
    int32_t mean, donor;
    const int32_t *donor_at;
    const uint8_t *at; /* [T] host memory; 1: at this position */
};

struct ko_rows {
    int32_t n_rows, n_trunk_rows, n_prompts, n_branches, n_edge_sets, n_stages;
    int32_t n_embedded;      /* rows with tokens: the trunks', then those of forks of trunks */
    int32_t max_tokens;      /* the largest T of the wave */
    const int32_t *position; /* [n_rows] */
    /* [n_turns, n_rows] rotary positions of the rows, with n_turns 1 or 3. NULL: n_turns is 0, and
       they are `position`, as in every wave without matrices of embeddings. */
    const int32_t *turn;
    int32_t n_turns;
    const int32_t *previous; /* [n_rows] row of position - 1 on the path; -1 at 0 */
    const int32_t *branch;   /* [n_rows] -1: trunk */
    const int32_t *prompt;   /* [n_rows] */
    const int32_t
        *parent_row;      /* [n_rows] the parent's row of that position; -1: the row has a token */
    const int32_t *token; /* [n_embedded] ids */
    const int32_t *trunk_first; /* [n_prompts] row of position 0 */
    const int32_t *n_tokens;    /* [n_prompts] T, the rows of the trunk */
    /* [n_prompts] rows of the prompt with its longest answer, by which rotary scalings for long prompts
       go. NULL: as n_tokens */
    const int32_t *n_longest;
    const struct ko_branch *branches; /* [n_branches] ordered as their rows */
    const struct ko_edge_set *edges;  /* [n_edge_sets] parts */
    const struct ko_removal *removals;
    int32_t n_removals;

    /* [n_stages] Counts of rows in stage s. n_projected: rows with their own projections, which are
       those of trunks and their forks, and those that left before s. n_convolved: these, and rows that
       leave at s and compute their own convolution (+conv). n_active: n_projected, and all rows that leave at s. */
    const int32_t *n_projected, *n_convolved, *n_active;
    const int32_t *n_branches_active; /* [n_stages] branches among the n_active rows */
};

/* The first position of a branch's path that is not the trunk's: t0. */
static inline int32_t ko_branch_start(const struct ko_branch *branch)
{
    return branch->first_position - branch->n_shared;
}

/* The position behind a branch's last row. */
static inline int32_t ko_branch_end(const struct ko_branch *branch)
{
    return branch->first_position + branch->n_rows;
}

/* The rows of a branch's path that are not the trunk's. */
static inline int32_t ko_branch_path(const struct ko_branch *branch)
{
    return branch->n_shared + branch->n_rows;
}

/* The row of position j on a branch's path, from ko_branch_start to before ko_branch_end. */
static inline int32_t ko_branch_row(const struct ko_branch *branch, int32_t j)
{
    return j < branch->first_position ? branch->shared_row + j - ko_branch_start(branch)
                                      : branch->first_row + j - branch->first_position;
}

/* The row that holds row r's input projection in a stage: r itself, or its parent's row where r
   leaves there. */
static inline int32_t ko_rows_source(const struct ko_rows *rows, int32_t row, int32_t stage)
{
    return row < rows->n_projected[stage] ? row : rows->parent_row[row];
}

/* The row that holds row r's values after the convolution, which a +conv branch computes itself. */
static inline int32_t ko_rows_source_after_conv(const struct ko_rows *rows, int32_t row,
                                                int32_t stage)
{
    return row < rows->n_convolved[stage] ? row : rows->parent_row[row];
}

/* One of the two functions above. */
typedef int32_t ko_row_source(const struct ko_rows *rows, int32_t row, int32_t stage);

/* The rotary position of row r on axis 0, 1 or 2. */
static inline int32_t ko_rows_turn(const struct ko_rows *rows, int32_t axis, int32_t row)
{
    const size_t of_axis = rows->n_turns == 3 ? (size_t)axis * (size_t)rows->n_rows : 0;
    return rows->turn ? rows->turn[of_axis + (size_t)row] : rows->position[row];
}

/* The rows of row r's prompt with its longest answer. */
static inline int32_t ko_rows_longest(const struct ko_rows *rows, int32_t row)
{
    return (rows->n_longest ? rows->n_longest : rows->n_tokens)[rows->prompt[row]];
}

/* The part behind `part` of the same edges; NULL: that was the last. */
static inline const struct ko_edge_set *ko_edge_set_next(const struct ko_edge_set *part)
{
    return part->more ? part + 1 : NULL;
}

/* The part that has the edges into position i, of a branch's edges whose first part is `set`. NULL:
   `set` is NULL, or no edge goes there. */
static inline const struct ko_edge_set *ko_edge_set_into(const struct ko_edge_set *set, int32_t i)
{
    while (set && !set->target[i]) {
        set = ko_edge_set_next(set);
    }
    return set;
}

/* Whether (i, j), j <= i, is one of the edges whose first part is `set`. */
static inline bool ko_edge_set_has(const struct ko_edge_set *set, int32_t i, int32_t j)
{
    const struct ko_edge_set *part = ko_edge_set_into(set, i);
    return part && part->source[j] && !(part->later && j == i);
}

/* Whether a branch that cuts edges cuts those of this attention head. */
static inline bool ko_branch_cuts_head(const struct ko_branch *branch, int32_t head)
{
    return branch->only_head == 0 || branch->only_head == head + 1;
}

/* Whether the branch's edges are removed in this stage, in its mixer of this kind. */
static inline bool ko_branch_cuts(const struct ko_branch *branch, int32_t stage,
                                  enum ko_mixer mixer)
{
    return stage >= branch->window_begin && stage < branch->window_end &&
           (branch->mixers & mixer) && (!branch->stages || branch->stages[stage]);
}

#ifdef __cplusplus
}
#endif

#endif
