/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "src/base/text.h"
#include "src/tokenizer/tokenizer.h"
#include "tests/support/folder.h"

static const char demo[] = KO_SOURCE_DIR "/jobs/models/mamba-facts/tokenizer.json";

static void pieces_are_those_of_the_file(void **state)
{
    static const struct {
        int32_t id;
        const char *piece;
    } known[] = {{0, "<|endoftext|>"}, {1, "!"},     {200, "\xC4\x8B"},
                 {257, "\xC4\xA0i"},   {1000, "Al"}, {2674, "Zirconium"}};
    struct ko_tokenizer *tokenizer = NULL;
    struct ko_error err = {0};
    (void)state;
    assert_int_equal(ko_tokenizer_open(demo, &tokenizer, &err), KO_OK);
    assert_int_equal(ko_tokenizer_n_ids(tokenizer), 2675);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        assert_string_equal(ko_tokenizer_piece(tokenizer, known[i].id), known[i].piece);
    }
    assert_null(ko_tokenizer_piece(tokenizer, -1));
    assert_null(ko_tokenizer_piece(tokenizer, 2675));
    assert_string_equal(ko_tokenizer_kind(tokenizer), "byte-level BPE");
    ko_tokenizer_close(tokenizer);
}

static void the_fingerprint_is_the_content_s(void **state)
{
    struct ko_tokenizer *one = NULL, *same = NULL, *other = NULL;
    struct ko_error err = {0};
    char *folder = test_folder_make(), *path = test_folder_path(folder, "tokenizer.json");
    size_t n = 0;
    char *bytes = test_read(demo, &n);
    (void)state;
    test_folder_write(folder, "tokenizer.json", bytes, n);
    assert_int_equal(ko_tokenizer_open(demo, &one, &err), KO_OK);
    assert_int_equal(ko_tokenizer_open(path, &same, &err), KO_OK);
    bytes[n] = '\n';
    test_folder_write(folder, "tokenizer.json", bytes, n + 1);
    assert_int_equal(ko_tokenizer_open(path, &other, &err), KO_OK);
    assert_int_equal(strlen(ko_tokenizer_fingerprint(one)), 32);
    assert_string_equal(ko_tokenizer_fingerprint(one), ko_tokenizer_fingerprint(same));
    assert_string_not_equal(ko_tokenizer_fingerprint(one), ko_tokenizer_fingerprint(other));
    ko_tokenizer_close(one);
    ko_tokenizer_close(same);
    ko_tokenizer_close(other);
    free(bytes);
    free(path);
    test_folder_remove(folder);
}

#define MODEL                                                                                      \
    "\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1, \"ab\": 2}, \"merges\": [\"a " \
    "b\"]"
#define TOKEN(id, content)                                                                         \
    "{\"id\": " id ", \"content\": \"" content "\", \"single_word\": false, \"lstrip\": false, "   \
    "\"rstrip\": false, \"normalized\": false, \"special\": true}"

