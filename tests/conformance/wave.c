/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/wave.h"

#include <string.h>

#include "kernels/at.h"

/* `rows` points into the other members. */
struct wave {
    struct ko_rows rows;
    int32_t order[WAVE_BRANCHES]; /* index in the plan of each branch */
    uint8_t stages[WAVE_BRANCHES][WAVE_LAYERS];
    struct ko_branch branches[WAVE_BRANCHES];
    struct ko_edge_set edges[WAVE_SETS];
    uint8_t target[WAVE_SETS][WAVE_POSITIONS], source[WAVE_SETS][WAVE_POSITIONS];
    int32_t trunk_first[WAVE_PROMPTS], n_tokens[WAVE_PROMPTS];
    int32_t counts[4][WAVE_LAYERS];
    int32_t columns[6][(WAVE_PROMPTS + WAVE_BRANCHES) * WAVE_POSITIONS];
};

static int32_t stretch_of(const struct wave_plan *plan)
{
    return plan->stretch > 0 ? plan->stretch : 1;
}

/* T of a prompt of the wave. */
static int32_t tokens_of(const struct wave_plan *plan, int32_t prompt)
{
    return (plan->n_tokens[prompt] - 1) * stretch_of(plan) + 1;
}

static bool comes_before(const struct wave_branch *a, const struct wave_branch *b)
{
    if (a->leaves_at != b->leaves_at) {
        return a->leaves_at < b->leaves_at;
    }
    return a->conv && !b->conv;
}

static void sort_branches(const struct wave_plan *plan, struct wave *wave)
{
    for (int32_t n = 0; n < plan->n_branches; n++) {
        int32_t at = n;
        for (; at > 0 && comes_before(&plan->branches[n], &plan->branches[wave->order[at - 1]]);
             at--) {
            wave->order[at] = wave->order[at - 1];
        }
        wave->order[at] = n;
    }
}

static int32_t place_of(const struct wave *wave, int32_t n_branches, int32_t number)
{
    for (int32_t b = 0; b < n_branches; b++) {
        if (wave->order[b] == number) {
            return b;
        }
    }
    return -1;
}

static void build_branches(const struct wave_plan *plan, struct wave *wave, int32_t n_rows)
{
    sort_branches(plan, wave);
    for (int32_t b = 0; b < plan->n_branches; b++) {
        const struct wave_branch *from = &plan->branches[wave->order[b]];
        const int32_t t0 = from->first_position * stretch_of(plan);
        wave->branches[b] = (struct ko_branch){
            .prompt = from->prompt,
            .parent = from->parent < 0 ? -1 : place_of(wave, plan->n_branches, from->parent),
            .first_row = n_rows,
            .n_rows = tokens_of(plan, from->prompt) - t0,
            .first_position = t0,
            .leaves_at = from->leaves_at,
            .window_begin = from->window_begin,
            .window_end = from->window_end,
            .mixers = (uint8_t)(KO_MIXER_EVERY & ~from->spares),
            .stages = from->skips ? wave->stages[b] : NULL,
            .edge_set = from->edge_set,
            .mask = from->mask,
            .conv = from->conv,
            .after_softmax = from->after_softmax};
        for (int32_t s = 0; s < plan->n_layers; s++) {
            wave->stages[b][s] = !(from->skips >> s & 1);
        }
        n_rows += wave->branches[b].n_rows;
    }
}

static void build_edges(const struct wave_plan *plan, struct wave *wave)
{
    for (int32_t s = 0; s < plan->n_sets; s++) {
        for (int32_t i = 0; i < WAVE_TOKENS * stretch_of(plan) && i < WAVE_POSITIONS; i++) {
            wave->target[s][i] = plan->sets[s].target >> i / stretch_of(plan) & 1;
            wave->source[s][i] = plan->sets[s].source >> i / stretch_of(plan) & 1;
        }
        wave->edges[s] = (struct ko_edge_set){plan->sets[s].later, wave->target[s], wave->source[s],
                                              plan->more >> s & 1};
    }
}

/* values: position, previous, branch, prompt, parent_row */
static void fill_row(struct wave *wave, int32_t row, const int32_t values[5])
{
    for (size_t column = 0; column < 5; column++) {
        wave->columns[column][row] = values[column];
    }
    wave->columns[5][row] = (row * 7) % 11; /* token */
}

static int32_t build_trunks(const struct wave_plan *plan, struct wave *wave)
{
    int32_t row = 0;
    for (int32_t p = 0; p < plan->n_prompts; p++) {
        wave->trunk_first[p] = row;
        wave->n_tokens[p] = tokens_of(plan, p);
        for (int32_t i = 0; i < wave->n_tokens[p]; i++, row++) {
            fill_row(wave, row, (const int32_t[]){i, i ? row - 1 : -1, -1, p, -1});
        }
    }
    return row;
}

