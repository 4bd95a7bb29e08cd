/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/spec_text.h"

/* Each line of a table: a spec, and words of the error that it must give. */
static const struct bad {
    const char *text, *words;
} bad[] = {
    {"", "spec.yaml:"},
    {"[a, b]", "spec.yaml:1:1: expected a map of keys"},
    {RIGHT "routs: [x]\n", "spec.yaml:5:1: unknown key 'routs', did you mean 'routes'?"},
    {RIGHT "models: [c]\n", "spec.yaml:5:1: duplicate key 'models'"},
    {PROMPTS ROUTES WINDOWS, "spec.yaml:1:1: missing key 'models'"},
    {MODELS ROUTES WINDOWS, "missing key 'file' of prompts"},
    {MODELS PROMPTS WINDOWS, "missing key 'routes'"},
    {MODELS PROMPTS ROUTES, "missing key 'sizes' of windows"},
    {MODELS PROMPTS ROUTES "windows: {starts: all}\n", "spec.yaml:4:10: missing key 'sizes'"},
    {MODELS PROMPTS ROUTES "windows: {style: centered, sizes: [1]}\n", "did you mean 'centred'?"},
    {MODELS PROMPTS ROUTES "windows: {style: listed}\n", "windows.style: expected whole, centred"},
    {MODELS PROMPTS ROUTES "windows: {style: centred}\n", "missing key 'sizes' of windows"},
    {MODELS PROMPTS ROUTES "windows: {style: from, sizes: [1]}\n",
     "windows.sizes: windows of style 'from' have no sizes, leave them out"},
    {MODELS PROMPTS ROUTES "windows: {layers: [[0, 1]], sizes: [1]}\n",
     "windows of style 'listed' have no sizes"},
    {MODELS PROMPTS ROUTES "windows: {layers: [[0, 1]], style: from}\n",
     "windows.layers: lists of layers have no style, leave out style: from"},
    {MODELS PROMPTS ROUTES "windows: {layers: [[0, 1]], over: ssm}\n",
     "windows.over: lists in windows.layers count every layer, leave out over: ssm"},
    {MODELS PROMPTS ROUTES "windows: {layers: [[0, 1-3, 2]]}\n", "layer 2 is in one window twice"},
    {MODELS PROMPTS ROUTES "windows: {layers: [3-1]}\n",
     "or a range of layers such as 3-7, got '3-1'"},
    {MODELS PROMPTS ROUTES "windows: {layers: [[]]}\n", "expected a list of layers and ranges"},
    {MODELS PROMPTS ROUTES "windows: {layers: 3}\n", "expected a list of lists of layers"},
    {MODELS PROMPTS ROUTES "windows: {layers: [16384]}\n", "expected a layer from 0 to 16383"},
    {MODELS PROMPTS ROUTES "windows: {style: from}\nsweeps: [{}, {windows: {style: until}}]\n",
     "windows.style: 'until' here and 'from' in the block at "},
    {MODELS PROMPTS ROUTES "windows: {layers: [0, 1]}\nsweeps: [{}, {windows: {layers: [0]}}]\n",
     "windows.layers: other lists than in the block at "},
    {"models: models/a\n", "spec.yaml:1:9: models: expected a list of folders or maps with 'path', "
                           "got 'models/a'"},
    {"models: []\n", "expected a list of folders or maps with 'path', got an empty one"},
    {"models: [[a]]\n", "models: expected a folder or a map with 'path', got a list"},
    {"models: [{name: x}]\n", "this model has no 'path'"},
    {"models: [{path: x, nam: y}]\n", "unknown key 'nam', did you mean 'name'?"},
    {"models: [{path: x, bos: ad}]\n",
     "spec.yaml:1:25: bos: expected default, add, none, a token or an id, got 'ad', did "
     "you mean 'add'? A token goes in quotes"},
    {"models: [x/a, y/a]\n", "spec.yaml:1:15: models: duplicate model name 'a', also at "},
    {"models: [..]\n", "does not name the model"},
    {"models: ['${KO_TEST_UNSET}/a']\n", "models: environment variable 'KO_TEST_UNSET' is not set"},
    {"models: ['${KO']\n", "has a ${ that is not a ${VARIABLE}"},
    {"models: ['~you/x']\n", "1:10: models: '~you/x': a path with ~ must begin with ~/"},
    {MODELS "prompts: facts.jsonl\n" ROUTES WINDOWS,
     "spec.yaml:2:10: prompts: expected a map, got 'facts.jsonl'"},
    {MODELS "prompts: {file: [f]}\n" ROUTES WINDOWS, "prompts.file: expected a path, got a list"},
    {MODELS "prompts: {file: f, selct: all}\n" ROUTES WINDOWS,
     "unknown key 'selct', did you mean 'select'?"},
    {MODELS "prompts: {file: f, score: perplexity}\n" ROUTES WINDOWS,
     "prompts.score: expected first-token, first-text, raw-first-token or whole-answer, got "
     "'perplexity'"},
    {MODELS "prompts: {file: f, score: whole-answer, answer-rows: dirty}\n" ROUTES WINDOWS,
     "prompts.answer-rows: expected clean or knocked, got 'dirty'"},
    {MODELS "prompts: {file: f, answer-rows: knocked}\n" ROUTES WINDOWS,
     "spec.yaml:2:33: prompts.answer-rows: only whole answers have rows, write score: "
     "whole-answer"},
    {MODELS "prompts: {file: f, score: whole-answer}\n" ROUTES WINDOWS
            "sweeps:\n  - {}\n  - {prompts: {answer-rows: knocked}}\n",
     "prompts.answer-rows: 'knocked' here and 'clean' in the block at "},
    {MODELS "prompts: {file: f, score: first-txt}\n" ROUTES WINDOWS, "did you mean 'first-text'?"},
    {MODELS "prompts: {file: f}\n" ROUTES WINDOWS
            "sweeps:\n  - {}\n  - {prompts: {score: first-text}}\n",
     "spec.yaml:7:23: prompts.score: 'first-text' here and 'first-token' in the block at "},
    {MODELS "prompts: {file: f, select: corect}\n" ROUTES WINDOWS, "did you mean 'correct'?"},
    {MODELS "prompts: {file: f, select: [all]}\n" ROUTES WINDOWS, "select: expected all, correct"},
    {MODELS "prompts: {file: f, select: relation}\n" ROUTES WINDOWS,
     "select: 'relation' takes a value, write {relation: ...}"},
    {MODELS "prompts: {file: f, select: {relation: P36}}\n" ROUTES WINDOWS,
     "relation: expected a list of words, got 'P36'"},
    {MODELS "prompts: {file: f, select: {rank-at-most: 0}}\n" ROUTES WINDOWS,
     "rank-at-most: expected a whole number from 1, got '0'"},
    {MODELS "prompts: {file: f, select: {relatoin: [P36]}}\n" ROUTES WINDOWS,
     "unknown key 'relatoin', did you mean 'relation'?"},
    {MODELS "prompts: {file: f, select: {relation: [a], id: [b]}}\n" ROUTES WINDOWS,
     "select: expected a map of one key, got 2"},
    {MODELS "prompts: {file: f, select: {}}\n" ROUTES WINDOWS, "expected a map of one key, got 0"},
    {MODELS "prompts: {file: f, select: {all-of: correct}}\n" ROUTES WINDOWS,
     "all-of: expected a list of selections"},
    {MODELS "prompts: {file: f, sample: 5}\n" ROUTES WINDOWS, "sample: expected a map, got '5'"},
    {MODELS "prompts: {file: f, sample: {seed: 5}}\n" ROUTES WINDOWS, "sample: missing key 'n'"},
    {MODELS "prompts: {file: f, sample: {n: 0}}\n" ROUTES WINDOWS,
     "sample.n: expected a whole number from 1, got '0'"},
    {MODELS "prompts: {file: f, sample: {n: ten}}\n" ROUTES WINDOWS, "got 'ten'"},
    {MODELS "prompts: {file: f, sample: {n: '10'}}\n" ROUTES WINDOWS, "got '10' in quotes"},
    {MODELS "prompts: {file: f, sample: {n: 1, seed: -1}}\n" ROUTES WINDOWS,
     "sample.seed: expected a whole number from 0, got '-1'"},
    {MODELS "prompts: {file: f, sample: {n: 1, seed: 010}}\n" ROUTES WINDOWS,
     "sample.seed: expected a whole number without sign or leading zeros, got '010'"},
    {MODELS PROMPTS "routes: last<-subject\n" WINDOWS,
     "routes: expected a list of TARGET<-SOURCE, got 'last<-subject'"},
    {MODELS PROMPTS "routes: [last-subject]\n" WINDOWS,
     "spec.yaml:3:10: routes: route 'last-subject': expected TARGET<-SOURCE, such as "
     "last<-subject, "
     "or COMPONENT@SET, such as mlp@subject"},
    {MODELS PROMPTS "routes: [mpl@last]\n" WINDOWS, "unknown component 'mpl', did you mean 'mlp'?"},
    {MODELS PROMPTS "routes: [mlp@later]\n" WINDOWS, "'later' is a target only"},
    {RIGHT "features: [head]\n", "expected the number of a head, from 0, or each"},
    {MODELS PROMPTS "routes: [<-subject]\n" WINDOWS, "expected TARGET<-SOURCE"},
    {MODELS PROMPTS "routes: [a<-b<-c]\n" WINDOWS, "expected TARGET<-SOURCE"},
    {MODELS PROMPTS "routes: [{last: subject}]\n" WINDOWS, "expected TARGET<-SOURCE"},
    {MODELS PROMPTS "routes: [last<-later]\n" WINDOWS, "is a target only"},
    {MODELS PROMPTS "routes: [each<-last]\n" WINDOWS, "is a source only"},
    {RIGHT "features: [slow-thrid]\n",
     "spec.yaml:5:12: features: unknown feature class 'slow-thrid', did you mean 'slow-third'?"},
    {RIGHT "features: all\n", "features: expected a list of feature classes, got 'all'"},
    {RIGHT "features: []\n", "got an empty one"},
    {MODELS PROMPTS ROUTES "windows: {sizes: 9}\n", "windows.sizes: expected a list"},
    {MODELS PROMPTS ROUTES "windows: {sizes: [0]}\n",
     "spec.yaml:4:19: windows.sizes: expected a whole number of layers from 1, or a share of depth "
     "as in 12%, got '0'"},
    {MODELS PROMPTS ROUTES "windows: {sizes: [-3]}\n", "got '-3'"},
    {MODELS PROMPTS ROUTES "windows: {sizes: [1.5]}\n", "got '1.5'"},
    {MODELS PROMPTS ROUTES "windows: {sizes: [nine]}\n", "got 'nine'"},
    {MODELS PROMPTS ROUTES "windows: {sizes: [[9]]}\n", "got a list"},
    {MODELS PROMPTS ROUTES "windows: {sizes: [0%]}\n", "expected a share of depth above 0%"},
    {MODELS PROMPTS ROUTES "windows: {sizes: [101%]}\n", "up to 100%, got '101%'"},
    {MODELS PROMPTS ROUTES "windows: {sizes: [x%]}\n", "got 'x%'"},
    {MODELS PROMPTS ROUTES "windows: {sizes: [9], start: all}\n",
     "unknown key 'start', did you mean 'starts'?"},
    {MODELS PROMPTS ROUTES "windows: {sizes: [9], starts: some}\n",
     "windows.starts: expected all, a list of layers or {every: N}, got 'some'"},
    {MODELS PROMPTS ROUTES "windows: {sizes: [9], starts: [-1]}\n",
     "windows.starts: expected a whole number from 0, got '-1'"},
    {MODELS PROMPTS ROUTES "windows: {sizes: [9], starts: []}\n", "got an empty one"},
    {MODELS PROMPTS ROUTES "windows: {sizes: [9], starts: {}}\n", "got an empty map"},
    {MODELS PROMPTS ROUTES "windows: {sizes: [9], starts: {evry: 2}}\n", "did you mean 'every'?"},
    {MODELS PROMPTS ROUTES "windows: {sizes: [9], starts: {every: 0}}\n",
     "windows.starts.every: expected a whole number from 1, got '0'"},
    {MODELS PROMPTS ROUTES "windows: {sizes: [9], over: heads}\n",
     "windows.over: expected layers, mixers, attention or ssm, got 'heads'"},
    {MODELS PROMPTS ROUTES "windows: {sizes: [9], over: [ssm]}\n", "windows.over: expected"},
    {RIGHT "sweeps: [{}, {windows: {over: ssm}}]\n",
     "spec.yaml:5:31: windows.over: 'ssm' here and 'layers' in the block at"},
    {RIGHT "sweeps: [{windows: {over: mixers}}, {windows: {sizes: [3]}}]\n",
     "windows.over: 'layers' here and 'mixers' in the block at"},
    {RIGHT "sweeps: {}\n", "sweeps: expected a list of blocks, got a map"},
    {RIGHT "sweeps: []\n", "sweeps: expected a list of blocks, got an empty one"},
    {RIGHT "sweeps: [x]\n", "sweeps: expected a map in each block, got 'x'"},
    {RIGHT "sweeps: [{name: a}, {}, {name: a}]\n",
     "spec.yaml:5:32: name: 'a' is also the name of another block, at"},
    {RIGHT "name: a\n", "unknown key 'name'"},
    {RIGHT "sweeps: [{precision: tf32}]\n",
     "spec.yaml:5:11: key 'precision' is for the top level, not for a block of sweeps"},
    {RIGHT "sweeps: [{feature: [all]}]\n", "unknown key 'feature', did you mean 'features'?"},
    {"models: [m/mamba-big]\n" PROMPTS ROUTES WINDOWS "sweeps: [{models: [mamba-bigg]}]\n",
     "spec.yaml:5:20: models: unknown model 'mamba-bigg', did you mean 'mamba-big'?"},
    {RIGHT "sweeps: [{models: [zebra-zebra]}]\n",
     "'zebra-zebra' is neither the name of a model declared at the top nor a folder"},
    {RIGHT "sweeps: [{models: [{name: a, path: z}]}]\n", "duplicate model name 'a'"},
    {RIGHT "precision: float64\n",
     "precision: expected float32, bf16x3, tf32 or bfloat16, got 'float64'"},
    {RIGHT "precision: [tf32]\n",
     "precision: expected float32, bf16x3, tf32 or bfloat16, got a list"},
    {RIGHT "backend: gpu\n", "backend: expected cpu or cuda, got 'gpu'"},
    {RIGHT "row-budget: many\n", "row-budget: expected a whole number from 0, got 'many'"},
    {RIGHT "row-budget: 99999999999\n", "from 0 to 2147483647, got '99999999999'"},
    {RIGHT "evaluation: [e]\n", "evaluation: expected a path, got a list"},
    {"include: missing.yaml\n" RIGHT, "spec.yaml:1:10: include: "},
    {"include: spec.yaml\n" RIGHT, "includes itself"},
    {"include: [a]\n" RIGHT, "include: expected a path, got a list"},
};

