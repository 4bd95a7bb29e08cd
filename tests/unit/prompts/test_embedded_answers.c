/* SPDX-License-Identifier: Apache-2.0 */
/* Several right answers and options of prompts that are matrices: texts as they are written, token
   ids, and which of them fit behind the matrix. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/prompts/prompt.h"
#include "tests/support/folder.h"

#define RECORD(more) "{\"id\": 1, \"embeddings\": true, " more "}\n"

/* Reads a record. The error says "FILE:1: " + expected where one is expected. */
static struct ko_facts read_record(const char *text, const char *expected)
{
    char *folder = test_folder_make(), *path = test_folder_path(folder, "facts");
    struct ko_facts facts = {0};
    struct ko_error err = {0};
    test_folder_write(folder, "facts", text, strlen(text));
    const enum ko_code code = ko_facts_read(path, &facts, &err);
    if (!expected && code != KO_OK) {
        fail_msg("%s", err.text);
    }
    if (expected) {
        assert_int_equal(code, KO_E_INPUT);
        assert_string_equal(err.text + strlen(path), expected);
    }
    free(path);
    test_folder_remove(folder);
    return facts;
}

/* "text:kind", with a star behind the target's and the number of given ids, if there are any. */
static void describe(const struct ko_fact *fact, char *out, size_t n)
{
    size_t at = 0;
    out[0] = '\0';
    for (size_t k = 0; k < fact->n_choices && at < n; k++) {
        const struct ko_fact_choice *c = &fact->choice[k];
        const int added = snprintf(out + at, n - at, "%s%s:%d%s", k ? "," : "", c->text, c->kind,
                                   c->is_target ? "*" : "");
        at += (size_t)added;
        if (c->n_ids > 0 && at < n) {
            at += (size_t)snprintf(out + at, n - at, " %zu from %d", c->n_ids, c->id[0]);
        }
    }
}

static const struct {
    const char *record, *choices, *target, *targets, *options;
} good[] = {
    {RECORD("\"targets\": [\" a\", \"a\", \" a\"]"), " a:1*,a:1", " a", "[\" a\",\"a\"]", NULL},
    {RECORD("\"targets\": [[7, 8], \"a\"]"), "[7,8]:1* 2 from 7,a:1", "[7,8]", "[[7,8],\"a\"]",
     NULL},
    {RECORD("\"target_ids\": [9], \"options\": [[7], [9], \"[9]\"]"),
     "[7]:2 1 from 7,[9]:3* 1 from 9,[9]:2", "[9]", NULL, "[[7],[9],\"[9]\"]"},
    {RECORD("\"target\": \"yes\", \"target_ids\": [9], \"targets\": [\"yes\"]"),
     "[9]:1* 1 from 9,yes:1", "yes", "[[9],\"yes\"]", NULL},
    {RECORD("\"target\": \"b\", \"targets\": [[4]], \"options\": \"[[4], \\\"b\\\"]\""),
     "[4]:3 1 from 4,b:3*", "b", "[[4],\"b\"]", "[[4],\"b\"]"},
    {RECORD("\"targets\": [[5]]"), "", "[5]", NULL, NULL}, /* the target alone */
    {RECORD("\"target\": \"t\", \"targets\": [\"t\"]"), "", "t", NULL, NULL},
    {RECORD("\"target\": \"\", \"targets\": [\"t\"]"), "", "t", NULL, NULL},
    {RECORD("\"target\": \"\", \"targets\": [[5]]"), "", "[5]", NULL, NULL},
    {RECORD("\"target\": \"\", \"targets\": [[7, 8], \"a\"]"), "[7,8]:1* 2 from 7,a:1", "[7,8]",
     "[[7,8],\"a\"]", NULL},
};

static void expect(const char *found, const char *wanted)
{
    assert_int_equal(!found, !wanted);
    if (wanted) {
        assert_string_equal(found, wanted);
    }
}

