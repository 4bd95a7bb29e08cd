/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/prompts/facts.h"
#include "tests/support/folder.h"

/* Writes the text as a prompt file and reads it. The error begins with "FILE" + expected where one
   is expected. */
static struct ko_facts read_text(const char *text, size_t n, const char *expected)
{
    char *folder = test_folder_make(), *path = test_folder_path(folder, "facts");
    struct ko_facts facts = {0};
    struct ko_error err = {0};
    test_folder_write(folder, "facts", text, n);
    enum ko_code code = ko_facts_read(path, &facts, &err);
    if (!expected && code != KO_OK) {
        fail_msg("%s", err.text);
    }
    if (expected) {
        assert_int_equal(code, KO_E_INPUT);
        if (strncmp(err.text, path, strlen(path)) != 0 ||
            strncmp(err.text + strlen(path), expected, strlen(expected)) != 0) {
            fail_msg("expected %s%s, got %s", path, expected, err.text);
        }
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
    if (foil) {
        assert_string_equal(fact->foil, foil);
    }
    assert_int_equal(!fact->relation, !relation);
    if (relation) {
        assert_string_equal(fact->relation, relation);
    }
    assert_int_equal(fact->line, line);
}

static void the_demo_facts_are_read(void **state)
{
    struct ko_facts facts = {0};
    struct ko_error err = {0};
    (void)state;
    if (ko_facts_read(KO_SOURCE_DIR "/jobs/facts.jsonl", &facts, &err)) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(facts.n, 1188);
    check(&facts.fact[1], "1", "The city of Kabul is known to everyone as the capital of", "Kabul",
          " Afghanistan", NULL, "capital-of", 2);
    assert_int_equal(facts.span_names.n, 0);
    ko_facts_free(&facts);
    assert_null(facts.fact);
}

/* PopQA as it is published: tabs, quotes inside a field, commas, columns that are not read. */
static void popqa_is_read_from_tabs(void **state)
{
    static const char text[] =
        "id\tsubj\tprop\tobj\tsubj_id\tquestion\tpossible_answers\r\n"
        "42\tGeorge \"R\" Rankin\toccupation\tpolitician\t1\tWhat is George \"R\" Rankin's "
        "occupation?\t[\"politician\", \"pol\"]\r\n"
        "43\tRio, Brazil\tcountry\tBrazil\t2\t\"In what country is \"\"Rio, "
        "Brazil\"\"?\"\t\"[]\"\n";
    struct ko_facts facts = read_text(text, sizeof text - 1, NULL);
    (void)state;
    assert_int_equal(facts.n, 2);
    assert_string_equal(facts.fact[0].id, "42");
    assert_string_equal(facts.fact[0].subject, "George \"R\" Rankin");
    assert_string_equal(facts.fact[0].target, "politician");
    assert_string_equal(facts.fact[0].relation, "occupation");
    assert_string_equal(facts.fact[0].text, "What is George \"R\" Rankin's occupation?");
    assert_int_equal(facts.fact[0].n_choices, 2);
    assert_string_equal(facts.fact[0].choice[1].text, "pol");
    assert_string_equal(facts.fact[0].targets, "[\"politician\",\"pol\"]");
    assert_true(facts.fact[1].n_choices == 0 && !facts.fact[1].targets);
    assert_string_equal(facts.fact[1].text, "In what country is \"Rio, Brazil\"?");
    assert_string_equal(facts.fact[1].subject, "Rio, Brazil");
    assert_null(facts.fact[1].foil);
    ko_facts_free(&facts);
}

/* The texts and kinds of a fact's choices: "a:1 b:3". */
static void expect_choices(const struct ko_fact *fact, const char *wanted)
{
    char text[200] = "";
    for (size_t k = 0; k < fact->n_choices; k++) {
        const size_t n = strlen(text);
        (void)snprintf(text + n, sizeof text - n, "%s%s:%d", k ? " " : "", fact->choice[k].text,
                       fact->choice[k].kind);
    }
    assert_string_equal(text, wanted);
}

static void lists_of_answers_and_options_are_choices(void **state)
{
    static const char json[] =
        "{\"prompt\": \"p x\", \"subject\": \"x\", \"targets\": [\"b \", \"a\", \"b\"]}\n"
        "{\"prompt\": \"p x\", \"subject\": \"x\", \"target\": \"a\", \"targets\": [\"b\"]}\n"
        "{\"prompt\": \"p x\", \"subject\": \"x\", \"target\": \"a\", \"options\": [\"c\", \" "
        "a\"]}\n"
        "{\"prompt\": \"p x\", \"subject\": \"x\", \"targets\": \"[\\\"a\\\"]\"}\n"
        "{\"prompt\": \"p x\", \"subject\": \"x\", \"target\": \" \", \"targets\": [\"a\"]}\n"
        "{\"prompt\": \"p x\", \"subject\": \"x\", \"target\": \"\", \"targets\": [\"b\", \"a\"]}\n"
        "{\"prompt\": \"p x\", \"subject\": \"x\", \"target\": \"\", \"options\": [\"b\", "
        "\"a\"]}\n";
    static const char csv[] =
        "prompt,subject,targets,options\n"
        "p x,x,\"[\"\"a\"\", \"\"b\"\"]\",\"[\"\"b\"\", \"\"c\"\", \"\"a\"\"]\"\n"
        "p x,x,\"[\"\"a/\xC3\xA9\"\"]\",\n";
    struct ko_facts facts = read_text(json, sizeof json - 1, NULL);
    (void)state;
    expect_choices(&facts.fact[0], "b:1 a:1");
    assert_string_equal(facts.fact[0].target, "b ");
    assert_string_equal(facts.fact[0].targets, "[\"b\",\"a\"]");
    expect_choices(&facts.fact[1], "a:1 b:1");
    expect_choices(&facts.fact[2], "c:2 a:3");
    assert_string_equal(facts.fact[2].options, "[\"c\",\"a\"]");
    assert_null(facts.fact[2].targets);
    expect_choices(&facts.fact[3], "");
    assert_string_equal(facts.fact[3].target, "a");
    /* An empty target is a missing one. */
    expect_choices(&facts.fact[4], "");
    assert_string_equal(facts.fact[4].target, "a");
    expect_choices(&facts.fact[5], "b:1 a:1");
    assert_string_equal(facts.fact[5].target, "b");
    expect_choices(&facts.fact[6], "b:2 a:2"); /* none is right */
    assert_string_equal(facts.fact[6].target, "");
    ko_facts_free(&facts);
    facts = read_text(csv, sizeof csv - 1, NULL);
    expect_choices(&facts.fact[0], "b:3 c:2 a:3");
    assert_string_equal(facts.fact[0].targets, "[\"b\",\"a\"]");
    assert_string_equal(facts.fact[1].target, "a/\xC3\xA9");
    ko_facts_free(&facts);
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

#define GOOD         "{\"id\": 1, \"prompt\": \"p\", \"subject\": \"s\", \"target\": \"t\"}\n"
#define MATRIX(more) "{\"id\": 1, \"embeddings\": true, \"target\": \"t\", " more "}\n"
#define SPANS(spans)                                                                               \
    "{\"id\": 2, \"prompt\": \"\xC3\xA9 p\", \"subject\": \"s\", \"target\": \"t\", \"spans\": "   \
    "{" spans "}}"
#define LFS                                                                                        \
    "version https://git-lfs.github.com/spec/v1\noid "                                             \
    "sha256:d017056125178a13728594e66a801357a8db9ed7973a7425554bb4271de9fc6f\nsize 45108470\n"
#define LRE(templates, samples)                                                                    \
    "{\"name\": \"r\", \"prompt_templates\": " templates ", \"samples\": " samples "}"
#define ROME(rewrite) "[{\"case_id\": 1, \"requested_rewrite\": " rewrite "}]"

#define CHOICES(lists) "{\"prompt\": \"p\", \"subject\": \"p\", " lists "}"

static const struct {
    const char *text, *error;
} wrong[] = {
    {CHOICES("\"targets\": []"), ":1: targets: expected a list of 1 to 256 texts, got [ ]"},
    {CHOICES("\"target\": \"a\", \"options\": []"),
     ":1: options: expected a list of 1 to 256 texts"},
    {CHOICES("\"target\": \"a\", \"options\": [\"b\", \"c\"]"),
     ":1: the right answer 'a' is not among the options"},
    {CHOICES("\"targets\": [\"b\", \"a\"], \"options\": [\"b\", \"c\"]"),
     ":1: the right answer 'a' is not among the options"},
    {CHOICES("\"target\": \"a\", \"options\": [\"b\", \"a\", \"b \"]"),
     ":1: option 'b' comes twice"},
    {CHOICES("\"targets\": [\"a\", 5]"), ":1: targets: expected a text, got 5"},
    {CHOICES("\"targets\": [\"a\", \" \"]"), ":1: targets: text 2 is empty or has a NUL character"},
    {CHOICES("\"targets\": {}"), ":1: targets: expected a list of 1 to 256 texts, got { }"},
    {CHOICES("\"targets\": \"a, b\""), ":1: targets: expected a JSON list of texts, got 'a, b'"},
    {CHOICES("\"options\": [\"a\"]"), ":1: missing key 'target'"},
    {"prompt,subject,target,options\np,p,a,\"b, c\"\n",
     ":2: options: expected a JSON list of texts, got 'b, c'"},
    {"", ": holds no prompts"},
    {" \n\n", ": holds no prompts"},
    {"[]", ": holds no prompts"},
    {"id,prompt,subject,target\n", ": holds no prompts"},
    {GOOD "{\"id\": 2, \"prompt\": \"p\", \"subject\": \"s\"}", ":2: missing key 'target'"},
    {GOOD "\n{\"id\": 2, \"prompt\": 5, \"subject\": \"s\", \"target\": \"t\"}",
     ":3: prompt: expected a string, got 5"},
    {GOOD "{\"prompt\": \"p\", \"subject\": \"s\", \"target\": \"t\"}",
     ":2: missing key 'id', which the prompts before it have"},
    {"{\"prompt\": \"p\", \"subject\": \"s\", \"target\": \"t\"}\n" GOOD,
     ":2: has the id '1', but the prompts before it have no id: give an id to every "
     "prompt or to none"},
    {GOOD "{\"id\": 123456789012345678901234567890, \"prompt\": \"p\", \"subject\": \"s\", "
          "\"target\": \"t\"}",
     ":2: id: a number of 64 bits or more would be changed, put it in quotes"},
    {GOOD "{\"id\": -9223372036854775809, \"prompt\": \"p\", \"subject\": \"s\", \"target\": "
          "\"t\"}",
     ":2: id: a number of 64 bits or more"},
    {GOOD "{\"id\": NaN, \"prompt\": \"p\", \"subject\": \"s\", \"target\": \"t\"}",
     ":2: id: expected a string or a finite number, got NaN"},
    {GOOD "{\"id\": 1e999, \"prompt\": \"p\", \"subject\": \"s\", \"target\": \"t\"}",
     ":2: id: expected a string or a finite number, got 1e999"},
    {GOOD "{\"id\": 2, \"prompt\": \"p\", \"id\": 3, \"subject\": \"s\", \"target\": \"t\"}",
     ":2:26: duplicate key 'id', keep one"},
    {GOOD "{\"id\": 2, \"prompt\": \"p\", \"subject\": \"s\", \"answer\": \"t\"}",
     ":2: missing key 'target', rename 'answer' if that is meant"},
    {GOOD "{\"id\": 2, \"prompt\": \"p\", \"subjct\": \"s\", \"target\": \"t\"}",
     ":2: missing key 'subject', rename 'subjct' if that is meant"},
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
    {SPANS("\"verb\": [[0, 1], [2, 4]]"),
     ":1: spans: verb: expected [begin, end) in characters of the "
     "prompt, which has 3, got [ 2, 4 ]"},
    {SPANS("\"verb\": [0, 1]}, \"token_spans\": {\"verb\": [0, 1]"),
     ":1: token_spans: verb: is in spans too"},
    {SPANS("}, \"token_spans\": {\"image\": [0, 32769]"),
     ":1: token_spans: image: expected [begin, end) in positions of tokens, up to 32768, got [ 0, "
     "32769 ]"},
    {SPANS("}, \"token_spans\": {\"image\": [3]"), ":1: token_spans: image: expected [begin, end)"},
    {SPANS("}, \"token_spans\": {\"last\": [0, 1]"),
     ":1: token_spans: last: is the name of a token set"},
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
    {"name,line\n1,2\n",
     ":1: neither JSON nor a CSV header: it has none of the columns id, prompt, "
     "subject and target"},
    {"name,prompt\n1,2\n", ":1: missing column 'subject'"},
    {MATRIX("\"position_ids\": 5"), ":1: position_ids: expected one row, or three"},
    {MATRIX("\"position_ids\": {\"0\": [1]}"), ":1: position_ids: expected one row, or three"},
    {MATRIX("\"position_ids\": []"), ":1: position_ids: expected one row, or three"},
    {MATRIX("\"position_ids\": [[0], 1, [0]]"), ":1: position_ids: row 1: expected 1 whole number"},
    {"case_id,prompt,subject\n", ":1: missing column 'target_true'"},
    {"prompt,subject,Answer\np,s,t\n",
     ":1: missing column 'target', rename 'Answer' if that is meant"},
    {"id\tprompt\tsubject\ttarget\n1\tp\ts\n", ":2: 3 fields, but the header has 4"},
    {"id\tprompt\tsubject\n1\tp\ts\n", ":1: missing column 'target'"},
    {"id;prompt;subject;target\n1;p;s;t\n", ":1: columns are separated by commas or tabs, but this "
                                            "header has semicolons: convert it with"},
    {"PAR1\x15",
     ": is a Parquet file, which is not read: convert it with `python3 -c \"import pandas; "
     "pandas.read_parquet('"},
    {"\x1F\x8B\x08", ": is a gzip file, which is not read: unpack it with `gunzip "},
    {"\xFF\xFEi", ": is UTF-16 text, which is not read: convert it with `iconv -f UTF-16"},
    {LFS, ": is a Git LFS pointer, not the file itself: run `git lfs pull` in its folder"},
    {"\xEF\xBB\xBF\n <!Doctype HTML>\n", ": is a web page, not the file itself: download it again"},
    {"{\n  \"a\": [1, 2],\n  \"b\": 3\n}\n",
     ": is one JSON object, not JSON Lines: write one record per "
     "line, or a list of records"},
    {"{\"prompt\": {\"0\": \"p\"}, \"subject\": {\"0\": \"s\"}}",
     ": is one JSON object, not JSON Lines"},
    {"{\n  \"id\": 1,\n  \"id\": 1\n}\n",
     ":3:3: duplicate key 'id', it is on line 2 too, keep one; in JSON Lines a record takes one"},
    {"{\n  \"id\": 1\n}\n{\n}\n", ":4:1: not valid JSON: unexpected character; in JSON Lines a "
                                  "record takes one line: `jq -c . "},
    {LRE("[\"no gap\"]", "[{\"subject\": \"s\", \"object\": \"o\"}]"),
     ":1: samples[0]: prompt: expected one {} for the subject, got 'no gap'"},
    {LRE("[]", "[]"), ":1: prompt_templates: expected a list of texts with {}"},
    {LRE("[\"{} is\"]", "{}"), ":1: samples: expected a list of {subject, object}"},
    {LRE("[\"{} is\"]", "[{\"subject\": \"s\"}]"), ":1: samples[0]: missing key 'object'"},
    {LRE("[\"{} is\"]", "[5]"), ":1: samples[0]: expected an object, got int"},
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
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        (void)read_text(wrong[i].text, strlen(wrong[i].text), wrong[i].error);
    }
}

/* counterfact-tracing as its authors publish it has no ids; exported by pandas it may have an
   index. */
static void rows_without_ids_are_numbered(void **state)
{
#define ROW(subject)                                                                               \
    "{\"relation\": \"The mother tongue of {} is\", \"prompt\": \"The mother tongue of " subject   \
    " is\", \"relation_id\": \"P103\", \"target_true\": \" French\", \"target_false\": "           \
    "\" English\", \"subject\": \" " subject "\"}"
    static const char *const texts[] = {
        ROW("Jane Roe") "\n\n" ROW("John Doe") "\n", "[" ROW("Jane Roe") ",\n" ROW("John Doe") "]",
        "{\"data\": [" ROW("Jane Roe") ",\n" ROW("John Doe") "]}",
        "relation,prompt,relation_id,target_true,target_false,subject\n"
        "a,The mother tongue of Jane Roe is,P103, French, English, Jane Roe\n"
        "a,The mother tongue of John Doe is,P103, French, English, John Doe\n",
        ",relation,prompt,relation_id,target_true,target_false,subject\n"
        "7,a,The mother tongue of Jane Roe is,P103, French, English, Jane Roe\n"
        "9,a,The mother tongue of John Doe is,P103, French, English, John Doe\n"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct ko_facts facts = read_text(texts[i], strlen(texts[i]), NULL);
        assert_true(facts.numbered);
        assert_int_equal(facts.n, 2);
        check(&facts.fact[0], "0", "The mother tongue of Jane Roe is", " Jane Roe", " French",
              " English", "P103", facts.fact[0].line);
        assert_string_equal(facts.fact[1].id, "1");
        assert_string_equal(facts.fact[1].subject, " John Doe");
        ko_facts_free(&facts);
    }
#undef ROW
}

static void own_columns_need_no_ids_either(void **state)
{
    static const char *const texts[] = {
        "{\"prompt\": \"p\", \"subject\": \"s\", \"target\": \"t\", \"id\": null}",
        "{\n  \"prompt\": \"p\",\n  \"subject\": \"s\",\n  \"target\": \"t\"\n}\n",
        "prompt,subject,target\np,s,t\n",
        "[{\"prompt\": \"p\", \"subject\": \"s\", \"attribute\": \"t\"}]"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct ko_facts facts = read_text(texts[i], strlen(texts[i]), NULL);
        assert_true(facts.numbered);
        assert_int_equal(facts.n, 1);
        check(&facts.fact[0], "0", "p", "s", "t", NULL, NULL, facts.fact[0].line);
        ko_facts_free(&facts);
    }
    struct ko_facts facts = read_text(GOOD, strlen(GOOD), NULL);
    assert_false(facts.numbered);
    ko_facts_free(&facts);
}

static void keys_that_are_nearly_read_are_noted(void **state)
{
    static const struct {
        const char *text, *notes[3];
    } rows[] = {
        {"{\"ID\": 1, \"prompt\": \"p\", \"subject\": \"s\", \"target\": \"t\", \"relations\": "
         "\"r\"}\n"
         "{\"ID\": 2, \"prompt\": \"p\", \"subject\": \"s\", \"target\": \"t\", \"Foil\": \"f\"}\n",
         {"'ID' is not read, did you mean 'id'?",
          "'relations' is not read, did you mean 'relation'?",
          "'Foil' is not read, did you mean 'foil'?"}},
        {"prompt,subject,target_true,target_flase,note\np,s,t,f,n\n",
         {"'target_flase' is not read, did you mean 'target_false'?"}},
        {"{\"id\": 1, \"prompt\": \"p\", \"subject\": \"s\", \"target\": \"t\", \"foil\": \"f\", "
         "\"foils\": 1, \"idx\": 2, \"note\": 3}\n",
         {NULL}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_facts facts = read_text(rows[i].text, strlen(rows[i].text), NULL);
        size_t n = 0;
        for (; n < 3 && rows[i].notes[n]; n++) {
            assert_true(n < facts.notes.n);
            assert_string_equal(facts.notes.item[n], rows[i].notes[n]);
        }
        assert_int_equal(facts.notes.n, n);
        ko_facts_free(&facts);
    }
}

static void an_id_of_another_layout_is_an_id(void **state)
{
    static const char text[] = "{\"id\": \"a\", \"prompt\": \"p\", \"subject\": \"s\", "
                               "\"target_true\": \"t\", \"target_false\": \"f\"}";
    struct ko_facts facts = read_text(text, strlen(text), NULL);
    (void)state;
    assert_false(facts.numbered);
    check(&facts.fact[0], "a", "p", "s", "t", "f", NULL, 1);
    ko_facts_free(&facts);
}

static void ids_of_64_bits_are_kept(void **state)
{
    static const char text[] =
        "{\"id\": 9223372036854775808, \"prompt\": \"p\", \"subject\": \"s\", \"target\": \"t\"}\n"
        "{\"id\": \"123456789012345678901234567890\", \"prompt\": \"p\", \"subject\": \"s\", "
        "\"target\": \"t\"}\n"
        "{\"id\": -9223372036854775807, \"prompt\": \"p\", \"subject\": \"s\", \"target\": "
        "\"t\"}\n";
    struct ko_facts facts = read_text(text, strlen(text), NULL);
    (void)state;
    assert_int_equal(facts.n, 3);
    assert_string_equal(facts.fact[0].id, "9223372036854775808");
    assert_string_equal(facts.fact[1].id, "123456789012345678901234567890");
    assert_string_equal(facts.fact[2].id, "-9223372036854775807");
    ko_facts_free(&facts);
}

static void relations_of_lre_are_read(void **state)
{
    static const char *const texts[] = {
        "{\n    \"name\": \"country capital city\",\n    \"prompt_templates\": [\"The capital of "
        "{} is\", \"{}'s is\"],\n    \"prompt_templates_zs\": [\"x {} y\"],\n    \"properties\": "
        "{},\n    \"samples\": [\n        {\"subject\": \"France\", \"object\": \"Paris\"},\n"
        "        {\"subject\": \"Mexico\", \"object\": \"Mexico City\"}\n    ]\n}\n",
        "{\"name\": \"country capital city\", \"prompt_templates\": [\"The capital of {} is\"], "
        "\"samples\": [{\"subject\": \"France\", \"object\": \"Paris\"}, {\"subject\": \"Mexico\", "
        "\"object\": \"Mexico City\"}]}\n{\"name\": \"other\", \"prompt_templates\": [\"{} is\"], "
        "\"samples\": [{\"subject\": \"S\", \"object\": \"O\"}]}\n"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct ko_facts facts = read_text(texts[i], strlen(texts[i]), NULL);
        assert_int_equal(facts.n, 2 + i);
        check(&facts.fact[0], "country capital city/0", "The capital of France is", "France",
              "Paris", NULL, "country capital city", 1);
        check(&facts.fact[1], "country capital city/1", "The capital of Mexico is", "Mexico",
              "Mexico City", NULL, "country capital city", 1);
        if (i == 1) {
            check(&facts.fact[2], "other/0", "S is", "S", "O", NULL, "other", 2);
        }
        ko_facts_free(&facts);
    }
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
        cmocka_unit_test(popqa_is_read_from_tabs),
        cmocka_unit_test(lists_of_answers_and_options_are_choices),
        cmocka_unit_test(json_lines_hold_foils_and_spans),
        cmocka_unit_test(json_lines_of_counterfact_tracing_are_read),
        cmocka_unit_test(csv_may_hold_quotes_commas_and_newlines),
        cmocka_unit_test(the_rome_files_are_read),
        cmocka_unit_test(rows_without_ids_are_numbered),
        cmocka_unit_test(own_columns_need_no_ids_either),
        cmocka_unit_test(keys_that_are_nearly_read_are_noted),
        cmocka_unit_test(an_id_of_another_layout_is_an_id),
        cmocka_unit_test(ids_of_64_bits_are_kept),
        cmocka_unit_test(relations_of_lre_are_read),
        cmocka_unit_test(wrong_files_are_refused_with_their_line),
        cmocka_unit_test(nul_bytes_are_refused),
        cmocka_unit_test(a_missing_file_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
