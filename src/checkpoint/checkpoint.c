/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a checkpoint folder: reads config.json, opens the weight files, sorts their tensors by name
   and checks them against the index. Finds tensors by name. */
#include "src/checkpoint/checkpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "src/base/file.h"
#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/checkpoint/shards.h"
#include "src/checkpoint/weight_file.h"
#include "src/formats/json.h"

enum { CONFIG_BYTES = 16 << 20 };

struct ko_checkpoint {
    char *name, *folder;
    char *config_text; /* only until the fingerprint is known */
    size_t config_bytes;
    json_object *config;
    struct ko_weight_file *files; /* [n_files] */
    size_t n_files;
    struct ko_tensor *tensors; /* [n_tensors] in order of name */
    size_t n_tensors;
    size_t n_stripped; /* hidden bytes at the start of every tensor's name */
    char fingerprint[33];
};

/* A tensor and the file it is in. */
struct place {
    const struct ko_tensor *tensor;
    const char *file;
};

static enum ko_code check_folder(const char *folder, const char *name, struct ko_error *err)
{
    struct stat status;
    if (stat(folder, &status) != 0) {
        return ko_fail(err, KO_E_INPUT, "%s: %s: cannot be opened: %s", name, folder,
                       strerror(errno));
    }
    if (!S_ISDIR(status.st_mode)) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: %s: is not a folder, a checkpoint is the folder of config.json", name,
                       folder);
    }
    return KO_OK;
}

/* A PEFT folder has adapter_config.json instead of config.json. */
static enum ko_code check_adapter(const char *folder, const char *config, struct ko_error *err)
{
    char *adapter = ko_path_join(folder, "adapter_config.json", err);
    if (!adapter) {
        return KO_E_MEMORY;
    }
    const bool alone = ko_file_exists(adapter) && !ko_file_exists(config);
    free(adapter);
    if (!alone) {
        return KO_OK;
    }
    return ko_fail(err, KO_E_INPUT,
                   "%s: holds an adapter (adapter_config.json), not a model: merge it into its "
                   "model first, with merge_and_unload() and save_pretrained() of peft",
                   folder);
}

/* Reads config.json into *text (free() it) and *config. */
static enum ko_code read_config(const char *folder, const char *name, char **text, size_t *n,
                                json_object **config, struct ko_error *err)
{
    char *path = ko_path_join(folder, "config.json", err);
    if (!path) {
        return KO_E_MEMORY;
    }
    enum ko_code code = check_adapter(folder, path, err);
    if (code == KO_OK) {
        code = ko_file_read(path, CONFIG_BYTES, text, n, err);
    }
    if (code == KO_OK) {
        code = ko_json_parse(*text, *n, path, config, err);
    }
    if (code == KO_OK && !json_object_is_type(*config, json_type_object)) {
        code = ko_fail(err, KO_E_INPUT, "%s: expected a JSON object", path);
    }
    if (code == KO_E_INPUT) {
        ko_fail_in(err, "%s", name);
    }
    free(path);
    return code;
}

enum ko_code ko_checkpoint_read_config(const char *folder, const char *name, json_object **config,
                                       struct ko_error *err)
{
    json_object *object = NULL;
    char *text = NULL;
    size_t n = 0;
    enum ko_code code = read_config(folder, name, &text, &n, &object, err);
    free(text);
    if (code != KO_OK) {
        json_object_put(object);
    } else {
        *config = object;
    }
    return code;
}

static enum ko_code open_file(struct ko_checkpoint *cp, enum ko_weight_format format,
                              const char *file, struct ko_weight_file *out, struct ko_error *err)
{
    struct ko_text where = {0};
    char *path = ko_path_join(cp->folder, file, err);
    if (!path) {
        return KO_E_MEMORY;
    }
    ko_text_add(&where, "%s: %s", cp->name, path);
    enum ko_code code = ko_text_check(&where, err);
    if (code == KO_OK) {
        code = ko_weight_file_open(format, path, ko_text_str(&where), out, err);
    }
    if (code == KO_OK && !ko_weight_file_is_whole(out)) {
        code = ko_fail(err, KO_E_INPUT, "%s: the file became shorter while it was read",
                       ko_text_str(&where));
    }
    ko_text_free(&where);
    free(path);
    return code;
}

