/* SPDX-License-Identifier: Apache-2.0 */
/* The gated delta rule on the CPU. The threads share the prompts, heads and blocks of columns. The
   trunk is walked once with S, and with S'_k for each source set k that a removed edge needs. Each
   branch is computed when the trunk has the states it starts from. A long trunk goes in chunks. A
   branch that leaves within a chunk starts from the state after the chunk's earlier rows, so that no
   branch changes another's results, or the trunk's. The arithmetic of one row is in isa/delta.c,
   that of a chunk in isa/delta_chunk.c. */
#include <omp.h>
#include <string.h>

#include "kernels/cpu/delta.h"

/* Trunks of fewer rows, and branches of fewer rows, go row by row. Chunks suit branches earlier, since
   the state after a branch's last chunk is not needed. */
enum { TRUNK_CHUNKED_FROM = 24, BRANCH_CHUNKED_FROM = 2 };

/* The first part of the edges of branch b where it loses them in this head, else NULL. */
static const struct ko_edge_set *edges_of(const struct ko_delta_walk *walk, int32_t b)
{
    const struct ko_rows *rows = &walk->be->rows;
    const struct ko_deltanet *args = walk->args;
    const struct ko_branch *branch = &rows->branches[b];
    if (branch->edge_set < 0 || !ko_branch_cuts(branch, args->stage, KO_MIXER_SSM)) {
        return NULL;
    }
    const uint8_t *mask = ko_cpu_mask(rows, branch, args->masks, args->stage, args->n_heads);
    return !mask || mask[walk->head] ? &rows->edges[branch->edge_set] : NULL;
}

/* Whether row i of a branch with these edges reads S' without the sources of one part of them, or S
   (part NULL). */
static bool reads_part(const struct ko_edge_set *edges, const struct ko_edge_set *part, int32_t i)
{
    return ko_edge_set_into(edges, i) == part;
}

/* The last row of branch b that reads what belongs to the part, one of `edges` or NULL; -1: no row
   does. */
static int32_t last_reader(const struct ko_delta_walk *walk, int32_t b,
                           const struct ko_edge_set *edges, const struct ko_edge_set *part)
{
    const struct ko_branch *branch = &walk->be->rows.branches[b];
    int32_t i = ko_branch_end(branch) - 1;
    while (i >= branch->first_position && !reads_part(edges, part, i)) {
        i--;
    }
    return i >= branch->first_position ? i : -1;
}

/* Number k of the part's source set; -1 for NULL. */
static int32_t set_of(const struct ko_delta_walk *walk, const struct ko_edge_set *part)
{
    return part ? ko_cpu_tree_set(&walk->be->tree, &walk->be->rows, part) : -1;
}

/* Sets `until`: a branch needs the trunk's S'_k up to the position where it leaves. No state is in
   `start`. */
static void mark_trunk(const struct ko_delta_walk *walk)
{
    const struct ko_cpu_tree *tree = &walk->be->tree;
    for (int32_t k = 0; k < tree->max_sets; k++) {
        walk->until[k] = -1;
    }
    for (int32_t k = 0; k <= tree->max_sets; k++) {
        walk->started[k] = -1;
    }
    for (int32_t at = tree->first[walk->prompt]; at < tree->first[walk->prompt + 1]; at++) {
        const int32_t b = tree->by_start[at];
        const int32_t until = ko_branch_start(&walk->be->rows.branches[b]) - 1;
        const struct ko_edge_set *edges = b < walk->active ? edges_of(walk, b) : NULL;
        for (const struct ko_edge_set *part = edges; part; part = ko_edge_set_next(part)) {
            int32_t k = set_of(walk, part);
            if (last_reader(walk, b, edges, part) >= 0 && until > walk->until[k]) {
                walk->until[k] = until;
            }
        }
    }
}

/* Index in the tree of the prompt's set k. */
static int32_t set_index(const struct ko_delta_walk *walk, int32_t k)
{
    return walk->be->tree.first_set[walk->prompt] + k;
}

/* [T] 1: the position is a source of set k. */
static const uint8_t *sources_of(const struct ko_delta_walk *walk, int32_t k)
{
    return walk->be->rows.edges[walk->be->tree.set_edges[set_index(walk, k)]].source;
}

static float *state_of(const struct ko_delta_walk *walk, int32_t k)
{
    return walk->trunk + (size_t)(1 + k) * walk->state;
}

/* S'_k before position i. Up to the first source it equals S, and S is returned. */
static const float *state_before(const struct ko_delta_walk *walk, int32_t k, int32_t i)
{
    bool same = k < 0 || i <= walk->be->tree.set_begin[set_index(walk, k)];
    return same ? walk->trunk : state_of(walk, k);
}

