/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of a wave as the device reads them: plain arrays, packed into one block of memory. No
   CUDA in here: what is made on the host can be tested on any machine. */
#ifndef KO_KERNELS_CUDA_TABLES_H
#define KO_KERNELS_CUDA_TABLES_H

#include "kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Work of the selective scan: the trunk of a prompt (edge_set -1: all its rows are put out), or
   branches of one prompt, t0 and edge set, which share the states that the trunk hands them. */
struct ko_scan_item {
    int32_t prompt, edge_set;
    int32_t t0;       /* positions of the trunk that are walked first */
    int32_t first, n; /* in item_branch, ascending */
};

/* Pointers into one block; on the host or on the device. */
struct ko_cuda_rows {
    const int32_t *position, *previous, *branch, *prompt, *parent_row; /* [n_rows] */
    const int32_t *order;       /* [n_rows] rows by prompt, ascending within: neighbours share keys
                                   and states */
    const int32_t *token;       /* [n_trunk_rows] */
    const int32_t *trunk_first; /* [n_prompts] */
    const int32_t *n_tokens;    /* [n_prompts] */
    const struct ko_branch *branches; /* [n_branches] */
    const struct ko_scan_item *items; /* [n_items] */
    const int32_t *item_branch;       /* [n_branches] */
    const uint8_t *later;             /* [n_edge_sets] */
    const uint8_t *target, *source;   /* [n_edge_sets, max_tokens] */
    int32_t n_rows, n_trunk_rows, n_prompts, n_branches, n_edge_sets, n_layers, max_tokens, n_items;
};

struct ko_cuda_tables {
    int32_t *work; /* [2 n_branches + most keys + 1] for sorting; owned */
    size_t capacity;
};

/* Bytes of the block that any wave within these limits needs at most. */
size_t ko_cuda_tables_bytes(int32_t max_rows, int32_t max_tokens);

/* Packs the wave into `block` (16-byte aligned, of at least ko_cuda_tables_bytes), the result's
   pointers being relative to `base` (where the block will lie); *used: its bytes. */
KO_MUST_CHECK enum ko_code ko_cuda_tables_pack(struct ko_cuda_tables *tables,
                                               const struct ko_rows *rows, unsigned char *block,
                                               const unsigned char *base, struct ko_cuda_rows *out,
                                               size_t *used, struct ko_error *err);
void ko_cuda_tables_free(struct ko_cuda_tables *tables); /* leaves {0} */

#ifdef __cplusplus
}
#endif

#endif
