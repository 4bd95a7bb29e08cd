/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of Mamba-1's scan that the trunk and the branches share: one position forward, the
   choice of the state that a row reads, and the output. The walk over a branch is in
   scan_branch.c. */
#include "kernels/cpu/scan.h"

enum { N_VECTORS = 6 };

size_t ko_scan_scratch(int32_t d_state, int32_t max_sets)
{
    size_t sets = (size_t)max_sets, state = (size_t)d_state * KO_SCAN_BLOCK;
    size_t floats = (2 + 2 * (1 + sets)) * state + (N_VECTORS + sets) * KO_SCAN_BLOCK;
    size_t bytes = floats * sizeof(float) + 2 * sets * sizeof(int32_t);
    return (bytes + 63) / 64 * 64;
}

void ko_scan_carve(struct ko_scan *scan, void *memory, int32_t max_sets)
{
    size_t sets = (size_t)max_sets;
    float *at = memory;
    scan->state = (size_t)scan->args->d_state * KO_SCAN_BLOCK;
    scan->a2 = at, at += scan->state;
    scan->decay = at, at += scan->state;
    scan->trunk = at, at += (1 + sets) * scan->state;
    scan->branch = at, at += (1 + sets) * scan->state;
    scan->zero = at, at += KO_SCAN_BLOCK;
    scan->input = at, at += KO_SCAN_BLOCK;
    scan->gate = at, at += KO_SCAN_BLOCK;
    scan->chosen = at, at += KO_SCAN_BLOCK;
    scan->spare = at, at += KO_SCAN_BLOCK;
    scan->y = at, at += (1 + sets) * KO_SCAN_BLOCK;
    scan->trunk_until = (int32_t *)(void *)at;
    scan->branch_until = scan->trunk_until + sets;
    scan->be->isa->start(KO_SCAN_BLOCK, NULL, scan->zero);
}

void ko_scan_need(const struct ko_scan *scan, int32_t b, int32_t last, int32_t *until)
{
    const struct ko_edge_set *part = ko_scan_edges(scan, b);
    for (; part; part = ko_edge_set_next(part)) {
        const int32_t k = ko_cpu_tree_set(&scan->be->tree, &scan->be->rows, part);
        until[k] = last > until[k] ? last : until[k];
    }
}

struct ko_scan_inputs ko_scan_read(const struct ko_scan *scan, int32_t row, int32_t i)
{
    const struct ko_mamba1 *args = scan->args;
    const struct ko_rows *rows = &scan->be->rows;
    int32_t source = ko_rows_source_after_conv(rows, row, args->stage);
    size_t at = ko_at(source, args->d_inner, scan->first);
    size_t z = ko_at(ko_rows_source(rows, row, args->stage), args->ld_z, scan->first);
    struct ko_scan_inputs in = {.i = i,
                                .delta = args->delta + at,
                                .u = args->u + at,
                                .b = args->b + ko_at(source, args->ld_bc, 0),
                                .c = args->c + ko_at(source, args->ld_bc, 0)};
    scan->be->isa->silu((size_t)scan->n, args->z + z, scan->gate);
    scan->be->isa->multiply((size_t)scan->n, in.delta, in.u, scan->input);
    return in;
}

void ko_scan_write(const struct ko_scan *scan, const struct ko_scan_inputs *in, int32_t row,
                   const float *y)
{
    const struct ko_mamba1 *args = scan->args;
    float *out = args->out + ko_at(row, args->d_inner, scan->first);
    scan->be->isa->scan_out((size_t)scan->n, y, in->u, args->d + scan->first, scan->gate, out);
}

/* sum_n C[n] B[n], the factor of a row's own input in its output. */
static float own_weight(const struct ko_scan *scan, const struct ko_scan_inputs *in)
{
    float sum = 0.0F;
    for (int32_t s = 0; s < scan->args->d_state; s++) {
        sum += in->c[s] * in->b[s];
    }
    return sum;
}

