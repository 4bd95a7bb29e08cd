/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of several answers: in the trunk and in every branch they fork where they differ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/forward/rows.h"
#include "src/tree/waves/wave_build.h"
#include "tests/support/every_wave.h"
#include "tests/support/made_plan.h"

static const char spec[] =
    "models: [ssm, attention]\n"
    "prompts: {file: facts.jsonl, score: whole-answer, answer-rows: knocked}\n"
    "routes: ['last<-subject', 'subject<-first', 'all<-all', 'mixer@last']\n"
    "features: [all, slow-third, all+conv]\n"
    "windows: {sizes: [1, 2, 4], starts: all}\n";

/* The same with listed layers, so that branches name their stages. */
static const char listed[] = "models: [ssm, attention]\n"
                             "prompts: {file: facts.jsonl, score: whole-answer}\n"
                             "routes: ['last<-subject', 'subject<-first']\n"
                             "windows: {layers: [[0, 2], [1, 3]]}\n";

/* The tokens of the choices of a prompt, a letter each. Of the longest sequence the others share no
   row, one, two or three; some sequences have several choices; forks of one prompt begin at different
   positions, in either order. */
static const char *const choices_of[][6] = {
    {"abcd", "xyz", "abx", "abcx", "xw", NULL},
    {"abcd", "axyz", "qrst", NULL},
    {"abcd", "qrst", "axyz", "abxy", NULL},
    {"a", "b", "c", NULL},
    {"pq", "rs", "tuv", NULL},
    {"abcdef", "abcxyz", NULL},
    {"k", "lmno", NULL},
    {"gh", "gi", "g", NULL},
};
enum { N_FACTS = sizeof choices_of / sizeof choices_of[0] };

static void shape(int32_t model, int32_t fact, struct ko_prompt *prompt)
{
    struct ko_choices *choices = &prompt->choices;
    struct ko_error err = {0};
    (void)model;
    choices->item = calloc(6, sizeof *choices->item);
    for (; choices_of[fact][choices->n]; choices->n++) {
        const char *word = choices_of[fact][choices->n];
        struct ko_choice *choice = &choices->item[choices->n];
        choice->kind = KO_CHOICE_OPTION | (choices->n == 0 ? KO_CHOICE_RIGHT : 0);
        choice->n = (int32_t)strlen(word);
        choice->token = calloc((size_t)choice->n, sizeof *choice->token);
        for (int32_t k = 0; k < choice->n; k++) {
            choice->token[k] = word[k];
        }
    }
    assert_int_equal(ko_choices_arrange(choices, &err), KO_OK);
}

/* Calls check on every wave of a plan of the spec, with a row budget for several prompts a wave or for
   several waves a prompt. Returns how many there were. */
static int32_t for_every_wave(const char *text, int32_t budget, check_wave *check)
{
    const struct made_case made = {
        .spec = text,
        .model = {{.n_layers = 5, .n_features = 12, .d_conv = 4, .row_budget = budget},
                  {.n_layers = 4, .row_budget = budget}},
        .n_facts = {N_FACTS},
        .shape = shape};
    struct ko_plan *plan = NULL;
    struct ko_error err = {0};
    assert_int_equal(made_plan_build(&made, &plan, NULL, &err), KO_OK);
    const int32_t n = check_every_wave(plan, check);
    ko_plan_free(plan);
    return n;
}

static void for_all_budgets(check_wave *check)
{
    const int32_t several = for_every_wave(spec, 2000, check);
    assert_in_range(several, 2, for_every_wave(spec, 150, check) - 5);
    assert_true(for_every_wave(listed, 2000, check) >= 2);
}

/* The token of a row: that of the row from which it was copied, parent after parent. */
static int32_t token_of(const struct ko_rows *rows, int32_t row)
{
    while (row >= rows->n_embedded) {
        row = rows->parent_row[row];
    }
    return rows->token[row];
}

/* Walks the path of a row of a branch (-1: the trunk), which has the rows of a sequence: every
   position once, with the sequence's token, and behind the row where it forks nothing of its own is
   left out. */
static void check_path(const struct wave_of *w, int32_t row, int32_t branch, int32_t sequence)
{
    const struct ko_rows *rows = &w->set->rows;
    const struct ko_prompt *prompt = prompt_of_wave(w, rows->prompt[row]);
    const struct ko_branch *b = branch < 0 ? NULL : &rows->branches[branch];
    for (int32_t j = rows->position[row]; j >= 0; j--, row = rows->previous[row]) {
        assert_int_equal(rows->position[row], j);
        assert_int_equal(token_of(rows, row), ko_prompt_row_token(prompt, sequence, j));
        if (!b || j < ko_branch_start(b)) {
            assert_int_equal(rows->branch[row], -1);
            assert_int_equal(row, rows->trunk_first[rows->prompt[row]] + j);
        } else {
            assert_int_equal(row, ko_branch_row(b, j));
        }
    }
    assert_int_equal(row, -1);
}

