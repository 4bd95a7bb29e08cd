/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "src/base/text.h"
#include "src/formats/json.h"
#include "src/tokenizer/tokenizer.h"
#include "tests/support/folder.h"

/* The rows and the model are those of tests/tokenizers/make_components.py. */
static json_object *read_file(void)
{
    json_object *root = NULL;
    struct ko_error err = {0};
    if (ko_json_read(KO_SOURCE_DIR "/tests/data/tokenizers/components.json", 1 << 20, &root,
                     &err)) {
        fail_msg("%s", err.text);
    }
    return root;
}

static const char *text_of(json_object *object)
{
    return object ? json_object_to_json_string(object) : "null";
}

static enum ko_code open_tokenizer(const char *added, const char *normalizer,
                                   const char *pre_tokenizer, const char *post_processor,
                                   const char *model, struct ko_tokenizer **out,
                                   struct ko_error *err)
{
    char *folder = test_folder_make(), *path = test_folder_path(folder, "tokenizer.json");
    struct ko_text json = {0};
    ko_text_add(&json,
                "{\"added_tokens\": %s, \"normalizer\": %s, \"pre_tokenizer\": %s, "
                "\"post_processor\": %s, \"model\": %s}",
                added, normalizer, pre_tokenizer, post_processor, model);
    test_folder_write_text(folder, "tokenizer.json", ko_text_str(&json));
    enum ko_code code = ko_tokenizer_open(path, out, err);
    /* What follows the path. */
    if (code != KO_OK && strncmp(err->text, path, strlen(path)) == 0) {
        memmove(err->text, err->text + strlen(path), strlen(err->text + strlen(path)) + 1);
    }
    ko_text_free(&json);
    free(path);
    test_folder_remove(folder);
    return code;
}

static void check_row(json_object *root, json_object *row)
{
    struct ko_tokenizer *tokenizer = NULL;
    struct ko_encoding e = {0};
    struct ko_error err = {0};
    struct ko_text got = {0};
    json_object *text = ko_json_get(row, "text");
    print_message("%s\n", json_object_get_string(ko_json_get(row, "name")));
    if (open_tokenizer(
            text_of(ko_json_get(root, "added_tokens")), text_of(ko_json_get(row, "normalizer")),
            text_of(ko_json_get(row, "pre_tokenizer")), text_of(ko_json_get(row, "post_processor")),
            text_of(ko_json_get(root, "model")), &tokenizer, &err)) {
        fail_msg("%s", err.text);
    }
    if (ko_tokenizer_encode(tokenizer, json_object_get_string(text),
                            (size_t)json_object_get_string_len(text), &e, &err)) {
        fail_msg("%s", err.text);
    }
    for (size_t i = 0; i < e.n; i++) {
        ko_text_add(&got, "%s%d:%d-%d%s", i ? " " : "", e.id[i], e.char_begin[i], e.char_end[i],
                    e.special[i] ? "*" : "");
    }
    assert_string_equal(ko_text_str(&got), json_object_get_string(ko_json_get(row, "tokens")));
    ko_text_free(&got);
    ko_encoding_free(&e);
    ko_tokenizer_close(tokenizer);
}

static void every_component_gives_hugging_face_ids_and_offsets(void **state)
{
    json_object *root = read_file(), *rows = ko_json_get(root, "rows");
    size_t n = json_object_array_length(rows);
    (void)state;
    assert_true(n >= 40);
    for (size_t i = 0; i < n; i++) {
        check_row(root, json_object_array_get_idx(rows, i));
    }
    json_object_put(root);
}

#define TEMPLATE(single, tokens)                                                                   \
    "{\"type\": \"TemplateProcessing\", \"single\": " single ", \"special_tokens\": " tokens "}"
#define TEXT "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}"
#define BOS  "{\"SpecialToken\": {\"id\": \"B\", \"type_id\": 0}}"
#define IDS  "{\"B\": {\"id\": \"B\", \"ids\": [1], \"tokens\": [\"b\"]}}"

