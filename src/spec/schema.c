/* SPDX-License-Identifier: Apache-2.0 */
/* Describes each key of a sweep spec for the JSON schema. Which keys there are say the tables by
   which the spec is read (spec_read.h). */
#include "src/spec/schema.h"

#include <string.h>

#include "src/formats/json_out.h"
#include "src/options/option_table.h"
#include "src/spec/spec_read.h"

typedef json_object *describe(void);

/* What a key's value is. The same name has one meaning in all maps. */
struct described {
    const char *key;
    describe *describe;
    const char *help;
};

static json_object *of_type(const char *type)
{
    json_object *schema = json_object_new_object();
    ko_json_put_text(schema, "type", type);
    return schema;
}

static json_object *reference_to(const char *name)
{
    json_object *schema = json_object_new_object();
    struct ko_text path = {0};
    ko_text_add(&path, "#/$defs/%s", name);
    ko_json_put_text(schema, "$ref", ko_text_str(&path));
    ko_text_free(&path);
    return schema;
}

static json_object *whole_from(int64_t least)
{
    json_object *schema = of_type("integer");
    ko_json_put_int(schema, "minimum", least);
    return schema;
}

/* A list of at least one item. */
static json_object *list_of(json_object *item)
{
    json_object *schema = of_type("array");
    json_object_object_add(schema, "items", item);
    ko_json_put_int(schema, "minItems", 1);
    return schema;
}

/* One of two or three; NULL ends the list. */
static json_object *any_of(json_object *a, json_object *b, json_object *c)
{
    json_object *schema = json_object_new_object();
    json_object *list = ko_json_put_list(schema, "anyOf");
    json_object *const item[] = {a, b, c};
    for (size_t k = 0; k < 3 && item[k]; k++) {
        json_object_array_add(list, item[k]);
    }
    return schema;
}

static json_object *one_word(const char *const *word, size_t n)
{
    json_object *schema = json_object_new_object();
    json_object *list = ko_json_put_list(schema, "enum");
    for (size_t k = 0; k < n; k++) {
        json_object_array_add(list, json_object_new_string(word[k]));
    }
    return schema;
}

/* The choices "a|b" of an option. */
static json_object *choice_of(enum ko_option id)
{
    json_object *schema = json_object_new_object();
    json_object *list = ko_json_put_list(schema, "enum");
    for (const char *at = ko_option_entry(id)->unit; *at;) {
        const size_t n = strcspn(at, "|");
        json_object_array_add(list, json_object_new_string_len(at, (int)n));
        at += n + (at[n] == '|');
    }
    return schema;
}

static json_object *or_null(json_object *schema)
{
    return any_of(schema, of_type("null"), NULL);
}

/* Ids and names, which YAML may read as numbers. */
static json_object *describe_word(void)
{
    return any_of(of_type("string"), of_type("number"), NULL);
}

static json_object *describe_words(void)
{
    return list_of(describe_word());
}

static json_object *describe_text(void)
{
    return of_type("string");
}

static json_object *describe_path_or_null(void)
{
    return or_null(of_type("string"));
}

static json_object *describe_paths_or_null(void)
{
    return any_of(of_type("string"), list_of(of_type("string")), of_type("null"));
}

static json_object *describe_models(void)
{
    return list_of(any_of(describe_word(), reference_to("model"), NULL));
}

static json_object *describe_prompts(void)
{
    return or_null(reference_to("prompts"));
}

static json_object *describe_texts_or_null(void)
{
    return or_null(list_of(of_type("string")));
}

static json_object *describe_windows(void)
{
    return or_null(reference_to("windows"));
}

static json_object *describe_sweeps(void)
{
    return list_of(reference_to("block"));
}

static json_object *describe_precision(void)
{
    return choice_of(KO_OPT_PRECISION);
}

static json_object *describe_backend(void)
{
    return choice_of(KO_OPT_BACKEND);
}

static json_object *describe_from_0(void)
{
    return whole_from(0);
}

static json_object *describe_from_1(void)
{
    return whole_from(1);
}

static json_object *describe_select_or_null(void)
{
    return or_null(reference_to("select"));
}

static json_object *describe_select_part(void)
{
    return reference_to("select");
}

static json_object *describe_select_parts(void)
{
    return list_of(reference_to("select"));
}

static json_object *describe_sample(void)
{
    return or_null(reference_to("sample"));
}

static json_object *describe_score(void)
{
    return or_null(one_word(ko_score_words, KO_N_SCORES));
}

static json_object *describe_answer_rows(void)
{
    return or_null(one_word(ko_answer_rows_words, KO_N_ANSWER_ROWS));
}

/* Lists of layers have no style, so the last of them is left out. */
static json_object *describe_style(void)
{
    return or_null(one_word(ko_style_words, KO_STYLE_LISTED));
}

/* Layers and ranges as in "0-3", or lists of them. */
static json_object *describe_lists(void)
{
    json_object *several = list_of(any_of(whole_from(0), of_type("string"), NULL));
    return or_null(list_of(any_of(whole_from(0), of_type("string"), several)));
}

static json_object *describe_sizes(void)
{
    json_object *share = of_type("string");
    ko_json_put_text(share, "pattern", "^[0-9.]+%$");
    return list_of(any_of(whole_from(1), share, NULL));
}

static json_object *describe_starts(void)
{
    static const char *const all[] = {"all"};
    return or_null(any_of(one_word(all, 1), reference_to("starts"), list_of(whole_from(0))));
}

static json_object *describe_over(void)
{
    return or_null(one_word(ko_over_words, KO_N_OVERS));
}

