/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "tests/support/folder.h"
#include "tests/support/spec_text.h"

static struct ko_spec *right(const char *text)
{
    struct ko_spec *spec = NULL;
    struct ko_error err = {0};
    if (spec_text_read(text, NULL, &spec, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    return spec;
}

static void parse_options(struct ko_options *options, int argc, const char *const *argv)
{
    char text[20][64];
    char *args[20];
    bool help = false, version = false;
    struct ko_error err = {0};
    assert_true(argc <= 20);
    for (int i = 0; i < argc; i++) {
        snprintf(text[i], sizeof text[i], "%s", argv[i]);
        args[i] = text[i];
    }
    if (ko_options_parse(argc, args, options, &help, &version, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
}

static void defaults_are_filled_in(void **state)
{
    (void)state;
    struct ko_spec *spec = right(RIGHT);
    assert_int_equal(spec->n_models, 2);
    assert_string_equal(spec->model[0].name, "a");
    assert_string_equal(spec->model[1].path, spec_text_path("models/b"));
    assert_string_equal(spec->model[1].tokenizer, spec_text_path("models/b/tokenizer.json"));
    assert_int_equal(spec->model[0].bos, KO_BOS_DEFAULT);
    assert_null(spec->evaluation);
    assert_int_equal(spec->prompt_files.n, 1);
    assert_string_equal(spec->prompt_files.item[0], spec_text_path("facts.jsonl"));
    assert_int_equal(spec->n_blocks, 1);
    const struct ko_spec_block *block = &spec->block[0];
    assert_int_equal(block->n_models, 2);
    assert_int_equal(block->model[1], 1);
    assert_int_equal(block->select->kind, KO_SELECT_ALL);
    assert_int_equal(block->sample_n, -1);
    assert_int_equal(block->features.n, 1);
    assert_string_equal(block->features.item[0], "all");
    assert_int_equal(block->starts, KO_STARTS_ALL);
    assert_int_equal(block->n_sizes, 1);
    assert_true(block->size[0].value == 9.0);
    ko_spec_free(spec);
}

static void models_are_folders_or_maps(void **state)
{
    (void)state;
    setenv("KO_TEST_CKPT", "/ckpt", 1);
    struct ko_spec *spec =
        right("models:\n"
              "  - ${KO_TEST_CKPT}/hub/models--state-spaces--mamba-130m-hf/snapshots/0123abc/\n"
              "  - {name: big, path: /ckpt/x, tokenizer: /ckpt/neox, bos: add}\n"
              "  - {path: models/c/, tokenizer: t/tokenizer.json, bos: none}\n"
              "  - models--gpt2/snapshots/77\n"
              "  - {path: d, bos: 151646}\n"
              "  - {path: e, bos: '<s>'}\n"
              "  - {path: f, bos: \"7\"}\n" PROMPTS ROUTES WINDOWS);
    static const char *const names[] = {"state-spaces/mamba-130m-hf", "big", "c", "gpt2"};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(spec->model[i].name, names[i]);
    }
    assert_string_equal(spec->model[0].path,
                        "/ckpt/hub/models--state-spaces--mamba-130m-hf/snapshots/0123abc/");
    assert_string_equal(spec->model[1].tokenizer, "/ckpt/neox/tokenizer.json");
    assert_int_equal(spec->model[1].bos, KO_BOS_ADD);
    assert_string_equal(spec->model[2].tokenizer, spec_text_path("t/tokenizer.json"));
    assert_int_equal(spec->model[2].bos, KO_BOS_NONE);
    assert_int_equal(spec->model[4].bos, KO_BOS_TOKEN);
    assert_null(spec->model[4].bos_token);
    assert_int_equal(spec->model[4].bos_id, 151646);
    assert_string_equal(spec->model[5].bos_token, "<s>");
    assert_string_equal(spec->model[6].bos_token, "7");
    assert_non_null(strstr(spec->resolved, "bos: 151646}"));
    assert_non_null(strstr(spec->resolved, "bos: \"<s>\"}"));
    assert_non_null(strstr(spec->resolved, "bos: \"7\"}"));
    char where[300];
    snprintf(where, sizeof where, "%s:3:5", spec_text_path("spec.yaml"));
    assert_string_equal(spec->model[1].where, where);
    ko_spec_free(spec);
}

static void paths_start_from_the_spec_the_shell_or_home(void **state)
{
    (void)state;
    setenv("KO_TEST_FOLDER", "data", 1);
    setenv("KO_TEST_WHOLE", "/data", 1);
    setenv("KO_TEST_HOME", "~/ckpt", 1);
    struct ko_spec *spec = right("models: ['~/a', '${KO_TEST_HOME}/b', '${KO_TEST_FOLDER}/c', "
                                 "'./x/${KO_TEST_FOLDER}']\n"
                                 "evaluation: ${KO_TEST_FOLDER}/e.h5\n" ROUTES WINDOWS "sweeps:\n"
                                 "  - {prompts: {file: '${KO_TEST_FOLDER}/f.jsonl'}}\n"
                                 "  - {prompts: {file: '${KO_TEST_WHOLE}/f.jsonl'}}\n"
                                 "  - {prompts: {file: 'x/${KO_TEST_FOLDER}.jsonl'}}\n");
    char path[400];
    snprintf(path, sizeof path, "%s/a", getenv("HOME"));
    assert_string_equal(spec->model[0].path, path);
    snprintf(path, sizeof path, "%s/ckpt/b", getenv("HOME"));
    assert_string_equal(spec->model[1].path, path);
    assert_string_equal(spec->model[2].path, "data/c");
    assert_string_equal(spec->model[3].path, spec_text_path("./x/data"));
    assert_string_equal(spec->evaluation, "data/e.h5");
    assert_string_equal(spec->prompt_files.item[0], "data/f.jsonl");
    assert_string_equal(spec->prompt_files.item[1], "/data/f.jsonl");
    assert_string_equal(spec->prompt_files.item[2], spec_text_path("x/data.jsonl"));
    ko_spec_free(spec);
}

static void names_of_the_hub_are_found_in_its_cache(void **state)
{
    char *cache = test_folder_make(), path[400];
    (void)state;
    static const char *const folders[] = {"models--acme--tiny", "models--acme--tiny/snapshots",
                                          "models--acme--tiny/snapshots/abc"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", cache, folders[i]);
        assert_int_equal(mkdir(path, 0777), 0);
    }
    setenv("HF_HUB_CACHE", cache, 1);
    struct ko_spec *spec = right("models: [acme/tiny, {name: b, path: acme/large, tokenizer: "
                                 "acme/tiny}, {name: c, path: acme/tiny, tokenizer: "
                                 "acme/large}]\n" PROMPTS ROUTES WINDOWS);
    assert_string_equal(spec->model[0].name, "acme/tiny");
    assert_string_equal(spec->model[0].path, path);
    assert_null(spec->model[0].missing);
    assert_string_equal(spec->model[1].path, spec_text_path("acme/large"));
    assert_int_equal(
        strncmp(spec->model[1].missing, "path: 'acme/large' is neither a folder (", 40), 0);
    assert_int_equal(strncmp(spec->model[1].tokenizer, path, strlen(path)), 0);
    assert_string_equal(spec->model[1].tokenizer + strlen(path), "/tokenizer.json");
    assert_int_equal(strncmp(spec->model[2].missing, "tokenizer: 'acme/large' is neither", 34), 0);
    ko_spec_free(spec);
    test_folder_remove(cache);
    unsetenv("HF_HUB_CACHE");
}

static void blocks_override_key_by_key(void **state)
{
    (void)state;
    struct ko_spec *spec = right(
        MODELS "prompts: {file: facts.jsonl, select: correct, sample: {n: 10, seed: 3}}\n" ROUTES
               "windows: {sizes: [9, 12%], starts: {every: 4}}\n"
               "sweeps:\n"
               "  - {windows: {sizes: [3]}, features: [context-dependent, ' all + conv ']}\n"
               "  - {models: [b, new-model], prompts: {select: {id: [140, 'x']}}}\n"
               "  - {prompts: {file: other.csv, sample: {n: 2}}, routes: ['last <- each']}\n"
               "  - {models: [new-model], prompts: {sample: null}, windows: {starts: [0, 5]}}\n");
    assert_int_equal(spec->n_blocks, 4);
    const struct ko_spec_block *b = spec->block;
    assert_int_equal(b[0].starts, KO_STARTS_EVERY);
    assert_int_equal(b[0].every, 4);
    assert_int_equal(b[0].n_sizes, 1);
    assert_int_equal(b[0].sample_n, 10);
    assert_string_equal(b[0].features.item[0], "slow-third");
    assert_string_equal(b[0].features.item[1], "all+conv");
    assert_int_equal(spec->n_models, 3);
    assert_int_equal(b[1].n_models, 2);
    assert_int_equal(b[1].model[0], 1);
    assert_int_equal(b[1].model[1], 2);
    assert_int_equal(b[1].select->kind, KO_SELECT_ID);
    assert_string_equal(b[1].select->names.item[0], "140");
    assert_int_equal(b[1].sample_n, 10);
    assert_int_equal(b[1].n_sizes, 2);
    assert_true(b[1].size[1].percent && b[1].size[1].value == 12.0);
    assert_int_equal(b[2].file, 1);
    assert_int_equal(b[2].select->kind, KO_SELECT_CORRECT);
    assert_int_equal(b[2].sample_n, 2);
    assert_int_equal(b[2].sample_seed, 3);
    assert_string_equal(b[2].routes.item[0], "last<-each");
    assert_int_equal(b[2].n_models, 2);
    assert_int_equal(b[3].sample_n, -1);
    assert_int_equal(b[3].model[0], 2);
    assert_int_equal(b[3].starts, KO_STARTS_LIST);
    assert_int_equal(b[3].start[1], 5);
    ko_spec_free(spec);
}

static void included_keys_are_defaults_relative_to_their_file(void **state)
{
    (void)state;
    spec_text_write("base.yaml", "include: sub/deep.yaml\nroutes: [last<-first]\n"
                                 "prompts: {file: base.jsonl, select: correct}\nprecision: tf32\n");
    spec_text_write("sub/deep.yaml", "models: [m]\nroutes: [last<-last]\nwindows: {starts: [1]}\n"
                                     "evaluation: eval.h5\n");
    struct ko_spec *spec =
        right("include: base.yaml\nprompts: {file: own.jsonl}\nwindows: {sizes: [2]}\n");
    assert_string_equal(spec->model[0].path, spec_text_path("sub/m"));
    assert_string_equal(spec->evaluation, spec_text_path("sub/eval.h5"));
    assert_string_equal(spec->block[0].routes.item[0], "last<-first");
    assert_string_equal(spec->prompt_files.item[0], spec_text_path("own.jsonl"));
    assert_int_equal(spec->block[0].select->kind, KO_SELECT_CORRECT);
    assert_int_equal(spec->block[0].starts, KO_STARTS_LIST);
    assert_non_null(strstr(spec->resolved, "precision: tf32"));
    ko_spec_free(spec);
}

static void settings_override_the_top_level(void **state)
{
    (void)state;
    const char *const argv[] = {"knockout",
                                "run",
                                "x.yaml",
                                "--set",
                                "windows.sizes=[3, 50%]",
                                "--set",
                                "prompts.sample.n=5",
                                "--set",
                                "routes=[later<-subject]",
                                "--set",
                                "evaluation=e.h5",
                                "--set",
                                "routes=[all<-first]",
                                "--set",
                                "backend=cpu",
                                "--precision",
                                "float32"};
    struct ko_options options = {0};
    parse_options(&options, (int)(sizeof argv / sizeof argv[0]), argv);
    struct ko_spec *spec = NULL;
    struct ko_error err = {0};
    enum ko_code code = spec_text_read(
        MODELS "prompts: {file: facts.jsonl, sample: {n: 9, seed: 4}}\n" ROUTES
               "windows: {sizes: [9], starts: [0]}\nprecision: tf32\nrow-budget: 777\n",
        &options, &spec, &err);
    if (code != KO_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(spec->block[0].n_sizes, 2);
    assert_int_equal(spec->block[0].starts, KO_STARTS_LIST);
    assert_int_equal(spec->block[0].sample_n, 5);
    assert_int_equal(spec->block[0].sample_seed, 4);
    assert_int_equal(spec->block[0].routes.n, 1);
    assert_string_equal(spec->block[0].routes.item[0], "all<-first");
    assert_string_equal(spec->evaluation, spec_text_path("e.h5"));
    assert_string_equal(ko_option_string(&options, KO_OPT_BACKEND), "cpu");
    assert_string_equal(ko_option_string(&options, KO_OPT_PRECISION), "float32");
    assert_int_equal(ko_option_int(&options, KO_OPT_ROW_BUDGET), 777);
    assert_non_null(strstr(spec->resolved, "row-budget: 777"));
    assert_non_null(strstr(spec->resolved, "precision: float32"));
    ko_spec_free(spec);
    ko_options_free(&options);
}

static void one_rule_scores_all_answers(void **state)
{
    static const struct {
        const char *prompts, *sweeps, *resolved;
        enum ko_score score;
    } rows[] = {
        {"prompts: {file: f}\n", "", "prompts: {score: first-token}\n", KO_SCORE_FIRST_TOKEN},
        {"prompts: {file: f, score: null}\n", "", "prompts: {score: first-token}\n",
         KO_SCORE_FIRST_TOKEN},
        {"prompts: {file: f, score: first-text}\n", "sweeps:\n  - {}\n  - {prompts: {file: g}}\n",
         "prompts: {score: first-text}\n", KO_SCORE_FIRST_TEXT},
        {"prompts: {file: f}\n", "sweeps:\n  - {prompts: {score: raw-first-token}}\n",
         "prompts: {score: raw-first-token}\n", KO_SCORE_RAW_FIRST_TOKEN},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, MODELS "%s" ROUTES WINDOWS "%s", rows[i].prompts,
                 rows[i].sweeps);
        struct ko_spec *spec = right(text);
        assert_int_equal(spec->score, rows[i].score);
        assert_non_null(strstr(spec->resolved, rows[i].resolved));
        ko_spec_free(spec);
    }
}

static void bad_settings_are_refused(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"windows", "--set windows: expected KEY=VALUE"},
        {"=3", "--set =3: expected KEY=VALUE"},
        {"windows..sizes=[3]", "expected KEY=VALUE"},
        {"windos.sizes=[3]",
         "--set windos.sizes:1:1: unknown key 'windos', did you mean 'windows'?"},
        {"windows.size=[3]", "unknown key 'size', did you mean 'sizes'?"},
        {"windows.sizes=[3", "--set windows.sizes:"},
        {"windows.sizes=3", "--set windows.sizes:2:9: windows.sizes: expected a list"},
        {"include=base.yaml", "include is for files only"},
        {"models=", "models: expected a list of folders or maps with 'path', got nothing"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *const argv[] = {"knockout", "run", "x.yaml", "--set", rows[i][0]};
        struct ko_options options = {0};
        parse_options(&options, 5, argv);
        struct ko_spec *spec = NULL;
        struct ko_error err = {0};
        assert_int_equal(spec_text_read(RIGHT, &options, &spec, &err), KO_E_INPUT);
        if (!strstr(err.text, rows[i][1])) {
            fail_msg("'%s' is not in '%s'", rows[i][1], err.text);
        }
        assert_null(spec);
        ko_options_free(&options);
    }
}

static void an_evaluation_needs_no_routes(void **state)
{
    (void)state;
    const char *const argv[] = {"knockout", "evaluate", "x.yaml"};
    struct ko_options options = {0};
    parse_options(&options, 3, argv);
    struct ko_spec *spec = NULL;
    struct ko_error err = {0};
    assert_int_equal(spec_text_read(MODELS PROMPTS, &options, &spec, &err), KO_OK);
    assert_int_equal(spec->block[0].routes.n, 0);
    ko_spec_free(spec);
    ko_options_free(&options);
}

static void selections_nest(void **state)
{
    (void)state;
    struct ko_spec *spec = right(
        MODELS
        "prompts:\n  file: f\n  select: {all-of: [{relation: [P36, P19]}, {not: correct},\n"
        "    {any-of: [{rank-at-most: 5}, {correct-by: [a]}, correct-by-all]}]}\n" ROUTES WINDOWS);
    const struct ko_select *s = spec->block[0].select;
    assert_int_equal(s->kind, KO_SELECT_ALL_OF);
    assert_int_equal(s->n_parts, 3);
    assert_string_equal(s->part[0]->names.item[1], "P19");
    assert_int_equal(s->part[1]->kind, KO_SELECT_NOT);
    assert_int_equal(s->part[1]->part[0]->kind, KO_SELECT_CORRECT);
    assert_int_equal(s->part[2]->part[0]->k, 5);
    assert_int_equal(s->part[2]->part[2]->kind, KO_SELECT_CORRECT_BY_ALL);
    assert_true(ko_select_needs_ranks(s));
    assert_false(ko_select_needs_ranks(s->part[0]));
    ko_spec_free(spec);
}

static void the_resolved_spec_reads_back_as_itself(void **state)
{
    (void)state;
    struct ko_spec *spec =
        right("models: [/m/a, {name: 'q\"b\\', path: /m/b, bos: add}]\n"
              "prompts: {file: f, select: {any-of: [{id: [1, 'x y']}, {not: {rank-at-most: 3}}]},\n"
              "          sample: {n: 4, seed: 18}}\n"
              "routes: [later<-each, 'relation\\last<-position:3']\n"
              "features: [random-third:5+conv, all]\n"
              "windows: {sizes: [1, 12.5%], starts: {every: 2}, over: mixers}\n"
              "evaluation: e.h5\nbackend: cpu\n"
              "sweeps: [{name: 'fig \"1\"', models: [a], windows: {starts: [0, 3]}},\n"
              "         {prompts: {sample: null}}]\n");
    struct ko_spec *again = NULL;
    struct ko_error err = {0};
    spec_text_write("resolved.yaml", spec->resolved);
    if (ko_spec_read(spec_text_path("resolved.yaml"), NULL, &again, &err) != KO_OK) {
        fail_msg("%s in\n%s", err.text, spec->resolved);
    }
    assert_string_equal(again->resolved, spec->resolved);
    assert_int_equal(again->n_blocks, 2);
    assert_string_equal(again->model[1].name, "q\"b\\");
    assert_string_equal(again->block[0].name, "fig \"1\"");
    assert_null(again->block[1].name);
    ko_spec_free(again);
    ko_spec_free(spec);
}

static void windows_count_layers_unless_the_spec_says_what(void **state)
{
    (void)state;
    static const struct {
        const char *windows;
        enum ko_over over;
        const char *resolved;
    } rows[] = {
        {"{sizes: [9]}", KO_OVER_LAYERS, "windows: {sizes: [9], starts: all}\n"},
        {"{sizes: [9], over: layers}", KO_OVER_LAYERS, "windows: {sizes: [9], starts: all}\n"},
        {"{sizes: [9], over: null}", KO_OVER_LAYERS, "windows: {sizes: [9], starts: all}\n"},
        {"{sizes: [9], over: mixers}", KO_OVER_MIXERS, "starts: all, over: mixers}\n"},
        {"{sizes: [9], over: attention}", KO_OVER_ATTENTION, "starts: all, over: attention}\n"},
        {"{sizes: [9], over: ssm}", KO_OVER_SSM, "starts: all, over: ssm}\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[300];
        snprintf(text, sizeof text,
                 "models: [/m/a]\nprompts: {file: f}\nroutes: [last<-last]\nwindows: %s\n"
                 "sweeps: [{}, {windows: {starts: all}}]\n",
                 rows[i].windows);
        struct ko_spec *spec = right(text);
        assert_int_equal(spec->over, rows[i].over);
        assert_non_null(strstr(spec->resolved, rows[i].resolved));
        ko_spec_free(spec);
    }
}

/* The resolved spec, which the cube stores, gives the same windows again. */
static void windows_have_a_style_or_lists(void **state)
{
    (void)state;
    static const struct {
        const char *windows;
        enum ko_style style;
        const char *resolved;
    } rows[] = {
        {"{sizes: [9], style: whole}", KO_STYLE_WHOLE, "windows: {sizes: [9], starts: all}\n"},
        {"{sizes: [9], style: centred}", KO_STYLE_CENTRED,
         "windows: {style: centred, sizes: [9], starts: all}\n"},
        {"{style: from, over: ssm}", KO_STYLE_FROM,
         "windows: {style: from, starts: all, over: ssm}\n"},
        {"{style: until}", KO_STYLE_UNTIL, "windows: {style: until, starts: all}\n"},
        {"{style: outside, sizes: [2]}", KO_STYLE_OUTSIDE, "{style: outside, sizes: [2], starts"},
        {"{style: outside-centred, sizes: [2]}", KO_STYLE_OUTSIDE_CENTRED,
         "style: outside-centred"},
        {"{layers: [3, 1-2, [7, 0-1]]}", KO_STYLE_LISTED,
         "windows: {layers: [[3], [1, 2], [0, 1, 7]], starts: all}\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[300];
        snprintf(text, sizeof text,
                 "models: [/m/a]\nprompts: {file: f}\nroutes: [last<-last]\nwindows: %s\n"
                 "sweeps: [{}, {windows: {starts: all}}]\n",
                 rows[i].windows);
        struct ko_spec *spec = right(text);
        struct ko_spec *again = right(spec->resolved);
        assert_int_equal(spec->style, rows[i].style);
        assert_non_null(strstr(spec->resolved, rows[i].resolved));
        assert_int_equal(again->style, rows[i].style);
        assert_true(ko_window_lists_equal(&again->lists, &spec->lists));
        assert_int_equal(spec->block[1].n_sizes, 1);
        ko_spec_free(again);
        ko_spec_free(spec);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_have_a_style_or_lists),
        cmocka_unit_test(defaults_are_filled_in),
        cmocka_unit_test(models_are_folders_or_maps),
        cmocka_unit_test(paths_start_from_the_spec_the_shell_or_home),
        cmocka_unit_test(names_of_the_hub_are_found_in_its_cache),
        cmocka_unit_test(blocks_override_key_by_key),
        cmocka_unit_test(included_keys_are_defaults_relative_to_their_file),
        cmocka_unit_test(settings_override_the_top_level),
        cmocka_unit_test(one_rule_scores_all_answers),
        cmocka_unit_test(bad_settings_are_refused),
        cmocka_unit_test(an_evaluation_needs_no_routes),
        cmocka_unit_test(selections_nest),
        cmocka_unit_test(the_resolved_spec_reads_back_as_itself),
        cmocka_unit_test(windows_count_layers_unless_the_spec_says_what),
    };
    return cmocka_run_group_tests(tests, spec_text_begin, spec_text_end);
}
