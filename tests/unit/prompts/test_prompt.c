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

enum { KABUL = 2016, DARI = 2364, OSLO = 1749 };

static struct ko_tokenizer *demo;

static int open_demo(void **state)
{
    struct ko_error err = {0};
    (void)state;
    return (int)ko_tokenizer_open(KO_SOURCE_DIR "/jobs/models/mamba-facts/tokenizer.json", &demo,
                                  &err);
}

static int close_demo(void **state)
{
    (void)state;
    ko_tokenizer_close(demo);
    return 0;
}

/* Borrows everything. */
static struct ko_fact fact_of(const char *text, const char *subject, const char *target,
                              const char *foil)
{
    return (struct ko_fact){.id = (char *)(uintptr_t) "7",
                            .text = (char *)(uintptr_t)text,
                            .subject = (char *)(uintptr_t)subject,
                            .target = (char *)(uintptr_t)target,
                            .foil = (char *)(uintptr_t)foil};
}

static struct ko_prompt audit(const struct ko_audit *how, const struct ko_fact *fact)
{
    struct ko_prompt prompt = {0};
    struct ko_error err = {0};
    if (ko_prompt_audit(how, fact, &prompt, &err)) {
        fail_msg("%s", err.text);
    }
    assert_string_equal(prompt.id, "7");
    return prompt;
}

static struct ko_audit usual(void)
{
    return (struct ko_audit){.tokenizer = demo, .bos_id = 0, .max_tokens = 64, .vocabulary = 2688};
}

static void a_runnable_prompt_has_subject_and_target(void **state)
{
    static const int32_t id[] = {368, 293, 265, KABUL, 262};
    struct ko_audit how = usual();
    struct ko_fact fact = fact_of("The city of Kabul is", " Kabul ", "\tDari\n", " Oslo");
    struct ko_prompt p = audit(&how, &fact);
    (void)state;
    assert_int_equal(p.reason, KO_RUNNABLE);
    assert_int_equal(p.n_tokens, 5);
    assert_memory_equal(p.token, id, sizeof id);
    assert_int_equal(p.n_special, 0);
    assert_int_equal(p.subject_begin, 3);
    assert_int_equal(p.subject_end, 4);
    assert_memory_equal(p.in_subject, "\0\0\0\1\0", 5);
    assert_int_equal(p.target, DARI);
    assert_int_equal(p.foil, OSLO);
    ko_prompt_free(&p);
    assert_null(p.token);
}

