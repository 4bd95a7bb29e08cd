/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/wave.h"

#include <string.h>

#include "kernels/at.h"

/* Of a plan: its branches, the forks of their prompts' trunks, and their own. */
enum { MOST_BRANCHES = WAVE_PROMPTS * WAVE_FORKS + WAVE_BRANCHES * (1 + WAVE_FORKS) };

/* A branch of the wave before it has a place. */
struct listed {
    struct wave_branch branch;
    int32_t stem, parent; /* in the list; -1: the trunk */
    struct wave_fork fork;
};

/* `rows` points into the other members. */
struct wave {
    struct ko_rows rows;
    struct listed list[MOST_BRANCHES];
    int32_t n_branches;
    int32_t order[MOST_BRANCHES]; /* index in the list of each branch */
    uint8_t stages[MOST_BRANCHES][WAVE_LAYERS];
    struct ko_branch branches[MOST_BRANCHES];
    struct ko_edge_set edges[WAVE_SETS];
    uint8_t target[WAVE_SETS][WAVE_POSITIONS], source[WAVE_SETS][WAVE_POSITIONS];
    int32_t trunk_first[WAVE_PROMPTS], n_tokens[WAVE_PROMPTS];
    int32_t counts[4][WAVE_LAYERS];
    int32_t columns[6][(WAVE_PROMPTS + MOST_BRANCHES) * WAVE_POSITIONS];
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

/* Lists the forks of the trunks, and each branch with its forks behind it. */
static void list_branches(const struct wave_plan *plan, struct wave *wave)
{
    int32_t of_trunk[WAVE_PROMPTS][WAVE_FORKS], of_branch[WAVE_BRANCHES][1 + WAVE_FORKS], n = 0;
    for (int32_t p = 0; p < plan->n_prompts; p++) {
        for (int32_t f = 0; f < WAVE_FORKS; f++) {
            of_trunk[p][f] = n;
            if (plan->forks[p][f].n > 0) {
                wave->list[n++] = (struct listed){
                    .branch = {.prompt = p, .leaves_at = KO_HAS_TOKENS, .edge_set = -1, .mask = -1},
                    .stem = -1,
                    .parent = -1,
                    .fork = plan->forks[p][f]};
            }
        }
    }
    for (int32_t b = 0; b < plan->n_branches; b++) {
        const struct wave_branch *branch = &plan->branches[b];
        const int32_t *above = branch->parent < 0 ? NULL : of_branch[branch->parent];
        of_branch[b][0] = n;
        wave->list[n] =
            (struct listed){.branch = *branch, .stem = -1, .parent = above ? above[0] : -1};
        n++;
        for (int32_t f = 0; f < WAVE_FORKS; f++) {
            const struct wave_fork fork = plan->forks[branch->prompt][f];
            of_branch[b][1 + f] = n;
            if (fork.n > 0 && fork.at > branch->first_position) {
                wave->list[n++] =
                    (struct listed){.branch = *branch,
                                    .stem = of_branch[b][0],
                                    .parent = above ? above[1 + f] : of_trunk[branch->prompt][f],
                                    .fork = fork};
            }
        }
    }
    wave->n_branches = n;
}

static bool comes_before(const struct wave_branch *a, const struct wave_branch *b)
{
    if (a->leaves_at != b->leaves_at) {
        return a->leaves_at < b->leaves_at;
    }
    return a->conv && !b->conv;
}

static void sort_branches(struct wave *wave)
{
    for (int32_t n = 0; n < wave->n_branches; n++) {
        int32_t at = n;
        for (;
             at > 0 && comes_before(&wave->list[n].branch, &wave->list[wave->order[at - 1]].branch);
             at--) {
            wave->order[at] = wave->order[at - 1];
        }
        wave->order[at] = n;
    }
}

static int32_t place_of(const struct wave *wave, int32_t number)
{
    for (int32_t b = 0; number >= 0 && b < wave->n_branches; b++) {
        if (wave->order[b] == number) {
            return b;
        }
    }
    return -1;
}

/* Sets where a branch begins and how many rows it has. */
static void set_rows(const struct wave_plan *plan, const struct wave *wave,
                     const struct listed *from, struct ko_branch *to)
{
    const int32_t n_tokens = tokens_of(plan, from->branch.prompt), stretch = stretch_of(plan);
    if (from->fork.n == 0) {
        to->first_position = from->branch.first_position * stretch;
        to->n_rows = n_tokens - to->first_position;
        return;
    }
    const int32_t end = (from->fork.at + from->fork.n) * stretch;
    to->first_position = from->fork.at * stretch;
    to->n_rows = (end < n_tokens ? end : n_tokens) - to->first_position;
    if (from->stem >= 0) {
        const struct ko_branch *stem = &wave->branches[place_of(wave, from->stem)];
        to->n_shared = to->first_position - stem->first_position;
        to->shared_row = stem->first_row;
    }
}

static void build_branches(const struct wave_plan *plan, struct wave *wave, int32_t n_rows)
{
    list_branches(plan, wave);
    sort_branches(wave);
    for (int32_t b = 0; b < wave->n_branches; b++) {
        const struct listed *listed = &wave->list[wave->order[b]];
        const struct wave_branch *from = &listed->branch;
        wave->branches[b] = (struct ko_branch){.prompt = from->prompt,
                                               .parent = place_of(wave, listed->parent),
                                               .first_row = n_rows,
                                               .leaves_at = from->leaves_at,
                                               .window_begin = from->window_begin,
                                               .window_end = from->window_end,
                                               .mixers = (uint8_t)(KO_MIXER_EVERY & ~from->spares),
                                               .stages = from->skips ? wave->stages[b] : NULL,
                                               .edge_set = from->edge_set,
                                               .mask = from->mask,
                                               .conv = from->conv,
                                               .after_softmax = from->after_softmax};
        set_rows(plan, wave, listed, &wave->branches[b]);
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

static int32_t build_branch_rows(struct wave *wave, int32_t row)
{
    for (int32_t b = 0; b < wave->n_branches; b++) {
        const struct ko_branch *branch = &wave->branches[b];
        const int32_t trunk = wave->trunk_first[branch->prompt], first = branch->first_position;
        int32_t parent = trunk + first, previous = first ? trunk + first - 1 : -1;
        if (branch->parent >= 0) {
            const struct ko_branch *above = &wave->branches[branch->parent];
            parent = above->first_row + first - above->first_position;
        }
        if (branch->n_shared > 0) {
            previous = branch->shared_row + branch->n_shared - 1;
        }
        const bool copied = branch->leaves_at != KO_HAS_TOKENS;
        for (int32_t k = 0; k < branch->n_rows; k++, row++) {
            fill_row(wave, row,
                     (const int32_t[]){first + k, k ? row - 1 : previous, b, branch->prompt,
                                       copied ? parent + k : -1});
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
        for (int32_t b = 0; b < wave->n_branches; b++) {
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
    int32_t n_rows = build_branch_rows(wave, n_trunk);
    int32_t n_embedded = n_trunk;
    for (int32_t b = 0; b < wave->n_branches; b++) {
        const struct ko_branch *branch = &wave->branches[b];
        n_embedded += branch->leaves_at == KO_HAS_TOKENS ? branch->n_rows : 0;
    }
    count_rows(plan, wave, n_trunk);
    for (int32_t p = 0; p < plan->n_prompts; p++) {
        max_tokens = wave->n_tokens[p] > max_tokens ? wave->n_tokens[p] : max_tokens;
    }
    wave->rows = (struct ko_rows){.n_rows = n_rows,
                                  .n_trunk_rows = n_trunk,
                                  .n_embedded = n_embedded,
                                  .n_prompts = plan->n_prompts,
                                  .n_branches = wave->n_branches,
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
    for (int32_t at = row, j = rows->position[row]; j >= 0; j--, at = rows->previous[at]) {
        path[j] = source(rows, at, layer);
    }
    return rows->position[row];
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
