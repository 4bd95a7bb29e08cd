/* SPDX-License-Identifier: Apache-2.0 */
/* The gated delta rule on the CPU. The threads share the prompts, heads and blocks of columns. The
   trunk is walked once with S, and with S'_k for each source set k that a removed edge needs. Each
   branch is computed when the trunk has the states it starts from. The arithmetic of one row is in
   isa/delta.c. */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "kernels/cpu/cpu.h"

enum { N_KEY_VECTORS = 3 };

/* One prompt and the columns [first, first + n) of one head's state, n <= KO_DELTA_BLOCK. */
struct walk {
    const struct ko_backend *be;
    const struct ko_deltanet *args;
    int32_t prompt, head, first, n;
    int32_t active; /* branches in this stage */
    size_t state;   /* floats of a state: d_key * KO_DELTA_BLOCK */

    /* Scratch of the thread. */
    float *trunk;          /* [1 + sets, d_key, KO_DELTA_BLOCK] S, then each S'_k */
    float *branch;         /* [d_key, KO_DELTA_BLOCK] */
    float *q, *k, *decay;  /* [d_key] of the row that is read */
    float *v, *y, *unused; /* [KO_DELTA_BLOCK] columns from n on are 0 in v */
    int32_t *until;        /* [sets] the last position where S'_k is needed; -1: it is not needed */
};

static size_t scratch_bytes(const struct ko_deltanet *args, int32_t max_sets)
{
    size_t d_key = (size_t)args->d_key, sets = (size_t)max_sets;
    size_t floats = ((2 + sets) * d_key + 3) * KO_DELTA_BLOCK + N_KEY_VECTORS * d_key;
    size_t bytes = floats * sizeof(float) + sets * sizeof(int32_t);
    return (bytes + 63) / 64 * 64;
}

/* Points the walk's arrays into such memory. */
static void carve_scratch(struct walk *walk, void *memory, int32_t max_sets)
{
    size_t d_key = (size_t)walk->args->d_key;
    float *at = memory;
    walk->state = d_key * KO_DELTA_BLOCK;
    walk->trunk = at, at += (1 + (size_t)max_sets) * walk->state;
    walk->branch = at, at += walk->state;
    walk->v = at, at += KO_DELTA_BLOCK;
    walk->y = at, at += KO_DELTA_BLOCK;
    walk->unused = at, at += KO_DELTA_BLOCK;
    walk->q = at, at += d_key;
    walk->k = at, at += d_key;
    walk->decay = at, at += d_key;
    walk->until = (int32_t *)(void *)at;
}

/* decay = exp(a softplus(dt + dt_bias)) of the head's key channels */
static void read_decay(const struct walk *walk, int32_t projected)
{
    const struct ko_deltanet *args = walk->args;
    const struct ko_cpu_isa *isa = walk->be->isa;
    int32_t n = args->per_channel ? args->d_key : 1, at = walk->head * n;
    float *decay = walk->decay;
    isa->time_step((size_t)n, args->dt + ko_at(projected, args->ld_dt, at), args->dt_bias + at,
                   0.0F, INFINITY, decay);
    isa->scale_cap((size_t)n, args->a[walk->head], 0.0F, decay);
    isa->exp((size_t)n, decay, decay);
    for (int32_t k = n; k < args->d_key; k++) {
        decay[k] = decay[0];
    }
}

/* The inputs of row `row`, without the states and y. Valid until the next call. */
static struct ko_delta_row read_row(const struct walk *walk, int32_t row)
{
    const struct ko_deltanet *args = walk->args;
    const struct ko_rows *rows = &walk->be->rows;
    size_t d_key = (size_t)args->d_key;
    int32_t source = ko_rows_source_after_conv(rows, row, args->stage);
    int32_t projected = ko_rows_source(rows, row, args->stage);
    int32_t key = (int32_t)((int64_t)walk->head * args->n_key_heads / args->n_heads) * args->d_key;
    int32_t value = walk->head * args->d_value + walk->first;
    walk->be->isa->unit(d_key, args->q + ko_at(source, args->ld, key), 1e-6F,
                        1.0F / sqrtf((float)args->d_key), walk->q);
    walk->be->isa->unit(d_key, args->k + ko_at(source, args->ld, key), 1e-6F, 1.0F, walk->k);
    memcpy(walk->v, args->v + ko_at(source, args->ld, value), (size_t)walk->n * sizeof(float));
    read_decay(walk, projected);
    float beta = args->beta[ko_at(projected, args->ld_beta, walk->head)];
    return (struct ko_delta_row){.n = walk->n,
                                 .d_key = args->d_key,
                                 .q = walk->q,
                                 .k = walk->k,
                                 .decay = walk->decay,
                                 .beta = 1.0F / (1.0F + expf(-beta)),
                                 .v = walk->v};
}