static int32_t build_branch_rows(struct wave *wave, int32_t n_branches, int32_t row)
{
    for (int32_t b = 0; b < n_branches; b++) {
        const struct ko_branch *branch = &wave->branches[b];
        int32_t trunk = wave->trunk_first[branch->prompt], t0 = branch->first_position;
        int32_t parent = trunk + t0;
        if (branch->parent >= 0) {
            const struct ko_branch *above = &wave->branches[branch->parent];
            parent = above->first_row + t0 - above->first_position;
        }
        for (int32_t k = 0; k < branch->n_rows; k++, row++) {
            int32_t previous = k ? row - 1 : t0 ? trunk + t0 - 1 : -1;
            fill_row(wave, row, (const int32_t[]){t0 + k, previous, b, branch->prompt, parent + k});
        }
    }
    return row;
}

static void count_rows(const struct wave_plan *plan, struct wave *wave, int32_t n_trunk)
{
    for (int32_t layer = 0; layer < plan->n_layers; layer++) {
        int32_t *projected = &wave->counts[0][layer], *convolved = &wave->counts[1][layer];
        int32_t *active = &wave->counts[2][layer], *branches = &wave->counts[3][layer];
        *projected = *convolved = *active = n_trunk;
        *branches = 0;
        for (int32_t b = 0; b < plan->n_branches; b++) {
            const struct ko_branch *branch = &wave->branches[b];
            bool leaves = branch->leaves_at == layer;
            *projected += branch->leaves_at < layer ? branch->n_rows : 0;
            *convolved +=
                branch->leaves_at < layer || (leaves && branch->conv) ? branch->n_rows : 0;
            *active += branch->leaves_at <= layer ? branch->n_rows : 0;
            *branches += branch->leaves_at <= layer;
        }
    }
}

const struct ko_rows *wave_rows(const struct wave_plan *plan)
{
    static struct wave memory;
    struct wave *wave = &memory;
    memset(wave, 0, sizeof *wave);
    int32_t n_trunk = build_trunks(plan, wave), max_tokens = 0;
    build_branches(plan, wave, n_trunk);
    build_edges(plan, wave);
    int32_t n_rows = build_branch_rows(wave, plan->n_branches, n_trunk);
    count_rows(plan, wave, n_trunk);
    for (int32_t p = 0; p < plan->n_prompts; p++) {
        max_tokens = wave->n_tokens[p] > max_tokens ? wave->n_tokens[p] : max_tokens;
    }
    wave->rows = (struct ko_rows){.n_rows = n_rows,
                                  .n_trunk_rows = n_trunk,
                                  .n_prompts = plan->n_prompts,
                                  .n_branches = plan->n_branches,
                                  .n_edge_sets = plan->n_sets,
                                  .n_stages = plan->n_layers,
                                  .max_tokens = max_tokens,
                                  .position = wave->columns[0],
                                  .previous = wave->columns[1],
                                  .branch = wave->columns[2],
                                  .prompt = wave->columns[3],
                                  .parent_row = wave->columns[4],
                                  .token = wave->columns[5],
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

const struct ko_rows *wave_random_rows(uint32_t seed)
{
    struct wave_plan plan;
    wave_random(seed, &plan);
    return wave_rows(&plan);
}

int32_t wave_path(const struct ko_rows *rows, int32_t row, int32_t layer, ko_row_source *source,
                  int32_t *path)
{
    int32_t b = rows->branch[row], i = rows->position[row];
    for (int32_t j = 0; j <= i; j++) {
        int32_t at = rows->trunk_first[rows->prompt[row]] + j;
        if (b >= 0 && j >= rows->branches[b].first_position) {
            at = rows->branches[b].first_row + j - rows->branches[b].first_position;
        }
        path[j] = source(rows, at, layer);
    }
    return i;
}

bool wave_removed(const struct ko_rows *rows, int32_t row, int32_t layer, enum ko_mixer mixer,
                  int32_t i, int32_t j)
{
    int32_t b = rows->branch[row];
    if (b < 0 || layer < rows->branches[b].window_begin || layer >= rows->branches[b].window_end) {
        return false;
    }
    if (rows->branches[b].stages && !rows->branches[b].stages[layer]) {
        return false;
    }
    if ((rows->branches[b].mixers & mixer) == 0) {
        return false;
    }
    bool removed = false, more = true;
    for (int32_t e = rows->branches[b].edge_set; more; e++) {
        const struct ko_edge_set *edges = &rows->edges[e];
        removed =
            removed || (edges->target[i] && edges->source[j] && (edges->later ? j < i : j <= i));
        more = edges->more;
    }
    return removed;
}

bool wave_masked(const struct ko_rows *rows, int32_t row, int32_t layer, const uint8_t *masks,
                 int32_t n_features, int32_t feature)
{
    int32_t mask = rows->branch[row] < 0 ? -1 : rows->branches[rows->branch[row]].mask;
    return mask < 0 || masks[ko_at3(mask, rows->n_stages, layer, n_features, feature)] != 0;
}
