/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "src/base/text.h"
#include "src/tokenizer/added_tokens.h"
#include "src/tokenizer/text/pieces.h"
#include "src/tokenizer/tokenizer.h"
#include "tests/support/folder.h"

#define MODEL "{\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1}, \"merges\": []}"

/* The parts are JSON texts. What follows the path in the error's text. */
static enum ko_code open_tokenizer(const char *added, const char *normalizer, const char *post,
                                   const char *model, struct ko_tokenizer **out,
                                   struct ko_error *err)
{
    char *folder = test_folder_make(), *path = test_folder_path(folder, "tokenizer.json");
    struct ko_text json = {0};
    ko_text_add(&json,
                "{\"added_tokens\": %s, \"normalizer\": %s, \"post_processor\": %s, "
                "\"model\": %s}",
                added, normalizer, post, model);
    test_folder_write_text(folder, "tokenizer.json", ko_text_str(&json));
    enum ko_code code = ko_tokenizer_open(path, out, err);
    if (code != KO_OK && strncmp(err->text, path, strlen(path)) == 0) {
        memmove(err->text, err->text + strlen(path), strlen(err->text + strlen(path)) + 1);
    }
    ko_text_free(&json);
    free(path);
    test_folder_remove(folder);
    return code;
}

static void assert_refused(const char *added, const char *normalizer, const char *post,
                           const char *model, const char *expected)
{
    struct ko_tokenizer *tokenizer = NULL;
    struct ko_error err = {0};
    assert_int_equal(open_tokenizer(added, normalizer, post, model, &tokenizer, &err), KO_E_INPUT);
    assert_string_equal(err.text, expected);
    assert_null(tokenizer);
}

static void ids_are_bounded(void **state)
{
    (void)state;
    assert_refused("[]", "null", "null",
                   "{\"type\": \"BPE\", \"vocab\": {\"a\": 16777216}, \"merges\": []}",
                   ": model: vocab: id of 'a': expected 0 to 16777215, got 16777216");
}

static void added_tokens_are_counted(void **state)
{
    struct ko_text added = {0};
    (void)state;
    for (int i = 0; i <= KO_ADDED_TOKENS; i++) {
        ko_text_add(&added, "%s0", i ? "," : "[");
    }
    ko_text_add(&added, "]");
    assert_refused(ko_text_str(&added), "null", "null", MODEL,
                   ": added_tokens: has 16385 tokens, more than 16384");
    ko_text_free(&added);
}

static void special_tokens_of_a_template_are_counted(void **state)
{
    struct ko_text post = {0};
    (void)state;
    ko_text_add(&post, "{\"type\": \"TemplateProcessing\", \"pair\": [], \"special_tokens\": "
                       "{\"s\": {\"id\": \"s\", \"ids\": [0,1], \"tokens\": [\"a\", \"b\"]}}, "
                       "\"single\": [{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}");
    for (int i = 0; i <= 512; i++) {
        ko_text_add(&post, ", {\"SpecialToken\": {\"id\": \"s\", \"type_id\": 0}}");
    }
    ko_text_add(&post, "]}");
    assert_refused("[]", "null", ko_text_str(&post), MODEL,
                   ": post_processor: adds more than 1024 special tokens to a text");
    ko_text_free(&post);
}

static void regular_expressions_have_a_greatest_length(void **state)
{
    struct ko_text replace = {0};
    (void)state;
    ko_text_add(&replace, "{\"type\": \"Replace\", \"content\": \"\", \"pattern\": {\"Regex\": \"");
    for (int i = 0; i <= 1 << 14; i++) {
        ko_text_add(&replace, "a");
    }
    ko_text_add(&replace, "\"}}");
    assert_refused("[]", ko_text_str(&replace), "null", MODEL,
                   ": normalizer: pattern: a regular expression of 16385 bytes, more than 16384");
    ko_text_free(&replace);
}