/* What is wrong with one component, and the error behind the file's name. */
static const struct {
    const char *normalizer, *pre_tokenizer, *post_processor, *error;
} wrong[] = {
    {"{\"type\": \"Nmt\"}", "null", "null",
     ": normalizer: type 'Nmt' is not supported, only NFC, NFD, NFKC, NFKD, Lowercase, Prepend, "
     "Replace, Strip, Sequence"},
    {"{\"type\": \"Lowercase\", \"x\": 1}", "null", "null", ": normalizer: unknown key 'x'"},
    {"{\"type\": \"Prepend\"}", "null", "null", ": normalizer: missing key 'prepend'"},
    {"{\"type\": \"Prepend\", \"prepend\": \"\"}", "null", "null",
     ": normalizer: prepend is empty, remove it"},
    {"{\"type\": \"Prepend\", \"prepend\": 1}", "null", "null",
     ": normalizer: prepend: expected a string, got 1"},
    {"{\"type\": \"Replace\", \"content\": \"x\"}", "null", "null",
     ": normalizer: missing key 'pattern'"},
    {"{\"type\": \"Replace\", \"pattern\": {\"String\": \"a\"}}", "null", "null",
     ": normalizer: missing key 'content'"},
    {"{\"type\": \"Replace\", \"pattern\": \"a\", \"content\": \"\"}", "null", "null",
     ": normalizer: pattern: expected an object, got string"},
    {"{\"type\": \"Replace\", \"pattern\": {}, \"content\": \"\"}", "null", "null",
     ": normalizer: pattern: expected one of the keys 'String' and 'Regex'"},
    {"{\"type\": \"Replace\", \"pattern\": {\"Glob\": \"a\"}, \"content\": \"\"}", "null", "null",
     ": normalizer: pattern: unknown key 'Glob'"},
    {"{\"type\": \"Replace\", \"pattern\": {\"Regex\": \"a*\"}, \"content\": \"\"}", "null", "null",
     ": normalizer: pattern: one that can match an empty text is not supported"},
    {"{\"type\": \"Replace\", \"pattern\": {\"Regex\": \"(\"}, \"content\": \"\"}", "null", "null",
     ": normalizer: pattern: regular expression '(': missing ')'"},
    {"{\"type\": \"Strip\", \"strip_left\": true}", "null", "null",
     ": normalizer: missing key 'strip_right'"},
    {"{\"type\": \"Strip\", \"strip_left\": 0, \"strip_right\": true}", "null", "null",
     ": normalizer: strip_left: expected true or false, got 0"},
    {"{\"type\": \"Sequence\"}", "null", "null", ": normalizer: missing key 'normalizers'"},
    {"{\"type\": \"Sequence\", \"normalizers\": {}}", "null", "null",
     ": normalizer: normalizers: expected a list, got object"},
    {"{\"type\": \"Sequence\", \"normalizers\": [null]}", "null", "null",
     ": normalizer: normalizers[0]: expected an object, got null"},
    {"{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFC\"}, {\"type\": \"Sequence\", "
     "\"normalizers\": [{\"type\": \"Nmt\"}]}]}",
     "null", "null", ": normalizer: normalizers[1]: normalizers[0]: type 'Nmt' is not supported"},
    {"null", "{\"type\": \"UnicodeScripts\"}", "null",
     ": pre_tokenizer: type 'UnicodeScripts' is not supported, only ByteLevel, Digits, Metaspace, "
     "Punctuation, Split, Whitespace, WhitespaceSplit, Sequence"},
    {"null", "{\"type\": \"Digits\"}", "null", ": pre_tokenizer: missing key 'individual_digits'"},
    {"null", "{\"type\": \"Digits\", \"individual_digit\": true}", "null",
     ": pre_tokenizer: unknown key 'individual_digit', did you mean 'individual_digits'?"},
    {"null", "{\"type\": \"Punctuation\", \"behavior\": \"Merged\"}", "null",
     ": pre_tokenizer: behavior 'Merged' is not supported, only Removed, Isolated, "
     "MergedWithPrevious, MergedWithNext and Contiguous"},
    {"null", "{\"type\": \"Split\", \"behavior\": \"Isolated\", \"invert\": false}", "null",
     ": pre_tokenizer: missing key 'pattern'"},
    {"null", "{\"type\": \"Split\", \"pattern\": {\"String\": \"a\"}, \"invert\": false}", "null",
     ": pre_tokenizer: missing key 'behavior'"},
    {"null",
     "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"\\\\G\"}, \"behavior\": \"Isolated\", "
     "\"invert\": false}",
     "null", ": pre_tokenizer: pattern: regular expression '\\G': '\\G' is not supported"},
    {"null",
     "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"a\", \"String\": \"a\"}, \"behavior\": "
     "\"Isolated\", \"invert\": false}",
     "null", ": pre_tokenizer: pattern: expected one of the keys 'String' and 'Regex'"},
    {"null", "{\"type\": \"Whitespace\", \"pattern\": \"\"}", "null",
     ": pre_tokenizer: unknown key 'pattern'"},
    {"null", "{\"type\": \"WhitespaceSplit\", \"pattern\": \"\"}", "null",
     ": pre_tokenizer: unknown key 'pattern'"},
    {"null", "{\"type\": \"Metaspace\"}", "null", ": pre_tokenizer: missing key 'replacement'"},
    {"null", "{\"type\": \"Metaspace\", \"replacement\": \"ab\"}", "null",
     ": pre_tokenizer: replacement 'ab' is not supported, only one character"},
    {"null", "{\"type\": \"Metaspace\", \"replacement\": \"_\", \"prepend_scheme\": \"last\"}",
     "null",
     ": pre_tokenizer: prepend_scheme 'last' is not supported, only always, first and never"},
    {"null",
     "{\"type\": \"Metaspace\", \"replacement\": \"_\", \"prepend_scheme\": \"first\", "
     "\"add_prefix_space\": false}",
     "null",
     ": pre_tokenizer: add_prefix_space is false but prepend_scheme is 'first', remove one"},
    {"null", "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"NFC\"}]}", "null",
     ": pre_tokenizer: pretokenizers[0]: type 'NFC' is not supported"},
    {"null", "null", "{\"type\": \"RobertaProcessing\"}",
     ": post_processor: type 'RobertaProcessing' is not supported, only ByteLevel, "
     "TemplateProcessing, Sequence"},
    {"null", "null", TEMPLATE("[" BOS "]", IDS), ": post_processor: single: sequence A is missing"},
    {"null", "null", TEMPLATE("[" TEXT ", " TEXT "]", IDS),
     ": post_processor: single[1]: sequence A comes twice"},
    {"null", "null", TEMPLATE("[{\"Sequence\": {\"id\": \"B\", \"type_id\": 0}}]", IDS),
     ": post_processor: single[0]: sequence 'B' is not supported, only A"},
    {"null", "null", TEMPLATE("[{\"Word\": {}}]", IDS),
     ": post_processor: single[0]: unknown key 'Word'"},
    {"null", "null", TEMPLATE("[{}]", IDS),
     ": post_processor: single[0]: expected one of the keys 'SpecialToken' and 'Sequence'"},
    {"null", "null", TEMPLATE("\"$A\"", IDS),
     ": post_processor: single: expected a list, got string"},
    {"null", "null", TEMPLATE("[" TEXT "]", "[]"),
     ": post_processor: special_tokens: expected an object, got array"},
    {"null", "null", TEMPLATE("[" BOS ", " TEXT "]", "{}"),
     ": post_processor: single names the special token 'B', which special_tokens lacks"},
    {"null", "null",
     TEMPLATE("[" BOS ", " TEXT "]", "{\"B\": {\"id\": \"B\", \"ids\": [-1], \"tokens\": []}}"),
     ": post_processor: special_tokens: 'B': ids: expected 0 to 16777215, got -1"},
    {"null", "null",
     TEMPLATE("[" BOS ", " TEXT "]", "{\"B\": {\"id\": \"B\", \"ids\": 1, \"tokens\": []}}"),
     ": post_processor: special_tokens: 'B': ids: expected a list, got 1"},
    {"null", "null",
     "{\"type\": \"Sequence\", \"processors\": [" TEMPLATE(
         "[" TEXT "]", IDS) ", {\"type\": "
                            "\"Sequence\", \"processors\": [" TEMPLATE("[" TEXT "]", IDS) "]}]}",
     ": post_processor: processors: 2 of type TemplateProcessing are not supported, only one"},
};

