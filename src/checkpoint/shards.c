/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the weight files of a folder, or the index of several weight files, and reads the index. */
#include "src/checkpoint/shards.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/base/file.h"
#include "src/formats/json.h"

enum { INDEX_BYTES = 100000000, MAX_SHARDS = 512 };

/* In the order of the search. */
static const struct {
    const char *name;
    enum ko_weight_format format;
    bool index;
} candidates[] = {
    {"model.safetensors.index.json", KO_FORMAT_SAFETENSORS, true},
    {"model.safetensors", KO_FORMAT_SAFETENSORS, false},
    {"pytorch_model.bin.index.json", KO_FORMAT_TORCH, true},
    {"pytorch_model.bin", KO_FORMAT_TORCH, false},
};

/* A dangling link counts: opening it later gives a clearer error than "no weight file". */
static enum ko_code is_there(const char *folder, const char *name, bool *there,
                             struct ko_error *err)
{
    struct stat status;
    char *path = ko_path_join(folder, name, err);
    if (!path) {
        return KO_E_MEMORY;
    }
    *there = lstat(path, &status) == 0;
    free(path);
    return KO_OK;
}

static bool is_plain_name(const char *name)
{
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return false;
    }
    for (const char *at = name; *at; at++) {
        if (*at == '/' || *at == '\\' || (unsigned char)*at < 0x20) {
            return false;
        }
    }
    return true;
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum ko_code list_files(struct ko_shards *shards, const char *where, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    json_object_object_foreach(shards->weight_map, tensor, value)
    {
        if (!json_object_is_type(value, json_type_string)) {
            return ko_fail(err, KO_E_INPUT, "%s: weight_map: %s: expected a file's name", where,
                           tensor);
        }
        const char *file = json_object_get_string(value);
        if (!is_plain_name(file) || strlen(file) != (size_t)json_object_get_string_len(value)) {
            return ko_fail(err, KO_E_INPUT,
                           "%s: weight_map: %s: the file's name is '%s', it must be a plain name "
                           "without folders or '..'",
                           where, tensor, file);
        }
        code = ko_strings_intern(&shards->files, file, NULL, err);
        if (code != KO_OK) {
            return code;
        }
        if (shards->files.n > MAX_SHARDS) {
            return ko_fail(err, KO_E_INPUT, "%s: weight_map names more than %d files", where,
                           MAX_SHARDS);
        }
    }
    if (shards->files.n == 0) {
        return ko_fail(err, KO_E_INPUT, "%s: weight_map names no tensor", where);
    }
    qsort(shards->files.item, shards->files.n, sizeof shards->files.item[0], compare_strings);
    return KO_OK;
}

static enum ko_code read_index(const char *folder, const char *where, struct ko_shards *shards,
                               struct ko_error *err)
{
    char *path = ko_path_join(folder, shards->index, err);
    if (!path) {
        return KO_E_MEMORY;
    }
    enum ko_code code = ko_json_read(path, INDEX_BYTES, &shards->root, err);
    if (code == KO_OK && json_object_is_type(shards->root, json_type_object)) {
        shards->weight_map = ko_json_get(shards->root, "weight_map");
    }
    if (code == KO_OK && !json_object_is_type(shards->weight_map, json_type_object)) {
        code = ko_fail(err, KO_E_INPUT, "%s: expected an object with the key 'weight_map'", path);
    }
    if (code == KO_OK) {
        code = list_files(shards, path, err);
    }
    if (code == KO_E_INPUT) {
        ko_fail_in(err, "%s", where);
    }
    free(path);
    return code;
}

enum ko_code ko_shards_find(const char *folder, const char *where, struct ko_shards *shards,
                            struct ko_error *err)
{
    *shards = (struct ko_shards){0};
    for (size_t i = 0; i < sizeof candidates / sizeof candidates[0]; i++) {
        bool there = false;
        enum ko_code code = is_there(folder, candidates[i].name, &there, err);
        if (code != KO_OK) {
            return code;
        }
        if (!there) {
            continue;
        }
        shards->format = candidates[i].format;
        if (!candidates[i].index) {
            return ko_strings_add(&shards->files, candidates[i].name, err);
        }
        shards->index = candidates[i].name;
        return read_index(folder, where, shards, err);
    }
    return ko_fail(err, KO_E_INPUT,
                   "%s: %s: holds neither model.safetensors nor pytorch_model.bin, nor an index "
                   "(.index.json) of either",
                   where, folder);
}

void ko_shards_free(struct ko_shards *shards)
{
    ko_strings_free(&shards->files);
    json_object_put(shards->root);
    *shards = (struct ko_shards){0};
}
