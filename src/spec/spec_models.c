/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the `models` lists of a spec: folders, maps with name, path, tokenizer and bos, and names
   of models that were declared before. Keeps each model once. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/base/file.h"
#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/spec/model_name.h"
#include "src/spec/spec_read.h"

static const char *const model_keys[] = {"name", "path", "tokenizer", "bos"};
const struct ko_spec_keys ko_model_keys = {model_keys, sizeof model_keys / sizeof model_keys[0]};
const char *const ko_bos_words[3] = {"default", "add", "none"};

void ko_spec_model_free(struct ko_spec_model *model)
{
    free(model->name);
    free(model->path);
    free(model->tokenizer);
    free(model->missing);
    free(model->bos_token);
    free(model->where);
}

/* The default name of a model, from its folder. */
static enum ko_code name_from_path(const struct ko_yaml *at, const char *path, char **name,
                                   struct ko_error *err)
{
    struct ko_error why = {0};
    const enum ko_code code = ko_model_name_of_folder(path, name, &why);
    if (code == KO_E_INPUT) {
        return ko_yaml_fail(at, err, "%s", why.text);
    }
    return code == KO_OK ? code : ko_fail(err, code, "%s", why.text);
}

static bool has_mode(const char *path, mode_t mode)
{
    struct stat about;
    return stat(path, &about) == 0 && (about.st_mode & S_IFMT) == mode;
}

/* A file, or the tokenizer.json of a folder. */
static enum ko_code read_tokenizer(const struct ko_spec_source *source, const struct ko_yaml *node,
                                   struct ko_spec_model *model, struct ko_error *err)
{
    char *path = NULL;
    if (!node) {
        model->tokenizer = ko_path_join(model->path, "tokenizer.json", err);
        return !model->tokenizer ? KO_E_MEMORY : KO_OK;
    }
    enum ko_code code = ko_spec_path(source, node, "tokenizer", &path, err);
    if (code != KO_OK) {
        return code;
    }
    static const char suffix[] = ".json";
    size_t n = strlen(path), n_suffix = strlen(suffix);
    bool named_as_file = n > n_suffix && strcmp(path + n - n_suffix, suffix) == 0;
    if (has_mode(path, S_IFREG) || (named_as_file && !has_mode(path, S_IFDIR))) {
        model->tokenizer = path;
        return KO_OK;
    }
    free(path);
    path = NULL;
    code = ko_spec_checkpoint(source, node, "tokenizer", &path, &model->missing, err);
    if (code != KO_OK) {
        return code;
    }
    model->tokenizer = ko_path_join(path, "tokenizer.json", err);
    free(path);
    return !model->tokenizer ? KO_E_MEMORY : KO_OK;
}

/* One of three words, a token's text, or its id. Text that is close to one of the words is a token
   only in quotes: 'ad' is a token of many vocabularies. */
static enum ko_code read_bos(const struct ko_yaml *node, struct ko_spec_model *model,
                             struct ko_error *err)
{
    static const char expected[] = "default, add, none, a token or an id";
    const char *text = NULL;
    int64_t id = 0;
    enum ko_code code = ko_spec_word(node, "bos", expected, &text, err);
    if (code != KO_OK) {
        return code;
    }
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, ko_bos_words[i]) == 0) {
            model->bos = (enum ko_bos)i;
            return KO_OK;
        }
    }
    const char *near = node->quoted ? NULL : ko_nearest(text, ko_bos_words, 3);
    if (near) {
        return ko_yaml_fail(node, err,
                            "bos: expected %s, got '%s', did you mean '%s'? A token goes in quotes",
                            expected, text, near);
    }
    model->bos = KO_BOS_TOKEN;
    if (!node->quoted && ko_parse_int(text, 0, INT32_MAX, &id, "bos", NULL) == KO_OK) {
        model->bos_id = (int32_t)id;
        return KO_OK;
    }
    model->bos_token = ko_copy(text, err);
    return !model->bos_token ? KO_E_MEMORY : KO_OK;
}

static enum ko_code read_map(const struct ko_spec_source *source, const struct ko_yaml *map,
                             struct ko_spec_model *model, struct ko_error *err)
{
    enum ko_code code =
        ko_yaml_check_keys(map, model_keys, sizeof model_keys / sizeof model_keys[0], err);
    const struct ko_yaml *path = ko_yaml_get(map, "path");
    if (code == KO_OK && !path) {
        code = ko_yaml_fail(map, err,
                            "models: this model has no 'path', write the folder of its "
                            "checkpoint");
    }
    if (code == KO_OK) {
        code = ko_spec_checkpoint(source, path, "path", &model->path, &model->missing, err);
    }
    const struct ko_yaml *name = ko_yaml_get(map, "name");
    if (code == KO_OK && name) {
        const char *text = NULL;
        code = ko_spec_word(name, "name", "a name", &text, err);
        if (code == KO_OK) {
            model->name = ko_copy(text, err);
            code = !model->name ? KO_E_MEMORY : KO_OK;
        }
    } else if (code == KO_OK) {
        code = name_from_path(path, model->path, &model->name, err);
    }
    const struct ko_yaml *bos = ko_yaml_get(map, "bos");
    if (code == KO_OK && bos) {
        code = read_bos(bos, model, err);
    }
    return code == KO_OK ? read_tokenizer(source, ko_yaml_get(map, "tokenizer"), model, err) : code;
}