static void wrong_components_are_refused_by_name(void **state)
{
    static const char model[] =
        "{\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1}, \"merges\": []}";
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct ko_tokenizer *tokenizer = NULL;
        struct ko_error err = {0};
        assert_int_equal(open_tokenizer("[]", wrong[i].normalizer, wrong[i].pre_tokenizer,
                                        wrong[i].post_processor, model, &tokenizer, &err),
                         KO_E_INPUT);
        if (strncmp(err.text, wrong[i].error, strlen(wrong[i].error)) != 0) {
            fail_msg("expected %s, got %s", wrong[i].error, err.text);
        }
        assert_null(tokenizer);
    }
}

#define ADDED(id, content, normalized)                                                             \
    "{\"id\": " #id ", \"content\": \"" content "\", \"single_word\": false, \"lstrip\": false, "  \
    "\"rstrip\": false, \"normalized\": " #normalized ", \"special\": true}"

static void added_tokens_that_the_normalizer_confuses_are_refused(void **state)
{
    static const char model[] = "{\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": []}",
                      lower[] = "{\"type\": \"Lowercase\"}",
                      blank[] =
                          "{\"type\": \"Strip\", \"strip_left\": true, \"strip_right\": true}";
    struct ko_tokenizer *tokenizer = NULL;
    struct ko_error err = {0};
    (void)state;
    assert_int_equal(open_tokenizer("[" ADDED(1, "<S>", true) ", " ADDED(2, "<s>", true) "]", lower,
                                    "null", "null", model, &tokenizer, &err),
                     KO_E_INPUT);
    assert_string_equal(err.text,
                        ": added_tokens[1]: '<S>' and '<s>' are the same once normalized");
    assert_int_equal(open_tokenizer("[" ADDED(1, "  ", true) "]", blank, "null", "null", model,
                                    &tokenizer, &err),
                     KO_E_INPUT);
    assert_string_equal(err.text,
                        ": added_tokens[0]: '  ' is normalized, and the normalizer leaves nothing "
                        "of it");
    assert_int_equal(open_tokenizer("[" ADDED(1, "<S>", false) ", " ADDED(2, "<s>", true) "]",
                                    lower, "null", "null", model, &tokenizer, &err),
                     KO_OK);
    ko_tokenizer_close(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_component_gives_hugging_face_ids_and_offsets),
        cmocka_unit_test(wrong_components_are_refused_by_name),
        cmocka_unit_test(added_tokens_that_the_normalizer_confuses_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