/* "The| | city| of| | Kabul| l|i|es| in| Kabul" */
static void a_token_of_white_space_alone_is_no_subject(void **state)
{
    static const struct {
        const char *subject;
        int32_t begin, end;
    } known[] = {
        {"city", 2, 3}, {"city of  Kabul", 2, 6}, {"Kabul", 5, 6},          {"The  city", 0, 3},
        {"ies", 7, 9},  {"Kabul lies", 5, 9},     {"\xC2\xA0The\x1F", 0, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct ko_audit how = usual();
        struct ko_fact fact =
            fact_of("The  city of  Kabul lies in Kabul", known[i].subject, "Dari", NULL);
        struct ko_prompt p = audit(&how, &fact);
        assert_int_equal(p.reason, KO_RUNNABLE);
        assert_int_equal(p.subject_begin, known[i].begin);
        assert_int_equal(p.subject_end, known[i].end);
        assert_int_equal(p.target, DARI);
        assert_int_equal(p.foil, -1);
        ko_prompt_free(&p);
    }
}

static void offsets_are_characters(void **state)
{
    struct ko_audit how = usual();
    struct ko_fact fact = fact_of("S\xC3\xA3o Tom\xC3\xA9 is", "Tom\xC3\xA9", "Dari", NULL);
    struct ko_prompt p = audit(&how, &fact);
    (void)state;
    assert_int_equal(p.n_tokens, 9);
    assert_int_equal(p.subject_begin, 4);
    assert_int_equal(p.subject_end, 8);
    ko_prompt_free(&p);
}

static void a_bos_is_added_kept_or_missing(void **state)
{
    struct ko_audit how = usual();
    struct ko_fact fact = fact_of("The city of Kabul is", "Kabul", "Dari", NULL);
    struct ko_fact own = fact_of("<|endoftext|>The city of Kabul is", "Kabul", "Dari", NULL);
    (void)state;
    how.bos = KO_BOS_ADD;
    struct ko_prompt p = audit(&how, &fact);
    assert_int_equal(p.n_tokens, 6);
    assert_int_equal(p.token[0], 0);
    assert_int_equal(p.token[1], 368);
    assert_int_equal(p.n_special, 1);
    assert_int_equal(p.subject_begin, 4);
    assert_memory_equal(p.in_subject, "\0\0\0\0\1\0", 6);
    assert_int_equal(p.target, DARI);
    ko_prompt_free(&p);
    p = audit(&how, &own);
    assert_int_equal(p.n_tokens, 6);
    assert_int_equal(p.token[0], 0);
    assert_int_equal(p.subject_begin, 4);
    ko_prompt_free(&p);
    how.bos = KO_BOS_NONE;
    p = audit(&how, &fact);
    assert_int_equal(p.n_tokens, 5);
    assert_int_equal(p.n_special, 0);
    ko_prompt_free(&p);
}

/* Tokenizers whose post-processor puts a BOS in front; what none, default and add make of a text,
   and of one that holds a BOS of its own. */
static void a_bos_of_the_post_processor_is_kept_dropped_or_not_doubled(void **state)
{
    static const struct {
        const char *name, *text;
        int32_t bos_id;
        enum ko_bos bos;
        int32_t n_bos; /* BOS tokens at the start */
        int32_t n_special;
    } known[] = {
        {"llama2", "The city of Kabul is", 1, KO_BOS_DEFAULT, 1, 1},
        {"llama2", "The city of Kabul is", 1, KO_BOS_ADD, 1, 1},
        {"llama2", "The city of Kabul is", 1, KO_BOS_NONE, 0, 0},
        {"llama2", "<s>The city of Kabul is", 1, KO_BOS_DEFAULT, 2, 1},
        {"llama2", "<s>The city of Kabul is", 1, KO_BOS_ADD, 2, 1},
        {"llama2", "<s>The city of Kabul is", 1, KO_BOS_NONE, 1, 0},
        {"llama2", "The city of Kabul is", 1, KO_BOS_TOKEN, 1, 1},
        {"llama2", "<s>The city of Kabul is", 1, KO_BOS_TOKEN, 1, 0},
        {"llama2", "The city of Kabul is", 2, KO_BOS_TOKEN, 1, 1},
        {"metaspace", "The city of Kabul is", 1, KO_BOS_DEFAULT, 0, 0}, /* puts </s> behind */
        {"llama3", "The city of Kabul is", 600, KO_BOS_DEFAULT, 1, 1},
        {"llama3", "The city of Kabul is", 600, KO_BOS_ADD, 1, 1},
        {"llama3", "The city of Kabul is", 600, KO_BOS_NONE, 0, 0},
        {"falcon", "The city of Kabul is", 2, KO_BOS_DEFAULT, 0, 0},
        {"falcon", "The city of Kabul is", 2, KO_BOS_ADD, 1, 1},
        {"falcon", "The city of Kabul is", 2, KO_BOS_NONE, 0, 0},
        {"falcon", "<|endoftext|>The city of Kabul is", 2, KO_BOS_ADD, 1, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        char path[512];
        struct ko_tokenizer *tokenizer = NULL;
        struct ko_error err = {0};
        (void)snprintf(path, sizeof path, KO_SOURCE_DIR "/tests/data/tokenizers/%s/tokenizer.json",
                       known[i].name);
        if (ko_tokenizer_open(path, &tokenizer, &err)) {
            fail_msg("%s", err.text);
        }
        struct ko_audit how = {.tokenizer = tokenizer,
                               .bos = known[i].bos,
                               .bos_id = known[i].bos_id,
                               .vocabulary = 700};
        struct ko_fact fact = fact_of(known[i].text, "Kabul", "Dari", "Oslo");
        struct ko_prompt p = audit(&how, &fact);
        int32_t n_bos = 0, n_kabul = 0;
        assert_int_equal(p.reason, KO_RUNNABLE);
        while (n_bos < p.n_tokens && p.token[n_bos] == known[i].bos_id) {
            n_bos++;
        }
        assert_int_equal(n_bos, known[i].n_bos);
        assert_int_equal(p.n_special, known[i].n_special);
        /* The subject's tokens are the same whatever is in front of them. */
        struct ko_encoding e = {0};
        assert_int_equal(
            ko_tokenizer_encode(tokenizer, known[i].text, strlen(known[i].text), &e, &err), KO_OK);
        /* What the post-processor puts behind the text is left out. */
        size_t last = e.n - 1;
        while (e.special[last]) {
            last--;
        }
        assert_int_equal(p.token[p.n_tokens - 1], e.id[last]);
        const char *kabul = strstr(known[i].text, "Kabul");
        for (size_t k = 0; k < e.n; k++) {
            if (e.char_end[k] > kabul - known[i].text &&
                e.char_begin[k] < kabul + 5 - known[i].text) {
                assert_int_equal(p.token[p.subject_begin + n_kabul++], e.id[k]);
            }
        }
        assert_int_equal(p.subject_end - p.subject_begin, n_kabul);
        ko_encoding_free(&e);
        ko_prompt_free(&p);
        ko_tokenizer_close(tokenizer);
    }
}

static void a_bos_that_the_model_lacks_is_refused(void **state)
{
    struct ko_audit how = usual();
    struct ko_fact fact = fact_of("The city of Kabul is", "Kabul", "Dari", NULL);
    struct ko_prompt p = {0};
    struct ko_error err = {0};
    (void)state;
    how.bos = KO_BOS_ADD;
    how.bos_id = -1;
    assert_int_equal(ko_prompt_audit(&how, &fact, &p, &err), KO_E_INPUT);
    assert_string_equal(err.text, "bos: 'add' needs a bos_token_id in config.json, which has none; "
                                  "use 'default' or 'none'");
    assert_null(p.id);
}

/* Spans given in positions are taken as they are, special tokens included, up to the prompt's end. */
static void positions_stay_as_they_are(void **state)
{
    (void)state;
    char image[] = "image", frame[] = "frame";
    struct ko_named_span span[] = {{image, 1, 3, true},
                                   {frame, 0, 1, true},
                                   {frame, 2, 4, true},
                                   {frame, 3, 400, true},
                                   {frame, 500, 501, true}};
    struct ko_audit how = usual();
    struct ko_fact fact = fact_of("The city of Kabul is", "Kabul", "Dari", NULL);
    fact.span = span;
    fact.n_spans = 5;
    how.bos = KO_BOS_ADD;
    struct ko_prompt p = audit(&how, &fact);
    assert_int_equal(p.n_spans, 5);
    const int32_t ends[][2] = {{1, 3}, {0, 1}, {2, 4}, {3, p.n_tokens}, {0, 0}};
    for (int32_t i = 0; i < 5; i++) {
        assert_int_equal(p.span[i].begin, ends[i][0]);
        assert_int_equal(p.span[i].end, ends[i][1]);
    }
    ko_prompt_free(&p);
}

static void spans_become_tokens(void **state)
{
    char verb[] = "verb", gap[] = "gap", none[] = "none";
    struct ko_named_span span[] = {{verb, 4, 11, false}, {gap, 3, 4, false}, {none, 0, 0, false}};
    struct ko_audit how = usual();
    struct ko_fact fact = fact_of("The  city of  Kabul is", "Kabul", "Dari", NULL);
    fact.span = span;
    fact.n_spans = 3;
    how.bos = KO_BOS_ADD;
    struct ko_prompt p = audit(&how, &fact);
    (void)state;
    assert_int_equal(p.n_spans, 3);
    assert_string_equal(p.span[0].name, "verb");
    assert_int_equal(p.span[0].begin, 3);
    assert_int_equal(p.span[0].end, 5);
    assert_int_equal(p.span[1].begin, p.span[1].end);
    assert_int_equal(p.span[2].begin, p.span[2].end);
    ko_prompt_free(&p);
}

static const struct {
    const char *text, *subject, *target;
    int32_t max_tokens, vocabulary;
    enum ko_reason reason;
} skipped[] = {
    {"The city of Kabul is", "Oslo", "Dari", 0, 2688, KO_SUBJECT_NOT_FOUND},
    {"The city of Kabul is", "kabul", "Dari", 0, 2688, KO_SUBJECT_NOT_FOUND},
    {"The city of Kabul is", " \xE3\x80\x80", "Dari", 0, 2688, KO_SUBJECT_EMPTY},
    {"The city of Kabul is", "Kabul", "\n ", 0, 2688, KO_TARGET_EMPTY},
    {"", "Kabul", "Dari", 0, 2688, KO_PROMPT_EMPTY},
    {" \n", "Kabul", "Dari", 0, 2688, KO_PROMPT_EMPTY},
    {"The city of Kabul is", "Kabul", "Dari", 4, 2688, KO_PROMPT_TOO_LONG},
    {"The city of Kabul is", "Kabul", "Dari", 5, 2688, KO_RUNNABLE},
    {"The city of Kabul is", "Kabul", "Dari", 0, KABUL, KO_TOKEN_OUTSIDE_VOCABULARY},
    {"The city of Kabul is", "Kabul", "Dari", 0, DARI, KO_TOKEN_OUTSIDE_VOCABULARY},
    {"The city of Kabul is", "Kabul", "Dari", 0, DARI + 1, KO_RUNNABLE},
};

static void what_cannot_be_run_has_its_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof skipped / sizeof skipped[0]; i++) {
        struct ko_audit how = usual();
        struct ko_fact fact = fact_of(skipped[i].text, skipped[i].subject, skipped[i].target, NULL);
        how.max_tokens = skipped[i].max_tokens;
        how.vocabulary = skipped[i].vocabulary;
        struct ko_prompt p = audit(&how, &fact);
        assert_int_equal(p.reason, skipped[i].reason);
        if (p.reason) {
            assert_int_equal(p.subject_end, 0);
            assert_int_equal(p.target, 0);
            assert_null(p.in_subject);
        }
        ko_prompt_free(&p);
    }
}