static void write_row(const struct walk *walk, int32_t row)
{
    const struct ko_deltanet *args = walk->args;
    float *out = args->out + ko_at3(row, args->n_heads, walk->head, args->d_value, walk->first);
    memcpy(out, walk->y, (size_t)walk->n * sizeof *out);
}

/* The source set of branch b where it loses edges in this head, else -1. */
static int32_t set_of(const struct walk *walk, int32_t b)
{
    const struct ko_rows *rows = &walk->be->rows;
    const struct ko_deltanet *args = walk->args;
    const struct ko_branch *branch = &rows->branches[b];
    if (!ko_branch_cuts(branch, args->stage, KO_MIXER_SSM)) {
        return -1;
    }
    const uint8_t *mask = ko_cpu_mask(rows, branch, args->masks, args->stage, args->n_heads);
    return !mask || mask[walk->head] ? walk->be->tree.source_set[b] : -1;
}

/* Whether row i of branch b reads S'_k, where k is its set_of. */
static bool reads_without(const struct walk *walk, int32_t b, int32_t k, int32_t i)
{
    const struct ko_rows *rows = &walk->be->rows;
    const struct ko_edge_set *edges = k < 0 ? NULL : &rows->edges[rows->branches[b].edge_set];
    return edges && (edges->later || edges->target[i]);
}

/* The last row of branch b that reads S'_k (`without`) or S; -1: no row does. */
static int32_t last_reader(const struct walk *walk, int32_t b, int32_t k, bool without)
{
    int32_t t0 = walk->be->rows.branches[b].first_position;
    int32_t i = walk->be->rows.n_tokens[walk->prompt] - 1;
    while (i >= t0 && reads_without(walk, b, k, i) != without) {
        i--;
    }
    return i >= t0 ? i : -1;
}

/* Sets `until`: a branch needs the trunk's S'_k up to the position where it leaves. */
static void mark_trunk(const struct walk *walk)
{
    const struct ko_cpu_tree *tree = &walk->be->tree;
    for (int32_t k = 0; k < tree->max_sets; k++) {
        walk->until[k] = -1;
    }
    for (int32_t at = tree->first[walk->prompt]; at < tree->first[walk->prompt + 1]; at++) {
        int32_t b = tree->by_start[at], k = b < walk->active ? set_of(walk, b) : -1;
        if (k >= 0 && last_reader(walk, b, k, true) >= 0) {
            int32_t until = walk->be->rows.branches[b].first_position - 1;
            walk->until[k] = until > walk->until[k] ? until : walk->until[k];
        }
    }
}

/* Index in the tree of the prompt's set k. */
static int32_t set_index(const struct walk *walk, int32_t k)
{
    return walk->be->tree.first_set[walk->prompt] + k;
}

static float *state_of(const struct walk *walk, int32_t k)
{
    return walk->trunk + (size_t)(1 + k) * walk->state;
}

/* S'_k before position i. Up to the first source it equals S, and S is returned. */
static const float *state_before(const struct walk *walk, int32_t k, int32_t i)
{
    bool same = k < 0 || i <= walk->be->tree.set_begin[set_index(walk, k)];
    return same ? walk->trunk : state_of(walk, k);
}

/* y += beta (q . k) v, the row's own write */
static void add_own(const struct walk *walk, const struct ko_delta_row *row)
{
    float sum = 0.0F;
    for (int32_t s = 0; s < row->d_key; s++) {
        sum += row->q[s] * row->k[s];
    }
    walk->be->isa->add_scaled((size_t)walk->n, row->beta * sum, walk->v, walk->y);
}

