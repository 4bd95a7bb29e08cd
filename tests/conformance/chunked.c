/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/conformance/wave.h"

enum { N_PROMPTS = 3, N_SETS = 2 * N_PROMPTS, N_DRAWN = 12, N_STAGES = 3, N_COLUMNS = 5 };

/* Each prompt has a fork, in its trunk and in every branch that begins before it. */
enum { N_BRANCHES = N_PROMPTS + 2 * N_DRAWN };

/* Chunks have 16, 32 or 128 rows (kernels/cuda). */
enum { SHORT = 32, LONG = 128, MOST_ROWS = (N_PROMPTS + N_BRANCHES) * WAVE_LONGEST };

/* The rows of wave_chunked_rows point into this. */
struct chunked_wave {
    struct ko_rows rows;
    /* position, previous, branch, prompt, parent_row */
    int32_t columns[N_COLUMNS][MOST_ROWS];
    int32_t zeros[MOST_ROWS];
    struct ko_branch branches[N_BRANCHES];
    int32_t n_branches, n_embedded;
    uint8_t target[N_SETS][WAVE_LONGEST], source[N_SETS][WAVE_LONGEST];
    struct ko_edge_set edges[N_SETS];
    int32_t trunk_first[N_PROMPTS], n_tokens[N_PROMPTS];
    int32_t counts[4][N_STAGES];
    uint32_t random;
};

static int32_t random_below(struct chunked_wave *wave, int32_t n)
{
    wave->random = wave->random * 1664525U + 1013904223U;
    return (int32_t)((wave->random >> 8) % (uint32_t)n);
}

/* Sources at the ends of chunks, across them, in all of one, in almost every position, here and there,
   in one position, or from the last chunk on. */
static bool is_source(struct chunked_wave *wave, int32_t kind, int32_t n, int32_t i)
{
    const bool any = random_below(wave, 4) == 0;
    const bool of_kind[] = {i % SHORT == 0 || i % LONG == LONG - 1,
                            i % SHORT == SHORT - 1,
                            i >= SHORT - 1 && i <= 2 * SHORT,
                            i >= SHORT && i < 2 * SHORT,
                            i<LONG, i> 0 && i < n - 1,
                            any,
                            i == 0,
                            i == n - 1,
                            i >= n / SHORT * SHORT};
    return of_kind[kind];
}
enum { N_KINDS = 10 };

/* t0: the last position, some before it, inside a chunk, or where one begins or ends. */
static int32_t draw_start(struct chunked_wave *wave, int32_t n)
{
    const int32_t starts[] = {n - 1,
                              n - 1,
                              n - 1,
                              n - 2 - random_below(wave, 4),
                              n - 40,
                              n - random_below(wave, 90) - 1,
                              (n - 1) / SHORT * SHORT,
                              (n - 1) / SHORT * SHORT - 1,
                              (n - 1) / LONG * LONG,
                              (n - 1) / LONG * LONG + 1};
    const int32_t start = starts[random_below(wave, 10)];
    return start < 0 ? 0 : start > n - 1 ? n - 1 : start;
}

static void fill_row(struct chunked_wave *wave, int32_t row, const int32_t values[N_COLUMNS])
{
    for (size_t column = 0; column < N_COLUMNS; column++) {
        wave->columns[column][row] = values[column];
    }
}

/* Returns the number of trunk rows. */
static int32_t fill_trunks(struct chunked_wave *wave)
{
    int32_t row = 0;
    for (int32_t p = 0; p < N_PROMPTS; p++) {
        wave->trunk_first[p] = row;
        for (int32_t i = 0; i < wave->n_tokens[p]; i++, row++) {
            fill_row(wave, row, (const int32_t[]){i, i ? row - 1 : -1, -1, p, -1});
        }
    }
    return row;
}

/* Makes set 1, which is of the same prompt, a further part of the edges of set 0: with other targets
   and other sources. */
static void add_parts(struct chunked_wave *wave)
{
    wave->edges[0].more = true;
    wave->edges[1].later = wave->edges[0].later;
    for (int32_t i = 0; i < wave->n_tokens[0]; i++) {
        wave->source[1][i] = !wave->source[0][i];
        wave->target[1][i] = !wave->target[0][i] && random_below(wave, 2);
    }
}

