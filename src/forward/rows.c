/* SPDX-License-Identifier: Apache-2.0 */
/* Turns a wave into arrays of rows: first the trunks, then the branches, then the last rows, which
   are scored. */
#include "src/forward/rows.h"

#include <stdlib.h>

#include "src/base/memory.h"

static enum ko_code allocate_rows(struct ko_row_set *set, int32_t n_embedded,
                                  const struct ko_wave *wave, int32_t n_stages,
                                  struct ko_error *err)
{
    set->per_row = ko_new(5 * (size_t)wave->n_rows, sizeof *set->per_row, err);
    set->token = ko_new((size_t)n_embedded, sizeof *set->token, err);
    set->per_prompt = ko_new(3 * (size_t)wave->n_prompts, sizeof *set->per_prompt, err);
    set->per_stage = ko_new(4 * (size_t)n_stages, sizeof *set->per_stage, err);
    const size_t n_runs = (size_t)wave->n_prompts + (size_t)wave->n_branches;
    set->first_last = ko_new(2 * n_runs, sizeof *set->first_last, err);
    set->first_scored = set->first_last ? set->first_last + n_runs : NULL;
    set->given = ko_new((size_t)wave->n_prompts, sizeof *set->given, err);
    if (!set->per_row || !set->token || !set->per_prompt || !set->per_stage || !set->first_last ||
        !set->given) {
        return err ? err->code : KO_E_MEMORY;
    }
    return KO_OK;
}

static enum ko_code allocate_last(struct ko_row_set *set, struct ko_error *err)
{
    const size_t n_last = (size_t)set->n_last, n = (size_t)set->n_scored;
    set->last = ko_new(n_last + 4 * n, sizeof *set->last, err);
    if (!set->last) {
        return KO_E_MEMORY;
    }
    set->source = set->last + n_last;
    set->clean = set->source + n;
    set->target = set->clean + n;
    set->foil = set->target + n;
    return KO_OK;
}

/* The row arrays of the set, writable. */
struct row_arrays {
    int32_t *position, *previous, *branch, *prompt, *parent_row;
};

static struct row_arrays bind_arrays(struct ko_row_set *set, const struct ko_wave *wave,
                                     int32_t n_stages)
{
    const size_t n = (size_t)wave->n_rows;
    struct row_arrays a = {set->per_row, set->per_row + n, set->per_row + 2 * n,
                           set->per_row + 3 * n, set->per_row + 4 * n};
    struct ko_rows *rows = &set->rows;
    rows->n_rows = wave->n_rows;
    rows->n_prompts = wave->n_prompts;
    rows->n_branches = wave->n_branches;
    rows->n_edge_sets = wave->n_edge_sets;
    rows->n_stages = n_stages;
    rows->position = a.position;
    rows->previous = a.previous;
    rows->branch = a.branch;
    rows->prompt = a.prompt;
    rows->parent_row = a.parent_row;
    rows->token = set->token;
    rows->trunk_first = set->per_prompt;
    rows->n_tokens = set->per_prompt + wave->n_prompts;
    rows->n_longest = set->per_prompt + 2 * (size_t)wave->n_prompts;
    rows->branches = wave->branch;
    rows->edges = wave->edge_set;
    rows->removals = wave->removal;
    rows->n_removals = wave->n_removals;
    rows->n_projected = set->per_stage;
    rows->n_convolved = set->per_stage + n_stages;
    rows->n_active = set->per_stage + 2 * (size_t)n_stages;
    rows->n_branches_active = set->per_stage + 3 * (size_t)n_stages;
    return a;
}

static void lay_trunks(const struct ko_plan *plan, const struct ko_wave *wave,
                       struct ko_row_set *set, const struct row_arrays *a)
{
    int32_t row = 0;
    for (int32_t p = 0; p < wave->n_prompts; p++) {
        const struct ko_prompt *prompt = ko_plan_prompt(plan, wave->model, wave->fact[p]);
        const int32_t n = ko_wave_trunk_rows(plan, wave, p);
        set->per_prompt[p] = row;
        set->per_prompt[wave->n_prompts + p] = n;
        set->per_prompt[2 * wave->n_prompts + p] =
            p < wave->n_results ? ko_prompt_most_rows(prompt) : n;
        if (n > set->rows.max_tokens) {
            set->rows.max_tokens = n;
        }
        if (prompt->n_embedded > 0) {
            set->given[set->n_given++] = (struct ko_given_rows){prompt, row};
        }
        for (int32_t i = 0; i < n; i++, row++) {
            const int32_t token = ko_prompt_row_token(prompt, ko_wave_sequence(wave, p), i);
            set->token[row] = token < 0 ? 0 : token; /* a matrix's row replaces it */
            a->position[row] = i;
            a->previous[row] = i > 0 ? row - 1 : -1;
            a->branch[row] = -1;
            a->prompt[row] = p;
            a->parent_row[row] = -1;
        }
    }
}