static const struct described table[] = {
    {"include", describe_path_or_null, "another YAML file whose keys are defaults"},
    {"models", describe_models, "folders of checkpoints, names on the hub, or maps"},
    {"prompts", describe_prompts, "the prompt file, and which prompts are swept"},
    {"evaluation", describe_path_or_null, "an evaluation cube to select prompts by"},
    {"routes", describe_texts_or_null, "TARGET<-SOURCE, keep:TARGET<-SOURCE or COMPONENT@SET"},
    {"features", describe_texts_or_null, "feature classes"},
    {"windows", describe_windows, "windows of layers"},
    {"sweeps", describe_sweeps, "blocks that override some keys; the plan is their union"},
    {"precision", describe_precision, "arithmetic of the matrix products"},
    {"row-budget", describe_from_0, "most rows in a wave of the token tree"},
    {"backend", describe_backend, "where to compute"},
    {"name", describe_word, "a name"},
    {"path", describe_text, "the checkpoint's folder"},
    {"tokenizer", describe_text, "a folder with tokenizer.json, that file, or a name on the hub"},
    {"bos", describe_word, "which token stands in front: default, add, none, a token or its id"},
    {"file", describe_text, "the prompt file"},
    {"embeddings", describe_paths_or_null, "safetensors files of prompts that are matrices"},
    {"select", describe_select_or_null, "which prompts are swept"},
    {"sample", describe_sample, "a seeded sample of the selected prompts"},
    {"score", describe_score, "which token of an answer is scored"},
    {"answer-rows", describe_answer_rows, "what a whole answer's tokens read"},
    {"style", describe_style, "which layers a window has"},
    {"layers", describe_lists, "windows as lists of layers"},
    {"n", describe_from_1, "how many prompts"},
    {"seed", describe_from_0, "seed of the sample"},
    {"correct-by", describe_words, "prompts whose target these models rank first"},
    {"rank-at-most", describe_from_1, "prompts whose target the model ranks so high"},
    {"relation", describe_words, "prompts of these relations"},
    {"id", describe_words, "these prompts"},
    {"all-of", describe_select_parts, "what all of these keep"},
    {"any-of", describe_select_parts, "what any of these keeps"},
    {"not", describe_select_part, "what this does not keep"},
    {"sizes", describe_sizes, "layers, or shares of depth as in 12%"},
    {"starts", describe_starts, "all, a list of layers, or {every: N}"},
    {"over", describe_over, "which layers windows count"},
    {"every", describe_from_1, "every so many layers"},
};

/* A map of these keys alone. */
static enum ko_code map_of(const struct ko_spec_keys *keys, json_object *schema,
                           struct ko_error *err)
{
    ko_json_put_text(schema, "type", "object");
    ko_json_put_bool(schema, "additionalProperties", 0);
    json_object *properties = ko_json_put_object(schema, "properties");
    for (size_t k = 0; k < keys->n; k++) {
        const struct described *found = NULL;
        for (size_t t = 0; t < sizeof table / sizeof table[0]; t++) {
            if (strcmp(table[t].key, keys->name[k]) == 0) {
                found = &table[t];
            }
        }
        if (!found) {
            return ko_fail(err, KO_E_FAILED, "schema of a spec: the key '%s' has no description",
                           keys->name[k]);
        }
        json_object *value = found->describe();
        ko_json_put_text(value, "description", found->help);
        json_object_object_add(properties, keys->name[k], value);
    }
    return KO_OK;
}

static enum ko_code define_map(json_object *to, const char *name, const struct ko_spec_keys *keys,
                               const char *required, struct ko_error *err)
{
    json_object *schema = ko_json_put_object(to, name);
    if (required) {
        json_object_array_add(ko_json_put_list(schema, "required"),
                              json_object_new_string(required));
    }
    return map_of(keys, schema, err);
}

/* A word, or a map of one key. */
static enum ko_code define_select(json_object *to, struct ko_error *err)
{
    json_object *one = json_object_new_object();
    ko_json_put_int(one, "minProperties", 1);
    ko_json_put_int(one, "maxProperties", 1);
    enum ko_code code = map_of(&ko_select_keys, one, err);
    json_object_object_add(to, "select",
                           any_of(one_word(ko_select_words.name, ko_select_words.n), one, NULL));
    return code;
}

enum ko_code ko_spec_schema_print(FILE *out, struct ko_error *err)
{
    static const struct {
        const char *name, *required;
        const struct ko_spec_keys *keys;
    } maps[] = {
        {"model", "path", &ko_model_keys},    {"prompts", NULL, &ko_prompt_keys},
        {"sample", "n", &ko_sample_keys},     {"windows", NULL, &ko_window_keys},
        {"starts", "every", &ko_starts_keys}, {"block", NULL, &ko_block_keys},
    };
    json_object *root = json_object_new_object();
    ko_json_put_text(root, "$schema", "https://json-schema.org/draft/2020-12/schema");
    ko_json_put_text(root, "title", "Sweep spec of knockout");
    enum ko_code code = map_of(&ko_top_keys, root, err);
    json_object *defs = ko_json_put_object(root, "$defs");
    for (size_t k = 0; code == KO_OK && k < sizeof maps / sizeof maps[0]; k++) {
        code = define_map(defs, maps[k].name, maps[k].keys, maps[k].required, err);
    }
    if (code == KO_OK) {
        code = define_select(defs, err);
    }
    if (code == KO_OK) {
        code = ko_json_print(root, out, err);
    }
    json_object_put(root);
    return code;
}
