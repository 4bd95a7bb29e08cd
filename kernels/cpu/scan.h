/* SPDX-License-Identifier: Apache-2.0 */
/* Mamba-1's scan over one prompt's rows and one block of channels.

   A *path* is a run of rows with inputs of their own: the trunk, or a branch that has left in an
   earlier layer (or computes its own convolution). Along it goes the state h and, for each source
   set k that a removed edge needs, h'_k, which has the same decay and lacks the input of its
   sources; until the first source both are the same. Branches that leave their parent in this layer
   have its inputs, and so its decays and states: they are *readers* of the parent's path and only
   choose what they read. A branch without readers needs one state alone where all its rows read the
   same: the *short* way. */
#ifndef KO_KERNELS_CPU_SCAN_H
#define KO_KERNELS_CPU_SCAN_H

#include "kernels/cpu/cpu.h"

struct ko_scan {
    const struct ko_backend *be;
    const struct ko_mamba1 *args;
    int32_t prompt;
    int32_t first, n;             /* the channels [first, first + n), n <= KO_SCAN_BLOCK */
    size_t state;                 /* floats of a state: d_state * KO_SCAN_BLOCK */
    int32_t first_reader, active; /* the branches [first_reader, active) leave their parent in this
                                     layer and read its path */

    /* Scratch of the thread. States: h, then h'_k. Vectors of KO_SCAN_BLOCK. */
    float *a2, *decay, *trunk, *branch;
    float *zero, *input, *gate, *chosen, *spare, *y; /* y: of h, then of each h'_k */
    int32_t *trunk_until,
        *branch_until; /* [sets] the last position whose h'_k is wanted; -1: none */
};

/* A row of a path: where its inputs lie. */
struct ko_scan_inputs {
    int32_t i;
    const float *delta, *u, *b, *c;
};

/* Bytes of a thread's scratch, and its parts. */
size_t ko_scan_scratch(int32_t d_state, int32_t max_sets);
void ko_scan_carve(struct ko_scan *scan, void *memory, int32_t max_sets);

/* Whether branch b reads its parent's path in this layer. */
static inline bool ko_scan_reads(const struct ko_scan *scan, int32_t b)
{
    return b >= scan->first_reader && b < scan->active;
}

/* The source set of branch b where its edges are removed in this layer, else -1. */
static inline int32_t ko_scan_set(const struct ko_scan *scan, int32_t b)
{
    return ko_branch_in_window(&scan->be->rows.branches[b], scan->args->layer)
               ? scan->be->tree.source_set[b]
               : -1;
}

/* Number k of the prompt, of all sets. */
static inline int32_t ko_scan_set_index(const struct ko_scan *scan, int32_t k)
{
    return scan->be->tree.first_set[scan->prompt] + k;
}

/* h'_k before position i, or h, which it still equals up to the first source. states: h, then h'_k.
 */
static inline float *ko_scan_before(const struct ko_scan *scan, float *states, int32_t k, int32_t i)
{
    bool same = i <= scan->be->tree.set_begin[ko_scan_set_index(scan, k)];
    return same ? states : states + (size_t)(1 + k) * scan->state;
}

/* Inputs of row `row` of position i; fills scan->gate with silu(z) and scan->input with delta * u.
 */
struct ko_scan_inputs ko_scan_row(const struct ko_scan *scan, int32_t row, int32_t i);

/* Writes row `row`, of position in->i and of branch b, from its y. */
void ko_scan_write(const struct ko_scan *scan, const struct ko_scan_inputs *in, int32_t row,
                   const float *y);

/* What branch b reads at a row with these inputs, given y of h and of h'_k (k: its set, or -1).
   Borrowed: one of the two, or scan->chosen. */
const float *ko_scan_choose(const struct ko_scan *scan, const struct ko_scan_inputs *in, int32_t b,
                            int32_t k, const float *y_h, const float *y_k);

/* One step of a path: the states after row `in` in place of those before it, and scan->y. until: as
   above. last: the states are not wanted any more. */
void ko_scan_step(const struct ko_scan *scan, const struct ko_scan_inputs *in, float *states,
                  const int32_t *until, bool last);

/* y of set k after ko_scan_step at position i. */
const float *ko_scan_y(const struct ko_scan *scan, int32_t k, int32_t i);

/* The first of `parent`'s children (as in ko_cpu_tree.first_child) that may be a reader, as a place
   in ko_cpu_tree.child. */
int32_t ko_scan_first_reader(const struct ko_scan *scan, int32_t parent);

/* The rows of the children of `parent` that read its path at this position. */
void ko_scan_readers(const struct ko_scan *scan, const struct ko_scan_inputs *in, int32_t parent);

/* All rows of branch b and of its readers, from the trunk's states before its first position. */
void ko_scan_branch(const struct ko_scan *scan, int32_t b);

#endif
