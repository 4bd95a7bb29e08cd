/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "src/prompts/token_set.h"

static int32_t token[10];
static char id[] = "42", verb_name[] = "verb", frame_name[] = "frame";
static struct ko_token_span spans_of_plain[] = {
    {verb_name, 5, 7}, {frame_name, 0, 2}, {frame_name, 4, 5}, {frame_name, 7, 9}};

/* Nine tokens without a BOS, subject 2 to 4; ten with one, subject 3 to 5. */
static const struct ko_prompt plain = {.id = id,
                                       .n_tokens = 9,
                                       .token = token,
                                       .subject_begin = 2,
                                       .subject_end = 5,
                                       .span = spans_of_plain,
                                       .n_spans = 4};
static const struct ko_prompt with_bos = {
    .id = id, .n_tokens = 10, .token = token, .n_special = 1, .subject_begin = 3, .subject_end = 6};

/* Computed with the Python oracle, but for the spans. */
static const struct {
    const char *name, *plain, *with_bos;
} known[] = {
    {"first", "100000000", "1000000000"},
    {"bos", "000000000", "1000000000"},
    {"first-text", "100000000", "0100000000"},
    {"last", "000000001", "0000000001"},
    {"subject", "001110000", "0001110000"},
    {"subject-last", "000010000", "0000010000"},
    {"relation", "110001111", "1110001111"},
    {"context", "110000000", "1110000000"},
    {"after-subject", "000001111", "0000001111"},
    {"all", "111111111", "1111111111"},
    {"position:0", "100000000", "1000000000"},
    {"position:8", "000000001", "0000000010"},
    {"position:9", "000000000", "0000000001"},
    {"relation\\last", "110001110", "1110001110"},
    {"all\\subject\\first", "010001111", "0110001111"},
    {"random-like:subject:5", "000001110", "0000001110"},
    {"random-like:subject:6", "010000110", "0010001010"},
    {"random-like:relation:5", "000000000", "0000000000"},
    {"all\\random-like:subject:5", "111110001", "1111110001"},
    {"verb", "000001100", "0000000000"},
    {"after-subject\\verb", "000000011", "0000001111"},
    {"frame", "110010011", "0000000000"},
    {"frame:0", "110000000", "0000000000"},
    {"frame:2", "000000011", "0000000000"},
    {"frame:3", "000000000", "0000000000"},
    {"verb:0", "000001100", "0000000000"},
    {"all\\frame:1", "111101111", "1111111111"},
};

static void check(const char *name, const struct ko_prompt *prompt, const char *expected)
{
    struct ko_error err = {0};
    uint8_t member[10];
    char got[11] = "";
    memset(member, 7, sizeof member);
    assert_int_equal(ko_token_set_eval(name, prompt, member, &err), KO_OK);
    for (int32_t i = 0; i < prompt->n_tokens; i++) {
        got[i] = (char)('0' + member[i]);
    }
    print_message("%s\n", name);
    assert_string_equal(got, expected);
}

static void sets_are_those_of_the_oracle(void **state)
{
    char *item[] = {verb_name, frame_name};
    struct ko_strings spans = {item, 2, 2};
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        assert_int_equal(ko_token_set_check(known[i].name, &spans, NULL), KO_OK);
        check(known[i].name, &plain, known[i].plain);
        check(known[i].name, &with_bos, known[i].with_bos);
    }
}

static void a_control_avoids_its_set_and_the_ends(void **state)
{
    char name[40];
    uint8_t member[10];
    (void)state;
    for (int seed = 0; seed < 100; seed++) {
        int n = 0;
        (void)snprintf(name, sizeof name, "random-like:subject:%d", seed);
        assert_int_equal(ko_token_set_eval(name, &with_bos, member, NULL), KO_OK);
        for (int i = 0; i < 10; i++) {
            n += member[i];
        }
        assert_int_equal(n, 3);
        assert_false(member[0] || member[3] || member[4] || member[5] || member[9]);
    }
}

static const struct {
    const char *name, *error;
} wrong[] = {
    {"subjct", "unknown token set 'subjct', did you mean 'subject'?"},
    {"verbs", "unknown token set 'verbs', did you mean 'verb'?"},
    {"xyzzy",
     "unknown token set 'xyzzy', use one of first, bos, first-text, last, subject, subject-last, "
     "relation, context, after-subject, all, verb, position:K, random-like:SET:SEED or a span of "
     "the prompt file"},
    {"relation\\lst", "unknown token set 'lst', did you mean 'last'?"},
    {"relation\\", "token set 'relation\\': a set is missing beside '\\'"},
    {"\\last", "token set '\\last': a set is missing beside '\\'"},
    {"position:", "token set 'position:': expected a whole number from 0 to 2147483647, without "
                  "sign or leading zeros, got ''"},
    {"position:-1", "token set 'position:-1': expected a whole number from 0 to 2147483647, "},
    {"position:03",
     "token set 'position:03': expected a whole number from 0 to 2147483647, without "
     "sign or leading zeros, got '03'"},
    {"random-like:subject",
     "token set 'random-like:subject': expected random-like:SET:SEED with one plain set, such as "
     "random-like:subject:0"},
    {"random-like:position:3:4",
     "token set 'random-like:position:3:4': expected random-like:SET:SEED with one plain set, such "
     "as random-like:subject:0"},
    {"random-like:subject:x", "token set 'random-like:subject:x': seed: expected a whole number "
                              "from 0 to 9223372036854775807, without sign or leading zeros, got "
                              "'x'"},
    {"random-like:subject:-1",
     "token set 'random-like:subject:-1': seed: expected a whole number "},
    {"random-like:subject:-0",
     "token set 'random-like:subject:-0': seed: expected a whole number "},
    {"random-like:subject:01",
     "token set 'random-like:subject:01': seed: expected a whole number "},
    {"random-like:subject:00",
     "token set 'random-like:subject:00': seed: expected a whole number "},
    {"random-like:subject:+1",
     "token set 'random-like:subject:+1': seed: expected a whole number "},
    {"random-like:subject:9223372036854775808",
     "token set 'random-like:subject:9223372036854775808': seed: expected a whole number "},
    {"random-like:last-subject:1", "unknown token set 'last-subject', "},
    {"each", "token set 'each' stands alone as the source of a route"},
    {"all\\later", "token set 'later' stands alone as the target of a route"},
};

static void unknown_sets_name_the_nearest(void **state)
{
    char *item[] = {verb_name};
    struct ko_strings spans = {item, 1, 1};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct ko_error err = {0};
        assert_int_equal(ko_token_set_check(wrong[i].name, &spans, &err), KO_E_INPUT);
        if (strncmp(err.text, wrong[i].error, strlen(wrong[i].error)) != 0) {
            fail_msg("expected %s, got %s", wrong[i].error, err.text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_are_those_of_the_oracle),
        cmocka_unit_test(a_control_avoids_its_set_and_the_ends),
        cmocka_unit_test(unknown_sets_name_the_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
