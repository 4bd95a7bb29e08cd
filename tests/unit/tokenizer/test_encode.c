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

/* Every expectation of this file was computed with Hugging Face's tokenizers 0.23.3. */

/* Compares "ID:BEGIN-END ID:BEGIN-END ...". */
static void check(struct ko_tokenizer *tokenizer, const char *text, const char *expected)
{
    struct ko_encoding e = {0};
    struct ko_error err = {0};
    struct ko_text got = {0};
    if (ko_tokenizer_encode(tokenizer, text, strlen(text), &e, &err)) {
        fail_msg("%s", err.text);
    }
    for (size_t i = 0; i < e.n; i++) {
        ko_text_add(&got, "%s%d:%d-%d", i ? " " : "", e.id[i], e.char_begin[i], e.char_end[i]);
        assert_int_equal(e.special[i], 0);
    }
    assert_string_equal(ko_text_str(&got), expected);
    ko_text_free(&got);
    ko_encoding_free(&e);
    assert_null(e.id);
}

static struct ko_tokenizer *open_demo(void)
{
    struct ko_tokenizer *tokenizer = NULL;
    struct ko_error err = {0};
    if (ko_tokenizer_open(KO_SOURCE_DIR "/jobs/models/mamba-facts/tokenizer.json", &tokenizer,
                          &err)) {
        fail_msg("%s", err.text);
    }
    return tokenizer;
}

static const struct {
    const char *text, *expected;
} demo[] = {
    {"", ""},
    {"Afghanistan is a country whose seat of government is the city of",
     "1911:0-11 262:11-14 273:14-16 290:16-24 304:24-30 373:30-35 265:35-38 381:38-49 262:49-52 "
     "264:52-56 293:56-61 265:61-64"},
    {"It's 1995, don't they say we'll see 12 of 'em?",
     "41:0-1 84:1-2 1064:2-4 221:4-5 17:5-6 25:6-7 25:7-8 21:8-9 12:9-10 312:10-12 408:12-14 "
     "7:14-15 84:15-16 264:16-20 89:20-21 276:21-23 324:23-25 263:25-27 69:27-28 7:28-29 "
     "2156:29-31 276:31-33 865:33-35 221:35-36 17:36-37 18:37-38 265:38-41 221:41-42 7:42-43 "
     "591:43-45 31:45-46"},
    {"  two  spaces\x0A\x09"
     "and a tab ",
     "221:0-1 221:1-2 84:2-3 87:3-4 79:4-5 221:5-6 276:6-8 1481:8-10 67:10-11 310:11-13 199:13-14 "
     "198:14-15 406:15-18 273:18-20 221:20-21 84:21-22 480:22-24 221:24-25"},
    {"S\xC3\xA3o Tom\xC3\xA9 and Pr\xC3\xADncipe",
     "51:0-1 128:1-2 97:1-2 79:2-3 417:3-5 439:5-7 128:7-8 103:7-8 494:8-12 416:12-14 82:14-15 "
     "128:15-16 256:15-16 78:16-17 67:17-18 2149:18-20 69:20-21"},
    {"e\xCC\x81 \xC3\xA9 \xE2\x91\xA0\xC2\xBD", "69:0-1 137:1-2 224:1-2 221:2-3 128:3-4 103:3-4 "
                                                "221:4-5 159:5-6 240:5-6 255:5-6 127:6-7 122:6-7"},
    {"\xE6\x97\xA5\xE6\x9C\xAC\xE3\x81\xAE\xE9\xA6\x96\xE9\x83\xBD\xE3\x81\xAF",
     "163:0-1 246:0-1 99:0-1 163:1-2 251:1-2 106:1-2 160:2-3 224:2-3 107:2-3 166:3-4 100:3-4 "
     "245:3-4 166:4-5 226:4-5 122:4-5 160:5-6 224:5-6 108:5-6"},
    {"\xF0\x9F\x98\x80\xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD!",
     "173:0-1 254:0-1 247:0-1 223:0-1 173:1-2 254:1-2 240:1-2 236:1-2 173:2-3 254:2-3 238:2-3 "
     "122:2-3 1:3-4"},
    {"<|endoftext|>The <|endoftext|> end",
     "0:0-13 368:13-16 221:16-17 0:17-30 221:30-31 286:31-33 68:33-34"},
    {"a\xE1\xA0\x8E"
     "b\xE3\x80\x80"
     "c\xC2\xA0"
     "d",
     "65:0-1 158:1-2 255:1-2 237:1-2 66:2-3 160:3-4 223:3-4 223:3-4 67:4-5 127:5-6 255:5-6 68:6-7"},
    {"\xE1\xB2\x89\xF0\x9E\x80\xB0 1\xF0\x9E\x93\xB0",
     "158:0-1 111:0-1 232:0-1 173:1-2 253:1-2 223:1-2 109:1-2 221:2-3 17:3-4 173:4-5 253:4-5 "
     "242:4-5 109:4-5"},
};