/* S (k < 0) or S'_k before position i, which is in the trunk's chunk that begins at `begin`. */
static const float *start_of(struct ko_delta_walk *walk, int32_t k, int32_t begin, int32_t i)
{
    if (k >= 0 && i <= walk->be->tree.set_begin[set_index(walk, k)]) {
        k = -1;
    }
    if (i == begin) {
        return state_before(walk, k, i);
    }
    float *start = walk->start + (size_t)(1 + k) * walk->state;
    if (walk->started[1 + k] != i) {
        const uint8_t *source = k < 0 ? NULL : sources_of(walk, k) + begin;
        if (walk->rows.products.n != i - begin) {
            ko_delta_multiply(walk, &walk->rows, i - begin);
        }
        ko_delta_advance(walk, &walk->rows, source, state_before(walk, k, begin), start, false);
        walk->started[1 + k] = i;
    }
    return start;
}

/* A branch's rows that read S' without the sources of a part of its edges, or S, up to the last of
   them. */
struct reading {
    const struct ko_branch *branch;
    const struct ko_edge_set *edges; /* NULL: the branch loses none */
    const struct ko_edge_set *part;  /* NULL: S */
    int32_t last;
};

/* Whether row i reads its own write, which the state does not have. */
static bool reads_own(const struct reading *reading, int32_t i)
{
    return reading->part && reading->part->later && reading->part->source[i];
}

/* Writes row i from row r of walk->y, if it reads the state. */
static void put_row(const struct ko_delta_walk *walk, const struct reading *reading, int32_t r,
                    int32_t i)
{
    if (reads_part(reading->edges, reading->part, i)) {
        ko_delta_write(walk, r, ko_branch_row(reading->branch, i));
    }
}

/* q . k of the part's first row */
static float multiply_own(const struct ko_delta_walk *walk, const struct ko_delta_part *part)
{
    float sum = 0.0F;
    for (int32_t s = 0; s < walk->args->d_key; s++) {
        sum += part->q[s] * part->k[s];
    }
    return sum;
}

static void walk_rows(struct ko_delta_walk *walk, const struct reading *reading, const float *from)
{
    struct ko_delta_part *own = &walk->own;
    const struct ko_branch *branch = reading->branch;
    for (int32_t i = ko_branch_start(branch); i <= reading->last; i++) {
        ko_delta_read(walk, own, ko_branch_row(branch, i), 1);
        ko_delta_step(walk, own, reading->part && reading->part->source[i], from,
                      i == reading->last ? NULL : walk->branch);
        from = walk->branch;
        if (i < branch->first_position) {
            continue;
        }
        if (reads_own(reading, i)) {
            ko_delta_add(walk, own, 0, own->beta[0] * multiply_own(walk, own));
        }
        put_row(walk, reading, 0, i);
    }
}

/* No chunk has both rows of the stem and rows of the fork: each has consecutive rows. */
static void walk_chunks(struct ko_delta_walk *walk, const struct reading *reading,
                        const float *from)
{
    struct ko_delta_part *own = &walk->own;
    const struct ko_branch *branch = reading->branch;
    for (int32_t i = ko_branch_start(branch), n = 0; i <= reading->last; i += n) {
        const bool is_own = i >= branch->first_position;
        const int32_t end = is_own ? reading->last + 1 : branch->first_position;
        n = end - i < KO_DELTA_ROWS ? end - i : KO_DELTA_ROWS;
        ko_delta_read(walk, own, ko_branch_row(branch, i), n);
        ko_delta_multiply(walk, own, n);
        ko_delta_advance(walk, own, reading->part ? reading->part->source + i : NULL, from,
                         i + n > reading->last ? NULL : walk->branch, is_own);
        from = walk->branch;
        for (int32_t r = 0; is_own && r < n; r++) {
            if (reads_own(reading, i + r)) {
                float product = own->products.read[ko_at(r, KO_DELTA_ROWS, r)]; /* q . k */
                ko_delta_add(walk, own, r, own->beta[r] * product);
            }
            put_row(walk, reading, r, i + r);
        }
    }
}

/* Computes the rows of branch b that read what belongs to the part, one of its `edges` or NULL. The
   trunk's states are those before position `begin`. */
static void walk_branch(struct ko_delta_walk *walk, int32_t b, const struct ko_edge_set *edges,
                        const struct ko_edge_set *part, int32_t begin)
{
    const struct ko_branch *branch = &walk->be->rows.branches[b];
    const int32_t start = ko_branch_start(branch);
    struct reading reading = {
        .branch = branch, .edges = edges, .part = part, .last = last_reader(walk, b, edges, part)};
    if (reading.last < 0) {
        return;
    }
    const float *from = start_of(walk, set_of(walk, part), begin, start);
    if (reading.last + 1 - start < BRANCH_CHUNKED_FROM) {
        walk_rows(walk, &reading, from);
    } else {
        walk_chunks(walk, &reading, from);
    }
}

/* Computes the branches that leave within the n rows of the trunk from position `begin` on. *at is
   the next branch of the tree. */
