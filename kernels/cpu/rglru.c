/* SPDX-License-Identifier: Apache-2.0 */
/* The real-gated linear recurrent unit on the CPU. First the gates of every row become a and what
   the row adds to the state. Then the threads share the prompts and blocks of channels. The trunk is
   walked once with h, and with h'_k for each of the prompt's source sets k. Each branch is computed
   when the trunk has the states it starts from. */
#include <omp.h>
#include <string.h>

#include "kernels/cpu/cpu.h"

/* Channels whose gates are computed at once. */
enum { BLOCK = 512 };

/* One prompt and the channels [first, first + n), n <= KO_SCAN_BLOCK. */
struct walk {
    const struct ko_backend *be;
    const struct ko_rglru *args;
    int32_t prompt, first, n;
    int32_t active; /* branches in this stage */

    /* Scratch of the thread: vectors [KO_SCAN_BLOCK]. */
    float *trunk;  /* [1 + sets] h, then each h'_k */
    float *branch; /* [1 + sets] h, then each h'_k that the branch reads */
    float *unused, *zero;
};

static size_t scratch_floats(int32_t max_sets)
{
    return (4 + 2 * (size_t)max_sets) * KO_SCAN_BLOCK;
}

static void carve_scratch(struct walk *walk, float *at, int32_t max_sets)
{
    walk->trunk = at, at += (1 + (size_t)max_sets) * KO_SCAN_BLOCK;
    walk->branch = at, at += (1 + (size_t)max_sets) * KO_SCAN_BLOCK;
    walk->unused = at, at += KO_SCAN_BLOCK;
    walk->zero = at;
    memset(walk->zero, 0, KO_SCAN_BLOCK * sizeof(float));
}

/* h'_k in an array of states. */
static float *state_of(float *states, int32_t k)
{
    return states + (size_t)(1 + k) * KO_SCAN_BLOCK;
}

/* state = a state + input for row `source`, or with `removed` state = a state; y: the new state. */
static void advance_state(const struct walk *walk, int32_t source, bool removed, float *state,
                          float *y)
{
    static const float one = 1.0F;
    const size_t at = ko_at(source, walk->args->ld, walk->first);
    const struct ko_scan_row row = {.n = walk->n,
                                    .d_state = 1,
                                    .b = &one,
                                    .c = &one,
                                    .input = removed ? walk->zero : walk->args->input + at,
                                    .from = state,
                                    .to = state,
                                    .y = y};
    walk->be->isa->scan_advance(&row, walk->args->decay + at);
}

/* Computes the rows of branch b. The trunk's states are those before the position where its
   path begins. */
static void walk_branch(const struct walk *walk, int32_t b)
{
    const struct ko_rows *rows = &walk->be->rows;
    const struct ko_rglru *args = walk->args;
    const struct ko_branch *branch = &rows->branches[b];
    bool cut = branch->edge_set >= 0 && ko_branch_cuts(branch, args->stage, KO_MIXER_SSM);
    const struct ko_edge_set *edges = cut ? &rows->edges[branch->edge_set] : NULL;
    memcpy(walk->branch, walk->trunk, KO_SCAN_BLOCK * sizeof *walk->branch);
    for (const struct ko_edge_set *part = edges; part; part = ko_edge_set_next(part)) {
        int32_t set = ko_cpu_tree_set(&walk->be->tree, rows, part);
        memcpy(state_of(walk->branch, set), state_of(walk->trunk, set),
               KO_SCAN_BLOCK * sizeof *walk->branch);
    }
    for (int32_t i = ko_branch_start(branch); i < ko_branch_end(branch); i++) {
        const int32_t row = ko_branch_row(branch, i);
        const bool is_own = i >= branch->first_position;
        int32_t source = ko_rows_source_after_conv(rows, row, args->stage);
        const struct ko_edge_set *reads = is_own ? ko_edge_set_into(edges, i) : NULL;
        float *out = is_own ? args->out + ko_at(row, args->d, walk->first) : walk->unused;
        advance_state(walk, source, false, walk->branch, reads ? walk->unused : out);
        for (const struct ko_edge_set *part = edges; part; part = ko_edge_set_next(part)) {
            int32_t set = ko_cpu_tree_set(&walk->be->tree, rows, part);
            advance_state(walk, source, part->source[i], state_of(walk->branch, set),
                          reads == part ? out : walk->unused);
        }
        if (reads && reads->source[i] && reads->later) {
            walk->be->isa->add_scaled((size_t)walk->n, 1.0F,
                                      args->input + ko_at(source, args->ld, walk->first), out);
        }
    }
}

