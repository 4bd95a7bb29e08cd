/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "src/base/text.h"
#include "src/formats/json.h"
#include "src/tokenizer/tokenizer.h"

enum { N_TEXTS = 200, N_PROMPTS = 2000 };

/* tests/tokenizers/make_small.py trained them and stored what Hugging Face's tokenizers 0.23.3 make
   of the texts. */
static const struct {
    const char *name, *kind;
} small[] = {{"gpt2", "byte-level BPE"},
             {"opt", "byte-level BPE"},
             {"gpt-neox", "byte-level BPE"},
             {"llama3", "byte-level BPE"},
             {"qwen2", "byte-level BPE"},
             {"falcon", "byte-level BPE"},
             {"single-digits", "byte-level BPE"},
             {"llama2", "BPE with byte fallback"},
             {"gemma", "BPE with byte fallback"},
             {"mistral-v3", "BPE with byte fallback"},
             {"metaspace", "BPE with byte fallback"}};

static void path_of(const char *name, const char *file, struct ko_text *path)
{
    path->n = 0;
    ko_text_add(path, KO_SOURCE_DIR "/tests/data/tokenizers/%s/%s.json", name, file);
}

static struct ko_tokenizer *open_small(const char *name)
{
    struct ko_tokenizer *tokenizer = NULL;
    struct ko_error err = {0};
    struct ko_text path = {0};
    path_of(name, "tokenizer", &path);
    if (ko_tokenizer_open(ko_text_str(&path), &tokenizer, &err)) {
        fail_msg("%s", err.text);
    }
    ko_text_free(&path);
    return tokenizer;
}

static json_object *member(json_object *list, size_t i)
{
    return json_object_array_get_idx(list, i);
}

/* tokens: [id, begin, end, ...]; special: how many in front and behind. */
static void check(struct ko_tokenizer *tokenizer, json_object *text, json_object *tokens,
                  json_object *special)
{
    struct ko_encoding e = {0};
    struct ko_error err = {0};
    size_t n = json_object_array_length(tokens) / 3;
    size_t front = (size_t)json_object_get_int64(member(special, 0));
    size_t behind = (size_t)json_object_get_int64(member(special, 1));
    if (ko_tokenizer_encode(tokenizer, json_object_get_string(text),
                            (size_t)json_object_get_string_len(text), &e, &err)) {
        fail_msg("%s", err.text);
    }
    if (e.n != n) {
        fail_msg("%s: %zu tokens, expected %zu", json_object_to_json_string(text), e.n, n);
    }
    for (size_t i = 0; i < n; i++) {
        const int64_t expected[] = {json_object_get_int64(member(tokens, 3 * i)),
                                    json_object_get_int64(member(tokens, 3 * i + 1)),
                                    json_object_get_int64(member(tokens, 3 * i + 2)),
                                    i < front || i >= n - behind};
        const int64_t got[] = {e.id[i], e.char_begin[i], e.char_end[i], e.special[i]};
        if (memcmp(expected, got, sizeof got) != 0) {
            fail_msg("%s: token %zu is %d at %d-%d, expected %d at %d-%d",
                     json_object_to_json_string(text), i, (int)got[0], (int)got[1], (int)got[2],
                     (int)expected[0], (int)expected[1], (int)expected[2]);
        }
    }
    ko_encoding_free(&e);
}

static void small_tokenizers_give_the_stored_ids_and_offsets(void **state)
{
    struct ko_text path = {0};
    struct ko_error err = {0};
    (void)state;
    for (size_t k = 0; k < sizeof small / sizeof small[0]; k++) {
        struct ko_tokenizer *tokenizer = open_small(small[k].name);
        json_object *root = NULL;
        path_of(small[k].name, "expected", &path);
        if (ko_json_read(ko_text_str(&path), 1 << 20, &root, &err)) {
            fail_msg("%s", err.text);
        }
        json_object *texts = ko_json_get(root, "texts"), *tokens = ko_json_get(root, "tokens");
        json_object *special = ko_json_get(root, "special");
        print_message("%s\n", small[k].name);
        assert_int_equal(json_object_array_length(texts), N_TEXTS);
        assert_int_equal(json_object_array_length(tokens), N_TEXTS);
        for (size_t i = 0; i < N_TEXTS; i++) {
            check(tokenizer, member(texts, i), member(tokens, i), member(special, i));
        }
        assert_string_equal(ko_tokenizer_kind(tokenizer), small[k].kind);
        json_object_put(root);
        ko_tokenizer_close(tokenizer);
    }
    ko_text_free(&path);
}

/* The prompts of a file of facts, [N_PROMPTS], over and over. */
static void read_prompts(struct ko_strings *out)
{
    struct ko_error err = {0};
    char line[4096];
    FILE *file = fopen(KO_SOURCE_DIR "/jobs/facts.jsonl", "r");
    assert_non_null(file);
    while (out->n < N_PROMPTS) {
        json_object *fact = NULL;
        if (!fgets(line, sizeof line, file)) {
            assert_true(out->n > 0);
            rewind(file);
            continue;
        }
        assert_int_equal(ko_json_parse(line, strlen(line), "facts", &fact, &err), KO_OK);
        assert_int_equal(
            ko_strings_add(out, json_object_get_string(ko_json_get(fact, "prompt")), &err), KO_OK);
        json_object_put(fact);
    }
    (void)fclose(file);
}

static void two_thousand_prompts_take_less_than_a_second(void **state)
{
    struct ko_strings prompts = {0};
    struct ko_error err = {0};
    (void)state;
    read_prompts(&prompts);
    for (size_t k = 0; k < sizeof small / sizeof small[0]; k++) {
        struct ko_tokenizer *tokenizer = open_small(small[k].name);
        size_t n_tokens = 0;
        clock_t begin = clock();
        for (size_t i = 0; i < prompts.n; i++) {
            struct ko_encoding e = {0};
            assert_int_equal(
                ko_tokenizer_encode(tokenizer, prompts.item[i], strlen(prompts.item[i]), &e, &err),
                KO_OK);
            n_tokens += e.n;
            ko_encoding_free(&e);
        }
        double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
        print_message("%-13s %zu prompts, %zu tokens: %.0f ms\n", small[k].name, prompts.n,
                      n_tokens, 1e3 * seconds);
        assert_true(n_tokens > prompts.n);
        assert_true(seconds < 1);
        ko_tokenizer_close(tokenizer);
    }
    ko_strings_free(&prompts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_tokenizers_give_the_stored_ids_and_offsets),
        cmocka_unit_test(two_thousand_prompts_take_less_than_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
