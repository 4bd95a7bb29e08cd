/* SPDX-License-Identifier: Apache-2.0 */
/* Walks Mamba-1's scan along one branch. If all rows of the branch read the same state, only that
   state is computed. Otherwise all states that the branch needs are computed. */
#include <string.h>

#include "kernels/cpu/scan.h"

/* Marks the sets that branch b and its readers need. Returns whether it has readers. */
static bool mark_branch(const struct ko_scan *scan, int32_t b)
{
    const struct ko_cpu_tree *tree = &scan->be->tree;
    const struct ko_branch *branches = scan->be->rows.branches;
    bool any = false;
    for (int32_t k = 0; k < tree->max_sets; k++) {
        scan->branch_until[k] = -1;
    }
    for (int32_t at = ko_scan_first_reader(scan, b); at < tree->first_child[b + 1]; at++) {
        int32_t child = tree->child[at];
        if (ko_scan_reads(scan, child)) {
            any = true;
            ko_scan_need(scan, child, ko_branch_end(&branches[child]) - 1, scan->branch_until);
        }
    }
    ko_scan_need(scan, b, ko_branch_end(&branches[b]) - 1, scan->branch_until);
    return any;
}

/* Whether every row of the branch reads the same state: h if its edges are kept in this stage, else
   h' in the masked channels. */
static bool reads_one_state(const struct ko_scan *scan, int32_t b)
{
    const struct ko_branch *branch = &scan->be->rows.branches[b];
    const struct ko_edge_set *edges = ko_scan_edges(scan, b);
    for (int32_t i = branch->first_position; edges && i < ko_branch_end(branch); i++) {
        if (!edges->target[i]) {
            return false;
        }
    }
    return true;
}

/* The state to start from: h, h', or with a mask a mixture of both in scan->branch. */
static const float *start_short(const struct ko_scan *scan, int32_t b, int32_t k,
                                const uint8_t *mask)
{
    const struct ko_branch *branch = &scan->be->rows.branches[b];
    const float *h = scan->trunk;
    const float *removed =
        k < 0 ? h : ko_scan_before(scan, scan->trunk, k, ko_branch_start(branch));
    if (!mask || removed == h) {
        return removed;
    }
    for (size_t at = 0; at < scan->state; at += KO_SCAN_BLOCK) {
        scan->be->isa->select((size_t)scan->n, mask, removed + at, h + at, scan->branch + at);
    }
    return scan->branch;
}

/* A branch whose rows all read the same state, so that its edges have one part: computes that state
   alone. */
static void branch_short(const struct ko_scan *scan, int32_t b)
{
    const struct ko_cpu_isa *isa = scan->be->isa;
    const struct ko_rows *rows = &scan->be->rows;
    const struct ko_mamba1 *args = scan->args;
    const struct ko_branch *branch = &rows->branches[b];
    const int32_t last = ko_branch_end(branch) - 1;
    const struct ko_edge_set *edges = ko_scan_edges(scan, b);
    const int32_t k = edges ? ko_cpu_tree_set(&scan->be->tree, rows, edges) : -1;
    const uint8_t *mask =
        edges ? ko_cpu_mask(rows, branch, args->masks, args->stage, args->d_inner) : NULL;
    mask = mask ? mask + scan->first : NULL;
    const float *from = start_short(scan, b, k, mask);
    for (int32_t i = ko_branch_start(branch); i <= last; i++) {
        const int32_t at = ko_branch_row(branch, i);
        struct ko_scan_inputs in = ko_scan_read(scan, at, i);
        const float *input = scan->input;
        if (edges && edges->source[i]) {
            input = scan->zero;
            if (mask) {
                isa->select((size_t)scan->n, mask, scan->zero, scan->input, scan->spare);
                input = scan->spare;
            }
        }
        struct ko_scan_row row = {.n = scan->n,
                                  .d_state = args->d_state,
                                  .b = in.b,
                                  .c = in.c,
                                  .input = input,
                                  .from = from,
                                  .to = i == last ? NULL : scan->branch,
                                  .y = scan->y};
        isa->scan_step(&row, scan->a2, in.delta);
        if (i >= branch->first_position) {
            /* With a mask the state holds both kinds of channels, so y is also the y of h. */
            ko_scan_write(scan, &in, at, ko_scan_choose(scan, &in, b, edges, scan->y, scan->y));
        }
        from = scan->branch;
    }
}

/* Copies the trunk's states that the branch needs. */
static void start_long(const struct ko_scan *scan, int32_t b)
{
    const struct ko_cpu_tree *tree = &scan->be->tree;
    const int32_t i = ko_branch_start(&scan->be->rows.branches[b]);
    int32_t n_sets = tree->first_set[scan->prompt + 1] - tree->first_set[scan->prompt];
    memcpy(scan->branch, scan->trunk, scan->state * sizeof(float));
    for (int32_t k = 0; k < n_sets; k++) {
        const float *from = ko_scan_before(scan, scan->trunk, k, i);
        if (scan->branch_until[k] >= 0 && from != scan->trunk) {
            memcpy(ko_scan_states(scan, scan->branch, k), from, scan->state * sizeof(float));
        }
    }
}

void ko_scan_branch(const struct ko_scan *scan, int32_t b)
{
    const struct ko_rows *rows = &scan->be->rows;
    const struct ko_branch *branch = &rows->branches[b];
    bool has_readers = mark_branch(scan, b);
    if (!has_readers && reads_one_state(scan, b)) {
        branch_short(scan, b);
        return;
    }
    const int32_t last = ko_branch_end(branch) - 1;
    start_long(scan, b);
    for (int32_t i = ko_branch_start(branch); i <= last; i++) {
        const int32_t at = ko_branch_row(branch, i);
        struct ko_scan_inputs in = ko_scan_read(scan, at, i);
        ko_scan_step(scan, &in, scan->branch, scan->branch_until, i == last);
        if (i >= branch->first_position) {
            ko_scan_write(scan, &in, at, ko_scan_y(scan, &in, b));
            ko_scan_readers(scan, &in, b);
        }
    }
}