/* What a file holds, and what the error says after the file's name. */
static const struct {
    const char *json, *error;
} wrong[] = {
    {"{" MODEL "}, \"truncation\": 512}", ": truncation: expected an object or null, got int"},
    {"{" MODEL "}, \"truncation\": {\"max_length\": \"long\"}}",
     ": truncation: max_length: expected "},
    {"{" MODEL "}, \"padding\": true}", ": padding: expected an object or null, got boolean"},
    {"{" MODEL "}, \"padding\": {\"strategy\": {\"Fixed\": -1}}}", ": padding: Fixed: expected "},
    {"{" MODEL "}, \"version\": \"2.0\"}", ": version '2.0' is not supported, only 1.0"},
    {"{" MODEL "}, \"pretokenizer\": null}",
     ": unknown key 'pretokenizer', did you mean 'pre_tokenizer'?"},
    {"{\"version\": \"1.0\"}", ": missing key 'model'"},
    {"[]", ": expected an object, got array"},
    {"{", ":1:"},
    {"{" MODEL "}, \"normalizer\": {\"type\": \"StripAccents\"}}",
     ": normalizer: type 'StripAccents' is not supported, only "},
    {"{" MODEL "}, \"normalizer\": {\"type\": \"NFC\", \"x\": 1}}",
     ": normalizer: unknown key 'x', which may change the tokens, so it is refused"},
    {"{" MODEL "}, \"normalizer\": \"NFC\"}",
     ": normalizer: expected an object or null, got string"},
    {"{" MODEL "}, \"pre_tokenizer\": {\"type\": \"UnicodeScripts\"}}",
     ": pre_tokenizer: type 'UnicodeScripts' is not supported, only "},
    {"{" MODEL "}, \"pre_tokenizer\": {\"add_prefix_space\": true}}",
     ": pre_tokenizer: missing key 'type'"},
    {"{" MODEL "}, \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"trim_offsets\": true}}",
     ": pre_tokenizer: missing key 'add_prefix_space'"},
    {"{" MODEL "}, \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": 1, "
     "\"trim_offsets\": true}}",
     ": pre_tokenizer: add_prefix_space: expected true or false, got 1"},
    {"{" MODEL "}, \"post_processor\": {\"type\": \"BertProcessing\"}}",
     ": post_processor: type 'BertProcessing' is not supported, only "},
    {"{" MODEL ", \"dropout\": 0.1}}", ": model: dropout 0.1 is not supported, only null or 0"},
    {"{" MODEL ", \"continuing_subword_prefix\": \"##\"}}",
     ": model: continuing_subword_prefix '##' is not supported, only null"},
    {"{" MODEL ", \"end_of_word_suffix\": \"</w>\"}}",
     ": model: end_of_word_suffix '</w>' is not supported, only null"},
    {"{" MODEL ", \"byte_fallbacks\": true}}",
     ": model: unknown key 'byte_fallbacks', did you mean 'byte_fallback'?"},
    {"{\"model\": {\"type\": \"WordPiece\", \"vocab\": {}}}",
     ": model: type 'WordPiece' is not supported, only BPE"},
    {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}}}", ": model: missing key 'merges'"},
    {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": -1}, \"merges\": []}}",
     ": model: vocab: id of 'a': expected 0 to 16777215, got -1"},
    {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 4, \"b\": 4}, \"merges\": []}}",
     ": model: vocab: id 4 is given to both 'a' and 'b'"},
    {"{\"model\": {\"type\": \"BPE\", \"vocab\": [\"a\"], \"merges\": []}}",
     ": model: vocab: expected an object of tokens and ids, got array"},
    {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [\"a a\"]}}",
     ": model: merges[0]: 'aa' is not in the vocabulary"},
    {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [[\"a\", \"c\"]]}}",
     ": model: merges[0]: 'c' is not in the vocabulary"},
    {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [\"a\"]}}",
     ": model: merges[0]: expected two tokens, got \"a\""},
    {"{" MODEL "}, \"added_tokens\": [" TOKEN("7", "<x>") "]}",
     ": added_tokens[0]: '<x>' has id 7, but counting on from the vocabulary, as tokenizers does, "
     "makes it 3"},
    {"{" MODEL "}, \"added_tokens\": [" TOKEN("1", "ab") "]}",
     ": added_tokens[0]: 'ab' has id 1, but the vocabulary makes it 2"},
    {"{" MODEL "}, \"added_tokens\": [" TOKEN("3", "x") ", " TOKEN("4", "x") "]}",
     ": added_tokens[1]: 'x' is added twice"},
    {"{" MODEL "}, \"added_tokens\": [" TOKEN("3", "") "]}", ": added_tokens[0]: content is empty"},
    {"{" MODEL "}, \"added_tokens\": [{\"id\": 3, \"content\": \"x\"}]}",
     ": added_tokens[0]: missing key 'single_word'"},
};

static void wrong_files_are_refused_by_name(void **state)
{
    char *folder = test_folder_make(), *path = test_folder_path(folder, "tokenizer.json");
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct ko_tokenizer *tokenizer = NULL;
        struct ko_error err = {0};
        struct ko_text expected = {0};
        test_folder_write_text(folder, "tokenizer.json", wrong[i].json);
        ko_text_add(&expected, "%s%s", path, wrong[i].error);
        assert_int_equal(ko_tokenizer_open(path, &tokenizer, &err), KO_E_INPUT);
        if (strncmp(err.text, ko_text_str(&expected), expected.n) != 0) {
            fail_msg("expected %s, got %s", ko_text_str(&expected), err.text);
        }
        assert_null(tokenizer);
        ko_text_free(&expected);
    }
    free(path);
    test_folder_remove(folder);
}

static void a_missing_file_is_named(void **state)
{
    struct ko_tokenizer *tokenizer = NULL;
    struct ko_error err = {0};
    (void)state;
    assert_int_equal(ko_tokenizer_open("/no/such/tokenizer.json", &tokenizer, &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "/no/such/tokenizer.json"));
    assert_null(tokenizer);
}

static void a_folder_without_one_says_where_it_comes_from(void **state)
{
    static const struct {
        const char *file, *words;
    } rows[] = {
        {"vocab.json", ": has no tokenizer.json, only vocab.json, which is not read: make it with "
                       "`python3 -c \"from transformers import AutoTokenizer as T; "
                       "T.from_pretrained('"},
        {"tokenizer.model", ": has no tokenizer.json, only tokenizer.model, which is not read"},
        {"config.json", ": has no tokenizer.json: name another folder with the model's key "
                        "'tokenizer' in the spec, or --tokenizer of inspect; state-spaces' mamba "
                        "and mamba2 take that of EleutherAI/gpt-neox-20b (`hf download "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_tokenizer *tokenizer = NULL;
        struct ko_error err = {0};
        char *folder = test_folder_make(), *path = test_folder_path(folder, "tokenizer.json");
        test_folder_write_text(folder, rows[i].file, "{}");
        assert_int_equal(ko_tokenizer_open(path, &tokenizer, &err), KO_E_INPUT);
        if (strncmp(err.text, folder, strlen(folder)) != 0 ||
            strncmp(err.text + strlen(folder), rows[i].words, strlen(rows[i].words)) != 0) {
            fail_msg("%s", err.text);
        }
        free(path);
        test_folder_remove(folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_those_of_the_file),
        cmocka_unit_test(the_fingerprint_is_the_content_s),
        cmocka_unit_test(wrong_files_are_refused_by_name),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(a_folder_without_one_says_where_it_comes_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
