/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "src/prompts/prompt.h"
#include "tests/support/folder.h"

enum { VOCABULARY = 1 << 20, MAX_BLANK = 8 };

static const char *const tokenizers[] = {"falcon", "gemma",  "gpt-neox",     "gpt2",
                                         "llama2", "llama3", "metaspace",    "mistral-v3",
                                         "opt",    "qwen2",  "single-digits"};
enum { N_TOKENIZERS = sizeof tokenizers / sizeof tokenizers[0] };

static const char *const answers[] = {
    "1809",
    "2005",
    "7",
    "3.14",
    "1,000,000",
    "50 %",
    "Dari",
    "New York",
    "d'Ivoire",
    "\xE5\x8C\x97\xE4\xBA\xAC",                                                 /* Beijing */
    "\xE6\x9D\xB1\xE4\xBA\xAC\xE9\x83\xBD",                                     /* Tokyo */
    "\xE3\x82\xAB\xE3\x82\xBF\xE3\x82\xAB\xE3\x83\x8A",                         /* katakana */
    "\xED\x95\x9C\xEA\xB5\xAD",                                                 /* Korea */
    "\xD0\x9C\xD0\xBE\xD1\x81\xD0\xBA\xD0\xB2\xD0\xB0",                         /* Moscow */
    "\xD8\xA7\xD9\x84\xD8\xB9\xD8\xB1\xD8\xA8\xD9\x8A\xD8\xA9",                 /* Arabic */
    "\xE0\xB8\x81\xE0\xB8\xA3\xE0\xB8\xB8\xE0\xB8\x87",                         /* Thai */
    "\xE0\xA4\xA6\xE0\xA4\xBF\xE0\xA4\xB2\xE0\xA5\x8D\xE0\xA4\xB2\xE0\xA5\x80", /* Delhi */
    "\xF0\x9F\x98\x80",                                                         /* a face */
};
enum { N_ANSWERS = sizeof answers / sizeof answers[0] };

static struct ko_tokenizer *open_bundled(const char *name)
{
    struct ko_tokenizer *tokenizer = NULL;
    struct ko_error err = {0};
    char path[512];
    (void)snprintf(path, sizeof path, KO_SOURCE_DIR "/tests/data/tokenizers/%s/tokenizer.json",
                   name);
    if (ko_tokenizer_open(path, &tokenizer, &err)) {
        fail_msg("%s", err.text);
    }
    return tokenizer;
}

static struct ko_prompt audit(struct ko_tokenizer *tokenizer, enum ko_score score,
                              const char *target, const char *foil)
{
    const struct ko_audit how = {
        .tokenizer = tokenizer, .score = score, .bos_id = -1, .vocabulary = VOCABULARY};
    const struct ko_fact fact = {.id = (char *)(uintptr_t) "7",
                                 .text = (char *)(uintptr_t) "The number of Kabul is",
                                 .subject = (char *)(uintptr_t) "Kabul",
                                 .target = (char *)(uintptr_t)target,
                                 .foil = (char *)(uintptr_t)foil};
    struct ko_prompt prompt = {0};
    struct ko_error err = {0};
    if (ko_prompt_audit(&how, &fact, &prompt, &err)) {
        fail_msg("%s", err.text);
    }
    return prompt;
}

/* By what tokenizer.json writes, not by offsets: nothing but the letter that stands for a space. */
static bool is_lone_space(const struct ko_tokenizer *tokenizer, int32_t id)
{
    static const char *const spaces[] = {"\xC4\xA0", "\xE2\x96\x81", " ", "<0x20>"};
    const char *piece = ko_tokenizer_piece(tokenizer, id);
    bool any = false;
    for (const char *at = piece; *at != '\0';) {
        size_t n = 0;
        for (size_t k = 0; k < sizeof spaces / sizeof spaces[0] && n == 0; k++) {
            n = strncmp(at, spaces[k], strlen(spaces[k])) == 0 ? strlen(spaces[k]) : 0;
        }
        if (n == 0) {
            return false;
        }
        at += n;
        any = true;
    }
    return any;
}

/* The tokens beyond those of the prompt; special ones behind the text do not count. */
static size_t beyond(struct ko_tokenizer *tokenizer, const char *answer, int32_t *id, size_t most,
                     size_t *n_prompt)
{
    static const char prompt[] = "The number of Kabul is";
    struct ko_encoding text = {0}, whole = {0};
    struct ko_error err = {0};
    char both[256];
    (void)snprintf(both, sizeof both, "%s %s", prompt, answer);
    assert_int_equal(ko_tokenizer_encode(tokenizer, prompt, strlen(prompt), &text, &err), KO_OK);
    assert_int_equal(ko_tokenizer_encode(tokenizer, both, strlen(both), &whole, &err), KO_OK);
    while (text.special[text.n - 1]) {
        text.n--;
    }
    while (whole.special[whole.n - 1]) {
        whole.n--;
    }
    assert_memory_equal(whole.id, text.id, text.n * sizeof *text.id);
    size_t n = whole.n - text.n;
    for (size_t k = 0; k < n && k < most; k++) {
        id[k] = whole.id[text.n + k];
    }
    *n_prompt = text.n;
    ko_encoding_free(&text);
    ko_encoding_free(&whole);
    return n;
}