static void bad_specs_are_refused_in_words(void **state)
{
    (void)state;
    unsetenv("KO_TEST_UNSET");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct ko_spec *spec = NULL;
        struct ko_error err = {0};
        if (spec_text_read(bad[i].text, NULL, &spec, &err) != KO_E_INPUT) {
            fail_msg("accepted, or failed in another way (%s):\n%s", err.text, bad[i].text);
        }
        if (!strstr(err.text, bad[i].words)) {
            fail_msg("'%s' is not in '%s'", bad[i].words, err.text);
        }
        assert_null(strchr(err.text, '\n'));
        assert_null(spec);
    }
}

static void faults_of_an_included_file_are_placed_there(void **state)
{
    (void)state;
    struct ko_spec *spec = NULL;
    struct ko_error err = {0};
    spec_text_write("base.yaml", MODELS "windows: {sizes: [0]}\n");
    assert_int_equal(spec_text_read("include: base.yaml\n" PROMPTS ROUTES, NULL, &spec, &err),
                     KO_E_INPUT);
    assert_non_null(strstr(err.text, "base.yaml:2:19: windows.sizes"));
    spec_text_write("base.yaml", "include: spec.yaml\n");
    assert_int_equal(spec_text_read("include: base.yaml\n" RIGHT, NULL, &spec, &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "base.yaml:1:10: include: "));
    assert_non_null(strstr(err.text, "includes itself"));
}

