/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/conformance/wave.h"

enum { N_COLUMNS = 5, N_BRANCHES = 6 };

/* The rows of wave_long_rows point into this. */
struct long_wave {
    struct ko_rows rows;
    /* position, previous, branch, prompt, parent_row */
    int32_t columns[N_COLUMNS][(1 + N_BRANCHES) * WAVE_LONGEST];
    struct ko_branch branches[N_BRANCHES];
    uint8_t target[3][WAVE_LONGEST], source[3][WAVE_LONGEST];
    struct ko_edge_set edges[3];
    int32_t trunk_first, n_tokens, n_own, n_active, n_branches;
};

/* The rows of positions t0 to the last, from row `first` on. row_before: of position t0 - 1. */
static void fill_rows(struct long_wave *wave, int32_t b, int32_t t0, int32_t first,
                      int32_t row_before)
{
    for (int32_t i = t0; i < wave->n_tokens; i++) {
        int32_t row = first + i - t0, before = i == t0 ? row_before : row - 1;
        const int32_t values[N_COLUMNS] = {i, before, b, 0, b < 0 ? -1 : i};
        for (size_t column = 0; column < N_COLUMNS; column++) {
            wave->columns[column][row] = values[column];
        }
    }
}

/* Where the branch of several rows and the one with `later` leave the trunk. */
static int32_t start_of_rows(const struct long_wave *wave)
{
    return wave->n_tokens * 2 / 3;
}
static int32_t start_of_later(const struct long_wave *wave)
{
    return wave->n_tokens * 7 / 15;
}

/* Returns the number of rows. */
static int32_t fill_branches(struct long_wave *wave)
{
    const int32_t last = wave->n_tokens - 1;
    const int32_t starts[] = {start_of_rows(wave),  last,     last,
                              start_of_later(wave), last - 4, last - 1};
    const int32_t sets[] = {0, 1, 1, 2, 0, 0}, leaves[] = {-1, 0, 0, 0, 0, 0};
    const int32_t masks[] = {-1, 0, -1, 1, -1, -1};
    int32_t n = wave->n_tokens;
    fill_rows(wave, -1, 0, 0, -1);
    for (int32_t b = 0; b < N_BRANCHES; b++) {
        wave->branches[b] = (struct ko_branch){.parent = -1,
                                               .first_row = n,
                                               .n_rows = wave->n_tokens - starts[b],
                                               .first_position = starts[b],
                                               .leaves_at = leaves[b],
                                               .window_end = 1,
                                               .mixers = KO_MIXER_EVERY,
                                               .edge_set = sets[b],
                                               .mask = masks[b]};
        const bool forks = b == N_BRANCHES - 1;
        const struct ko_branch *stem = &wave->branches[b - forks];
        if (forks) {
            wave->branches[b].n_shared = starts[b] - stem->first_position;
            wave->branches[b].shared_row = stem->first_row;
        }
        fill_rows(wave, b, starts[b], n,
                  forks ? stem->first_row + wave->branches[b].n_shared - 1 : starts[b] - 1);
        n += wave->n_tokens - starts[b];
        wave->n_own = leaves[b] < 0 ? n : wave->n_own;
    }
    return n;
}

static void fill_edges(struct long_wave *wave)
{
    for (int32_t i = 0; i < wave->n_tokens; i++) {
        wave->target[0][i] = i >= start_of_rows(wave) && i % 3 == 1;
        wave->target[1][i] = i == wave->n_tokens - 1;
        wave->target[2][i] =
            i >= start_of_later(wave) && (i + 2 < wave->n_tokens || wave->n_tokens < 8);
        wave->source[0][i] = i >= 9 && i < wave->n_tokens * 4 / 5;
        wave->source[1][i] = i % 4 != 2;
        wave->source[2][i] =
            i + 1 >= start_of_later(wave) && (i + 1 - start_of_later(wave)) % 2 == 0;
    }
    wave->edges[0] = (struct ko_edge_set){false, wave->target[0], wave->source[0], false};
    wave->edges[1] = (struct ko_edge_set){false, wave->target[1], wave->source[1], false};
    wave->edges[2] = (struct ko_edge_set){true, wave->target[2], wave->source[2], false};
}

const struct ko_rows *wave_long_rows(int32_t n_tokens)
{
    static struct long_wave memory;
    struct long_wave *wave = &memory;
    memset(wave, 0, sizeof *wave);
    wave->n_tokens = n_tokens;
    wave->n_active = fill_branches(wave);
    wave->n_branches = N_BRANCHES;
    fill_edges(wave);
    wave->rows = (struct ko_rows){.n_rows = wave->n_active,
                                  .n_trunk_rows = n_tokens,
                                  .n_embedded = n_tokens,
                                  .n_prompts = 1,
                                  .n_branches = N_BRANCHES,
                                  .n_edge_sets = 3,
                                  .n_stages = 1,
                                  .max_tokens = n_tokens,
                                  .position = wave->columns[0],
                                  .previous = wave->columns[1],
                                  .branch = wave->columns[2],
                                  .prompt = wave->columns[3],
                                  .parent_row = wave->columns[4],
                                  .token = wave->columns[3], /* all 0 */
                                  .trunk_first = &wave->trunk_first,
                                  .n_tokens = &wave->n_tokens,
                                  .branches = wave->branches,
                                  .edges = wave->edges,
                                  .n_projected = &wave->n_own,
                                  .n_convolved = &wave->n_own,
                                  .n_active = &wave->n_active,
                                  .n_branches_active = &wave->n_branches};
    return &wave->rows;
}