/* How many tokens of white space the answer begins with. */
static int32_t check_answer(struct ko_tokenizer *tokenizer, const char *answer)
{
    int32_t id[MAX_BLANK + 1] = {0};
    size_t n_prompt = 0, n = beyond(tokenizer, answer, id, MAX_BLANK + 1, &n_prompt);
    int32_t n_blank = 0;
    while (is_lone_space(tokenizer, id[n_blank])) {
        n_blank++;
        assert_true((size_t)n_blank < n && n_blank < MAX_BLANK);
    }
    struct ko_prompt usual = audit(tokenizer, KO_SCORE_FIRST_TOKEN, answer, NULL);
    struct ko_prompt text = audit(tokenizer, KO_SCORE_FIRST_TEXT, answer, NULL);
    struct ko_prompt raw = audit(tokenizer, KO_SCORE_RAW_FIRST_TOKEN, answer, NULL);
    assert_int_equal(usual.reason, n_blank > 0 ? KO_TARGET_BLANK : KO_RUNNABLE);
    assert_int_equal(usual.target, n_blank > 0 ? 0 : id[0]);
    assert_int_equal(raw.reason, KO_RUNNABLE);
    assert_int_equal(raw.target, id[0]);
    assert_int_equal(raw.target_blank, n_blank > 0);
    assert_int_equal(raw.n_appended, 0);
    assert_int_equal(raw.n_tokens, n_prompt);
    assert_int_equal(text.reason, KO_RUNNABLE);
    assert_int_equal(text.target, id[n_blank]);
    assert_int_equal(text.n_appended, n_blank);
    assert_int_equal(text.n_tokens, (int32_t)n_prompt + n_blank);
    assert_memory_equal(text.token, raw.token, n_prompt * sizeof *text.token);
    assert_memory_equal(text.token + n_prompt, id, (size_t)n_blank * sizeof *id);
    assert_int_equal(text.subject_begin, raw.subject_begin);
    assert_int_equal(text.subject_end, raw.subject_end);
    for (int32_t k = (int32_t)n_prompt; k < text.n_tokens; k++) {
        assert_int_equal(text.in_subject[k], 0);
    }
    ko_prompt_free(&usual);
    ko_prompt_free(&text);
    ko_prompt_free(&raw);
    return n_blank;
}

static void a_lone_space_is_never_scored_unasked(void **state)
{
    (void)state;
    for (size_t t = 0; t < N_TOKENIZERS; t++) {
        struct ko_tokenizer *tokenizer = open_bundled(tokenizers[t]);
        int32_t n_lone = 0;
        for (size_t a = 0; a < N_ANSWERS; a++) {
            n_lone += check_answer(tokenizer, answers[a]) > 0;
        }
        print_message("%-13s %d of %d answers begin with a lone space\n", tokenizers[t], n_lone,
                      N_ANSWERS);
        assert_in_range(n_lone, 1, N_ANSWERS - 1);
        ko_tokenizer_close(tokenizer);
    }
}

enum { MOST_TOKENS = 64 };