static void walk_branches(struct ko_delta_walk *walk, int32_t begin, int32_t n, int32_t *at)
{
    const struct ko_cpu_tree *tree = &walk->be->tree;
    const struct ko_branch *branches = walk->be->rows.branches;
    for (; *at < tree->first[walk->prompt + 1]; ++*at) {
        int32_t b = tree->by_start[*at];
        if (ko_branch_start(&branches[b]) >= begin + n) {
            return;
        }
        if (b >= walk->active) {
            continue;
        }
        const struct ko_edge_set *edges = edges_of(walk, b);
        walk_branch(walk, b, edges, NULL, begin);
        for (const struct ko_edge_set *part = edges; part; part = ko_edge_set_next(part)) {
            walk_branch(walk, b, edges, part, begin);
        }
    }
}

/* Moves one of the trunk's states past the rows. */
static void move_state(const struct ko_delta_walk *walk, const uint8_t *removed, const float *from,
                       float *to)
{
    if (walk->step > 1) {
        ko_delta_advance(walk, &walk->rows, removed, from, to, !removed);
    } else {
        ko_delta_step(walk, &walk->rows, removed && removed[0], from, to);
    }
}

/* Moves the trunk's states past the n rows from position i on. */
static void step_trunk(struct ko_delta_walk *walk, int32_t i, int32_t n)
{
    const struct ko_cpu_tree *tree = &walk->be->tree;
    int32_t n_sets = tree->first_set[walk->prompt + 1] - tree->first_set[walk->prompt];
    if (walk->step > 1 && walk->rows.products.n != n) {
        ko_delta_multiply(walk, &walk->rows, n);
    }
    for (int32_t k = 0; k < n_sets; k++) {
        if (walk->until[k] >= i + n - 1 && i + n > tree->set_begin[set_index(walk, k)]) {
            move_state(walk, sources_of(walk, k) + i, state_before(walk, k, i), state_of(walk, k));
        }
    }
    /* S comes last: a set that parts from S in these rows starts from the old S. */
    move_state(walk, NULL, walk->trunk, walk->trunk);
}

static void walk_trunk(struct ko_delta_walk *walk)
{
    const struct ko_rows *rows = &walk->be->rows;
    const struct ko_cpu_tree *tree = &walk->be->tree;
    int32_t at = tree->first[walk->prompt], n_tokens = rows->n_tokens[walk->prompt];
    walk->step = n_tokens < TRUNK_CHUNKED_FROM ? 1 : KO_DELTA_ROWS;
    memset(walk->trunk, 0, walk->state * sizeof(float));
    mark_trunk(walk);
    for (int32_t i = 0, n = 0; i < n_tokens; i += n) {
        int32_t row = rows->trunk_first[walk->prompt] + i;
        n = n_tokens - i < walk->step ? n_tokens - i : walk->step;
        ko_delta_read(walk, &walk->rows, row, n);
        walk->rows.products.n = 0;
        walk_branches(walk, i, n, &at);
        step_trunk(walk, i, n);
        for (int32_t r = 0; r < n; r++) {
            ko_delta_write(walk, r, row + r);
        }
    }
}

/* Blocks of columns that a thread takes at once. With all of a head's blocks it reads each row once,
   but there must be work for every thread. */
static int32_t blocks_at_once(const struct ko_backend *be, const struct ko_deltanet *args)
{
    int32_t blocks = (args->d_value + KO_DELTA_BLOCK - 1) / KO_DELTA_BLOCK;
    return be->rows.n_prompts * args->n_heads >= 2 * be->threads ? blocks : 1;
}

enum ko_code ko_cpu_deltanet(struct ko_backend *be, const struct ko_deltanet *args,
                             struct ko_error *err)
{
    const struct ko_delta_walk any = {.be = be,
                                      .args = args,
                                      .blocks = blocks_at_once(be, args),
                                      .active = be->rows.n_branches_active[args->stage]};
    size_t bytes = ko_delta_scratch(&any, be->tree.max_sets);
    unsigned char *scratch = ko_cpu_scratch(be, bytes * (size_t)be->threads, err);
    if (!scratch) {
        return KO_E_MEMORY;
    }
    int32_t columns = any.blocks * KO_DELTA_BLOCK, parts = (args->d_value + columns - 1) / columns;
    int32_t units = be->rows.n_prompts * args->n_heads * parts;
#pragma omp parallel num_threads(be->threads)
    {
        struct ko_delta_walk walk = any;
        ko_delta_carve(&walk, scratch + bytes * (size_t)omp_get_thread_num(), be->tree.max_sets);
#pragma omp for schedule(dynamic)
        for (int32_t unit = 0; unit < units; unit++) {
            walk.prompt = unit / parts / args->n_heads;
            walk.head = unit / parts % args->n_heads;
            walk.first = unit % parts * columns;
            int32_t left = args->d_value - walk.first;
            walk.n = left < columns ? left : columns;
            walk_trunk(&walk);
        }
    }
    return KO_OK;
}