static enum ko_code read_folder(const struct ko_spec_source *source, const struct ko_yaml *node,
                                struct ko_spec_model *model, struct ko_error *err)
{
    enum ko_code code =
        ko_spec_checkpoint(source, node, "models", &model->path, &model->missing, err);
    if (code == KO_OK) {
        code = name_from_path(node, model->path, &model->name, err);
    }
    return code == KO_OK ? read_tokenizer(source, NULL, model, err) : code;
}

static ptrdiff_t find_model(const struct ko_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->n_models; i++) {
        if (strcmp(spec->model[i].name, name) == 0) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

/* A word in a block that is neither a declared name nor a folder is a mistyped name. */
static enum ko_code check_folder(const struct ko_spec *spec, const struct ko_yaml *node,
                                 const char *path, struct ko_error *err)
{
    if (strchr(node->text, '/') != NULL || ko_file_exists(path)) {
        return KO_OK;
    }
    const char **names = ko_new(spec->n_models, sizeof *names, err);
    if (!names) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < spec->n_models; i++) {
        names[i] = spec->model[i].name;
    }
    const char *near = ko_nearest(node->text, names, spec->n_models);
    enum ko_code code =
        near != NULL ? ko_yaml_fail(node, err, "models: unknown model '%s', did you mean '%s'?",
                                    node->text, near)
                     : ko_yaml_fail(node, err,
                                    "models: '%s' is neither the name of a model declared at the "
                                    "top nor a folder",
                                    node->text);
    free(names);
    return code;
}

static bool same_model(const struct ko_spec_model *a, const struct ko_spec_model *b)
{
    return strcmp(a->path, b->path) == 0 && strcmp(a->tokenizer, b->tokenizer) == 0 &&
           a->bos == b->bos && a->bos_id == b->bos_id &&
           strcmp(a->bos_token ? a->bos_token : "", b->bos_token ? b->bos_token : "") == 0;
}

/* Adds the model to the spec. Takes `model`, also on failure. again: the same model may be declared
   before, and is then not added a second time. */
static enum ko_code declare_model(struct ko_spec *spec, struct ko_spec_model *model,
                                  const struct ko_yaml *at, bool again, size_t *index,
                                  struct ko_error *err)
{
    ptrdiff_t found = find_model(spec, model->name);
    if (found >= 0) {
        enum ko_code code = KO_OK;
        if (!again || !same_model(model, &spec->model[found])) {
            code = ko_yaml_fail(at, err,
                                "models: duplicate model name '%s', also at %s: give one "
                                "of them another 'name'",
                                model->name, spec->model[found].where);
        }
        ko_spec_model_free(model);
        *index = (size_t)found;
        return code;
    }
    struct ko_spec_model *more = ko_new(spec->n_models + 1, sizeof *more, err);
    model->where = !more ? NULL : ko_spec_where(at, err);
    if (!model->where) {
        free(more);
        ko_spec_model_free(model);
        return KO_E_MEMORY;
    }
    if (spec->n_models > 0) {
        memcpy(more, spec->model, spec->n_models * sizeof *more);
    }
    free(spec->model);
    spec->model = more;
    more[spec->n_models] = *model;
    *index = spec->n_models++;
    return KO_OK;
}

static enum ko_code read_item(struct ko_spec *spec, const struct ko_spec_source *source,
                              const struct ko_yaml *item, bool names, size_t *index,
                              struct ko_error *err)
{
    struct ko_spec_model model = {0};
    enum ko_code code;
    if (item->kind == KO_YAML_MAP) {
        code = read_map(source, item, &model, err);
    } else {
        const char *text = NULL;
        code = ko_spec_word(item, "models",
                            names ? "a model's name, a folder or a map with 'path'"
                                  : "a folder or a map with 'path'",
                            &text, err);
        if (code != KO_OK) {
            return code;
        }
        ptrdiff_t declared = names ? find_model(spec, text) : -1;
        if (declared >= 0) {
            *index = (size_t)declared;
            return KO_OK;
        }
        code = read_folder(source, item, &model, err);
        if (code == KO_OK && names) {
            code = check_folder(spec, item, model.path, err);
        }
    }
    if (code != KO_OK) {
        ko_spec_model_free(&model);
        return code;
    }
    return declare_model(spec, &model, item, names, index, err);
}

static bool has_model(const struct ko_spec_block *block, size_t index)
{
    for (size_t i = 0; i < block->n_models; i++) {
        if (block->model[i] == index) {
            return true;
        }
    }
    return false;
}

enum ko_code ko_spec_read_models(struct ko_spec *spec, const struct ko_spec_source *source,
                                 const struct ko_yaml *list, bool names,
                                 struct ko_spec_block *block, struct ko_error *err)
{
    enum ko_code code = ko_spec_check_list(list, "models", "folders or maps with 'path'", err);
    if (code == KO_OK && block) {
        block->model = ko_new(list->n, sizeof *block->model, err);
        code = !block->model ? KO_E_MEMORY : KO_OK;
    }
    for (size_t i = 0; code == KO_OK && i < list->n; i++) {
        size_t index = 0;
        code = read_item(spec, source, list->item[i], names, &index, err);
        if (code == KO_OK && block && !has_model(block, index)) {
            block->model[block->n_models++] = index;
        }
    }
    return code;
}