/* All tokens are scored, white space too; one position fewer than their rows need is too few. */
static void check_whole(struct ko_tokenizer *tokenizer, const char *answer)
{
    int32_t id[MOST_TOKENS] = {0};
    size_t n_prompt = 0;
    const int32_t n = (int32_t)beyond(tokenizer, answer, id, MOST_TOKENS, &n_prompt);
    struct ko_prompt whole = audit(tokenizer, KO_SCORE_WHOLE_ANSWER, answer, NULL);
    struct ko_prompt raw = audit(tokenizer, KO_SCORE_RAW_FIRST_TOKEN, answer, NULL);
    struct ko_prompt copy = {0};
    struct ko_error err = {0};
    assert_in_range(n, 1, MOST_TOKENS);
    assert_int_equal(ko_prompt_copy(&whole, &copy, &err), KO_OK);
    assert_int_equal(copy.reason, KO_RUNNABLE);
    assert_int_equal(copy.n_tokens, n_prompt);
    assert_int_equal(ko_prompt_n_scored(&copy), n);
    assert_int_equal(ko_prompt_n_rows(&copy, 0), (int32_t)n_prompt + n - 1);
    for (int32_t k = 0; k < n; k++) {
        assert_int_equal(ko_prompt_scored(&copy, k), id[k]);
        assert_true(k + 1 == n || ko_prompt_row_token(&copy, 0, (int32_t)n_prompt + k) == id[k]);
    }
    assert_memory_equal(copy.token, raw.token, n_prompt * sizeof *raw.token);
    assert_int_equal(copy.subject_begin, raw.subject_begin);
    ko_prompt_free(&copy);
    ko_prompt_free(&whole);
    ko_prompt_free(&raw);
    for (int32_t room = -1; n > 1 && room <= 0; room++) {
        struct ko_audit how = {.tokenizer = tokenizer,
                               .score = KO_SCORE_WHOLE_ANSWER,
                               .bos_id = -1,
                               .max_tokens = (int32_t)n_prompt + n - 1 + room,
                               .vocabulary = VOCABULARY};
        const struct ko_fact fact = {.id = (char *)(uintptr_t) "7",
                                     .text = (char *)(uintptr_t) "The number of Kabul is",
                                     .subject = (char *)(uintptr_t) "Kabul",
                                     .target = (char *)(uintptr_t)answer};
        assert_int_equal(ko_prompt_audit(&how, &fact, &copy, &err), KO_OK);
        assert_int_equal(copy.reason, room < 0 ? KO_ANSWER_TOO_LONG : KO_RUNNABLE);
        assert_true(room == 0 || (!copy.rest && copy.n_rest == 0));
        ko_prompt_free(&copy);
        how.vocabulary = 1 + (id[n - 1] > id[0] ? id[n - 1] - 1 : id[0] - 1);
        assert_int_equal(ko_prompt_audit(&how, &fact, &copy, &err), KO_OK);
        assert_int_equal(copy.reason, KO_TOKEN_OUTSIDE_VOCABULARY);
        ko_prompt_free(&copy);
    }
}

static void whole_answers_are_all_their_tokens(void **state)
{
    (void)state;
    for (size_t t = 0; t < N_TOKENIZERS; t++) {
        struct ko_tokenizer *tokenizer = open_bundled(tokenizers[t]);
        for (size_t a = 0; a < N_ANSWERS; a++) {
            check_whole(tokenizer, answers[a]);
        }
        ko_tokenizer_close(tokenizer);
    }
}

/* With Llama-2's: "▁ 1 80 9", "▁ 2 0 0 5"; "▁D ari", "▁Ne w ▁ Y or k". */
static void a_foil_counts_only_beside_another_token(void **state)
{
    static const struct {
        const char *target, *foil;
        enum ko_foil first_token, first_text, raw;
        enum ko_foil whole; /* whole answers have none */
    } rows[] = {
        {"Dari", "New York", KO_FOIL_SCORED, KO_FOIL_SCORED, KO_FOIL_SCORED, KO_FOIL_NOT_WHOLE},
        {"Dari", NULL, KO_FOIL_ABSENT, KO_FOIL_ABSENT, KO_FOIL_ABSENT, KO_FOIL_ABSENT},
        {"Dari", " ", KO_FOIL_ABSENT, KO_FOIL_ABSENT, KO_FOIL_ABSENT, KO_FOIL_ABSENT},
        {"Dari", "Dari", KO_FOIL_IS_ANSWER, KO_FOIL_IS_ANSWER, KO_FOIL_IS_ANSWER,
         KO_FOIL_NOT_WHOLE},
        {"Dari", "1809", KO_FOIL_BLANK, KO_FOIL_OTHER_BLANKS, KO_FOIL_SCORED, KO_FOIL_NOT_WHOLE},
        {"1809", "2005", KO_FOIL_ABSENT, KO_FOIL_SCORED, KO_FOIL_IS_ANSWER, KO_FOIL_NOT_WHOLE},
        {"1809", "1805", KO_FOIL_ABSENT, KO_FOIL_IS_ANSWER, KO_FOIL_IS_ANSWER, KO_FOIL_NOT_WHOLE},
        {"1809", "Dari", KO_FOIL_ABSENT, KO_FOIL_OTHER_BLANKS, KO_FOIL_SCORED, KO_FOIL_NOT_WHOLE},
    };
    struct ko_tokenizer *tokenizer = open_bundled("llama2");
    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        const enum ko_foil wanted[] = {rows[r].first_token, rows[r].first_text, rows[r].raw,
                                       rows[r].whole};
        for (int score = 0; score < KO_N_SCORES; score++) {
            struct ko_prompt p =
                audit(tokenizer, (enum ko_score)score, rows[r].target, rows[r].foil);
            print_message("%s, not %s, %s\n", rows[r].target, rows[r].foil, ko_score_words[score]);
            assert_int_equal(p.foil_state, wanted[score]);
            if (p.reason == KO_RUNNABLE) {
                assert_int_equal(p.foil >= 0, wanted[score] == KO_FOIL_SCORED);
                assert_int_not_equal(p.foil, p.target);
            }
            ko_prompt_free(&p);
        }
    }
    ko_tokenizer_close(tokenizer);
}