/* The row before a branch's first row: of its stem or the trunk. -1: there is none. */
static int32_t row_before(const struct ko_branch *b, int32_t trunk)
{
    if (b->n_shared > 0) {
        return ko_branch_row(b, b->first_position - 1);
    }
    return b->first_position > 0 ? trunk + b->first_position - 1 : -1;
}

/* A branch begins at the position at which its parent does, if that is a branch. */
static void lay_branches(const struct ko_wave *wave, const struct ko_row_set *set,
                         const struct row_arrays *a)
{
    for (int32_t k = 0; k < wave->n_branches; k++) {
        const struct ko_branch *b = &wave->branch[k];
        const int32_t trunk = set->per_prompt[b->prompt], first = b->first_position;
        const int32_t parent = b->parent < 0 ? trunk + first : wave->branch[b->parent].first_row;
        for (int32_t i = 0; i < b->n_rows; i++) {
            const int32_t row = b->first_row + i;
            a->position[row] = first + i;
            a->previous[row] = i > 0 ? row - 1 : row_before(b, trunk);
            a->branch[row] = k;
            a->prompt[row] = b->prompt;
            a->parent_row[row] = b->leaves_at == KO_HAS_TOKENS ? -1 : parent + i;
        }
    }
}

/* Sets the tokens of the trunks' forks. */
static void lay_tokens(const struct ko_plan *plan, const struct ko_wave *wave,
                       struct ko_row_set *set)
{
    for (int32_t k = 0; k < wave->n_branches && wave->branch[k].leaves_at == KO_HAS_TOKENS; k++) {
        const struct ko_branch *b = &wave->branch[k];
        const struct ko_prompt *prompt = ko_plan_prompt(plan, wave->model, wave->fact[b->prompt]);
        for (int32_t i = 0; i < b->n_rows; i++) {
            set->token[b->first_row + i] =
                ko_prompt_row_token(prompt, wave->sequence[k], b->first_position + i);
        }
    }
}

/* Lays out the rotary positions of every row, if a prompt of the wave brings its own. */
static enum ko_code lay_turns(const struct ko_plan *plan, const struct ko_wave *wave,
                              struct ko_row_set *set, struct ko_error *err)
{
    struct ko_rows *rows = &set->rows;
    const size_t n = (size_t)rows->n_rows;
    int32_t n_turns = 0;
    for (int32_t k = 0; k < set->n_given; k++) {
        const int32_t its = set->given[k].prompt->n_turns;
        n_turns = its > n_turns ? its : n_turns;
    }
    if (n_turns == 0) {
        return KO_OK;
    }
    set->turn = ko_new((size_t)n_turns * n, sizeof *set->turn, err);
    if (!set->turn) {
        return KO_E_MEMORY;
    }
    for (int32_t axis = 0; axis < n_turns; axis++) {
        int32_t *turn = set->turn + (size_t)axis * n;
        for (size_t r = 0; r < n; r++) {
            const int32_t p = rows->prompt[r], i = rows->position[r];
            const size_t trunk = (size_t)rows->trunk_first[p] + (size_t)i; /* r itself, or before */
            turn[r] = trunk < r ? turn[trunk]
                                : ko_prompt_turn(ko_plan_prompt(plan, wave->model, wave->fact[p]),
                                                 axis, i);
        }
    }
    rows->turn = set->turn;
    rows->n_turns = n_turns;
    return KO_OK;
}

static void count_stages(struct ko_row_set *set)
{
    struct ko_rows *rows = &set->rows;
    const int32_t n_stages = rows->n_stages;
    int32_t next = 0, active = rows->n_trunk_rows;
    while (next < rows->n_branches && rows->branches[next].leaves_at < 0) {
        active += rows->branches[next++].n_rows;
    }
    for (int32_t s = 0; s < n_stages; s++) {
        set->per_stage[s] = active;
        int32_t convolved = active;
        for (; next < rows->n_branches && rows->branches[next].leaves_at == s; next++) {
            active += rows->branches[next].n_rows;
            if (rows->branches[next].conv) {
                convolved = active;
            }
        }
        set->per_stage[n_stages + s] = convolved;
        set->per_stage[2 * n_stages + s] = active;
        set->per_stage[3 * n_stages + s] = next;
    }
}

