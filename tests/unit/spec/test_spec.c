#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/spec/spec.h"

/* A spec that is right; tests replace parts of it. */
#define MODELS  "models: [models/a, models/b]\n"
#define PROMPTS "prompts: {file: facts.jsonl}\n"
#define ROUTES  "routes: [last<-subject]\n"
#define WINDOWS "windows: {sizes: [9]}\n"
#define RIGHT   MODELS PROMPTS ROUTES WINDOWS

static char folder[] = "/tmp/ko_spec_XXXXXX";

static char *file_in(const char *name)
{
    static char path[4][256];
    static int next;
    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
    return path[next];
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(file_in(name), "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static enum ko_code read_text(const char *text, struct ko_options *options, struct ko_spec **spec,
                              struct ko_error *err)
{
    write_file("spec.yaml", text);
    return ko_spec_read(file_in("spec.yaml"), options, spec, err);
}

static struct ko_spec *right(const char *text)
{
    struct ko_spec *spec = NULL;
    struct ko_error err = {0};
    if (read_text(text, NULL, &spec, &err) != KO_OK) {
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

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    mkdir(file_in("sub"), 0700);
    mkdir(file_in("new-model"), 0700);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"spec.yaml", "base.yaml", "sub/deep.yaml", "resolved.yaml"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        unlink(file_in(names[i]));
    }
    rmdir(file_in("sub"));
    rmdir(file_in("new-model"));
    return rmdir(folder);
}

static void defaults_are_filled_in(void **state)
{
    (void)state;
    struct ko_spec *spec = right(RIGHT);
    assert_int_equal(spec->n_models, 2);
    assert_string_equal(spec->model[0].name, "a");
    assert_string_equal(spec->model[1].path, file_in("models/b"));
    assert_string_equal(spec->model[1].tokenizer, file_in("models/b/tokenizer.json"));
    assert_int_equal(spec->model[0].bos, KO_BOS_DEFAULT);
    assert_null(spec->evaluation);
    assert_int_equal(spec->prompt_files.n, 1);
    assert_string_equal(spec->prompt_files.item[0], file_in("facts.jsonl"));
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
              "  - models--gpt2/snapshots/77\n" PROMPTS ROUTES WINDOWS);
    static const char *const names[] = {"state-spaces/mamba-130m-hf", "big", "c", "gpt2"};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(spec->model[i].name, names[i]);
    }
    assert_string_equal(spec->model[0].path,
                        "/ckpt/hub/models--state-spaces--mamba-130m-hf/snapshots/0123abc/");
    assert_string_equal(spec->model[1].tokenizer, "/ckpt/neox/tokenizer.json");
    assert_int_equal(spec->model[1].bos, KO_BOS_ADD);
    assert_string_equal(spec->model[2].tokenizer, file_in("t/tokenizer.json"));
    assert_int_equal(spec->model[2].bos, KO_BOS_NONE);
    char where[300];
    snprintf(where, sizeof where, "%s:3:5", file_in("spec.yaml"));
    assert_string_equal(spec->model[1].where, where);
    ko_spec_free(spec);
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
    write_file("base.yaml", "include: sub/deep.yaml\nroutes: [last<-first]\n"
                            "prompts: {file: base.jsonl, select: correct}\nprecision: tf32\n");
    write_file("sub/deep.yaml", "models: [m]\nroutes: [last<-last]\nwindows: {starts: [1]}\n"
                                "evaluation: eval.h5\n");
    struct ko_spec *spec =
        right("include: base.yaml\nprompts: {file: own.jsonl}\nwindows: {sizes: [2]}\n");
    assert_string_equal(spec->model[0].path, file_in("sub/m"));
    assert_string_equal(spec->evaluation, file_in("sub/eval.h5"));
    assert_string_equal(spec->block[0].routes.item[0], "last<-first");
    assert_string_equal(spec->prompt_files.item[0], file_in("own.jsonl"));
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
    enum ko_code code =
        read_text(MODELS "prompts: {file: facts.jsonl, sample: {n: 9, seed: 4}}\n" ROUTES
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
    assert_string_equal(spec->evaluation, file_in("e.h5"));
    assert_string_equal(ko_option_string(&options, KO_OPT_BACKEND), "cpu");
    assert_string_equal(ko_option_string(&options, KO_OPT_PRECISION), "float32");
    assert_int_equal(ko_option_int(&options, KO_OPT_ROW_BUDGET), 777);
    assert_non_null(strstr(spec->resolved, "row-budget: 777"));
    assert_non_null(strstr(spec->resolved, "precision: float32"));
    ko_spec_free(spec);
    ko_options_free(&options);
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
        assert_int_equal(read_text(RIGHT, &options, &spec, &err), KO_E_INPUT);
        if (strstr(err.text, rows[i][1]) == NULL) {
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
    assert_int_equal(read_text(MODELS PROMPTS, &options, &spec, &err), KO_OK);
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
              "windows: {sizes: [1, 12.5%], starts: {every: 2}}\n"
              "evaluation: e.h5\nbackend: cpu\n"
              "sweeps: [{name: 'fig \"1\"', models: [a], windows: {starts: [0, 3]}},\n"
              "         {prompts: {sample: null}}]\n");
    struct ko_spec *again = NULL;
    struct ko_error err = {0};
    write_file("resolved.yaml", spec->resolved);
    if (ko_spec_read(file_in("resolved.yaml"), NULL, &again, &err) != KO_OK) {
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
    {"models: models/a\n", "spec.yaml:1:9: models: expected a list of folders or maps with 'path', "
                           "got 'models/a'"},
    {"models: []\n", "expected a list of folders or maps with 'path', got an empty one"},
    {"models: [[a]]\n", "models: expected a folder or a map with 'path', got a list"},
    {"models: [{name: x}]\n", "this model has no 'path'"},
    {"models: [{path: x, nam: y}]\n", "unknown key 'nam', did you mean 'name'?"},
    {"models: [{path: x, bos: ad}]\n",
     "spec.yaml:1:25: bos: expected default, add or none, got 'ad', did you mean 'add'?"},
    {"models: [x/a, y/a]\n", "spec.yaml:1:15: models: duplicate model name 'a', also at "},
    {"models: [..]\n", "gives the model no name"},
    {"models: ['${KO_TEST_UNSET}/a']\n", "models: environment variable 'KO_TEST_UNSET' is not set"},
    {"models: ['${KO']\n", "has a ${ that is no ${VARIABLE}"},
    {MODELS "prompts: facts.jsonl\n" ROUTES WINDOWS,
     "spec.yaml:2:10: prompts: expected a map, got 'facts.jsonl'"},
    {MODELS "prompts: {file: [f]}\n" ROUTES WINDOWS, "prompts.file: expected a path, got a list"},
    {MODELS "prompts: {file: f, selct: all}\n" ROUTES WINDOWS,
     "unknown key 'selct', did you mean 'select'?"},
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
    {MODELS PROMPTS "routes: last<-subject\n" WINDOWS,
     "routes: expected a list of TARGET<-SOURCE, got 'last<-subject'"},
    {MODELS PROMPTS "routes: [last-subject]\n" WINDOWS,
     "spec.yaml:3:10: routes: expected TARGET<-SOURCE, as in last<-subject, got 'last-subject'"},
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
    {RIGHT "sweeps: {}\n", "sweeps: expected a list of blocks, got a map"},
    {RIGHT "sweeps: []\n", "sweeps: expected a list of blocks, got an empty one"},
    {RIGHT "sweeps: [x]\n", "sweeps: expected a map in each block, got 'x'"},
    {RIGHT "sweeps: [{name: a}, {}, {name: a}]\n",
     "spec.yaml:5:32: name: 'a' is the name of another block too, at"},
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
     "precision: expected float32, tf32, bfloat16 or float32x3, got 'float64'"},
    {RIGHT "precision: [tf32]\n",
     "precision: expected float32, tf32, bfloat16 or float32x3, got a list"},
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
        if (read_text(bad[i].text, NULL, &spec, &err) != KO_E_INPUT) {
            fail_msg("accepted, or failed in another way (%s):\n%s", err.text, bad[i].text);
        }
        if (strstr(err.text, bad[i].words) == NULL) {
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
    write_file("base.yaml", MODELS "windows: {sizes: [0]}\n");
    assert_int_equal(read_text("include: base.yaml\n" PROMPTS ROUTES, NULL, &spec, &err),
                     KO_E_INPUT);
    assert_non_null(strstr(err.text, "base.yaml:2:19: windows.sizes"));
    write_file("base.yaml", "include: spec.yaml\n");
    assert_int_equal(read_text("include: base.yaml\n" RIGHT, NULL, &spec, &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "base.yaml:1:10: include: "));
    assert_non_null(strstr(err.text, "includes itself"));
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
        cmocka_unit_test(defaults_are_filled_in),
        cmocka_unit_test(models_are_folders_or_maps),
        cmocka_unit_test(blocks_override_key_by_key),
        cmocka_unit_test(included_keys_are_defaults_relative_to_their_file),
        cmocka_unit_test(settings_override_the_top_level),
        cmocka_unit_test(bad_settings_are_refused),
        cmocka_unit_test(an_evaluation_needs_no_routes),
        cmocka_unit_test(selections_nest),
        cmocka_unit_test(the_resolved_spec_reads_back_as_itself),
        cmocka_unit_test(bad_specs_are_refused_in_words),
        cmocka_unit_test(faults_of_an_included_file_are_placed_there),
        cmocka_unit_test(a_missing_spec_is_named),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
