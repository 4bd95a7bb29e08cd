/* SPDX-License-Identifier: Apache-2.0 */
/* Mamba-1's scan over one prompt's rows and one block of channels.

   A *path* is a run of rows that have their own inputs: the trunk, or a branch that left its parent
   in an earlier stage or computes its own convolution. A fork's path begins with the rows of its
   stem, of which it writes none. The scan carries the state h along a path. For each source set k
   that a removed edge needs, it also carries h'_k, which has the same decay as h but not the inputs
   of the sources in k. The two are equal up to the first source.

   A branch that leaves its parent in this stage has the parent's inputs, hence the same decays and
   states. It is a *reader* of the parent's path: it only chooses which state it reads. If a branch
   has no readers and all its rows read the same state, only that state is computed (the *short*
   way). */
#ifndef KO_KERNELS_CPU_SCAN_H
#define KO_KERNELS_CPU_SCAN_H

#include "kernels/cpu/cpu.h"

struct ko_scan {
    const struct ko_backend *be;
    const struct ko_mamba1 *args;
    int32_t prompt;
    int32_t first, n;             /* the channels [first, first + n), n <= KO_SCAN_BLOCK */
    size_t state;                 /* floats of a state: d_state * KO_SCAN_BLOCK */
    int32_t first_reader, active; /* the branches [first_reader, active) are readers */

    /* Scratch of the thread. */
    float *a2, *decay;     /* [d_state, KO_SCAN_BLOCK] */
    float *trunk, *branch; /* [1 + sets, d_state, KO_SCAN_BLOCK] h, then each h'_k */
    float *zero, *input, *gate, *chosen, *spare; /* [KO_SCAN_BLOCK] */
    float *y; /* [1 + sets, KO_SCAN_BLOCK] from h, then from each h'_k */
    /* [sets] the last position where h'_k is needed; -1: it is not needed */
    int32_t *trunk_until, *branch_until;
};

/* The inputs of one row of a path, of this block's channels; i is its position. */
struct ko_scan_inputs {
    int32_t i;
    const float *delta, *u, *b, *c;
};

/* The bytes of one thread's scratch. ko_scan_carve points the scan's arrays into such memory. */
size_t ko_scan_scratch(int32_t d_state, int32_t max_sets);
void ko_scan_carve(struct ko_scan *scan, void *memory, int32_t max_sets);

/* Whether branch b reads its parent's path in this stage. */
static inline bool ko_scan_reads(const struct ko_scan *scan, int32_t b)
{
    return b >= scan->first_reader && b < scan->active;
}

/* The first part of the edges of branch b if they are removed in this stage, else NULL. */
static inline const struct ko_edge_set *ko_scan_edges(const struct ko_scan *scan, int32_t b)
{
    const struct ko_rows *rows = &scan->be->rows;
    const struct ko_branch *branch = &rows->branches[b];
    return branch->edge_set >= 0 && ko_branch_cuts(branch, scan->args->stage, KO_MIXER_SSM)
               ? &rows->edges[branch->edge_set]
               : NULL;
}

/* Raises until [sets] to position `last` for the sets that branch b reads in this stage. */
void ko_scan_need(const struct ko_scan *scan, int32_t b, int32_t last, int32_t *until);

/* Index in the tree of the prompt's set k. */
static inline int32_t ko_scan_set_index(const struct ko_scan *scan, int32_t k)
{
    return scan->be->tree.first_set[scan->prompt] + k;
}

/* h'_k in an array of states: h, then h'_0, h'_1, .. */
static inline float *ko_scan_states(const struct ko_scan *scan, float *states, int32_t k)
{
    return states + (size_t)(1 + k) * scan->state;
}

/* h'_k before position i. Up to the first source it equals h, and h is returned. */
static inline float *ko_scan_before(const struct ko_scan *scan, float *states, int32_t k, int32_t i)
{
    bool same = i <= scan->be->tree.set_begin[ko_scan_set_index(scan, k)];
    return same ? states : ko_scan_states(scan, states, k);
}

/* The inputs of row `row` of position i. Fills scan->gate with silu(z) and scan->input with delta *
   u. */
struct ko_scan_inputs ko_scan_read(const struct ko_scan *scan, int32_t row, int32_t i);

/* Writes the output of row `row` from its y. */
void ko_scan_write(const struct ko_scan *scan, const struct ko_scan_inputs *in, int32_t row,
                   const float *y);

/* The y that branch b reads at a row with these inputs: y_h, y_k (from h'_k without the sources of
   the part `edges`), or a mixture of both in scan->chosen. edges NULL: the row loses no edge.
   Borrowed. */
const float *ko_scan_choose(const struct ko_scan *scan, const struct ko_scan_inputs *in, int32_t b,
                            const struct ko_edge_set *edges, const float *y_h, const float *y_k);

/* One step along a path: replaces the states before row `in` by the states after it, and fills
   scan->y. until: trunk_until or branch_until. last: the new states are not needed. */
void ko_scan_step(const struct ko_scan *scan, const struct ko_scan_inputs *in, float *states,
                  const int32_t *until, bool last);

/* After ko_scan_step at the position of `in`: the y that branch b reads there. Borrowed. */
const float *ko_scan_y(const struct ko_scan *scan, const struct ko_scan_inputs *in, int32_t b);

/* Index in ko_cpu_tree.child of the first child of `parent` that can be a reader. `parent` is an
   index as in ko_cpu_tree.first_child. */
int32_t ko_scan_first_reader(const struct ko_scan *scan, int32_t parent);

/* Writes the rows of this position of all readers of `parent`. */
void ko_scan_readers(const struct ko_scan *scan, const struct ko_scan_inputs *in, int32_t parent);

/* Computes all rows of branch b and of its readers. The trunk's states must be those before the
   position where its path begins. */
void ko_scan_branch(const struct ko_scan *scan, int32_t b);

#endif