static int32_t n_forks, n_shared; /* of branches, and the answers' rows that these share */
static int32_t n_staged;          /* forks with stages of their own */

static void check_branch(const struct wave_of *w, int32_t k)
{
    const struct ko_rows *rows = &w->set->rows;
    const struct ko_branch *b = &rows->branches[k];
    const struct ko_prompt *prompt = prompt_of_wave(w, b->prompt);
    const int32_t sequence = w->wave->sequence[k];
    const bool fork = sequence != w->wave->trunk_sequence[b->prompt];
    const int32_t last = b->first_row + b->n_rows - 1;
    assert_int_equal(ko_branch_end(b), ko_prompt_n_rows(prompt, sequence));
    check_path(w, last, k, sequence);
    for (int32_t row = b->first_row; row <= last; row++) {
        assert_int_equal(rows->branch[row], k);
    }
    if (b->leaves_at == KO_HAS_TOKENS) {
        assert_true(fork && b->n_shared == 0 && b->parent < 0 && b->edge_set < 0);
        assert_true(last < rows->n_embedded);
        return;
    }
    if (b->parent >= 0) {
        const struct ko_branch *parent = &rows->branches[b->parent];
        assert_int_equal(w->wave->sequence[b->parent], sequence);
        assert_int_equal(parent->first_position, b->first_position);
        assert_int_equal(parent->n_rows, b->n_rows);
    }
    assert_int_equal(b->n_shared > 0, fork);
    if (fork) {
        /* It does what its stem does, and has its own rows only where their tokens differ. */
        int32_t stem = k;
        while (rows->branches[stem].n_shared > 0) {
            stem--;
        }
        const struct ko_branch *s = &rows->branches[stem];
        struct ko_branch wanted = *s;
        wanted.parent = b->parent;
        wanted.first_row = b->first_row;
        wanted.n_rows = ko_prompt_n_rows(prompt, sequence) - b->first_position;
        wanted.first_position = ko_prompt_fork_at(prompt, sequence);
        wanted.n_shared = wanted.first_position - s->first_position;
        wanted.shared_row = s->first_row;
        wanted.stages = b->stages;
        assert_memory_equal(b, &wanted, sizeof *b);
        assert_int_equal(b->stages != NULL, s->stages != NULL);
        if (s->stages) {
            assert_ptr_not_equal(b->stages, s->stages);
            assert_memory_equal(b->stages, s->stages, (size_t)rows->n_stages);
            n_staged++;
        }
        assert_int_not_equal(token_of(rows, b->first_row),
                             token_of(rows, ko_branch_row(s, b->first_position)));
        n_forks++;
        n_shared += b->first_position - prompt->n_tokens;
    }
}

static void check_rows(const struct wave_of *w)
{
    const struct ko_rows *rows = &w->set->rows;
    assert_int_equal(rows->n_prompts, w->wave->n_results);
    for (int32_t p = 0; p < rows->n_prompts; p++) {
        const int32_t n = rows->n_tokens[p], sequence = w->wave->trunk_sequence[p];
        assert_int_equal(n, ko_prompt_n_rows(prompt_of_wave(w, p), sequence));
        assert_int_equal(rows->n_longest[p], n);
        check_path(w, rows->trunk_first[p] + n - 1, -1, sequence);
    }
    for (int32_t k = 0; k < rows->n_branches; k++) {
        check_branch(w, k);
    }
}

static void answers_fork_where_they_differ(void **state)
{
    (void)state;
    n_forks = n_shared = n_staged = 0;
    for_all_budgets(check_rows);
    assert_true(n_forks > 100 && n_shared > 100 && n_staged > 10);
}

/* The row of a position on the path of a branch; -1: of the trunk. */
static int32_t row_on_path(const struct wave_of *w, int32_t prompt, int32_t branch,
                           int32_t position)
{
    const struct ko_branch *b = branch < 0 ? NULL : &w->wave->branch[branch];
    return b && position >= ko_branch_start(b) ? ko_branch_row(b, position)
                                               : w->set->rows.trunk_first[prompt] + position;
}

/* Checks that the scored tokens from `at` on are those of the sequence's choices, each predicted by
   the row before it on the run's path, and beside the same position of the clean run. */