static void lists_have_texts_as_they_are_and_ids(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct ko_facts facts = read_record(good[i].record, NULL);
        char text[200];
        describe(&facts.fact[0], text, sizeof text);
        assert_string_equal(text, good[i].choices);
        assert_string_equal(facts.fact[0].target, good[i].target);
        expect(facts.fact[0].targets, good[i].targets);
        expect(facts.fact[0].options, good[i].options);
        ko_facts_free(&facts);
    }
    struct ko_facts facts = read_record(good[5].record, NULL);
    assert_int_equal(facts.fact[0].embedded->n_target_ids, 1);
    assert_int_equal(facts.fact[0].embedded->target_id[0], 5);
    ko_facts_free(&facts);
}

static const struct {
    const char *record, *error;
} wrong[] = {
    {RECORD("\"foil\": \"f\""), ":1: missing key 'target', 'target_ids' or 'targets'"},
    {RECORD("\"options\": [\"t\"]"), ":1: missing key 'target', 'target_ids' or 'targets'"},
    {RECORD("\"targets\": []"),
     ":1: targets: expected a list of 1 to 256 texts or lists of token ids, got [ ]"},
    {RECORD("\"target\": \"t\", \"options\": 5"),
     ":1: options: expected a list of 1 to 256 texts or lists of token ids, got 5"},
    {RECORD("\"targets\": [7, 8]"), ":1: targets: expected a text or a list of token ids, got 7"},
    {RECORD("\"targets\": [[]]"), ":1: targets: expected a list of 1 to 32768 token ids, got [ ]"},
    {RECORD("\"target\": \"t\", \"targets\": [[7, -1]]"),
     ":1: targets: expected a list of 1 to 32768 token ids, got [ 7, -1 ]"},
    {RECORD("\"target_ids\": [7], \"options\": [[7], [8, \"a\"]]"),
     ":1: options: expected a list of 1 to 32768 token ids, got [ 8, \"a\" ]"},
    {RECORD("\"target_ids\": {\"0\": 7}"),
     ":1: target_ids: expected a list of 1 to 32768 token ids, got { \"0\": 7 }"},
    {RECORD("\"targets\": [\"t\", \"\"]"), ":1: targets: text 2 is empty or has a NUL character"},
    {RECORD("\"target_ids\": [7], \"options\": [[8], [7], [8]]"), ":1: option '[8]' comes twice"},
    {RECORD("\"target_ids\": [7], \"options\": [[8], \"[7]\"]"),
     ":1: the right answer '[7]' is not among the options"},
    {RECORD("\"target\": \"a\", \"options\": [\" a\", \"b\"]"),
     ":1: the right answer 'a' is not among the options"},
    {RECORD("\"target\": \"a\", \"possible_answers\": [\"b\"]"),
     ":1: possible_answers: a prompt of embeddings has its right answers in targets"},
    {"{\"prompt\": \"p\", \"subject\": \"p\", \"targets\": [[7]]}\n",
     ":1: targets: expected a text, got [ 7 ]"},
};

static void wrong_lists_are_refused_in_one_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        (void)read_record(wrong[i].record, wrong[i].error);
    }
}

/* The prompt of a record under a model of 8 positions, with a matrix of five rows whose positions end
   with 5, so that two rows fit behind them. */