/* Tokens: a, b, and "a " where a blank follows; z has none. */
static void an_answer_that_merges_is_skipped(void **state)
{
    static const char json[] =
        "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \" \": 1, \"b\": 2, \"a \": 3}, "
        "\"merges\": [[\"a\", \" \"]]}}";
    char *folder = test_folder_make(), *path = test_folder_path(folder, "tokenizer.json");
    struct ko_tokenizer *tokenizer = NULL;
    struct ko_audit how = {.score = KO_SCORE_RAW_FIRST_TOKEN, .bos_id = -1, .vocabulary = 4};
    struct ko_fact merges = fact_of("b a", "b", "b", NULL);
    struct ko_fact runs = fact_of("a b", "a", "a", "b");
    struct ko_fact no_token = fact_of("abz", "z", "a", NULL);
    (void)state;
    test_folder_write_text(folder, "tokenizer.json", json);
    assert_int_equal(ko_tokenizer_open(path, &tokenizer, NULL), KO_OK);
    how.tokenizer = tokenizer;
    struct ko_prompt p = audit(&how, &merges);
    assert_int_equal(p.reason, KO_TARGET_MERGES);
    assert_string_equal(ko_reason_sentence(p.reason), "answer merges with prompt");
    ko_prompt_free(&p);
    p = audit(&how, &runs);
    assert_int_equal(p.reason, KO_RUNNABLE);
    assert_int_equal(p.target, 1); /* the blank, which the foil begins with too */
    assert_true(p.target_blank);
    assert_int_equal(p.foil, -1);
    assert_int_equal(p.foil_state, KO_FOIL_IS_ANSWER);
    ko_prompt_free(&p);
    p = audit(&how, &no_token);
    assert_int_equal(p.reason, KO_SUBJECT_HAS_NO_TOKEN);
    ko_prompt_free(&p);
    ko_tokenizer_close(tokenizer);
    free(path);
    test_folder_remove(folder);
}