static void check_scored(const struct wave_of *w, int32_t run, int32_t prompt, int32_t sequence)
{
    const struct ko_row_set *set = w->set;
    const struct ko_prompt *p = prompt_of_wave(w, prompt);
    const int32_t clean = ko_wave_clean_branch(w->wave, prompt, sequence);
    const int32_t branch = run - set->rows.n_prompts;
    int32_t at = set->first_scored[run];
    for (int32_t c = 0; c < ko_prompt_n_choices(p); c++) {
        for (int32_t i = 0;
             ko_prompt_choice_sequence(p, c) == sequence && i < ko_prompt_choice_length(p, c);
             i++, at++) {
            const int32_t position = p->n_tokens - 1 + i;
            assert_int_equal(set->target[at], ko_prompt_choice_token(p, c, i));
            assert_int_equal(set->last[set->source[at]],
                             row_on_path(w, prompt, branch < 0 ? -1 : branch, position));
            assert_int_equal(set->last[set->source[set->clean[at]]],
                             row_on_path(w, prompt, clean, position));
        }
    }
}

/* Every cell once for each sequence, ascending, with a branch of that sequence; and no row is scored
   as two rows. */
static void check_cells(const struct wave_of *w)
{
    const struct ko_wave *wave = w->wave;
    const struct ko_row_set *set = w->set;
    uint8_t *seen = calloc((size_t)set->rows.n_rows, 1);
    assert_non_null(seen);
    for (int32_t k = 0; k < set->n_last; k++) {
        assert_int_equal(seen[set->last[k]]++, 0);
    }
    free(seen);
    for (int64_t c = 0; c < wave->n_cells; c++) {
        const struct ko_wave_cell *cell = &wave->cell[c];
        const bool goes_on = c > 0 && cell[-1].sequence + 1 <
                                          ko_prompt_n_sequences(prompt_of_wave(w, cell[-1].prompt));
        assert_int_equal(cell->sequence, goes_on ? cell[-1].sequence + 1 : 0);
        if (goes_on) {
            assert_int_equal(cell[-1].slot, cell->slot);
            assert_int_equal(cell[-1].prompt, cell->prompt);
        }
        const int32_t run = cell->branch < 0 ? cell->prompt : wave->n_prompts + cell->branch;
        assert_int_equal(cell->branch < 0 ? wave->trunk_sequence[cell->prompt]
                                          : wave->sequence[cell->branch],
                         cell->sequence);
        check_scored(w, run, cell->prompt, cell->sequence);
    }
    for (int32_t p = 0; p < wave->n_results; p++) {
        for (int32_t s = 0; s < ko_prompt_n_sequences(prompt_of_wave(w, p)); s++) {
            const int32_t branch = ko_wave_clean_branch(wave, p, s);
            check_scored(w, branch < 0 ? p : wave->n_prompts + branch, p, s);
        }
    }
}

static void every_choice_is_scored_behind_its_own_tokens(void **state)
{
    (void)state;
    for_all_budgets(check_cells);
}

/* A single cell of a shorter answer turns by the length of the longest. */
static void a_cell_of_one_answer_keeps_the_length_of_the_longest(void **state)
{
    const struct made_case made = {
        .spec = spec,
        .model = {{.n_layers = 5, .n_features = 12, .d_conv = 4}, {.n_layers = 4}},
        .n_facts = {N_FACTS},
        .shape = shape};
    const struct ko_cell cell = {
        .model = 0, .fact = 0, .route = 0, .class = 0, .size = 0, .start = 1};
    struct ko_plan *plan = NULL;
    struct ko_error err = {0};
    (void)state;
    assert_int_equal(made_plan_build(&made, &plan, NULL, &err), KO_OK);
    const struct ko_prompt *prompt = ko_plan_prompt(plan, 0, 0);
    assert_true(ko_prompt_n_sequences(prompt) > 1);
    for (int32_t s = 0; s < ko_prompt_n_sequences(prompt); s++) {
        struct ko_wave wave = {0};
        struct ko_row_set set = {0};
        assert_int_equal(ko_wave_of_cell(plan, &cell, s, &wave, &err), KO_OK);
        assert_int_equal(ko_row_set_build(plan, &wave, &set, &err), KO_OK);
        assert_int_equal(set.rows.n_tokens[0], ko_prompt_n_rows(prompt, s));
        assert_int_equal(set.rows.n_longest[0], prompt->n_tokens + 3); /* "abcd" */
        check_path(&(struct wave_of){plan, &wave, &set}, set.rows.n_rows - 1, 0, s);
        ko_row_set_free(&set);
        ko_wave_free(&wave);
    }
    ko_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_fork_where_they_differ),
        cmocka_unit_test(every_choice_is_scored_behind_its_own_tokens),
        cmocka_unit_test(a_cell_of_one_answer_keeps_the_length_of_the_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
