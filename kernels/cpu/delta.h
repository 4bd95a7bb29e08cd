/* SPDX-License-Identifier: Apache-2.0 */
/* The gated delta rule over one prompt's rows and some columns of one head's state. A walk goes row
   by row, or in chunks of KO_DELTA_ROWS rows. Columns are in blocks of KO_DELTA_BLOCK, and arrays of
   columns have one part after the other for each block. */
#ifndef KO_KERNELS_CPU_DELTA_H
#define KO_KERNELS_CPU_DELTA_H

#include "kernels/cpu/cpu.h"

/* The rows of one chunk, of which `products` points to q, k, decay and beta. */
struct ko_delta_part {
    struct ko_delta_chunk products;
    float *q, *k, *decay; /* [KO_DELTA_ROWS, ld] */
    float *beta;          /* [KO_DELTA_ROWS] */
    float *v;             /* [blocks, KO_DELTA_ROWS, KO_DELTA_BLOCK] columns from n on are 0 */
};

struct ko_delta_walk {
    const struct ko_backend *be;
    const struct ko_deltanet *args;
    int32_t blocks;                 /* of columns, at most */
    int32_t prompt, head, first, n; /* the columns [first, first + n) of the head */
    int32_t active;                 /* branches in this stage */
    int32_t step;                   /* rows that the trunk takes at once: 1 or KO_DELTA_ROWS */
    size_t state;                   /* floats of a state [blocks, d_key, KO_DELTA_BLOCK] */

    /* Scratch of the thread. */
    float *trunk;                   /* [1 + sets] S, then each S'_k */
    float *start;                   /* [1 + sets] the same where a branch leaves in a chunk */
    float *branch;                  /* one state */
    float *u;                       /* [KO_DELTA_ROWS, KO_DELTA_BLOCK] */
    float *y;                       /* [blocks, KO_DELTA_ROWS, KO_DELTA_BLOCK] */
    struct ko_delta_part rows, own; /* a chunk of the trunk, and one of a branch */
    int32_t *until;   /* [sets] the last position where S'_k is needed; -1: it is not needed */
    int32_t *started; /* [1 + sets] the position before which `start` has the state; -1: none */
};

/* The bytes of one thread's scratch. ko_delta_carve points the walk's arrays into such memory. Both
   take the walk's args and blocks. */
size_t ko_delta_scratch(const struct ko_delta_walk *walk, int32_t max_sets);
void ko_delta_carve(struct ko_delta_walk *walk, void *memory, int32_t max_sets);

/* Reads the n rows from `row` on into the part, without their products. */
void ko_delta_read(const struct ko_delta_walk *walk, struct ko_delta_part *part, int32_t row,
                   int32_t n);

/* Moves a state past the part's first row. to NULL: it is not needed. `removed`: the row writes
   nothing. Fills the first row of walk->y. */
void ko_delta_step(const struct ko_delta_walk *walk, const struct ko_delta_part *part, bool removed,
                   const float *from, float *to);

/* Computes the products of the part's first n rows. */
void ko_delta_multiply(const struct ko_delta_walk *walk, struct ko_delta_part *part, int32_t n);

/* Moves a state past the part's rows, as many as have products. to NULL: it is not needed. Rows with
   removed[r] (NULL: none) write nothing. reads: fills walk->y. */
void ko_delta_advance(const struct ko_delta_walk *walk, const struct ko_delta_part *part,
                      const uint8_t *removed, const float *from, float *to, bool reads);

/* Adds the part's v of row r, times `weight`, to walk->y. */
void ko_delta_add(const struct ko_delta_walk *walk, const struct ko_delta_part *part, int32_t r,
                  float weight);

/* Writes the results of row `row` from row r of walk->y. */
void ko_delta_write(const struct ko_delta_walk *walk, int32_t r, int32_t row);

#endif
