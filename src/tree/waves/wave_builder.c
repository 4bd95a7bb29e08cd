/* SPDX-License-Identifier: Apache-2.0 */
/* Copies prompts, edges, removals and branches into the arrays of a wave. */
#include "src/tree/waves/wave_builder.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"

/* Copies what is said of each position [T] and extends it to the rows of the answer, which do as the
   prompt's last position where the plan wants it. Returns whether they do. */
static bool copy_positions(const struct ko_wave_builder *b, const struct ko_intervention *x,
                           const uint8_t *from, uint8_t *to)
{
    const size_t n = (size_t)x->n_tokens;
    const bool too = b->plan->answer_rows == KO_ANSWER_ROWS_KNOCKED && from[n - 1];
    memcpy(to, from, n);
    memset(to + n, too, (size_t)b->n_rows - n);
    return too;
}

/* Copies a part of removed edges into the wave. Sources are positions of the prompt alone. */
static enum ko_code add_edge_part(struct ko_wave_builder *b, const struct ko_intervention *x,
                                  struct ko_edge_set set)
{
    const size_t n = (size_t)b->n_rows, n_sets = (size_t)b->wave.n_edge_sets + 1;
    void *grown = ko_grow(b->wave.edge_set, &b->edge_set_capacity, n_sets, sizeof set, b->err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    b->wave.edge_set = grown;
    uint8_t *positions = ko_new(2 * n, 1, b->err);
    if (!positions) {
        return KO_E_MEMORY;
    }
    (void)copy_positions(b, x, set.target, positions);
    memcpy(positions + n, set.source, (size_t)x->n_tokens);
    set.target = positions; /* freed with the wave */
    set.source = positions + n;
    b->wave.edge_set[b->wave.n_edge_sets++] = set;
    return KO_OK;
}

enum ko_code ko_wave_add_edges(struct ko_wave_builder *b, const struct ko_intervention *x,
                               int32_t *index)
{
    enum ko_code code = KO_OK;
    const int32_t first = b->wave.n_edge_sets;
    bool more = true;
    for (int32_t part = 0; code == KO_OK && more; part++) {
        const struct ko_edge_set set = x->kind->edge_set(x, part);
        more = set.more;
        code = add_edge_part(b, x, set);
    }
    *index = code == KO_OK ? first : *index;
    return code;
}

enum ko_code ko_wave_add_fact(struct ko_wave_builder *b, int32_t fact)
{
    int32_t *grown = ko_grow(b->wave.fact, &b->fact_capacity, (size_t)b->wave.n_prompts + 1,
                             sizeof *grown, b->err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    b->wave.fact = grown;
    b->wave.fact[b->wave.n_prompts++] = fact;
    return KO_OK;
}

enum ko_code ko_wave_add_run(struct ko_wave_builder *b, int32_t fact, int32_t sequence)
{
    int32_t *grown = ko_grow(b->wave.trunk_sequence, &b->trunk_capacity,
                             (size_t)b->wave.n_results + 1, sizeof *grown, b->err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    b->wave.trunk_sequence = grown;
    b->wave.trunk_sequence[b->wave.n_results++] = sequence;
    return ko_wave_add_fact(b, fact);
}

int32_t ko_wave_donor_of(const struct ko_intervention *x, const struct ko_tree_model *model,
                         int32_t class)
{
    return x->kind->donor ? x->kind->donor(x, model, class) : -1;
}

/* The place in the wave of a donor of the prompt that is added. */
static int32_t place_of_donor(const struct ko_wave_builder *b, int32_t fact)
{
    int32_t place = b->first_donor;
    while (b->wave.fact[place] != fact) {
        place++;
    }
    return place;
}

enum ko_code ko_wave_copy_within(const struct ko_tree_layout *layout, int32_t window,
                                 const uint8_t **out, struct ko_error *err)
{
    const size_t n = (size_t)layout->n_within;
    *out = NULL;
    if (!layout->within) {
        return KO_OK;
    }
    uint8_t *copy = ko_new(n, 1, err);
    if (!copy) {
        return KO_E_MEMORY;
    }
    memcpy(copy, layout->within + (size_t)window * n, n);
    *out = copy; /* freed with the wave */
    return KO_OK;
}

enum ko_code ko_wave_add_removal(struct ko_wave_builder *b, const struct ko_intervention *x,
                                 const struct ko_tree_model *model, int32_t class, int32_t window,
                                 int32_t *index)
{
    const struct ko_tree_layout *layout = x->kind->layout(x, model, class);
    const int32_t n_tokens = x->n_tokens, n_rows = b->n_rows;
    const int32_t donor = ko_wave_donor_of(x, model, class);
    struct ko_removal removal = {0};
    void *grown = ko_grow(b->wave.removal, &b->removal_capacity, (size_t)b->wave.n_removals + 1,
                          sizeof removal, b->err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    b->wave.removal = grown;
    x->kind->removal(x, model, class, &removal);
    uint8_t *at = ko_new((size_t)n_rows, 1, b->err);
    int32_t *donor_at = at && donor >= 0 ? ko_new((size_t)n_rows, sizeof *donor_at, b->err) : NULL;
    if (!at || (donor >= 0 && !donor_at) ||
        ko_wave_copy_within(layout, window, &removal.within, b->err) != KO_OK) {
        free(at);
        free(donor_at);
        return KO_E_MEMORY;
    }
    const bool too = copy_positions(b, x, removal.at, at);
    if (donor_at) {
        memcpy(donor_at, removal.donor_at, (size_t)n_tokens * sizeof *donor_at);
        removal.donor = place_of_donor(b, donor);
    }
    /* The donor has no rows of this answer: they take what the last position takes. */
    for (int32_t i = n_tokens; donor_at && too && i < n_rows; i++) {
        donor_at[i] = donor_at[n_tokens - 1];
    }
    removal.at = at; /* freed with the wave, as donor_at */
    removal.donor_at = donor_at;
    removal.begin = layout->sublayers[window].begin;
    removal.end = layout->sublayers[window].end;
    *index = b->wave.n_removals++;
    b->wave.removal[*index] = removal;
    return KO_OK;
}

enum ko_code ko_wave_add_branch(struct ko_wave_builder *b, const struct ko_branch *branch,
                                int32_t sequence, int32_t *index)
{
    const size_t n = (size_t)b->wave.n_branches + 1;
    int32_t *sequences =
        ko_grow(b->wave.sequence, &b->sequence_capacity, n, sizeof *sequences, b->err);
    b->wave.sequence = sequences ? sequences : b->wave.sequence;
    void *branches = ko_grow(b->wave.branch, &b->branch_capacity, n, sizeof *branch, b->err);
    b->wave.branch = branches ? branches : b->wave.branch;
    if (!sequences || !branches) {
        free((void *)(uintptr_t)branch->stages);
        return KO_E_MEMORY;
    }
    *index = b->wave.n_branches++;
    b->wave.branch[*index] = *branch;
    b->wave.sequence[*index] = sequence;
    return KO_OK;
}
