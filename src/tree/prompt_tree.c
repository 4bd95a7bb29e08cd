/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the tree of one prompt: which windows the blocks ask for, and which routes and classes do
   the same and can share branches. */
#include "src/tree/prompt_tree.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/tree/interventions.h"
#include "src/tree/taken.h"

static void clear_tree(struct ko_tree *tree)
{
    for (size_t i = 0; i < tree->n_interventions; i++) {
        ko_intervention_free(&tree->intervention[i]);
    }
    tree->n_interventions = tree->n_groups = tree->n_members = 0;
    tree->planned = false;
    tree->n_donors = 0;
    memset(tree->part, 0, sizeof tree->part);
    tree->n_taken = 0;
}

void ko_tree_free(struct ko_tree *tree)
{
    clear_tree(tree);
    free(tree->asked);
    free(tree->blocks);
    free(tree->intervention);
    free(tree->group);
    free(tree->windows);
    free(tree->member);
    free(tree->wanted);
    free(tree->donor);
    *tree = (struct ko_tree){0};
}

static void unite_windows(uint8_t *to, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] |= from[i];
    }
}

static size_t asked_at(const struct ko_tree *tree, int32_t route, int32_t class)
{
    const struct ko_plan *plan = tree->model->plan;
    return ((size_t)route * (size_t)plan->n_classes + (size_t) class) * tree->model->n_windows;
}

const uint8_t *ko_tree_asked(const struct ko_tree *tree, int32_t route, int32_t class)
{
    return tree->asked + asked_at(tree, route, class);
}

/* Marks the blocks that select the fact. Returns whether they differ from the last fact's. */
static bool mark_blocks(struct ko_tree *tree)
{
    const struct ko_plan *plan = tree->model->plan;
    size_t at = (size_t)tree->model->model * (size_t)plan->n_facts + (size_t)tree->fact;
    bool changed = false;
    for (int32_t b = 0; b < plan->n_blocks; b++) {
        uint8_t selected = plan->block[b].selected[at];
        changed = changed || tree->blocks[b] != selected;
        tree->blocks[b] = selected;
    }
    return changed;
}

/* The union of the windows of the blocks that select the fact: ko_plan_has for all cells at once. */
static void fill_asked(struct ko_tree *tree)
{
    const struct ko_tree_model *model = tree->model;
    const struct ko_plan *plan = model->plan;
    if (!mark_blocks(tree)) {
        return;
    }
    memset(tree->asked, 0, (size_t)plan->n_routes * (size_t)plan->n_classes * model->n_windows);
    for (int32_t b = 0; b < plan->n_blocks; b++) {
        const struct ko_plan_block *block = &plan->block[b];
        const uint8_t *windows = model->block_windows + (size_t)b * model->n_windows;
        for (int32_t r = 0; tree->blocks[b] && r < plan->n_routes; r++) {
            for (int32_t f = 0; block->route[r] && f < plan->n_classes; f++) {
                if (block->class[f] && ko_plan_has_pair(plan, model->model, r, f)) {
                    unite_windows(tree->asked + asked_at(tree, r, f), windows, model->n_windows);
                }
            }
        }
    }
}

static bool any_asked(const struct ko_tree *tree, int32_t route, int32_t class)
{
    size_t n = tree->model->n_windows;
    return memchr(ko_tree_asked(tree, route, class), 1, n) != NULL;
}

/* The index of the intervention in the tree, -1 where it is vacuous. Takes it over, also on
   failure. */
