#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "src/prompts/facts.h"
#include "tests/support/folder.h"

/* Writes the text as a prompt file and reads it. The error begins with "FILE" + expected where one
 * is expected. */
static struct ko_facts read_text(const char *text, size_t n, const char *expected)
{
    char *folder = test_folder_make(), *path = test_folder_path(folder, "facts");
    struct ko_facts facts = {0};
    struct ko_error err = {0};
    test_folder_write(folder, "facts", text, n);
    enum ko_code code = ko_facts_read(path, &facts, &err);
    if (!expected && code)
        fail_msg("%s", err.text);
    if (expected) {
        assert_int_equal(code, KO_E_INPUT);
        if (strncmp(err.text, path, strlen(path)) != 0 ||
            strncmp(err.text + strlen(path), expected, strlen(expected)) != 0)
            fail_msg("expected %s%s, got %s", path, expected, err.text);
        assert_null(facts.fact);
        assert_null(facts.file);
    }
    free(path);
    test_folder_remove(folder);
    return facts;
}

static void check(const struct ko_fact *fact, const char *id, const char *text, const char *subject,
                  const char *target, const char *foil, const char *relation, int line)
{
    assert_string_equal(fact->id, id);
    assert_string_equal(fact->text, text);
    assert_string_equal(fact->subject, subject);
    assert_string_equal(fact->target, target);
    assert_int_equal(!fact->foil, !foil);
    if (foil)
        assert_string_equal(fact->foil, foil);
    assert_int_equal(!fact->relation, !relation);
    if (relation)
        assert_string_equal(fact->relation, relation);
    assert_int_equal(fact->line, line);
}

static void the_demo_facts_are_read(void **state)
{
    struct ko_facts facts = {0};
    struct ko_error err = {0};
    (void)state;
    if (ko_facts_read(KO_SOURCE_DIR "/jobs/facts.jsonl", &facts, &err))
        fail_msg("%s", err.text);
    assert_int_equal(facts.n, 1188);
    check(&facts.fact[1], "1", "The city of Kabul is known to everyone as the capital of", "Kabul",
          " Afghanistan", NULL, "capital-of", 2);
    assert_int_equal(facts.span_names.n, 0);
    ko_facts_free(&facts);
    assert_null(facts.fact);
}

static void json_lines_hold_foils_and_spans(void **state)
{
    static const char text[] =
        "{\"id\": \"a\", \"prompt\": \"S\xC3\xA3o lies in\", \"subject\": \"S\xC3\xA3o\", "
        "\"target\": \" X\", \"foil\": \" Y\", \"note\": 1, "
        "\"spans\": {\"verb\": [4, 8], \"none\": [0, 0]}}\r\n"
        "\n"
        "{\"id\": 12345678901, \"prompt\": \"p\", \"subject\": \"s\", \"target\": \"t\", "
        "\"relation\": \"r\", \"spans\": {\"noun\": [0, 1], \"verb\": [1, 1]}}\n"
        "{\"id\": 1.50, \"prompt\": \"\", \"subject\": \"\", \"target\": \"\", \"foil\": null}";
    struct ko_facts facts = read_text(text, strlen(text), NULL);
    (void)state;
    assert_int_equal(facts.n, 3);
    check(&facts.fact[0], "a", "S\xC3\xA3o lies in", "S\xC3\xA3o", " X", " Y", NULL, 1);
    check(&facts.fact[1], "12345678901", "p", "s", "t", NULL, "r", 3);
    check(&facts.fact[2], "1.50", "", "", "", NULL, NULL, 4);
    assert_int_equal(facts.fact[0].n_spans, 2);
    assert_string_equal(facts.fact[0].span[0].name, "verb");
    assert_int_equal(facts.fact[0].span[0].char_begin, 4);
    assert_int_equal(facts.fact[0].span[0].char_end, 8);
    assert_int_equal(facts.fact[1].n_spans, 2);
    assert_int_equal(facts.span_names.n, 3);
    assert_string_equal(facts.span_names.item[0], "verb");
    assert_string_equal(facts.span_names.item[1], "none");
    assert_string_equal(facts.span_names.item[2], "noun");
    ko_facts_free(&facts);
}

static void json_lines_of_counterfact_tracing_are_read(void **state)
{
    static const char text[] =
        "{\"case_id\": 1, \"relation\": \"The religion of {} is\", \"relation_id\": \"P140\", "
        "\"prompt\": \"The religion of Edwin is\", \"target_true\": \" Christianity\", "
        "\"target_false\": \" Islam\", \"subject\": \" Edwin\"}\n";
    struct ko_facts facts = read_text(text, strlen(text), NULL);
    (void)state;
    assert_int_equal(facts.n, 1);
    check(&facts.fact[0], "1", "The religion of Edwin is", " Edwin", " Christianity", " Islam",
          "P140", 1);
    ko_facts_free(&facts);
}