static enum ko_code open_files(struct ko_checkpoint *cp, const struct ko_shards *shards,
                               struct ko_error *err)
{
    cp->files = ko_new(shards->files.n, sizeof cp->files[0], err);
    if (!cp->files) {
        return KO_E_MEMORY;
    }
    for (size_t f = 0; f < shards->files.n; f++) {
        enum ko_code code =
            open_file(cp, shards->format, shards->files.item[f], &cp->files[cp->n_files++], err);
        if (code != KO_OK) {
            return code;
        }
        cp->n_tensors += ko_weight_file_tensors(&cp->files[f]);
    }
    return KO_OK;
}

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return strcmp(x->tensor->name, y->tensor->name);
}

static int compare_to_name(const void *name, const void *place)
{
    return strcmp(name, ((const struct place *)place)->tensor->name);
}

/* Checks that every tensor of the index is in the file that the index names. */
static enum ko_code check_index(const struct ko_checkpoint *cp, const struct ko_shards *shards,
                                const struct place *places, struct ko_error *err)
{
    json_object_object_foreach(shards->weight_map, tensor, value)
    {
        const char *file = json_object_get_string(value);
        const struct place *found =
            bsearch(tensor, places, cp->n_tensors, sizeof places[0], compare_to_name);
        if (!found) {
            return ko_fail(err, KO_E_INPUT,
                           "%s: %s: tensor '%s' is placed in %s, which does not hold it", cp->name,
                           shards->index, tensor, file);
        }
        if (strcmp(found->file, file) != 0) {
            return ko_fail(err, KO_E_INPUT, "%s: %s: tensor '%s' is placed in %s, but it is in %s",
                           cp->name, shards->index, tensor, file, found->file);
        }
    }
    return KO_OK;
}

/* Sorts the files' tensors by name and checks them against the index. */
static enum ko_code gather_tensors(struct ko_checkpoint *cp, const struct ko_shards *shards,
                                   struct ko_error *err)
{
    enum ko_code code = KO_OK;
    size_t n = 0;
    struct place *places = ko_new(cp->n_tensors, sizeof places[0], err);
    cp->tensors = ko_new(cp->n_tensors, sizeof cp->tensors[0], err);
    if (!places || !cp->tensors) {
        free(places);
        return KO_E_MEMORY;
    }
    for (size_t f = 0; f < cp->n_files; f++) {
        for (size_t i = 0; i < ko_weight_file_tensors(&cp->files[f]); i++) {
            places[n++] =
                (struct place){ko_weight_file_tensor(&cp->files[f], i), shards->files.item[f]};
        }
    }
    if (n > 1) {
        qsort(places, n, sizeof places[0], compare_places);
    }
    for (size_t i = 0; i < n && code == KO_OK; i++) {
        cp->tensors[i] = *places[i].tensor;
        if (i > 0 && compare_places(&places[i - 1], &places[i]) == 0) {
            code = ko_fail(err, KO_E_INPUT, "%s: tensor '%s' is both in %s and in %s", cp->name,
                           places[i].tensor->name, places[i - 1].file, places[i].file);
        }
    }
    if (code == KO_OK && shards->weight_map) {
        code = check_index(cp, shards, places, err);
    }
    free(places);
    return code;
}

static enum ko_code take_fingerprint(struct ko_checkpoint *cp, struct ko_error *err)
{
    XXH3_state_t *state = XXH3_createState();
    if (!state) {
        return ko_fail(err, KO_E_MEMORY, "%s: out of memory for its fingerprint", cp->name);
    }
    uint64_t bytes = cp->config_bytes;
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, &bytes, sizeof bytes);
    XXH3_128bits_update(state, cp->config_text, cp->config_bytes);
    for (size_t f = 0; f < cp->n_files; f++) {
        size_t header_bytes = 0;
        const void *header = ko_weight_file_header(&cp->files[f], &header_bytes);
        uint64_t lengths[2] = {header_bytes, ko_weight_file_bytes(&cp->files[f])};
        XXH3_128bits_update(state, lengths, sizeof lengths);
        XXH3_128bits_update(state, header, header_bytes);
    }
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    ko_hash_text(hash.high64, hash.low64, cp->fingerprint);
    return KO_OK;
}