static enum ko_code intern_intervention(struct ko_tree *tree, struct ko_intervention *intervention,
                                        int32_t *index, struct ko_error *err)
{
    *index = -1;
    if (ko_intervention_is_vacuous(intervention)) {
        ko_intervention_free(intervention);
        return KO_OK;
    }
    for (size_t i = 0; i < tree->n_interventions; i++) {
        if (ko_intervention_equal(&tree->intervention[i], intervention)) {
            ko_intervention_free(intervention);
            *index = (int32_t)i;
            return KO_OK;
        }
    }
    void *grown = ko_grow(tree->intervention, &tree->intervention_capacity,
                          tree->n_interventions + 1, sizeof *tree->intervention, err);
    if (!grown) {
        ko_intervention_free(intervention);
        return KO_E_MEMORY;
    }
    tree->intervention = grown;
    *index = (int32_t)tree->n_interventions;
    tree->intervention[tree->n_interventions++] = *intervention;
    return KO_OK;
}

/* The rows from t0 on that the forks of one branch share with it. */
static int64_t count_shared(const struct ko_tree *tree, int32_t t0)
{
    const struct ko_prompt *prompt =
        ko_plan_prompt(tree->model->plan, tree->model->model, tree->fact);
    int64_t n = 0;
    for (int32_t s = 0; s <= tree->n_forks; s++) {
        n += s == ko_prompt_trunk_sequence(prompt) ? 0 : ko_prompt_fork_at(prompt, s) - t0;
    }
    return n;
}

static enum ko_code find_group(struct ko_tree *tree, int32_t intervention, int32_t class,
                               int32_t *index, struct ko_error *err)
{
    const struct ko_intervention *x = &tree->intervention[intervention];
    const int32_t same = x->kind->same_class(x, tree->model, class);
    for (size_t g = 0; g < tree->n_groups; g++) {
        if (tree->group[g].intervention == intervention && tree->group[g].class == same) {
            *index = (int32_t)g;
            return KO_OK;
        }
    }
    size_t n = tree->n_groups, n_windows = tree->model->n_windows;
    void *groups = ko_grow(tree->group, &tree->group_capacity, n + 1, sizeof *tree->group, err);
    if (!groups) {
        return KO_E_MEMORY;
    }
    tree->group = groups;
    void *windows = ko_grow(tree->windows, &tree->windows_capacity, (n + 1) * n_windows, 1, err);
    if (!windows) {
        return KO_E_MEMORY;
    }
    tree->windows = windows;
    memset(tree->windows + n * n_windows, 0, n_windows);
    tree->group[n] =
        (struct ko_tree_group){.intervention = intervention,
                               .class = same,
                               .layout = x->kind->layout(x, tree->model, same),
                               .branch_rows = tree->n_rows - x->first_position + tree->n_fork_rows,
                               .shared_rows = count_shared(tree, x->first_position)};
    *index = (int32_t)n;
    tree->n_groups++;
    return KO_OK;
}

/* Whether some windows of a route may be vacuous while others are not. */
static bool layers_differ(const struct ko_tree *tree)
{
    return tree->model->plan->model[tree->model->model].stage != NULL;
}

bool ko_tree_is_vacuous(const struct ko_tree *tree, const struct ko_tree_member *member,
                        int32_t size, int32_t start)
{
    if (member->group < 0 || !layers_differ(tree)) {
        return member->group < 0;
    }
    const struct ko_tree_range range =
        ko_tree_range_of(tree, &tree->group[member->group], size, start);
    return range.begin == range.end;
}

static bool has_wanted(const struct ko_tree *tree)
{
    return tree->taken || layers_differ(tree);
}

const uint8_t *ko_tree_wanted(const struct ko_tree *tree, size_t member)
{
    const struct ko_tree_member *m = &tree->member[member];
    return has_wanted(tree) ? tree->wanted + member * tree->model->n_windows
                            : ko_tree_asked(tree, m->route, m->class);
}