static void csv_may_hold_quotes_commas_and_newlines(void **state)
{
    static const char text[] =
        "\xEF\xBB\xBF,case_id,prompt,subject,target_true,target_false,relation_id\r\n"
        "0,1,\"\"\"A\"\", in\r\none\n\",A,\" B\", C,\r\n"
        "\r\n"
        "1,x-2,plain,,T,,P1\n"
        "2,3,p,s,t,,\"\"";
    struct ko_facts facts = read_text(text, strlen(text), NULL);
    (void)state;
    assert_int_equal(facts.n, 3);
    check(&facts.fact[0], "1", "\"A\", in\r\none\n", "A", " B", " C", NULL, 2);
    check(&facts.fact[1], "x-2", "plain", "", "T", NULL, "P1", 6);
    check(&facts.fact[2], "3", "p", "s", "t", NULL, NULL, 7);
    ko_facts_free(&facts);
}

static void the_rome_files_are_read(void **state)
{
    static const char counterfact[] =
        "[{\"case_id\": 0, \"pararel_idx\": 2796, \"requested_rewrite\": {\"prompt\": "
        "\"The mother tongue of {} is\", \"relation_id\": \"P103\", \"target_new\": {\"str\": "
        "\"English\", \"id\": \"Q1860\"}, \"target_true\": {\"str\": \"French\", \"id\": "
        "\"Q150\"}, \"subject\": \"Danielle Darrieux\"}, \"paraphrase_prompts\": []}]";
    static const char known[] =
        "[\n{\"known_id\": 0, \"subject\": \"Vinson Massif\", \"attribute\": \"Antarctica\", "
        "\"template\": \"{} is in\", \"prediction\": \" x\", \"prompt\": \"Vinson Massif is in\", "
        "\"relation_id\": \"P30\"},\n"
        "{\"known_id\": 1, \"subject\": \"B\", \"attribute\": \"C\", \"prompt\": \"B is\"}]";
    struct ko_facts facts = read_text(counterfact, strlen(counterfact), NULL);
    (void)state;
    assert_int_equal(facts.n, 1);
    check(&facts.fact[0], "0", "The mother tongue of Danielle Darrieux is", "Danielle Darrieux",
          "French", "English", "P103", 1);
    ko_facts_free(&facts);
    facts = read_text(known, strlen(known), NULL);
    assert_int_equal(facts.n, 2);
    check(&facts.fact[0], "0", "Vinson Massif is in", "Vinson Massif", "Antarctica", NULL, "P30",
          1);
    check(&facts.fact[1], "1", "B is", "B", "C", NULL, NULL, 2);
    ko_facts_free(&facts);
}

#define GOOD "{\"id\": 1, \"prompt\": \"p\", \"subject\": \"s\", \"target\": \"t\"}\n"
#define SPANS(spans)                                                                               \
    "{\"id\": 2, \"prompt\": \"\xC3\xA9 p\", \"subject\": \"s\", \"target\": \"t\", \"spans\": "   \
    "{" spans "}}"
#define ROME(rewrite) "[{\"case_id\": 1, \"requested_rewrite\": " rewrite "}]"