/* 32 files may be included in a chain. A file that was removed while it was open has no path by
   which it would be known again. */
static void chains_of_includes_end(void **state)
{
    (void)state;
    struct ko_spec *spec = NULL;
    struct ko_error err = {0};
    char name[32], text[64], path[64];
    for (int i = 1; i <= 33; i++) {
        snprintf(name, sizeof name, "chain-%d.yaml", i);
        snprintf(text, sizeof text, "include: chain-%d.yaml\n", i + 1);
        spec_text_write(name, i == 32 ? "backend: cpu\n" : text);
    }
    assert_int_equal(spec_text_read("include: chain-1.yaml\n" RIGHT, NULL, &spec, &err), KO_OK);
    ko_spec_free(spec);
    spec = NULL;
    spec_text_write("chain-32.yaml", "include: chain-33.yaml\n");
    spec_text_write("chain-33.yaml", "backend: cpu\n");
    assert_int_equal(spec_text_read("include: chain-1.yaml\n" RIGHT, NULL, &spec, &err),
                     KO_E_INPUT);
    assert_non_null(strstr(err.text, "include: more than 32 files include one another"));

    spec_text_write("removed.yaml", "");
    FILE *removed = fopen(spec_text_path("removed.yaml"), "w");
    assert_non_null(removed);
    assert_int_equal(remove(spec_text_path("removed.yaml")), 0);
    fprintf(removed, "include: %d\n", fileno(removed));
    assert_int_equal(fflush(removed), 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fileno(removed));
    assert_int_equal(ko_spec_read(path, NULL, &spec, &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "include: more than 32 files include one another"));
    fclose(removed);
}

static void a_missing_spec_is_named(void **state)
{
    (void)state;
    struct ko_spec *spec = NULL;
    struct ko_error err = {0};
    assert_int_equal(ko_spec_read("/nowhere/spec.yaml", NULL, &spec, &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "/nowhere/spec.yaml"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_specs_are_refused_in_words),
        cmocka_unit_test(faults_of_an_included_file_are_placed_there),
        cmocka_unit_test(chains_of_includes_end),
        cmocka_unit_test(a_missing_spec_is_named),
    };
    return cmocka_run_group_tests(tests, spec_text_begin, spec_text_end);
}