/* Fills the wanted windows of the member that is added next. */
static enum ko_code fill_wanted(struct ko_tree *tree, const struct ko_tree_member *member,
                                struct ko_error *err)
{
    const struct ko_plan *plan = tree->model->plan;
    const size_t n = tree->model->n_windows;
    const uint8_t *asked = ko_tree_asked(tree, member->route, member->class);
    void *grown = ko_grow(tree->wanted, &tree->wanted_capacity, (tree->n_members + 1) * n, 1, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    tree->wanted = grown;
    uint8_t *wanted = tree->wanted + tree->n_members * n;
    for (int32_t s = 0; s < plan->n_starts; s++) {
        for (int32_t i = 0; i < plan->n_sizes; i++, asked++, wanted++) {
            const bool exists = *asked && !ko_tree_is_vacuous(tree, member, i, s);
            const bool taken =
                exists &&
                ko_taken_has(tree->taken, ko_plan_value_slot(plan, member->route, member->class,
                                                             member->source_position, i, s));
            *wanted = exists && !taken;
            tree->n_taken += taken;
            tree->part[plan->route[member->route].heat].taken |= taken;
        }
    }
    return KO_OK;
}

/* Marks the wanted windows in the group, each as the first window that does the same. */
static void mark_windows(struct ko_tree *tree, int32_t group, const uint8_t *wanted)
{
    const size_t n = tree->model->n_windows;
    const int32_t *same = tree->group[group].layout->same;
    uint8_t *windows = tree->windows + (size_t)group * n;
    for (size_t w = 0; w < n; w++) {
        windows[same[w]] |= wanted[w];
    }
}

/* Adds the donor of a member that computes something. */
static enum ko_code add_donor(struct ko_tree *tree, size_t member, struct ko_error *err)
{
    const struct ko_tree_member *m = &tree->member[member];
    const struct ko_intervention *x = &tree->intervention[tree->group[m->group].intervention];
    const int32_t donor = x->kind->donor ? x->kind->donor(x, tree->model, m->class) : -1;
    bool known = donor < 0 || !memchr(ko_tree_wanted(tree, member), 1, tree->model->n_windows);
    for (int32_t d = 0; d < tree->n_donors; d++) {
        known = known || tree->donor[d] == donor;
    }
    if (known) {
        return KO_OK;
    }
    int32_t *grown =
        ko_grow(tree->donor, &tree->donor_capacity, (size_t)tree->n_donors + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    tree->donor = grown;
    tree->donor[tree->n_donors++] = donor;
    tree->n_trunk_rows += ko_plan_prompt(tree->model->plan, tree->model->model, donor)->n_tokens;
    return KO_OK;
}

/* Whether the class does something to the prompt. */
static bool class_applies(const struct ko_tree *tree, int32_t intervention, int32_t class)
{
    const struct ko_intervention *x = &tree->intervention[intervention];
    return !x->kind->applies || x->kind->applies(x, tree->model, class);
}

static enum ko_code add_member(struct ko_tree *tree, int32_t route, int32_t class,
                               int32_t source_position, int32_t intervention, struct ko_error *err)
{
    struct ko_tree_member member = {route, class, source_position, -1};
    void *grown = ko_grow(tree->member, &tree->member_capacity, tree->n_members + 1,
                          sizeof *tree->member, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    tree->member = grown;
    const bool acts = intervention >= 0 && class_applies(tree, intervention, class);
    enum ko_code code = acts ? find_group(tree, intervention, class, &member.group, err) : KO_OK;
    if (code == KO_OK && has_wanted(tree)) {
        code = fill_wanted(tree, &member, err);
    }
    if (code != KO_OK) {
        return code;
    }
    tree->member[tree->n_members++] = member;
    if (!acts) {
        return KO_OK;
    }
    mark_windows(tree, member.group, ko_tree_wanted(tree, tree->n_members - 1));
    return add_donor(tree, tree->n_members - 1, err);
}

static enum ko_code add_route(struct ko_tree *tree, int32_t route, struct ko_error *err)
{
    const struct ko_plan *plan = tree->model->plan;
    const struct ko_plan_route *r = &plan->route[route];
    bool any = false;
    for (int32_t f = 0; f < plan->n_classes && !any; f++) {
        any = any_asked(tree, route, f);
    }
    if (!any) {
        return KO_OK;
    }
    tree->planned = tree->part[r->heat].planned = true;
    enum ko_code code = KO_OK;
    int32_t n_sources = r->heat ? tree->n_tokens : 1;
    for (int32_t j = 0; code == KO_OK && j < n_sources; j++) {
        struct ko_intervention intervention = {0};
        int32_t index = -1;
        code = ko_intervention_make(tree->model, tree->fact, route, j, &intervention, err);
        if (code == KO_OK) {
            code = intern_intervention(tree, &intervention, &index, err);
        }
        for (int32_t f = 0; code == KO_OK && f < plan->n_classes; f++) {
            if (any_asked(tree, route, f)) {
                code = add_member(tree, route, f, j, index, err);
            }
        }
    }
    return code;
}

enum ko_code ko_tree_build(const struct ko_tree_model *model, int32_t fact, const uint8_t *taken,
                           struct ko_tree *tree, struct ko_error *err)
{
    const struct ko_plan *plan = model->plan;
    size_t n = (size_t)plan->n_routes * (size_t)plan->n_classes * model->n_windows;
    clear_tree(tree);
    if (tree->model != model) {
        free(tree->asked);
        free(tree->blocks);
        tree->model = NULL;
        tree->asked = ko_new(n, 1, err); /* nothing is asked while no block is marked */
        tree->blocks = ko_new((size_t)plan->n_blocks, 1, err);
        if (!tree->asked || !tree->blocks) {
            return KO_E_MEMORY;
        }
        tree->model = model;
    }
    tree->fact = fact;
    tree->taken = taken;
    const struct ko_prompt *prompt = ko_plan_prompt(plan, model->model, fact);
    tree->n_tokens = prompt->n_tokens;
    const int32_t sequence = ko_prompt_trunk_sequence(prompt);
    tree->n_rows = ko_prompt_n_rows(prompt, sequence);
    tree->n_forks = ko_prompt_n_sequences(prompt) - 1;
    tree->n_fork_rows = ko_prompt_fork_rows(prompt);
    tree->n_scored = ko_prompt_n_last(prompt, sequence) + tree->n_fork_rows;
    tree->n_trunk_rows = tree->n_rows + tree->n_fork_rows;
    if (plan->n_blocks == 0) {
        return KO_OK;
    }
    fill_asked(tree);
    enum ko_code code = KO_OK;
    for (int32_t r = 0; code == KO_OK && r < plan->n_routes; r++) {
        code = add_route(tree, r, err);
    }
    return code;
}

int64_t ko_tree_n_cells(const struct ko_tree *tree)
{
    int64_t cells = 0;
    for (size_t i = 0; i < tree->n_members; i++) {
        const uint8_t *wanted = ko_tree_wanted(tree, i);
        for (size_t w = 0; tree->member[i].group >= 0 && w < tree->model->n_windows; w++) {
            cells += wanted[w];
        }
    }
    return cells;
}

bool ko_tree_is_taken(const struct ko_tree *tree)
{
    for (size_t p = 0; p < sizeof tree->part / sizeof tree->part[0]; p++) {
        if (tree->part[p].planned && !tree->part[p].taken) {
            return false;
        }
    }
    return tree->n_taken > 0 && ko_tree_n_cells(tree) == 0;
}

struct ko_tree_range ko_tree_range_of(const struct ko_tree *tree, const struct ko_tree_group *group,
                                      int32_t size, int32_t start)
{
    return group->layout->range[(size_t)start * (size_t)tree->model->plan->n_sizes + (size_t)size];
}

bool ko_tree_is_clean(const struct ko_tree *tree, const struct ko_tree_group *group, int32_t size,
                      int32_t start)
{
    const struct ko_intervention *x = &tree->intervention[group->intervention];
    const struct ko_tree_range range = ko_tree_range_of(tree, group, size, start);
    return x->kind->is_clean(x, tree->model, group->class, &range);
}
