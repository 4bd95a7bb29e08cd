/* SPDX-License-Identifier: Apache-2.0 */
/* Finds out which choices share a sequence of rows, and which right answers lie in others. */
#include "src/prompts/answers/choice.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"

/* Whether the first n tokens of both are equal; both have so many. */
static bool begin_alike(const struct ko_choice *a, const struct ko_choice *b, int32_t n)
{
    return memcmp(a->token, b->token, (size_t)n * sizeof *a->token) == 0;
}

/* Puts a choice into the first sequence that its rows begin or that begins with its rows. */
static void join_sequence(struct ko_choices *choices, int32_t which)
{
    struct ko_choice *choice = &choices->item[which];
    for (int32_t s = 0; s < choices->n_sequences; s++) {
        const struct ko_choice *longest = &choices->item[choices->longest[s]];
        const int32_t shorter = longest->n < choice->n ? longest->n : choice->n;
        if (begin_alike(choice, longest, shorter - 1)) {
            choice->sequence = s;
            choices->longest[s] = choice->n > longest->n ? which : choices->longest[s];
            return;
        }
    }
    choice->sequence = choices->n_sequences;
    choices->longest[choices->n_sequences++] = which;
}

/* Finds the trunk's sequence, and where the others fork from it. */
static void find_forks(struct ko_choices *choices)
{
    choices->trunk = 0;
    for (int32_t s = 1; s < choices->n_sequences; s++) {
        const int32_t n = choices->item[choices->longest[s]].n;
        choices->trunk = n > choices->item[choices->longest[choices->trunk]].n ? s : choices->trunk;
    }
    choices->n_fork_rows = 0;
    for (int32_t s = 0; s < choices->n_sequences; s++) {
        const struct ko_choice *choice = &choices->item[choices->longest[s]];
        const struct ko_choice *trunk = &choices->item[choices->longest[choices->trunk]];
        int32_t n = 0;
        while (n + 1 < choice->n && choice->token[n] == trunk->token[n]) {
            n++;
        }
        choices->shared[s] = n;
        choices->n_fork_rows += choice->n - 1 - n;
    }
}

static bool is_nested(const struct ko_choices *choices, int32_t which)
{
    const struct ko_choice *choice = &choices->item[which];
    bool nested = false;
    for (int32_t k = 0; k < choices->n && (choice->kind & KO_CHOICE_RIGHT); k++) {
        const struct ko_choice *other = &choices->item[k];
        const bool comes_first = other->n < choice->n || (other->n == choice->n && k < which);
        nested = nested || (k != which && (other->kind & KO_CHOICE_RIGHT) && other->n > 0 &&
                            comes_first && begin_alike(choice, other, other->n));
    }
    return nested;
}

enum ko_code ko_choices_arrange(struct ko_choices *choices, struct ko_error *err)
{
    choices->longest = ko_new((size_t)choices->n, sizeof *choices->longest, err);
    choices->shared = ko_new((size_t)choices->n, sizeof *choices->shared, err);
    if (!choices->longest || !choices->shared) {
        return KO_E_MEMORY;
    }
    choices->n_sequences = 0;
    for (int32_t k = 0; k < choices->n; k++) {
        if (choices->item[k].n > 0) {
            join_sequence(choices, k);
            choices->item[k].nested = is_nested(choices, k);
        }
    }
    find_forks(choices);
    return KO_OK;
}

bool ko_choices_have_equal_options(const struct ko_choices *choices)
{
    for (int32_t k = 0; k < choices->n; k++) {
        const struct ko_choice *a = &choices->item[k];
        for (int32_t i = 0; i < k; i++) {
            const struct ko_choice *b = &choices->item[i];
            if ((a->kind & b->kind & KO_CHOICE_OPTION) && a->n == b->n && begin_alike(a, b, a->n)) {
                return true;
            }
        }
    }
    return false;
}

void ko_choices_free(struct ko_choices *choices)
{
    for (int32_t k = 0; k < choices->n; k++) {
        free(choices->item[k].token);
    }
    free(choices->item);
    free(choices->longest);
    free(choices->shared);
    *choices = (struct ko_choices){0};
}

void ko_choices_pack(const struct ko_choices *choices, struct ko_bytes *to)
{
    for (int32_t k = 0; k < choices->n; k++) {
        const struct ko_choice *choice = &choices->item[k];
        ko_put_int(to, choice->kind);
        ko_put_int(to, choice->n);
        ko_put_blob(to, choice->token, (size_t)choice->n * sizeof *choice->token);
    }
}

enum ko_code ko_choices_unpack(struct ko_bytes *from, int32_t n, struct ko_choices *out,
                               struct ko_error *err)
{
    struct ko_choices choices = {.item = ko_new((size_t)n, sizeof *choices.item, err)};
    enum ko_code code = choices.item ? KO_OK : KO_E_MEMORY;
    for (int32_t k = 0; code == KO_OK && k < n; k++) {
        struct ko_choice *choice = &choices.item[choices.n++];
        choice->kind = (uint8_t)ko_get_int(from);
        const int64_t n_tokens = ko_get_int(from);
        if (n_tokens < 0 || (uint64_t)n_tokens > from->left / sizeof *choice->token) {
            from->broken = 1;
        }
        choice->n = from->broken ? 0 : (int32_t)n_tokens;
        choice->token = ko_new((size_t)choice->n, sizeof *choice->token, err);
        if (!choice->token) {
            code = KO_E_MEMORY;
        } else {
            ko_get_blob(from, choice->token, (size_t)choice->n * sizeof *choice->token);
        }
    }
    if (code == KO_OK) {
        code = ko_choices_arrange(&choices, err);
    }
    if (code != KO_OK) {
        ko_choices_free(&choices);
    } else {
        *out = choices;
    }
    return code;
}