static void a_foil_that_the_model_lacks_is_none(void **state)
{
    struct ko_audit how = usual();
    struct ko_fact fact = fact_of("The city of Kabul is", "Kabul", "Oslo", "Dari");
    struct ko_fact blank = fact_of("The city of Kabul is", "Kabul", "Oslo", " ");
    (void)state;
    how.vocabulary = DARI;
    struct ko_prompt p = audit(&how, &fact);
    assert_int_equal(p.reason, KO_RUNNABLE);
    assert_int_equal(p.target, OSLO);
    assert_int_equal(p.foil, -1);
    ko_prompt_free(&p);
    p = audit(&how, &blank);
    assert_int_equal(p.foil, -1);
    ko_prompt_free(&p);
}

static void pack(const struct ko_prompt *p, struct ko_bytes *to)
{
    ko_prompt_pack(p, to);
    assert_int_equal(ko_text_check(&to->data, NULL), KO_OK);
}

static void messages_keep_prompts_whole(void **state)
{
    char verb[] = "verb";
    struct ko_named_span span = {verb, 4, 8, false};
    struct ko_audit how = usual();
    struct ko_fact good = fact_of("The city of Kabul is", "Kabul", "Dari", "Oslo");
    struct ko_fact bad = fact_of("The city of Kabul is", "Oslo", "Dari", NULL);
    (void)state;
    good.span = &span;
    good.n_spans = 1;
    how.bos = KO_BOS_ADD;
    struct ko_prompt p = audit(&how, &good), q = audit(&how, &bad), r = {0}, s = {0};
    struct ko_bytes out = {0}, in = {0};
    pack(&p, &out);
    pack(&q, &out);
    ko_bytes_read_from(&in, out.data.data, out.data.n);
    assert_int_equal(ko_prompt_unpack(&in, &r, NULL), KO_OK);
    assert_int_equal(ko_prompt_unpack(&in, &s, NULL), KO_OK);
    assert_int_equal(in.left, 0);
    assert_string_equal(r.id, "7");
    assert_int_equal(r.n_tokens, 6);
    assert_memory_equal(r.token, p.token, 6 * sizeof *p.token);
    assert_memory_equal(r.in_subject, p.in_subject, 6);
    assert_int_equal(r.n_special, 1);
    assert_int_equal(r.subject_begin, 4);
    assert_int_equal(r.subject_end, 5);
    assert_int_equal(r.target, DARI);
    assert_int_equal(r.foil, OSLO);
    assert_int_equal(r.n_spans, 1);
    assert_string_equal(r.span[0].name, "verb");
    assert_int_equal(r.span[0].begin, 2);
    assert_int_equal(r.span[0].end, 3);
    assert_int_equal(s.reason, KO_SUBJECT_NOT_FOUND);
    assert_int_equal(s.n_tokens, 6);
    assert_null(s.in_subject);
    ko_prompt_free(&p);
    ko_prompt_free(&q);
    ko_prompt_free(&r);
    ko_prompt_free(&s);
    ko_text_free(&out.data);
}

