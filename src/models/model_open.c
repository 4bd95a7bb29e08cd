/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a model: finds the family by model_type, lets the family build the model, and checks the
   declared weights against the checkpoint. */
#include "src/models/model_open.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/formats/json.h"
#include "src/models/families.h"
#include "src/models/original.h"
#include "src/models/weights.h"

/* Writes every known model_type into words, at most n. */
static size_t list_model_types(const char **words, size_t n)
{
    size_t count = 0;
    for (size_t f = 0; ko_families[f]; f++) {
        for (size_t i = 0; ko_families[f]->model_types[i] && count < n; i++) {
            words[count++] = ko_families[f]->model_types[i];
        }
    }
    return count;
}

/* The known model_type that differs in one letter or in case. NULL for the names of other
   architectures of transformers, because the hint would invite people to edit config.json. */
static const char *find_misspelled(const char *model_type, const char *const *words, size_t n)
{
    static const char *const others[] = {"gemma3", "gemma4",    "gpt_neo",  "gpt",      "llama4",
                                         "mamba3", "ministral", "mistral3", "mistral4", "mllama",
                                         "phi3",   "qwen",      "zamba",    "zamba2"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(model_type, others[i]) == 0) {
            return NULL;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (strcasecmp(model_type, words[i]) == 0 || ko_one_edit(model_type, words[i])) {
            return words[i];
        }
    }
    return NULL;
}

static enum ko_code find_family(const char *name, json_object *config,
                                const struct ko_family **family, struct ko_error *err)
{
    const char *model_type = NULL, *words[64];
    struct ko_text known = {0};
    enum ko_code code = ko_json_string(config, "model_type", &model_type, name, err);
    if (code != KO_OK) {
        return code;
    }
    *family = model_type ? ko_family_find(model_type) : NULL;
    if (*family) {
        return KO_OK;
    }

    size_t n = list_model_types(words, sizeof words / sizeof words[0]);
    for (size_t i = 0; i < n; i++) {
        ko_text_add(&known, "%s%s", i ? ", " : "", words[i]);
    }
    const char *nearest = model_type ? find_misspelled(model_type, words, n) : NULL;
    if (!model_type) {
        ko_fail(err, KO_E_INPUT,
                "%s: model_type: missing from config.json, which names the family in the layout of "
                "Hugging Face (known: %s); the original layout of Mamba has d_model and ssm_cfg",
                name, ko_text_str(&known));
    } else if (nearest) {
        ko_fail(err, KO_E_INPUT, "%s: model_type: unknown '%s', did you mean '%s'? (known: %s)",
                name, model_type, nearest, ko_text_str(&known));
    } else {
        ko_fail(err, KO_E_INPUT, "%s: model_type: unknown '%s' (known: %s)", name, model_type,
                ko_text_str(&known));
    }
    ko_text_free(&known);
    return KO_E_INPUT;
}

/* Quantised weights are refused. mxfp4: but not those of this method. */
static enum ko_code check_quantization(const char *name, json_object *config, bool mxfp4,
                                       struct ko_error *err)
{
    json_object *quantized = ko_json_get(config, "quantization_config");
    json_object *method = quantized ? ko_json_get(quantized, "quant_method") : NULL;
    const char *word = method ? json_object_get_string(method) : "";
    if (!quantized || (mxfp4 && strcmp(word, "mxfp4") == 0)) {
        return KO_OK;
    }
    return ko_fail(err, KO_E_INPUT,
                   "%s: quantization_config: quantised weights are not supported, use the "
                   "checkpoint in F32, F16 or BF16",
                   name);
}

/* Builds a model from a configuration in the layout of Hugging Face. */
static enum ko_code make_from(const char *name, json_object *config, const char *tie_key,
                              const struct ko_checkpoint *checkpoint, struct ko_model **out,
                              struct ko_error *err)
{
    const struct ko_family *family = NULL;
    enum ko_code code = find_family(name, config, &family, err);
    if (code == KO_OK) {
        code = check_quantization(name, config, family->mxfp4, err);
    }
    if (code != KO_OK) {
        return code;
    }
    struct ko_model *model = ko_new(1, sizeof *model, err);
    if (!model) {
        return KO_E_MEMORY;
    }
    model->family = family;
    model->tie_key = tie_key;
    model->name = ko_copy(name, err);
    struct ko_builder b = {.model = model,
                           .config = config,
                           .where = model->name,
                           .checkpoint = checkpoint,
                           .err = err,
                           .code = model->name ? KO_OK : KO_E_MEMORY};
    if (b.code == KO_OK) {
        family->build(&b);
    }
    if (b.code != KO_OK) {
        ko_model_free(model);
        return b.code;
    }
    *out = model;
    return KO_OK;
}