/* Computes the rows of branch b that read S'_k (`without`) or S, up to the last of them. */
static void walk_branch(const struct walk *walk, int32_t b, int32_t k, bool without)
{
    const struct ko_branch *branch = &walk->be->rows.branches[b];
    const struct ko_edge_set *edges = without ? &walk->be->rows.edges[branch->edge_set] : NULL;
    int32_t t0 = branch->first_position, last = last_reader(walk, b, k, without);
    const float *from = state_before(walk, without ? k : -1, t0);
    for (int32_t i = t0; i <= last; i++) {
        bool removed = edges && edges->source[i];
        struct ko_delta_row row = read_row(walk, branch->first_row + i - t0);
        row.v = removed ? NULL : walk->v;
        row.from = from;
        row.to = i == last ? NULL : walk->branch;
        row.y = walk->y;
        walk->be->isa->delta(&row);
        from = walk->branch;
        if (reads_without(walk, b, k, i) == without) {
            if (removed && edges->later) {
                add_own(walk, &row);
            }
            write_row(walk, branch->first_row + i - t0);
        }
    }
}

/* Moves the trunk's states past row `row` of position i. y is S's. */
static void step_trunk(const struct walk *walk, int32_t row, int32_t i)
{
    const struct ko_cpu_tree *tree = &walk->be->tree;
    int32_t n_sets = tree->first_set[walk->prompt + 1] - tree->first_set[walk->prompt];
    struct ko_delta_row step = read_row(walk, row);
    step.y = walk->unused;
    for (int32_t k = 0; k < n_sets; k++) {
        if (walk->until[k] < i || i < tree->set_begin[set_index(walk, k)]) {
            continue;
        }
        const struct ko_edge_set *edges =
            &walk->be->rows.edges[tree->set_edges[set_index(walk, k)]];
        step.v = edges->source[i] ? NULL : walk->v;
        step.from = state_before(walk, k, i);
        step.to = state_of(walk, k);
        walk->be->isa->delta(&step);
    }
    /* S comes last: a set that parts from S at this position starts from the old S. */
    step.v = walk->v;
    step.from = step.to = walk->trunk;
    step.y = walk->y;
    walk->be->isa->delta(&step);
}

static void walk_trunk(const struct walk *walk)
{
    const struct ko_rows *rows = &walk->be->rows;
    const struct ko_cpu_tree *tree = &walk->be->tree;
    int32_t at = tree->first[walk->prompt], end = tree->first[walk->prompt + 1];
    memset(walk->trunk, 0, walk->state * sizeof(float));
    memset(walk->v, 0, KO_DELTA_BLOCK * sizeof(float));
    mark_trunk(walk);
    for (int32_t i = 0; i < rows->n_tokens[walk->prompt]; i++) {
        for (; at < end && rows->branches[tree->by_start[at]].first_position == i; at++) {
            int32_t b = tree->by_start[at];
            if (b < walk->active) {
                int32_t k = set_of(walk, b);
                walk_branch(walk, b, k, false);
                walk_branch(walk, b, k, true);
            }
        }
        int32_t row = rows->trunk_first[walk->prompt] + i;
        step_trunk(walk, row, i);
        write_row(walk, row);
    }
}

enum ko_code ko_cpu_deltanet(struct ko_backend *be, const struct ko_deltanet *args,
                             struct ko_error *err)
{
    size_t bytes = scratch_bytes(args, be->tree.max_sets);
    unsigned char *scratch = ko_cpu_scratch(be, bytes * (size_t)be->threads, err);
    if (!scratch) {
        return KO_E_MEMORY;
    }
    int32_t blocks = (args->d_value + KO_DELTA_BLOCK - 1) / KO_DELTA_BLOCK;
    int32_t units = be->rows.n_prompts * args->n_heads * blocks;
#pragma omp parallel num_threads(be->threads)
    {
        struct walk walk = {
            .be = be, .args = args, .active = be->rows.n_branches_active[args->stage]};
        carve_scratch(&walk, scratch + bytes * (size_t)omp_get_thread_num(), be->tree.max_sets);
#pragma omp for schedule(dynamic)
        for (int32_t unit = 0; unit < units; unit++) {
            walk.prompt = unit / blocks / args->n_heads;
            walk.head = unit / blocks % args->n_heads;
            walk.first = unit % blocks * KO_DELTA_BLOCK;
            int32_t left = args->d_value - walk.first;
            walk.n = left < KO_DELTA_BLOCK ? left : KO_DELTA_BLOCK;
            walk_trunk(&walk);
        }
    }
    return KO_OK;
}
