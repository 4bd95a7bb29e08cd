/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/prompts/answers/choice.h"

enum { MOST = 6 };

/* Choices whose tokens are the letters of their words; an empty word cannot be scored. */
static struct ko_choices make_choices(const char *const word[MOST], uint8_t kind)
{
    struct ko_choices choices = {.item = calloc(MOST, sizeof *choices.item)};
    struct ko_error err = {0};
    assert_non_null(choices.item);
    while (choices.n < MOST && word[choices.n]) {
        struct ko_choice *choice = &choices.item[choices.n];
        choice->kind = kind;
        choice->n = (int32_t)strlen(word[choices.n]);
        choice->token = calloc((size_t)choice->n + 1, sizeof *choice->token);
        for (int32_t k = 0; k < choice->n; k++) {
            choice->token[k] = word[choices.n][k];
        }
        choices.n++;
    }
    assert_int_equal(ko_choices_arrange(&choices, &err), KO_OK);
    return choices;
}

/* expected: the sequence of each word as a digit, '-' for one that cannot be scored; then the longest
   word of each sequence as a digit; nested: '+' for a word that another one contains. */
static void sequences_hold_choices_that_begin_alike(void **state)
{
    static const struct {
        const char *word[MOST], *sequence, *longest, *nested;
    } table[] = {
        {{"a", "b", "c"}, "000", "0", "..."},      /* one token each: no rows of their own */
        {{"ax", "ay", "a"}, "000", "0", "++."},    /* the same row a, and the first token alone */
        {{"ax", "bx", "abc"}, "010", "21", "..."}, /* abc has the row of ax, and one more */
        {{"abc", "ab", "b"}, "000", "0", "+.."},
        {{"ab", "ab", ""}, "00-", "0", ".+."}, /* of equal ones the later is nested */
        {{"", "", ""}, "---", "", "..."},
    };
    (void)state;
    for (size_t t = 0; t < sizeof table / sizeof table[0]; t++) {
        struct ko_choices choices = make_choices(table[t].word, KO_CHOICE_RIGHT);
        assert_int_equal(choices.n_sequences, strlen(table[t].longest));
        for (int32_t s = 0; s < choices.n_sequences; s++) {
            assert_int_equal(choices.longest[s], table[t].longest[s] - '0');
        }
        for (int32_t k = 0; k < choices.n; k++) {
            const struct ko_choice *choice = &choices.item[k];
            assert_int_equal(choice->nested, table[t].nested[k] == '+');
            if (choice->n > 0) {
                assert_int_equal(choice->sequence, table[t].sequence[k] - '0');
            } else {
                assert_int_equal(table[t].sequence[k], '-');
            }
        }
        ko_choices_free(&choices);
    }
}

static void equal_options_are_found(void **state)
{
    static const char *const apart[MOST] = {"ab", "ac", "a"}, *const equal[MOST] = {"ab", "c",
                                                                                    "ab"};
    (void)state;
    for (int k = 0; k < 3; k++) {
        const uint8_t kind = k == 2 ? KO_CHOICE_RIGHT : KO_CHOICE_OPTION;
        struct ko_choices choices = make_choices(k == 0 ? apart : equal, kind);
        assert_int_equal(ko_choices_have_equal_options(&choices), k == 1);
        ko_choices_free(&choices);
    }
}

static void choices_pass_through_messages(void **state)
{
    static const char *const word[MOST] = {"abc", "", "ax", "b"};
    struct ko_choices choices = make_choices(word, KO_CHOICE_RIGHT | KO_CHOICE_OPTION), copy = {0};
    struct ko_bytes to = {0}, from = {0};
    struct ko_error err = {0};
    (void)state;
    ko_choices_pack(&choices, &to);
    ko_bytes_read_from(&from, to.data.data, to.data.n);
    assert_int_equal(ko_choices_unpack(&from, choices.n, &copy, &err), KO_OK);
    assert_false(from.broken);
    assert_int_equal(copy.n, 4);
    assert_int_equal(copy.n_sequences, choices.n_sequences);
    for (int32_t k = 0; k < copy.n; k++) {
        assert_int_equal(copy.item[k].kind, KO_CHOICE_RIGHT | KO_CHOICE_OPTION);
        assert_int_equal(copy.item[k].n, choices.item[k].n);
        assert_int_equal(copy.item[k].sequence, choices.item[k].sequence);
        assert_memory_equal(copy.item[k].token, choices.item[k].token,
                            (size_t)copy.item[k].n * sizeof(int32_t));
    }
    ko_choices_free(&copy);
    ko_bytes_read_from(&from, to.data.data, to.data.n - 4);
    if (ko_choices_unpack(&from, choices.n, &copy, &err) == KO_OK) {
        assert_true(from.broken);
    }
    ko_choices_free(&copy);
    ko_choices_free(&choices);
    ko_text_free(&to.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences_hold_choices_that_begin_alike),
        cmocka_unit_test(equal_options_are_found),
        cmocka_unit_test(choices_pass_through_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