/* An appended token may be one too many for the model, and must be one that it has. */
static void appended_tokens_keep_the_limits(void **state)
{
    struct ko_tokenizer *tokenizer = open_bundled("llama2");
    const struct ko_fact fact = {.id = (char *)(uintptr_t) "7",
                                 .text = (char *)(uintptr_t) "Kabul is",
                                 .subject = (char *)(uintptr_t) "Kabul",
                                 .target = (char *)(uintptr_t) "1809"};
    struct ko_audit how = {.tokenizer = tokenizer,
                           .score = KO_SCORE_FIRST_TEXT,
                           .bos_id = -1,
                           .vocabulary = VOCABULARY};
    struct ko_prompt p = {0};
    (void)state;
    assert_int_equal(ko_prompt_audit(&how, &fact, &p, NULL), KO_OK);
    assert_int_equal(p.reason, KO_RUNNABLE);
    assert_int_equal(p.n_appended, 1);
    const int32_t n_tokens = p.n_tokens, space = p.token[p.n_tokens - 1];
    ko_prompt_free(&p);
    how.max_tokens = n_tokens - 1;
    assert_int_equal(ko_prompt_audit(&how, &fact, &p, NULL), KO_OK);
    assert_int_equal(p.reason, KO_PROMPT_TOO_LONG);
    ko_prompt_free(&p);
    how.max_tokens = n_tokens;
    how.vocabulary = space;
    assert_int_equal(ko_prompt_audit(&how, &fact, &p, NULL), KO_OK);
    assert_int_equal(p.reason, KO_TOKEN_OUTSIDE_VOCABULARY);
    ko_prompt_free(&p);
    ko_tokenizer_close(tokenizer);
}

/* One text that an expression cannot be matched with in reasonable time ends nothing: the prompt is
   skipped, the foil counts as none. */
static void a_text_that_the_tokenizer_refuses_is_skipped(void **state)
{
    static const char json[] =
        "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \" \": 1, \"b\": 2, \"c\": 3}, "
        "\"merges\": []}, \"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"Regex\": "
        "\"(a|aa)+c\"}, \"behavior\": \"Isolated\", \"invert\": false}}";
    static const char hard[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabc";
    char *folder = test_folder_make(), *path = test_folder_path(folder, "tokenizer.json");
    struct ko_tokenizer *tokenizer = NULL;
    struct ko_fact fact = {.id = (char *)(uintptr_t) "7", .subject = (char *)(uintptr_t) "a"};
    struct ko_prompt p = {0};
    (void)state;
    test_folder_write_text(folder, "tokenizer.json", json);
    assert_int_equal(ko_tokenizer_open(path, &tokenizer, NULL), KO_OK);
    const struct ko_audit how = {.tokenizer = tokenizer,
                                 .score = KO_SCORE_FIRST_TEXT,
                                 .bos_id = -1,
                                 .vocabulary = VOCABULARY};
    const struct {
        const char *text, *target, *foil;
        enum ko_reason reason;
        enum ko_foil foil_state;
    } rows[] = {
        {hard, "b", NULL, KO_TEXT_REFUSED, KO_FOIL_ABSENT},
        {"a", hard, NULL, KO_TEXT_REFUSED, KO_FOIL_ABSENT},
        {"a", "b", hard, KO_RUNNABLE, KO_FOIL_REFUSED},
        {"a", "b", "c", KO_RUNNABLE, KO_FOIL_SCORED},
    };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        fact.text = (char *)(uintptr_t)rows[r].text;
        fact.target = (char *)(uintptr_t)rows[r].target;
        fact.foil = (char *)(uintptr_t)rows[r].foil;
        assert_int_equal(ko_prompt_audit(&how, &fact, &p, NULL), KO_OK);
        assert_int_equal(p.reason, rows[r].reason);
        assert_int_equal(p.foil_state, rows[r].foil_state);
        ko_prompt_free(&p);
    }
    ko_tokenizer_close(tokenizer);
    free(path);
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lone_space_is_never_scored_unasked),
        cmocka_unit_test(whole_answers_are_all_their_tokens),
        cmocka_unit_test(a_foil_counts_only_beside_another_token),
        cmocka_unit_test(appended_tokens_keep_the_limits),
        cmocka_unit_test(a_text_that_the_tokenizer_refuses_is_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