/* A run: a prompt's trunk, or a branch. */
static int32_t prompt_of_run(const struct ko_wave *wave, int32_t run)
{
    return run < wave->n_prompts ? run : wave->branch[run - wave->n_prompts].prompt;
}

static int32_t sequence_of_run(const struct ko_wave *wave, int32_t run)
{
    return run < wave->n_prompts ? ko_wave_sequence(wave, run)
                                 : wave->sequence[run - wave->n_prompts];
}

/* Whether a run is a fork: it has the rows of another sequence than its prompt's trunk. */
static bool is_fork(const struct ko_wave *wave, int32_t run)
{
    return sequence_of_run(wave, run) != ko_wave_sequence(wave, prompt_of_run(wave, run));
}

/* The stem of a fork, as a run. */
static int32_t stem_of(const struct ko_wave *wave, int32_t fork)
{
    int32_t run = fork;
    if (wave->branch[fork - wave->n_prompts].n_shared == 0) {
        return prompt_of_run(wave, fork);
    }
    while (is_fork(wave, run)) {
        run--; /* forks follow their stem */
    }
    return run;
}

/* The scored rows of a run's own. A donor has one, which is not used. All rows of a fork are scored. */
static int32_t n_last_of(const struct ko_plan *plan, const struct ko_wave *wave, int32_t run)
{
    const int32_t p = prompt_of_run(wave, run);
    if (p >= wave->n_results) {
        return 1;
    }
    return is_fork(wave, run) ? wave->branch[run - wave->n_prompts].n_rows
                              : ko_prompt_n_last(ko_plan_prompt(plan, wave->model, wave->fact[p]),
                                                 sequence_of_run(wave, run));
}

/* The scored tokens of a run; a donor has one, which is not used. */
static int32_t n_scored_of(const struct ko_plan *plan, const struct ko_wave *wave, int32_t run)
{
    const int32_t p = prompt_of_run(wave, run);
    return p < wave->n_results
               ? ko_prompt_n_entries(ko_plan_prompt(plan, wave->model, wave->fact[p]),
                                     sequence_of_run(wave, run))
               : 1;
}

/* Sets where the scored rows and tokens of each run begin in their lists, and the lists' lengths. */
static void count_last_rows(const struct ko_plan *plan, const struct ko_wave *wave,
                            struct ko_row_set *set)
{
    set->n_last = set->n_scored = 0;
    for (int32_t k = 0; k < wave->n_prompts + wave->n_branches; k++) {
        set->first_last[k] = set->n_last;
        set->first_scored[k] = set->n_scored;
        set->n_last += n_last_of(plan, wave, k);
        set->n_scored += n_scored_of(plan, wave, k);
    }
}

static void find_last_rows(const struct ko_plan *plan, const struct ko_wave *wave,
                           struct ko_row_set *set)
{
    for (int32_t k = 0; k < wave->n_prompts + wave->n_branches; k++) {
        const int32_t branch = k - wave->n_prompts, n = n_last_of(plan, wave, k);
        const int32_t end = branch < 0
                                ? set->per_prompt[k] + set->per_prompt[wave->n_prompts + k]
                                : wave->branch[branch].first_row + wave->branch[branch].n_rows;
        for (int32_t i = 0; i < n; i++) {
            set->last[set->first_last[k] + i] = end - n + i;
        }
    }
}

/* Where a run has the rows that predict an answer's tokens: the first n_before in `last` from `before`
   on, which are its stem's, and the others from `own` on. */
struct last_rows {
    int32_t before, n_before, own;
};

static struct last_rows last_rows_of(const struct ko_row_set *set, const struct ko_wave *wave,
                                     int32_t n_tokens, int32_t run)
{
    struct last_rows rows = {0, 0, set->first_last[run]};
    if (is_fork(wave, run)) {
        rows.before = set->first_last[stem_of(wave, run)];
        rows.n_before = wave->branch[run - wave->n_prompts].first_position - (n_tokens - 1);
    }
    return rows;
}

/* The index in `last` of the row that predicts token i. */
static int32_t last_of(const struct last_rows *rows, int32_t i)
{
    return i < rows->n_before ? rows->before + i : rows->own + i - rows->n_before;
}