/* Forty rules, each of which doubles the text. */
static void rules_cannot_blow_a_text_up(void **state)
{
    struct ko_tokenizer *tokenizer = NULL;
    struct ko_encoding e = {0};
    struct ko_error err = {0};
    struct ko_text rules = {0};
    (void)state;
    ko_text_add(&rules, "{\"type\": \"Sequence\", \"normalizers\": [");
    for (int i = 0; i < 40; i++) {
        ko_text_add(&rules,
                    "%s{\"type\": \"Replace\", \"pattern\": {\"String\": \"a\"}, "
                    "\"content\": \"aa\"}",
                    i ? ", " : "");
    }
    ko_text_add(&rules, "]}");
    assert_int_equal(open_tokenizer("[]", ko_text_str(&rules), "null", MODEL, &tokenizer, &err),
                     KO_OK);
    assert_int_equal(ko_tokenizer_encode(tokenizer, "a", 1, &e, &err), KO_E_INPUT);
    assert_string_equal(err.text, "tokenizer: its rules make a text longer than 16777216 bytes");
    assert_null(e.id);
    ko_tokenizer_close(tokenizer);
    ko_text_free(&rules);
}

static void texts_have_a_greatest_length(void **state)
{
    enum { MOST = 4 << 20 };
    struct ko_tokenizer *tokenizer = NULL;
    struct ko_encoding e = {0};
    struct ko_error err = {0};
    (void)state;
    assert_int_equal(open_tokenizer("[]", "null", "null", MODEL, &tokenizer, &err), KO_OK);
    char *text = malloc(MOST + 1);
    assert_non_null(text);
    memset(text, 'a', MOST + 1);
    assert_int_equal(ko_tokenizer_encode(tokenizer, text, MOST + 1, &e, &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "a text of 4194305 bytes is too long, at most 4194304"));
    assert_int_equal(ko_tokenizer_encode(tokenizer, text, MOST, &e, &err), KO_OK);
    assert_int_equal(e.n, MOST);
    ko_encoding_free(&e);
    free(text);
    ko_tokenizer_close(tokenizer);
}

/* A run of combining characters in the wrong order, as long as a prompt may be: sorting it must not
   take a number of steps that grows with its square, which would be 10^11. */
static void long_runs_of_combining_characters_are_sorted(void **state)
{
    enum { MARKS = 1 << 18 };
    struct ko_tokenizer *tokenizer = NULL;
    struct ko_encoding e = {0};
    struct ko_error err = {0};
    struct ko_text text = {0};
    (void)state;
    assert_int_equal(open_tokenizer("[]", "{\"type\": \"NFD\"}", "null",
                                    "{\"type\": \"BPE\", \"vocab\": {\"\xCC\x81\": 0, "
                                    "\"\xCC\xA3\": 1}, \"merges\": []}",
                                    &tokenizer, &err),
                     KO_OK);
    for (int i = 0; i < MARKS; i++) { /* U+0301 has class 230, U+0323 class 220 */
        ko_text_add(&text, "%s", i % 2 ? "\xCC\xA3" : "\xCC\x81");
    }
    if (ko_tokenizer_encode(tokenizer, ko_text_str(&text), text.n, &e, &err)) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(e.n, MARKS);
    for (size_t i = 0; i < e.n; i++) {
        assert_int_equal(e.id[i], i < MARKS / 2);
    }
    ko_encoding_free(&e);
    ko_text_free(&text);
    ko_tokenizer_close(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_bounded),
        cmocka_unit_test(added_tokens_are_counted),
        cmocka_unit_test(special_tokens_of_a_template_are_counted),
        cmocka_unit_test(regular_expressions_have_a_greatest_length),
        cmocka_unit_test(rules_cannot_blow_a_text_up),
        cmocka_unit_test(texts_have_a_greatest_length),
        cmocka_unit_test(long_runs_of_combining_characters_are_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