static void the_demo_tokenizer_gives_hugging_face_ids_and_offsets(void **state)
{
    struct ko_tokenizer *tokenizer = open_demo();
    (void)state;
    for (size_t i = 0; i < sizeof demo / sizeof demo[0]; i++) {
        print_message("%s\n", demo[i].text);
        check(tokenizer, demo[i].text, demo[i].expected);
    }
    ko_tokenizer_close(tokenizer);
}

#define NONE "null"
#define BYTE_LEVEL(prefix, trim, regex)                                                            \
    "{\"type\": \"ByteLevel\", \"add_prefix_space\": " #prefix ", \"trim_offsets\": " #trim        \
    ", \"use_regex\": " #regex "}"
#define NORMALIZER(type) "{\"type\": \"" #type "\"}"
#define ADDED(id, content, word, left, right, normalized, special)                                 \
    "{\"id\": " #id ", \"content\": \"" content "\", \"single_word\": " #word                      \
    ", \"lstrip\": " #left ", \"rstrip\": " #right ", \"normalized\": " #normalized                \
    ", \"special\": " #special "}"

static const char vocabulary[] =
    "{\"\xC4\xA0\": 0, \"a\": 1, \"b\": 2, \"e\": 3, \"\xC3\x83\": 4, \"\xC2\xA9\": 5, "
    "\"\xC3\x8C\": 6, \"\xC4\xA3\": 7, \"\xC4\x8A\": 8, \"1\": 9, \"x\": 10, \"<\": 11, \">\": 12, "
    "\"ab\": 13, \"\xC4\xA0"
    "a\": 14, \"\xC4\xA0"
    "ab\": 15, \"\xC4\xA0\xC4\xA0\": 16, \"\xC3\x83\xC2\xA9\": 17, \"f\": 18, \"i\": 19}";
static const char merges[] =
    "[[\"a\", \"b\"], [\"\xC4\xA0\", \"a\"], [\"\xC4\xA0"
    "a\", \"b\"], [\"\xC4\xA0\", \"\xC4\xA0\"], [\"\xC3\x83\", \"\xC2\xA9\"]]";
/* The same as strings. */
static const char old_merges[] = "[\"a b\", \"\xC4\xA0 a\", \"\xC4\xA0"
                                 "a b\", \"\xC4\xA0 \xC4\xA0\", \"\xC3\x83 \xC2\xA9\"]";

struct small {
    const char *name, *normalizer, *pre_tokenizer, *post_processor, *added, *model, *text,
        *expected;
};