enum ko_code ko_checkpoint_open(const char *folder, const char *name, struct ko_checkpoint **out,
                                struct ko_error *err)
{
    struct ko_shards shards = {0};
    struct ko_checkpoint *cp = ko_new(1, sizeof *cp, err);
    if (!cp) {
        return KO_E_MEMORY;
    }
    enum ko_code code = KO_E_MEMORY;
    cp->name = ko_copy(name, err);
    cp->folder = cp->name ? ko_copy(folder, err) : NULL;
    if (!cp->folder) {
        goto done;
    }
    code = check_folder(folder, name, err);
    if (code == KO_OK) {
        code = read_config(folder, name, &cp->config_text, &cp->config_bytes, &cp->config, err);
    }
    if (code == KO_OK) {
        code = ko_shards_find(folder, name, &shards, err);
    }
    if (code == KO_OK) {
        code = open_files(cp, &shards, err);
    }
    if (code == KO_OK) {
        code = gather_tensors(cp, &shards, err);
    }
    if (code == KO_OK) {
        code = take_fingerprint(cp, err);
    }
    if (code != KO_OK) {
        goto done;
    }
    free(cp->config_text);
    cp->config_text = NULL;
    *out = cp;
    cp = NULL;
done:
    ko_shards_free(&shards);
    ko_checkpoint_close(cp);
    return code;
}

void ko_checkpoint_close(struct ko_checkpoint *checkpoint)
{
    if (!checkpoint) {
        return;
    }
    for (size_t f = 0; f < checkpoint->n_files; f++) {
        ko_weight_file_close(&checkpoint->files[f]);
    }
    free(checkpoint->files);
    free(checkpoint->tensors);
    free(checkpoint->config_text);
    json_object_put(checkpoint->config);
    free(checkpoint->name);
    free(checkpoint->folder);
    free(checkpoint);
}

const char *ko_checkpoint_name(const struct ko_checkpoint *checkpoint)
{
    return checkpoint->name;
}

bool ko_checkpoint_same_files(const struct ko_checkpoint *a, const struct ko_checkpoint *b)
{
    bool same = a->n_files == b->n_files && strcmp(a->fingerprint, b->fingerprint) == 0;
    for (size_t f = 0; same && f < a->n_files; f++) {
        same = ko_weight_file_version(&a->files[f]) == ko_weight_file_version(&b->files[f]) &&
               ko_weight_file_is_whole(&a->files[f]);
    }
    return same;
}

json_object *ko_checkpoint_config(const struct ko_checkpoint *checkpoint)
{
    return checkpoint->config;
}

const struct ko_tensor *ko_checkpoint_tensors(const struct ko_checkpoint *checkpoint, size_t *n)
{
    *n = checkpoint->n_tensors;
    return checkpoint->tensors;
}

static int compare_tensor_to_name(const void *name, const void *tensor)
{
    return strcmp(name, ((const struct ko_tensor *)tensor)->name);
}

const struct ko_tensor *ko_checkpoint_find(const struct ko_checkpoint *checkpoint, const char *name)
{
    return bsearch(name, checkpoint->tensors, checkpoint->n_tensors, sizeof checkpoint->tensors[0],
                   compare_tensor_to_name);
}

void ko_checkpoint_strip(struct ko_checkpoint *checkpoint, size_t n)
{
    /* All names share the prefix, so their order stays. */
    for (size_t t = 0; t < checkpoint->n_tensors; t++) {
        checkpoint->tensors[t].name += (ptrdiff_t)n - (ptrdiff_t)checkpoint->n_stripped;
    }
    checkpoint->n_stripped = n;
}

const char *ko_checkpoint_stripped(const struct ko_checkpoint *checkpoint, size_t *n)
{
    *n = checkpoint->n_stripped;
    return checkpoint->n_tensors == 0 ? "" : checkpoint->tensors[0].name - checkpoint->n_stripped;
}

size_t ko_checkpoint_common(const struct ko_checkpoint *checkpoint)
{
    size_t end = 0;
    if (checkpoint->n_tensors == 0) {
        return 0;
    }
    /* In sorted order, all names share what the first and the last share. */
    const char *first = checkpoint->tensors[0].name - checkpoint->n_stripped;
    const char *last = checkpoint->tensors[checkpoint->n_tensors - 1].name - checkpoint->n_stripped;
    for (size_t i = 0; first[i] && first[i] == last[i]; i++) {
        if (first[i] == '.') {
            end = i + 1;
        }
    }
    return end;
}

const char *ko_checkpoint_fingerprint(const struct ko_checkpoint *checkpoint)
{
    return checkpoint->fingerprint;
}