static const struct {
    const char *text, *error;
} wrong[] = {
    {"", ": holds no prompts"},
    {" \n\n", ": holds no prompts"},
    {"[]", ": holds no prompts"},
    {"id,prompt,subject,target\n", ": holds no prompts"},
    {GOOD "{\"id\": 2, \"prompt\": \"p\", \"subject\": \"s\"}", ":2: missing key 'target'"},
    {GOOD "\n{\"id\": 2, \"prompt\": 5, \"subject\": \"s\", \"target\": \"t\"}",
     ":3: prompt: expected a string, got 5"},
    {GOOD "{\"prompt\": \"p\", \"subject\": \"s\", \"target\": \"t\"}", ":2: missing key 'id'"},
    {GOOD "{\"id\": true, \"prompt\": \"p\", \"subject\": \"s\", \"target\": \"t\"}",
     ":2: id: expected a string, got true"},
    {GOOD "{\"id\": \"\", \"prompt\": \"p\", \"subject\": \"s\", \"target\": \"t\"}",
     ":2: the id is empty"},
    {GOOD "{\"id\": 2, \"prompt\": \"a\\u0000b\", \"subject\": \"s\", \"target\": \"t\"}",
     ":2: prompt: expected a string without NUL"},
    {GOOD "{\"id\": 2, \"prompt\": \"\xFF\"}", ":2: not valid UTF-8, convert the file to UTF-8"},
    {GOOD GOOD, ":2: duplicate id '1', already used on line 1, make it unique"},
    {GOOD "{\"id\": \"1\", \"prompt\": \"p\", \"subject\": \"s\", \"target\": \"t\"}\n",
     ":2: duplicate id '1', already used on line 1, make it unique"},
    {GOOD "{\"id\": 2,", ":2:"},
    {GOOD "[1]", ":2: expected an object, got array"},
    {SPANS("\"verb\": [1]"),
     ":1: spans: verb: expected [begin, end) in characters of the prompt, which has 3, got [ 1 ]"},
    {SPANS("\"verb\": [2, 1]"), ":1: spans: verb: expected [begin, end)"},
    {SPANS("\"verb\": [0, 4]"), ":1: spans: verb: expected [begin, end)"},
    {SPANS("\"verb\": [-1, 2]"), ":1: spans: verb: expected [begin, end)"},
    {SPANS("\"verb\": [0.5, 2]"), ":1: spans: verb: expected [begin, end)"},
    {SPANS("\"subject\": [0, 1]"),
     ":1: spans: subject: is the name of a token set, choose another"},
    {SPANS("\"each\": [0, 1]"), ":1: spans: each: is the name of a token set, choose another"},
    {SPANS("\"position:3\": [0, 1]"), ":1: spans: position:3: is the name of a token set"},
    {SPANS("\"a b\": [0, 1]"),
     ":1: spans: 'a b': a span's name is not empty and has no blank, '\\' or '<-'"},
    {"{\"case_id\": 1, \"prompt\": \"p\", \"subject\": \"s\"}", ":1: missing key 'target_true'"},
    {"[{\"known_id\": 1, \"prompt\": \"p\", \"subject\": \"s\"}]", ":1: missing key 'attribute'"},
    {"[" GOOD ", 5]", ":2: expected an object, got int"},
    {"[1", ":1:"},
    {ROME("5"), ":1: requested_rewrite: expected an object, got int"},
    {ROME("{\"prompt\": \"{} is\", \"subject\": \"s\"}"),
     ":1: requested_rewrite: missing key 'target_true'"},
    {ROME("{\"prompt\": \"s is\", \"subject\": \"s\", \"target_true\": {\"str\": \"t\"}}"),
     ":1: requested_rewrite: prompt: expected one {} for the subject, got 's is'"},
    {ROME("{\"prompt\": \"{} is\", \"subject\": \"s\", \"target_true\": {}}"),
     ":1: requested_rewrite: target_true: missing key 'str'"},
    {"name,prompt\n1,2\n", ":1: neither JSON nor a CSV header: it has no column 'case_id' or 'id'"},
    {"case_id,prompt,subject\n", ":1: missing column 'target_true'"},
    {"id,prompt,subject,target,prompt\n", ":1: column 'prompt' comes twice"},
    {"id,prompt,subject,target\n1,\"a\nb\",s,t\n2,p,s\n", ":4: 3 fields, but the header has 4"},
    {"id,prompt,subject,target\n1,\"a\nb,s,t\n", ":2: a quoted field has no closing quote"},
    {"id,prompt,subject,target\n1,\"a\nb\"c,s,t\n", ":3: text after a closing quote"},
    {"id,prompt,subject,target\n1,a\"b\",s,t\n", ":2: a quote inside a field without quotes"},
    {"id,prompt,subject,target\n1,p,s,t\n,p,s,t\n", ":3: the id is empty"},
    {"id,prompt,subject,target\n1,p,s,t\n2,p,s,t\n1,p,s,t\n2,p,s,t\n",
     ":4: duplicate id '1', already used on line 2, make it unique"},
};

static void wrong_files_are_refused_with_their_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        (void)read_text(wrong[i].text, strlen(wrong[i].text), wrong[i].error);
}

static void nul_bytes_are_refused(void **state)
{
    (void)state;
    (void)read_text(GOOD "\0\n", sizeof GOOD + 1, ":2: a NUL character, remove it");
}

static void a_missing_file_is_named(void **state)
{
    struct ko_facts facts = {0};
    struct ko_error err = {0};
    (void)state;
    assert_int_equal(ko_facts_read("/no/such/facts.jsonl", &facts, &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "/no/such/facts.jsonl"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_demo_facts_are_read),
        cmocka_unit_test(json_lines_hold_foils_and_spans),
        cmocka_unit_test(json_lines_of_counterfact_tracing_are_read),
        cmocka_unit_test(csv_may_hold_quotes_commas_and_newlines),
        cmocka_unit_test(the_rome_files_are_read),
        cmocka_unit_test(wrong_files_are_refused_with_their_line),
        cmocka_unit_test(nul_bytes_are_refused),
        cmocka_unit_test(a_missing_file_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