static const struct small smalls[] = {
    {"whole words and white space", NONE, BYTE_LEVEL(false, true, true), NONE, "[]", "",
     "ab ab  b\x0A a", "13:0-2 0:2-3 13:3-5 0:5-6 0:6-7 2:7-8 8:8-9 14:9-11"},
    {"contractions and digits", NONE, BYTE_LEVEL(false, true, true), NONE, "[]", "", "a'11e 1a11",
     "1:0-1 9:2-3 9:3-4 3:4-5 0:5-6 9:6-7 1:7-8 9:8-9 9:9-10"},
    {"prefix space", NONE, BYTE_LEVEL(true, true, true), BYTE_LEVEL(true, false, true), "[]", "",
     "ab a", "0:0-1 13:0-2 14:2-4"},
    {"prefix space, trimmed", NONE, BYTE_LEVEL(true, true, true), BYTE_LEVEL(true, true, true),
     "[]", "", "ab  a ", "0:0-0 13:0-2 0:3-3 14:4-5 0:6-6"},
    {"prefix space is not doubled", NONE, BYTE_LEVEL(true, true, true),
     BYTE_LEVEL(true, true, true), "[]", "", "  ab", "0:0-0 0:2-2 13:2-4"},
    {"offsets trimmed", NONE, BYTE_LEVEL(false, true, true), BYTE_LEVEL(false, true, true), "[]",
     "", "ab   ab ", "13:0-2 16:4-4 0:5-5 13:5-7 0:8-8"},
    {"offsets not trimmed", NONE, BYTE_LEVEL(false, true, true), BYTE_LEVEL(false, false, true),
     "[]", "", "ab   ab ", "13:0-2 16:2-4 0:4-5 13:5-7 0:7-8"},
    {"no regular expression", NONE, BYTE_LEVEL(false, true, false), NONE, "[]", "", "ab  ab",
     "13:0-2 16:2-4 13:4-6"},
    {"no pre-tokenizer", NONE, NONE, NONE, "[]", "", "abab", "13:0-2 13:2-4"},
    {"one character of several bytes", NONE, BYTE_LEVEL(false, true, true), NONE, "[]", "",
     "a\xC3\xA9"
     "a",
     "1:0-1 17:1-2 1:2-3"},
    {"NFC", NORMALIZER(NFC), BYTE_LEVEL(false, true, true), NONE, "[]", "",
     "ae\xCC\x81"
     "b \xC3\xA9"
     "b",
     "1:0-1 17:1-2 2:3-4 0:4-5 17:5-6 2:6-7"},
    {"NFD", NORMALIZER(NFD), BYTE_LEVEL(false, true, true), NONE, "[]", "",
     "a\xC3\xA9"
     "b",
     "1:0-1 3:1-2 6:1-2 7:1-2 2:2-3"},
    {"NFKC", NORMALIZER(NFKC), BYTE_LEVEL(false, true, true), NONE, "[]", "",
     "a\xEF\xAC\x81"
     "b",
     "1:0-1 18:1-2 19:1-2 2:2-3"},
    {"NFKD", NORMALIZER(NFKD), BYTE_LEVEL(false, true, true), NONE, "[]", "",
     "\xEF\xAC\x81\xC3\xA9", "18:0-1 19:0-1 3:1-2 6:1-2 7:1-2"},
    {"added token inside a word", NONE, BYTE_LEVEL(false, true, true), NONE,
     "[" ADDED(20, "<x>", false, false, false, false, true) "]", "", "a<x>b <x>",
     "1:0-1 20:1-4 2:4-5 0:5-6 20:6-9"},
    {"longest added token wins", NONE, BYTE_LEVEL(false, true, true), NONE,
     "[" ADDED(20, "<x", false, false, false, false, true) ", " ADDED(21, "<x>b", false, false,
                                                                      false, false, false) "]",
     "", "a<x>b<xb", "1:0-1 21:1-5 20:5-7 2:7-8"},
    {"single word", NONE, BYTE_LEVEL(false, true, true), NONE,
     "[" ADDED(10, "x", true, false, false, false, false) "]", "", "x ax x",
     "10:0-1 14:1-3 10:3-4 0:4-5 10:5-6"},
    {"stripped on the left", NONE, BYTE_LEVEL(false, true, true), NONE,
     "[" ADDED(20, "<x>", false, true, false, false, false) "]", "", "a  <x> b",
     "1:0-1 20:1-6 0:6-7 2:7-8"},
    {"stripped on the right", NONE, BYTE_LEVEL(false, true, true), NONE,
     "[" ADDED(20, "<x>", false, false, true, false, false) "]", "", "a <x>  b",
     "1:0-1 0:1-2 20:2-7 2:7-8"},
    {"stripped on both sides", NONE, BYTE_LEVEL(false, true, true), BYTE_LEVEL(false, true, true),
     "[" ADDED(20, "<x>", false, true, true, false, false) "]", "", "a <x> b",
     "1:0-1 20:2-5 2:6-7"},
    {"added token found in normalised text", NORMALIZER(NFC), BYTE_LEVEL(false, true, true), NONE,
     "[" ADDED(20, "\xC3\xA9", false, false, false, true, false) "]", "",
     "ae\xCC\x81"
     "b",
     "1:0-1 20:1-2 2:3-4"},
    {"added token found in the raw text only", NORMALIZER(NFC), BYTE_LEVEL(false, true, true), NONE,
     "[" ADDED(20, "e\xCC\x81", false, false, false, false, false) "]", "",
     "ae\xCC\x81"
     "b\xC3\xA9"
     "b",
     "1:0-1 20:1-3 2:3-4 17:4-5 2:5-6"},
    {"merges in order of rank", NONE, BYTE_LEVEL(false, true, true), NONE, "[]", "", " ab ab",
     "0:0-1 13:1-3 0:3-4 13:4-6"},
    {"words of the vocabulary as they are", NONE, NONE, NONE, "[]", "\"ignore_merges\":true,",
     "\xC4\xA0"
     "ab",
     "15:0-3"},
    {"unknown characters vanish", NONE, NONE, NONE, "[]", "", "azb", "13:0-2"},
    {"unknown characters", NONE, NONE, NONE, "[]", "\"unk_token\":\"x\",\"fuse_unk\":false,",
     "azzb", "1:0-1 10:1-2 10:2-3 2:3-4"},
    {"unknown characters fused", NONE, NONE, NONE, "[]", "\"unk_token\":\"x\",\"fuse_unk\":true,",
     "azzb", "1:0-1 10:1-3 2:3-4"},
    {"nothing", NONE, BYTE_LEVEL(false, true, true), BYTE_LEVEL(false, true, true), "[]", "", "",
     ""},
};