static void fill_sets(struct chunked_wave *wave)
{
    for (int32_t s = 0; s < N_SETS; s++) {
        const int32_t n = wave->n_tokens[s / 2], kind = random_below(wave, N_KINDS);
        const int32_t last = random_below(wave, 2);
        for (int32_t i = 0; i < n; i++) {
            wave->source[s][i] = is_source(wave, kind, n, i);
            wave->target[s][i] = last ? i == n - 1 : random_below(wave, 3) == 0;
        }
        wave->edges[s] = (struct ko_edge_set){random_below(wave, 4) == 0, wave->target[s],
                                              wave->source[s], false};
    }
    add_parts(wave);
}

/* Branches in the order of their rows: by the stage at which they leave, and those with a convolution
   of their own first. The last one leaves the one before it at the end of its window. */
static void draw_branches(struct chunked_wave *wave, struct ko_branch *branches)
{
    for (int32_t b = 0; b < N_DRAWN; b++) {
        const int32_t set = random_below(wave, N_SETS), prompt = set / 2;
        const int32_t leaves = b < 2 ? KO_LEAVES_EMBEDDED : b < 8 ? 0 : 1;
        const int32_t start = draw_start(wave, wave->n_tokens[prompt]);
        const int32_t begin = leaves < 0 ? 0 : leaves;
        branches[b] = (struct ko_branch){.prompt = prompt,
                                         .parent = -1,
                                         .n_rows = wave->n_tokens[prompt] - start,
                                         .first_position = start,
                                         .leaves_at = leaves,
                                         .window_begin = begin,
                                         .window_end = begin + 1 + random_below(wave, 2),
                                         .mixers = KO_MIXER_EVERY,
                                         .edge_set = set,
                                         .mask = random_below(wave, 3) - 1,
                                         .conv = b == 2 || b == 3 || b == 8};
    }
    struct ko_branch *child = &branches[N_DRAWN - 1];
    *child = branches[N_DRAWN - 2];
    child->parent = N_DRAWN - 2;
    child->leaves_at = child->window_begin = child->window_end = 2;
}

/* The fork of a prompt: its first position, and where it ends. */
struct fork {
    int32_t at, end;
};

static struct fork draw_fork(struct chunked_wave *wave, int32_t n)
{
    const int32_t starts[] = {n - 1,
                              n - 2,
                              n - 3,
                              n - 20,
                              n - random_below(wave, 60) - 1,
                              (n - 1) / SHORT * SHORT,
                              (n - 1) / LONG * LONG + 1};
    const int32_t at = starts[random_below(wave, 7)];
    struct fork fork = {at < 1 ? 1 : at, n};
    fork.end = random_below(wave, 2) ? n : fork.at + 1 + random_below(wave, n - fork.at);
    return fork;
}

/* Adds a branch, and returns its place. */
static int32_t add_branch(struct chunked_wave *wave, const struct ko_branch *branch, int32_t *row)
{
    struct ko_branch *to = &wave->branches[wave->n_branches];
    *to = *branch;
    to->first_row = *row;
    *row += to->n_rows;
    return wave->n_branches++;
}

/* Lists the forks of the trunks, and each drawn branch with its fork behind it. */
static void list_branches(struct chunked_wave *wave, int32_t row)
{
    struct ko_branch drawn[N_DRAWN];
    struct fork fork[N_PROMPTS];
    int32_t of_trunk[N_PROMPTS], place[N_DRAWN], of_branch[N_DRAWN];
    draw_branches(wave, drawn);
    for (int32_t p = 0; p < N_PROMPTS; p++) {
        fork[p] = draw_fork(wave, wave->n_tokens[p]);
        const struct ko_branch branch = {.prompt = p,
                                         .parent = -1,
                                         .n_rows = fork[p].end - fork[p].at,
                                         .first_position = fork[p].at,
                                         .leaves_at = KO_HAS_TOKENS,
                                         .edge_set = -1,
                                         .mask = -1};
        of_trunk[p] = add_branch(wave, &branch, &row);
    }
    wave->n_embedded = row;
    for (int32_t b = 0; b < N_DRAWN; b++) {
        struct ko_branch branch = drawn[b];
        const int32_t p = branch.prompt, parent = branch.parent;
        branch.parent = parent < 0 ? -1 : place[parent];
        place[b] = add_branch(wave, &branch, &row);
        if (fork[p].at > branch.first_position) {
            branch.parent = parent < 0 ? of_trunk[p] : of_branch[parent];
            branch.n_shared = fork[p].at - branch.first_position;
            branch.shared_row = wave->branches[place[b]].first_row;
            branch.first_position = fork[p].at;
            branch.n_rows = fork[p].end - fork[p].at;
            of_branch[b] = add_branch(wave, &branch, &row);
        }
    }
}

