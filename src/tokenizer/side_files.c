/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the special tokens from tokenizer_config.json, config.json and generation_config.json. A
   broken file gives a note, not an error. The comparison is in side_compare.c. */
#include "src/tokenizer/side_files.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/memory.h"
#include "src/formats/json.h"

enum { MAX_BYTES = 1 << 24 };

/* Turns a fault of a file into a note. Running out of memory stays an error. */
static enum ko_code note_fault(enum ko_code code, const struct ko_error *why,
                               struct ko_side_files *files, struct ko_error *err)
{
    struct ko_text line = {0};
    if (code == KO_OK) {
        return KO_OK;
    }
    if (code == KO_E_MEMORY) {
        return ko_fail(err, KO_E_MEMORY, "%s", why->text);
    }
    ko_text_add(&line, "%s: it is not compared with tokenizer.json", why->text);
    code = ko_text_check(&line, err);
    if (code == KO_OK) {
        code = ko_strings_add(&files->notes, ko_text_str(&line), err);
    }
    ko_text_free(&line);
    return code;
}

static enum ko_code read_setting(json_object *root, const char *key, enum ko_setting *out,
                                 struct ko_side_files *files, struct ko_error *err)
{
    struct ko_error why = {0};
    bool value = false;
    if (!ko_json_get(root, key)) {
        return KO_OK;
    }
    enum ko_code code = ko_json_bool(root, key, &value, "tokenizer_config.json", &why);
    if (code == KO_OK) {
        *out = value ? KO_SETTING_TRUE : KO_SETTING_FALSE;
    }
    return note_fault(code, &why, files, err);
}

/* "<s>", or {"content": "<s>", ...}. */
static enum ko_code read_token(json_object *root, const char *key, char **out,
                               struct ko_side_files *files, struct ko_error *err)
{
    struct ko_error why = {0};
    const char *text = NULL;
    json_object *value = ko_json_get(root, key);
    const bool object = json_object_is_type(value, json_type_object);
    enum ko_code code = ko_json_string(object ? value : root, object ? "content" : key, &text,
                                       "tokenizer_config.json", &why);
    if (code != KO_OK || !text) {
        return note_fault(code, &why, files, err);
    }
    *out = ko_copy(text, err);
    return !*out ? KO_E_MEMORY : KO_OK;
}

static enum ko_code read_config(json_object *root, struct ko_side_files *files,
                                struct ko_error *err)
{
    const struct {
        const char *key;
        enum ko_setting *out;
    } settings[] = {{"add_bos_token", &files->add_bos},
                    {"add_eos_token", &files->add_eos},
                    {"add_prefix_space", &files->add_prefix_space}};
    enum ko_code code = KO_OK;
    for (size_t i = 0; code == KO_OK && i < sizeof settings / sizeof settings[0]; i++) {
        code = read_setting(root, settings[i].key, settings[i].out, files, err);
    }
    if (code == KO_OK) {
        code = read_token(root, "bos_token", &files->bos, files, err);
    }
    return code == KO_OK ? read_token(root, "eos_token", &files->eos, files, err) : code;
}

static int64_t id_of(json_object *value)
{
    const int64_t id = json_object_get_int64(value);
    return json_object_is_type(value, json_type_int) && id >= 0 ? id : -1;
}

/* Reads an id or a list of ids. The reader of config.json refuses anything else. */
static void read_ids(json_object *root, struct ko_special_ids *out)
{
    json_object *eos = ko_json_get(root, "eos_token_id");
    const bool list = json_object_is_type(eos, json_type_array);
    const size_t n = list ? json_object_array_length(eos) : eos != NULL;
    out->bos = id_of(ko_json_get(root, "bos_token_id"));
    for (size_t i = 0; i < n && out->n_eos < KO_EOS_IDS; i++) {
        const int64_t id = id_of(list ? json_object_array_get_idx(eos, i) : eos);
        if (id >= 0) {
            out->eos[out->n_eos++] = id;
        }
    }
}

/* Reads the object in the file. *root stays NULL if the file is absent or faulty. */
static enum ko_code open_file(const char *folder, const char *name, bool quiet,
                              struct ko_side_files *files, json_object **root, struct ko_error *err)
{
    struct ko_error why = {0};
    char *path = ko_path_join(folder, name, err);
    enum ko_code code = !path ? KO_E_MEMORY : KO_OK;
    if (!path || !ko_file_exists(path)) {
        goto done;
    }
    code = ko_json_read(path, MAX_BYTES, root, &why);
    if (code == KO_OK && !json_object_is_type(*root, json_type_object)) {
        code = ko_fail(&why, KO_E_INPUT, "%s: expected an object, got %s", path,
                       json_type_to_name(json_object_get_type(*root)));
        json_object_put(*root);
        *root = NULL;
    }
    /* Opening the model reports faults of config.json. */
    code = quiet && code != KO_E_MEMORY ? KO_OK : note_fault(code, &why, files, err);
done:
    free(path);
    return code;
}

enum ko_code ko_side_files_read(const char *tokenizer_file, const char *model_folder,
                                struct ko_side_files *out, struct ko_error *err)
{
    json_object *config = NULL, *generation = NULL, *tokenizer = NULL;
    *out = (struct ko_side_files){.config = {.bos = -1}, .generation = {.bos = -1}};
    char *folder = ko_path_folder(tokenizer_file, err);
    enum ko_code code = !folder ? KO_E_MEMORY : KO_OK;
    if (code == KO_OK) {
        code = open_file(folder, "tokenizer_config.json", false, out, &tokenizer, err);
    }
    if (code == KO_OK && tokenizer) {
        code = read_config(tokenizer, out, err);
    }
    if (code == KO_OK) {
        code = open_file(model_folder, "config.json", true, out, &config, err);
    }
    if (code == KO_OK) {
        code = open_file(model_folder, "generation_config.json", false, out, &generation, err);
    }
    if (config) {
        read_ids(config, &out->config);
    }
    if (generation) {
        read_ids(generation, &out->generation);
    }
    json_object_put(tokenizer);
    json_object_put(config);
    json_object_put(generation);
    free(folder);
    return code;
}

void ko_side_files_free(struct ko_side_files *files)
{
    free(files->bos);
    free(files->eos);
    ko_strings_free(&files->notes);
    *files = (struct ko_side_files){0};
}