/* Moves the trunk's states past row `row` of position i, and writes its result. */
static void step_trunk(const struct walk *walk, int32_t row, int32_t i)
{
    const struct ko_cpu_tree *tree = &walk->be->tree;
    int32_t first_set = tree->first_set[walk->prompt];
    advance_state(walk, row, false, walk->trunk,
                  walk->args->out + ko_at(row, walk->args->d, walk->first));
    for (int32_t set = first_set; set < tree->first_set[walk->prompt + 1]; set++) {
        bool removed = walk->be->rows.edges[tree->set_edges[set]].source[i];
        advance_state(walk, row, removed, state_of(walk->trunk, set - first_set), walk->unused);
    }
}

static void walk_trunk(const struct walk *walk, int32_t max_sets)
{
    const struct ko_rows *rows = &walk->be->rows;
    const struct ko_cpu_tree *tree = &walk->be->tree;
    int32_t at = tree->first[walk->prompt], end = tree->first[walk->prompt + 1];
    memset(walk->trunk, 0, (1 + (size_t)max_sets) * KO_SCAN_BLOCK * sizeof(float));
    for (int32_t i = 0; i < rows->n_tokens[walk->prompt]; i++) {
        for (; at < end && ko_branch_start(&rows->branches[tree->by_start[at]]) == i; at++) {
            if (tree->by_start[at] < walk->active) {
                walk_branch(walk, tree->by_start[at]);
            }
        }
        step_trunk(walk, rows->trunk_first[walk->prompt] + i, i);
    }
}

/* The gates of all rows that have their own become a, and what the row adds to the state.
   scale [d]: -8 softplus(param). */
static void prepare_rows(struct ko_backend *be, const struct ko_rglru *args, const float *scale)
{
    const struct ko_rows *rows = &be->rows;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < rows->n_convolved[args->stage]; r++) {
        for (int32_t first = 0; first < args->d; first += BLOCK) {
            int32_t left = args->d - first;
            be->isa->lru_gates((size_t)(left < BLOCK ? left : BLOCK),
                               args->u + ko_at(r, args->d, first), scale + first,
                               rows->position[r] == 0, args->input + ko_at(r, args->ld, first),
                               args->decay + ko_at(r, args->ld, first));
        }
    }
}

enum ko_code ko_cpu_rglru(struct ko_backend *be, const struct ko_rglru *args, struct ko_error *err)
{
    size_t floats = scratch_floats(be->tree.max_sets), width = (size_t)args->d;
    float *scratch =
        ko_cpu_scratch(be, (floats * (size_t)be->threads + width) * sizeof *scratch, err);
    if (!scratch) {
        return KO_E_MEMORY;
    }
    float *scale = scratch + floats * (size_t)be->threads;
    memcpy(scale, args->param, width * sizeof *scale);
    be->isa->softplus(width, scale);
    be->isa->scale_cap(width, -8.0F, 0.0F, scale);
    prepare_rows(be, args, scale);
    int32_t blocks = (args->d + KO_SCAN_BLOCK - 1) / KO_SCAN_BLOCK;
    int32_t units = be->rows.n_prompts * blocks;
#pragma omp parallel num_threads(be->threads)
    {
        struct walk walk = {
            .be = be, .args = args, .active = be->rows.n_branches_active[args->stage]};
        carve_scratch(&walk, scratch + floats * (size_t)omp_get_thread_num(), be->tree.max_sets);
#pragma omp for schedule(dynamic)
        for (int32_t unit = 0; unit < units; unit++) {
            walk.prompt = unit / blocks;
            walk.first = unit % blocks * KO_SCAN_BLOCK;
            int32_t left = args->d - walk.first;
            walk.n = left < KO_SCAN_BLOCK ? left : KO_SCAN_BLOCK;
            walk_trunk(&walk, be->tree.max_sets);
        }
    }
    return KO_OK;
}