static void a_copy_is_the_same_prompt(void **state)
{
    char verb[] = "verb";
    struct ko_named_span span = {verb, 4, 8, false};
    struct ko_audit how = usual();
    struct ko_fact fact[] = {fact_of("The city of Kabul is", "Kabul", "Dari", "Oslo"),
                             fact_of("The city of Kabul is", "Oslo", "Dari", NULL)};
    (void)state;
    fact[0].span = &span;
    fact[0].n_spans = 1;
    for (size_t i = 0; i < sizeof fact / sizeof *fact; i++) {
        struct ko_prompt p = audit(&how, &fact[i]), copy = {0};
        struct ko_bytes of_prompt = {0}, of_copy = {0};
        assert_int_equal(ko_prompt_copy(&p, &copy, NULL), KO_OK);
        pack(&p, &of_prompt);
        ko_prompt_free(&p);
        pack(&copy, &of_copy);
        assert_int_equal(of_copy.data.n, of_prompt.data.n);
        assert_memory_equal(of_copy.data.data, of_prompt.data.data, of_copy.data.n);
        ko_prompt_free(&copy);
        ko_text_free(&of_prompt.data);
        ko_text_free(&of_copy.data);
    }
}

static void audits_differ_in_all_that_a_prompt_depends_on(void **state)
{
    const struct ko_audit how = usual();
    struct ko_audit other[] = {how, how, how, how, how, how};
    struct ko_tokenizer *same = NULL, *another = NULL;
    struct ko_error err;
    (void)state;
    if (ko_tokenizer_open(KO_SOURCE_DIR "/jobs/models/gpt2-facts/tokenizer.json", &same, &err) ||
        ko_tokenizer_open(KO_SOURCE_DIR "/jobs/models/llama-facts/tokenizer.json", &another,
                          &err)) {
        fail_msg("%s", err.text);
    }
    other[0].tokenizer = same; /* a file of its own with the same content */
    assert_true(ko_audit_equal(&how, &other[0]));
    other[0].tokenizer = another;
    other[1].bos = KO_BOS_ADD;
    other[2].bos_id = how.bos_id + 1;
    other[3].max_tokens = how.max_tokens + 1;
    other[4].vocabulary = how.vocabulary + 1;
    other[5].score = KO_SCORE_FIRST_TEXT;
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        assert_false(ko_audit_equal(&how, &other[i]));
    }
    ko_tokenizer_close(same);
    ko_tokenizer_close(another);
}