static struct ko_tokenizer *open_small(const struct small *s, const char *merges_json)
{
    char *folder = test_folder_make(), *path = test_folder_path(folder, "tokenizer.json");
    struct ko_tokenizer *tokenizer = NULL;
    struct ko_text json = {0};
    struct ko_error err = {0};
    ko_text_add(&json,
                "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null, "
                "\"added_tokens\": %s, \"normalizer\": %s, \"pre_tokenizer\": %s, "
                "\"post_processor\": %s, \"decoder\": null, "
                "\"model\": {\"type\": \"BPE\", %s\"vocab\": %s, \"merges\": %s}}",
                s->added, s->normalizer, s->pre_tokenizer, s->post_processor, s->model, vocabulary,
                merges_json);
    test_folder_write_text(folder, "tokenizer.json", ko_text_str(&json));
    if (ko_tokenizer_open(path, &tokenizer, &err)) {
        fail_msg("%s: %s", s->name, err.text);
    }
    ko_text_free(&json);
    free(path);
    test_folder_remove(folder);
    return tokenizer;
}

static void every_option_gives_hugging_face_ids_and_offsets(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof smalls / sizeof smalls[0]; i++) {
        const struct small *s = &smalls[i];
        struct ko_tokenizer *tokenizer = open_small(s, merges);
        print_message("%s\n", s->name);
        check(tokenizer, s->text, s->expected);
        ko_tokenizer_close(tokenizer);
    }
}

static void merges_may_be_strings(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof smalls / sizeof smalls[0]; i++) {
        const struct small *s = &smalls[i];
        struct ko_tokenizer *tokenizer = open_small(s, old_merges);
        check(tokenizer, s->text, s->expected);
        ko_tokenizer_close(tokenizer);
    }
}

static void a_tokenizer_can_be_used_again(void **state)
{
    struct ko_tokenizer *tokenizer = open_demo();
    (void)state;
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = sizeof demo / sizeof demo[0]; i-- > 0;) {
            check(tokenizer, demo[i].text, demo[i].expected);
        }
    }
    ko_tokenizer_close(tokenizer);
}

/* 200,000 characters of one word: a merge that looked through the whole word each time would take
   minutes. */
static void a_long_word_takes_no_quadratic_time(void **state)
{
    enum { N = 200000 };
    struct ko_tokenizer *tokenizer = open_small(&smalls[0], merges);
    struct ko_encoding e = {0};
    struct ko_error err = {0};
    char *text = malloc(N);
    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < N; i++) {
        text[i] = i % 2 ? 'b' : 'a';
    }
    assert_int_equal(ko_tokenizer_encode(tokenizer, text, N, &e, &err), KO_OK);
    assert_int_equal(e.n, N / 2);
    assert_int_equal(e.id[N / 2 - 1], 13);
    assert_int_equal(e.char_end[N / 2 - 1], N);
    ko_encoding_free(&e);
    free(text);
    ko_tokenizer_close(tokenizer);
}

static void text_that_is_not_utf8_is_refused(void **state)
{
    struct ko_tokenizer *tokenizer = open_demo();
    struct ko_encoding e = {0};
    struct ko_error err = {0};
    (void)state;
    assert_int_equal(ko_tokenizer_encode(tokenizer, "a\xFF", 2, &e, &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "tokenizer.json: a text to tokenize is not valid UTF-8"));
    assert_null(e.id);
    ko_tokenizer_close(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_demo_tokenizer_gives_hugging_face_ids_and_offsets),
        cmocka_unit_test(every_option_gives_hugging_face_ids_and_offsets),
        cmocka_unit_test(merges_may_be_strings),
        cmocka_unit_test(a_tokenizer_can_be_used_again),
        cmocka_unit_test(a_long_word_takes_no_quadratic_time),
        cmocka_unit_test(text_that_is_not_utf8_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