/* Returns the number of rows. */
static int32_t fill_branches(struct chunked_wave *wave, int32_t row)
{
    list_branches(wave, row);
    for (int32_t b = 0; b < wave->n_branches; b++) {
        const struct ko_branch *branch = &wave->branches[b];
        const int32_t trunk = wave->trunk_first[branch->prompt], first = branch->first_position;
        const int32_t parent =
            branch->parent < 0 ? trunk + first : wave->branches[branch->parent].first_row;
        const int32_t before = branch->n_shared > 0 ? branch->shared_row + branch->n_shared - 1
                               : first > 0          ? trunk + first - 1
                                                    : -1;
        const bool copied = branch->leaves_at != KO_HAS_TOKENS;
        for (int32_t k = 0; k < branch->n_rows; k++, row++) {
            fill_row(wave, row,
                     (const int32_t[]){first + k, k ? row - 1 : before, b, branch->prompt,
                                       copied ? parent + k : -1});
        }
    }
    return row;
}

static void count_rows(struct chunked_wave *wave, int32_t n_trunk)
{
    for (int32_t stage = 0; stage < N_STAGES; stage++) {
        int32_t n[4] = {n_trunk, n_trunk, n_trunk, 0};
        for (int32_t b = 0; b < wave->n_branches; b++) {
            const struct ko_branch *branch = &wave->branches[b];
            const bool leaves = branch->leaves_at == stage, left = branch->leaves_at < stage;
            n[0] += left ? branch->n_rows : 0;
            n[1] += left || (leaves && branch->conv) ? branch->n_rows : 0;
            n[2] += left || leaves ? branch->n_rows : 0;
            n[3] += left || leaves;
        }
        for (size_t k = 0; k < 4; k++) {
            wave->counts[k][stage] = n[k];
        }
    }
}

const struct ko_rows *wave_chunked_rows(uint32_t seed)
{
    static struct chunked_wave memory;
    static const int32_t lengths[] = {159, 160, 161, 255, 256, 257, 191,
                                      192, 193, 287, 288, 384, 385};
    struct chunked_wave *wave = &memory;
    memset(wave, 0, sizeof *wave);
    wave->random = seed * 2654435761U + 1;
    const int32_t n_tokens = lengths[seed % (sizeof lengths / sizeof lengths[0])];
    for (int32_t p = 0; p < N_PROMPTS; p++) {
        wave->n_tokens[p] = p == (int32_t)(seed % N_PROMPTS)         ? n_tokens
                            : p == (int32_t)((seed + 1) % N_PROMPTS) ? 161
                                                                     : 21;
    }
    const int32_t n_trunk = fill_trunks(wave);
    fill_sets(wave);
    const int32_t n_rows = fill_branches(wave, n_trunk);
    count_rows(wave, n_trunk);
    wave->rows = (struct ko_rows){.n_rows = n_rows,
                                  .n_trunk_rows = n_trunk,
                                  .n_embedded = wave->n_embedded,
                                  .n_prompts = N_PROMPTS,
                                  .n_branches = wave->n_branches,
                                  .n_edge_sets = N_SETS,
                                  .n_stages = N_STAGES,
                                  .max_tokens = n_tokens > 161 ? n_tokens : 161,
                                  .position = wave->columns[0],
                                  .previous = wave->columns[1],
                                  .branch = wave->columns[2],
                                  .prompt = wave->columns[3],
                                  .parent_row = wave->columns[4],
                                  .token = wave->zeros,
                                  .trunk_first = wave->trunk_first,
                                  .n_tokens = wave->n_tokens,
                                  .branches = wave->branches,
                                  .edges = wave->edges,
                                  .n_projected = wave->counts[0],
                                  .n_convolved = wave->counts[1],
                                  .n_active = wave->counts[2],
                                  .n_branches_active = wave->counts[3]};
    return &wave->rows;
}