static void broken_messages_are_refused(void **state)
{
    struct ko_audit how = usual();
    struct ko_fact good = fact_of("The city of Kabul is", "Kabul", "Dari", "Oslo");
    struct ko_prompt p = audit(&how, &good);
    struct ko_bytes out = {0}, in = {0};
    (void)state;
    pack(&p, &out);
    for (size_t n = 0; n < out.data.n; n++) {
        struct ko_prompt r = {0};
        struct ko_error err = {0};
        ko_bytes_read_from(&in, out.data.data, n);
        assert_int_equal(ko_prompt_unpack(&in, &r, &err), KO_E_FAILED);
        assert_string_equal(err.text, "a message between ranks is broken: a prompt is cut off");
        assert_null(r.id);
    }
    ko_prompt_free(&p);
    ko_text_free(&out.data);
}

static void every_reason_has_its_sentence(void **state)
{
    (void)state;
    for (int i = 0; i < KO_N_REASONS; i++) {
        assert_string_not_equal(ko_reason_sentence((enum ko_reason)i), "unknown reason");
    }
    assert_string_equal(ko_reason_sentence((enum ko_reason)99), "unknown reason");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_runnable_prompt_has_subject_and_target),
        cmocka_unit_test(a_token_of_white_space_alone_is_no_subject),
        cmocka_unit_test(offsets_are_characters),
        cmocka_unit_test(a_bos_is_added_kept_or_missing),
        cmocka_unit_test(a_bos_of_the_post_processor_is_kept_dropped_or_not_doubled),
        cmocka_unit_test(a_bos_that_the_model_lacks_is_refused),
        cmocka_unit_test(positions_stay_as_they_are),
        cmocka_unit_test(spans_become_tokens),
        cmocka_unit_test(what_cannot_be_run_has_its_reason),
        cmocka_unit_test(an_answer_that_merges_is_skipped),
        cmocka_unit_test(a_foil_that_the_model_lacks_is_none),
        cmocka_unit_test(messages_keep_prompts_whole),
        cmocka_unit_test(a_copy_is_the_same_prompt),
        cmocka_unit_test(audits_differ_in_all_that_a_prompt_depends_on),
        cmocka_unit_test(broken_messages_are_refused),
        cmocka_unit_test(every_reason_has_its_sentence),
    };
    return cmocka_run_group_tests(tests, open_demo, close_demo);
}