/* Scored token i of a choice in a run. `row` and `clean_row`: the indices in `last` of the rows that
   predict it in the run and in the clean run of the same sequence. */
struct scored {
    int32_t row, clean_row;
    int32_t clean_run;
    int32_t token, foil;
};

/* Sets scored token `at`. The clean row of all choices is that of the clean run's first token in the
   row. */
static void set_scored(struct ko_row_set *set, const struct scored *scored, int32_t at)
{
    int32_t clean = set->first_scored[scored->clean_run];
    set->source[at] = scored->row;
    while (set->source[clean] != scored->clean_row) {
        clean++; /* at the latest to `at`, where the run is the clean one */
    }
    set->clean[at] = clean;
    set->target[at] = scored->token;
    set->foil[at] = scored->foil;
}

/* Trunks and their forks come before branches, so the clean rows of a branch are known. */
static void list_scored(const struct ko_plan *plan, const struct ko_wave *wave,
                        struct ko_row_set *set)
{
    for (int32_t k = 0; k < wave->n_prompts + wave->n_branches; k++) {
        const int32_t p = prompt_of_run(wave, k), sequence = sequence_of_run(wave, k);
        const struct ko_prompt *prompt = ko_plan_prompt(plan, wave->model, wave->fact[p]);
        int32_t at = set->first_scored[k];
        if (p >= wave->n_results) {
            const int32_t row = set->first_last[k];
            set_scored(set, &(struct scored){row, row, k, prompt->target, prompt->foil}, at);
            continue;
        }
        const int32_t clean = ko_wave_clean_branch(wave, p, sequence);
        const int32_t clean_run = clean < 0 ? p : wave->n_prompts + clean;
        const struct last_rows rows = last_rows_of(set, wave, prompt->n_tokens, k);
        const struct last_rows clean_rows = last_rows_of(set, wave, prompt->n_tokens, clean_run);
        for (int32_t c = 0; c < ko_prompt_n_choices(prompt); c++) {
            if (ko_prompt_choice_sequence(prompt, c) != sequence) {
                continue;
            }
            for (int32_t i = 0; i < ko_prompt_choice_length(prompt, c); i++, at++) {
                const struct scored scored = {last_of(&rows, i), last_of(&clean_rows, i), clean_run,
                                              ko_prompt_choice_token(prompt, c, i), prompt->foil};
                set_scored(set, &scored, at);
            }
        }
    }
}

enum ko_code ko_row_set_build(const struct ko_plan *plan, const struct ko_wave *wave,
                              struct ko_row_set *out, struct ko_error *err)
{
    const int32_t n_stages = ko_plan_n_stages(&plan->model[wave->model]);
    int32_t n_trunk = 0;
    for (int32_t p = 0; p < wave->n_prompts; p++) {
        n_trunk += ko_wave_trunk_rows(plan, wave, p);
    }
    int32_t n_embedded = n_trunk;
    for (int32_t b = 0; b < wave->n_branches; b++) {
        n_embedded += wave->branch[b].leaves_at == KO_HAS_TOKENS ? wave->branch[b].n_rows : 0;
    }
    struct ko_row_set set = {.rows = {.n_trunk_rows = n_trunk, .n_embedded = n_embedded}};
    enum ko_code code = allocate_rows(&set, n_embedded, wave, n_stages, err);
    if (code == KO_OK) {
        count_last_rows(plan, wave, &set);
        code = allocate_last(&set, err);
    }
    if (code != KO_OK) {
        ko_row_set_free(&set);
        return code;
    }
    const struct row_arrays arrays = bind_arrays(&set, wave, n_stages);
    lay_trunks(plan, wave, &set, &arrays);
    lay_branches(wave, &set, &arrays);
    lay_tokens(plan, wave, &set);
    code = lay_turns(plan, wave, &set, err);
    if (code != KO_OK) {
        ko_row_set_free(&set);
        return code;
    }
    count_stages(&set);
    find_last_rows(plan, wave, &set);
    list_scored(plan, wave, &set);
    *out = set;
    return KO_OK;
}

void ko_row_set_free(struct ko_row_set *set)
{
    if (!set) {
        return;
    }
    free(set->per_row);
    free(set->token);
    free(set->per_prompt);
    free(set->per_stage);
    free(set->first_last);
    free(set->last);
    free(set->given);
    free(set->turn);
    *set = (struct ko_row_set){0};
}