const float *ko_scan_choose(const struct ko_scan *scan, const struct ko_scan_inputs *in, int32_t b,
                            const struct ko_edge_set *edges, const float *y_h, const float *y_k)
{
    const struct ko_cpu_isa *isa = scan->be->isa;
    const struct ko_rows *rows = &scan->be->rows;
    const struct ko_branch *branch = &rows->branches[b];
    if (!edges) {
        return y_h;
    }
    size_t n = (size_t)scan->n;
    if (edges->later && edges->source[in->i]) {
        isa->start(n, y_k, scan->chosen);
        isa->add_scaled(n, own_weight(scan, in), scan->input, scan->chosen);
        y_k = scan->chosen;
    }
    const struct ko_mamba1 *args = scan->args;
    const uint8_t *mask = ko_cpu_mask(rows, branch, args->masks, args->stage, args->d_inner);
    if (!mask) {
        return y_k;
    }
    isa->select(n, mask + scan->first, y_k, y_h, scan->chosen);
    return scan->chosen;
}

/* Whether h'_k is computed apart from h at position i. */
static bool is_apart(const struct ko_scan *scan, const int32_t *until, int32_t k, int32_t i)
{
    return until[k] >= i && i >= scan->be->tree.set_begin[ko_scan_set_index(scan, k)];
}

void ko_scan_step(const struct ko_scan *scan, const struct ko_scan_inputs *in, float *states,
                  const int32_t *until, bool last)
{
    const struct ko_cpu_tree *tree = &scan->be->tree;
    const struct ko_cpu_isa *isa = scan->be->isa;
    int32_t n_sets = tree->first_set[scan->prompt + 1] - tree->first_set[scan->prompt];
    struct ko_scan_row row = {.n = scan->n, .d_state = scan->args->d_state, .b = in->b, .c = in->c};
    bool any = false;
    for (int32_t k = 0; k < n_sets; k++) {
        if (!is_apart(scan, until, k, in->i)) {
            continue;
        }
        if (!any) {
            isa->scan_decay(scan->n, row.d_state, scan->a2, in->delta, scan->decay);
            any = true;
        }
        const struct ko_edge_set *edges =
            &scan->be->rows.edges[tree->set_edges[ko_scan_set_index(scan, k)]];
        row.from = ko_scan_before(scan, states, k, in->i);
        row.to = last ? NULL : ko_scan_states(scan, states, k);
        row.input = edges->source[in->i] ? scan->zero : scan->input;
        row.y = scan->y + ko_at(1 + k, KO_SCAN_BLOCK, 0);
        isa->scan_advance(&row, scan->decay);
    }
    /* h comes last: a set that parts from h at this position starts from the old h. */
    row.from = states;
    row.to = last ? NULL : states;
    row.input = scan->input;
    row.y = scan->y;
    if (any) {
        isa->scan_advance(&row, scan->decay);
    } else {
        isa->scan_step(&row, scan->a2, in->delta);
    }
}

const float *ko_scan_y(const struct ko_scan *scan, const struct ko_scan_inputs *in, int32_t b)
{
    const struct ko_cpu_tree *tree = &scan->be->tree;
    const struct ko_edge_set *edges = ko_edge_set_into(ko_scan_edges(scan, b), in->i);
    if (!edges) {
        return scan->y;
    }
    const int32_t k = ko_cpu_tree_set(tree, &scan->be->rows, edges);
    const bool same = in->i < tree->set_begin[ko_scan_set_index(scan, k)];
    return ko_scan_choose(scan, in, b, edges, scan->y,
                          same ? scan->y : scan->y + ko_at(1 + k, KO_SCAN_BLOCK, 0));
}

int32_t ko_scan_first_reader(const struct ko_scan *scan, int32_t parent)
{
    const struct ko_cpu_tree *tree = &scan->be->tree;
    int32_t low = tree->first_child[parent], high = tree->first_child[parent + 1];
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (tree->child[middle] < scan->first_reader) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void ko_scan_readers(const struct ko_scan *scan, const struct ko_scan_inputs *in, int32_t parent)
{
    const struct ko_rows *rows = &scan->be->rows;
    const struct ko_cpu_tree *tree = &scan->be->tree;
    int32_t end = tree->first_child[parent + 1];
    for (int32_t at = ko_scan_first_reader(scan, parent); at < end; at++) {
        int32_t b = tree->child[at];
        const struct ko_branch *branch = &rows->branches[b];
        if (!ko_scan_reads(scan, b) || in->i < branch->first_position) {
            continue;
        }
        ko_scan_write(scan, in, ko_branch_row(branch, in->i), ko_scan_y(scan, in, b));
    }
}