/* The same in either layout. The checkpoint may be NULL. */
static enum ko_code make_model(const char *name, json_object *config,
                               const struct ko_checkpoint *checkpoint, struct ko_model **out,
                               struct ko_error *err)
{
    json_object *translated = NULL;
    if (!json_object_is_type(config, json_type_object)) {
        return ko_fail(err, KO_E_INPUT, "%s: the configuration is not a JSON object", name);
    }
    if (!ko_config_is_original(config)) {
        return make_from(name, config, "tie_word_embeddings", checkpoint, out, err);
    }
    enum ko_code code = check_quantization(name, config, false, err);
    if (code == KO_OK) {
        code = ko_config_from_original(name, config, &translated, err);
    }
    if (code == KO_OK) {
        code = make_from(name, translated, "tie_embeddings", checkpoint, out, err);
    }
    json_object_put(translated);
    return code;
}

/* Opens with the names as the checkpoint gives them now. */
static enum ko_code open_as_named(const struct ko_checkpoint *checkpoint, struct ko_model **out,
                                  struct ko_error *err)
{
    struct ko_model *model = NULL;
    enum ko_code code = make_model(ko_checkpoint_name(checkpoint), ko_checkpoint_config(checkpoint),
                                   checkpoint, &model, err);
    if (code == KO_OK) {
        code = ko_weights_check(model, checkpoint, err);
    }
    if (code != KO_OK) {
        ko_model_free(model);
        return code;
    }
    ko_model_find_exact(model, checkpoint);
    *out = model;
    return KO_OK;
}

/* PEFT puts this prefix before the names of a model with a separate adapter. */
static bool is_adapter(const struct ko_checkpoint *checkpoint)
{
    static const char wrapper[] = "base_model.model.";
    size_t n = 0;
    const struct ko_tensor *tensors = ko_checkpoint_tensors(checkpoint, &n);
    return ko_checkpoint_common(checkpoint) >= strlen(wrapper) &&
           strncmp(tensors[0].name, wrapper, strlen(wrapper)) == 0;
}

enum ko_code ko_model_open(struct ko_checkpoint *checkpoint, struct ko_model **out,
                           struct ko_error *err)
{
    const size_t common = ko_checkpoint_common(checkpoint);
    enum ko_code code = open_as_named(checkpoint, out, err);
    if (code != KO_E_INPUT || common == 0) {
        return code;
    }
    ko_checkpoint_strip(checkpoint, 0);
    size_t n = 0;
    const struct ko_tensor *tensors = ko_checkpoint_tensors(checkpoint, &n);
    const char *whole = tensors[0].name;
    for (n = 1; n <= common; n++) {
        if (whole[n - 1] != '.') {
            continue;
        }
        ko_checkpoint_strip(checkpoint, n);
        if (open_as_named(checkpoint, out, NULL) == KO_OK) {
            return KO_OK;
        }
    }
    ko_checkpoint_strip(checkpoint, 0);
    if (is_adapter(checkpoint)) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: all tensors' names begin with 'base_model.model.', so its adapter is "
                       "not merged: merge it first, with merge_and_unload() and "
                       "save_pretrained() of peft",
                       ko_checkpoint_name(checkpoint));
    }
    return code;
}

enum ko_code ko_model_from_config(const char *name, json_object *config, struct ko_model **out,
                                  struct ko_error *err)
{
    return make_model(name, config, NULL, out, err);
}

enum ko_code ko_model_problems(const struct ko_checkpoint *checkpoint, struct ko_strings *problems,
                               struct ko_error *err)
{
    struct ko_model *model = NULL;
    enum ko_code code = make_model(ko_checkpoint_name(checkpoint), ko_checkpoint_config(checkpoint),
                                   checkpoint, &model, err);
    if (code == KO_E_INPUT) {
        return ko_strings_add(problems, err->text, err);
    }
    if (code == KO_OK) {
        code = ko_weights_problems(model, checkpoint, problems, err);
    }
    ko_model_free(model);
    return code;
}
