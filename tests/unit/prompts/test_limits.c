/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "src/base/text.h"
#include "src/prompts/facts.h"
#include "src/prompts/prompt.h"
#include "tests/support/folder.h"

static const char record[] = "{\"id\": \"%zu\", \"prompt\": \"The mother of X is\", "
                             "\"subject\": \"X\", \"target\": \"Y\"%s}\n";

/* Reads the text, which is freed, as a prompt file; what follows the path in the error's text. */
static enum ko_code read_text(struct ko_text *text, size_t *n, struct ko_error *err)
{
    char *folder = test_folder_make(), *path = test_folder_path(folder, "f");
    struct ko_facts facts = {0};
    test_folder_write(folder, "f", ko_text_str(text), text->n);
    enum ko_code code = ko_facts_read(path, &facts, err);
    if (code != KO_OK) {
        memmove(err->text, err->text + strlen(path), strlen(err->text + strlen(path)) + 1);
    }
    *n = facts.n;
    ko_facts_free(&facts);
    ko_text_free(text);
    free(path);
    test_folder_remove(folder);
    return code;
}

static void prompts_are_counted(void **state)
{
    (void)state;
    for (size_t beyond = 0; beyond < 2; beyond++) {
        struct ko_error err = {0};
        struct ko_text text = {0};
        size_t n = 0;
        ko_text_add(&text, "case_id,prompt,subject,target_true\n");
        for (size_t i = 0; i < KO_FACTS + beyond; i++) {
            ko_text_add(&text, "%zu,a,a,a\n", i);
        }
        enum ko_code code = read_text(&text, &n, &err);
        assert_int_equal(code, beyond ? KO_E_INPUT : KO_OK);
        if (beyond) {
            assert_string_equal(err.text, ":1048578: more than 1048576 prompts, split the file");
        } else {
            assert_int_equal(n, KO_FACTS);
        }
    }
}

static void texts_have_a_greatest_length(void **state)
{
    (void)state;
    for (size_t beyond = 0; beyond < 2; beyond++) {
        struct ko_error err = {0};
        struct ko_text text = {0};
        size_t n = 0;
        ko_text_add(&text, "case_id,prompt,subject,target_true\n1,");
        for (size_t i = 0; i < KO_FACT_BYTES + beyond; i++) {
            ko_text_add_bytes(&text, "a", 1);
        }
        ko_text_add(&text, ",a,a\n");
        assert_int_equal(read_text(&text, &n, &err), beyond ? KO_E_INPUT : KO_OK);
        if (beyond) {
            assert_string_equal(err.text, ":2: a text of 1048577 bytes, at most 1048576 are read");
        }
    }
}

static void names_of_spans_are_counted(void **state)
{
    (void)state;
    for (size_t beyond = 0; beyond < 2; beyond++) {
        struct ko_error err = {0};
        struct ko_text text = {0};
        size_t n = 0;
        for (size_t i = 0; i < KO_FACT_SPAN_NAMES + beyond; i++) {
            char spans[64];
            (void)snprintf(spans, sizeof spans, ", \"spans\": {\"s%zu\": [0, 1]}", i);
            ko_text_add(&text, record, i, spans);
        }
        assert_int_equal(read_text(&text, &n, &err), beyond ? KO_E_INPUT : KO_OK);
        if (beyond) {
            assert_string_equal(err.text, ":1025: more than 1024 different names of spans");
        }
    }
}

static enum ko_reason audit(size_t n_words, int32_t *n_tokens)
{
    struct ko_error err = {0};
    struct ko_tokenizer *tokenizer = NULL;
    struct ko_text text = {0};
    struct ko_prompt prompt = {0};
    if (ko_tokenizer_open(KO_SOURCE_DIR "/tests/data/tokenizers/gpt2/tokenizer.json", &tokenizer,
                          &err)) {
        fail_msg("%s", err.text);
    }
    for (size_t i = 0; i < n_words; i++) {
        ko_text_add(&text, "%s", "a\n");
    }
    char id[] = "1", word[] = "a";
    struct ko_fact fact = {.id = id, .text = text.data, .subject = word, .target = word};
    struct ko_audit how = {.tokenizer = tokenizer, .vocabulary = ko_tokenizer_n_ids(tokenizer)};
    if (ko_prompt_audit(&how, &fact, &prompt, &err)) {
        fail_msg("%s", err.text);
    }
    enum ko_reason reason = prompt.reason;
    *n_tokens = prompt.n_tokens;
    ko_prompt_free(&prompt);
    ko_text_free(&text);
    ko_tokenizer_close(tokenizer);
    return reason;
}

static void tokens_are_counted_even_where_the_model_has_no_limit(void **state)
{
    int32_t n = 0;
    (void)state;
    assert_int_equal(audit(KO_PROMPT_TOKENS / 2, &n), KO_RUNNABLE);
    assert_int_equal(n, KO_PROMPT_TOKENS);
    assert_int_equal(audit(KO_PROMPT_TOKENS / 2 + 1, &n), KO_PROMPT_TOO_LONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompts_are_counted),
        cmocka_unit_test(texts_have_a_greatest_length),
        cmocka_unit_test(names_of_spans_are_counted),
        cmocka_unit_test(tokens_are_counted_even_where_the_model_has_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