static struct ko_prompt audit_record(const char *record, enum ko_score score)
{
    static int32_t turn[] = {0, 1, 2, 5, 5};
    struct ko_prompt prompt = {0};
    struct ko_error err = {0};
    struct ko_audit audit = {.score = score,
                             .bos_id = -1,
                             .max_tokens = 8,
                             .vocabulary = 2688,
                             .width = 4,
                             .positions = KO_POSITIONS_ROTARY};
    struct ko_facts facts = read_record(record, NULL);
    struct ko_fact_embedded *e = facts.fact[0].embedded;
    assert_int_equal(ko_tokenizer_open(KO_SOURCE_DIR "/jobs/models/mamba-facts/tokenizer.json",
                                       &audit.tokenizer, &err),
                     KO_OK);
    e->n_rows = e->n_positions = 5;
    e->width = 4;
    e->n_turns = 1;
    e->turn = turn;
    if (ko_prompt_audit(&audit, &facts.fact[0], &prompt, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    e->turn = NULL;
    ko_facts_free(&facts);
    ko_tokenizer_close(audit.tokenizer);
    return prompt;
}

enum { OSLO = 1749 }; /* " Oslo" */

static void answers_are_tokens_of_their_own(void **state)
{
    (void)state;
    struct ko_prompt p = audit_record(RECORD("\"target_ids\": [9, 7], \"options\": [\" Oslo\", [9, "
                                             "7], [9, 8, 6]]"),
                                      KO_SCORE_WHOLE_ANSWER);
    assert_int_equal(p.reason, KO_RUNNABLE);
    assert_int_equal(p.n_tokens, 5);
    assert_int_equal(ko_prompt_n_choices(&p), 3);
    assert_int_equal(ko_prompt_choice_length(&p, 0), 1);
    assert_int_equal(ko_prompt_choice_token(&p, 0, 0), OSLO);
    assert_int_equal(ko_prompt_choice_kind(&p, 1), KO_CHOICE_RIGHT | KO_CHOICE_OPTION);
    assert_int_equal(ko_prompt_choice_token(&p, 2, 2), 6);
    assert_int_equal(ko_prompt_n_sequences(&p), 1); /* the rows of all begin those of the last */
    assert_int_equal(p.target, 9);
    ko_prompt_free(&p);
    p = audit_record(RECORD("\"targets\": [[9, 7], [9, 8], [5, 4]]"), KO_SCORE_FIRST_TOKEN);
    assert_int_equal(p.reason, KO_RUNNABLE);
    assert_int_equal(ko_prompt_n_choices(&p), 3);
    assert_int_equal(ko_prompt_choice_length(&p, 2), 1);
    assert_true(p.choices.item[1].nested && !p.choices.item[2].nested);
    ko_prompt_free(&p);
}

static const struct {
    const char *record;
    enum ko_score score;
    enum ko_reason reason;
} judged[] = {
    {RECORD("\"target_ids\": [1, 2, 3]"), KO_SCORE_WHOLE_ANSWER, KO_RUNNABLE},
    {RECORD("\"target_ids\": [1, 2, 3, 4]"), KO_SCORE_WHOLE_ANSWER, KO_ANSWER_TOO_LONG},
    {RECORD("\"targets\": [[1, 2, 3, 4], [1]]"), KO_SCORE_WHOLE_ANSWER, KO_RUNNABLE},
    {RECORD("\"target_ids\": [1], \"options\": [[1], [1, 2, 3, 4]]"), KO_SCORE_WHOLE_ANSWER,
     KO_OPTION_NOT_SCORED},
    {RECORD("\"target_ids\": [1], \"options\": [[1], [2688]]"), KO_SCORE_FIRST_TOKEN,
     KO_OPTION_NOT_SCORED},
    {RECORD("\"target_ids\": [1, 2], \"options\": [[1, 2], [1, 3]]"), KO_SCORE_FIRST_TOKEN,
     KO_OPTIONS_ALIKE},
    {RECORD("\"target\": \" Oslo\", \"options\": [\" Oslo\", [1749]]"), KO_SCORE_WHOLE_ANSWER,
     KO_OPTIONS_ALIKE},
};

static void answers_that_do_not_fit_have_their_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof judged / sizeof judged[0]; i++) {
        struct ko_prompt p = audit_record(judged[i].record, judged[i].score);
        if (p.reason != judged[i].reason) {
            fail_msg("%s: %s", judged[i].record, ko_reason_sentence(p.reason));
        }
        ko_prompt_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_have_texts_as_they_are_and_ids),
        cmocka_unit_test(wrong_lists_are_refused_in_one_line),
        cmocka_unit_test(answers_are_tokens_of_their_own),
        cmocka_unit_test(answers_that_do_not_fit_have_their_reason),
    };
    return cmocka_run_group_tests_name("embedded_answers", tests, NULL, NULL);
}
