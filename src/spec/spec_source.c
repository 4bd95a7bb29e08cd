/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the spec file, the files that it includes, and every --set, as layers in which keys are
   looked up in order. */
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/spec/spec_read.h"

enum ko_code ko_layers_add(struct ko_layers *layers, const struct ko_yaml *map,
                           struct ko_error *err)
{
    void *grown = ko_grow(layers->map, &layers->capacity, layers->n + 1, sizeof *layers->map, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    layers->map = grown;
    layers->map[layers->n++] = map;
    return KO_OK;
}

const struct ko_yaml *ko_layers_get(const struct ko_layers *layers, const char *key)
{
    for (size_t i = 0; i < layers->n; i++) {
        const struct ko_yaml *value = ko_yaml_get(layers->map[i], key);
        if (value) {
            return value;
        }
    }
    return NULL;
}

enum ko_code ko_layers_under(const struct ko_layers *layers, const char *key,
                             const char *const *known, size_t n_known, struct ko_layers *out,
                             struct ko_error *err)
{
    for (size_t i = 0; i < layers->n; i++) {
        const struct ko_yaml *value = ko_yaml_get(layers->map[i], key);
        if (!value) {
            continue;
        }
        if (ko_spec_is_null(value)) {
            return KO_OK;
        }
        if (value->kind != KO_YAML_MAP) {
            char got[96];
            return ko_yaml_fail(value, err, "%s: expected a map, got %s", key,
                                ko_spec_describe(value, got));
        }
        enum ko_code code = ko_yaml_check_keys(value, known, n_known, err);
        if (code == KO_OK) {
            code = ko_layers_add(out, value, err);
        }
        if (code != KO_OK) {
            return code;
        }
    }
    return KO_OK;
}

void ko_layers_free(struct ko_layers *layers)
{
    free(layers->map);
    *layers = (struct ko_layers){0};
}

/* Takes root and folder, also on failure. */
static enum ko_code keep_root(struct ko_spec_source *source, struct ko_yaml *root, char *folder,
                              struct ko_error *err)
{
    size_t n = source->n_roots + 1;
    void *roots = ko_grow(source->root, &source->root_capacity, n, sizeof *source->root, err);
    if (roots) {
        source->root = roots;
    }
    void *folders =
        !roots ? NULL
               : ko_grow(source->folder, &source->folder_capacity, n, sizeof *source->folder, err);
    if (!folders) {
        ko_yaml_free(root);
        free(folder);
        return KO_E_MEMORY;
    }
    source->folder = folders;
    source->root[source->n_roots] = root;
    source->folder[source->n_roots] = folder;
    source->n_roots = n;
    return KO_OK;
}

/* check_cycle misses files without a path (a pipe, a file removed while it is open). */
enum { MAX_INCLUDES = 32 };

/* The folder of a file; "" for the current folder, so that paths stay as the user writes them. */
static char *folder_of(const char *file, struct ko_error *err)
{
    return !strchr(file, '/') ? ko_copy("", err) : ko_path_folder(file, err);
}

/* A file that was read before includes itself, because the chain of includes never branches. */
static enum ko_code check_cycle(struct ko_spec_source *source, const char *file,
                                const struct ko_yaml *at, struct ko_error *err)
{
    char *real = realpath(file, NULL);
    if (!real) {
        return KO_OK; /* reading the file will fail and give the reason */
    }
    enum ko_code code;
    if (at && ko_strings_find(&source->real, real) >= 0) {
        code = ko_yaml_fail(at, err, "include: '%s' includes itself, remove one of the includes",
                            file);
    } else {
        code = ko_strings_add(&source->real, real, err);
    }
    free(real);
    return code;
}

static enum ko_code check_map(const struct ko_yaml *root, struct ko_error *err)
{
    char got[96];
    if (root->kind != KO_YAML_MAP) {
        return ko_yaml_fail(root, err, "expected a map of keys, as in 'models: [...]', got %s",
                            ko_spec_describe(root, got));
    }
    return KO_OK;
}

/* at: the include of the file; NULL for the spec itself. */
static enum ko_code read_file(struct ko_spec_source *source, const char *file,
                              const struct ko_yaml *at, struct ko_layers *layers,
                              struct ko_error *err)
{
    enum ko_code code = check_cycle(source, file, at, err);
    if (code != KO_OK) {
        return code;
    }
    struct ko_yaml *root = NULL;
    char *folder = folder_of(file, err);
    code = !folder ? KO_E_MEMORY : ko_yaml_read(file, &root, err);
    if (code != KO_OK) {
        free(folder);
        return code == KO_E_INPUT && at != NULL
                   ? ko_fail_in(err, "%s:%d:%d: include", at->file, at->line, at->column)
                   : code;
    }
    code = keep_root(source, root, folder, err);
    if (code == KO_OK) {
        code = check_map(root, err);
    }
    return code == KO_OK ? ko_layers_add(layers, root, err) : code;
}

static enum ko_code read_files(struct ko_spec_source *source, const char *file,
                               struct ko_layers *layers, struct ko_error *err)
{
    enum ko_code code = read_file(source, file, NULL, layers, err);
    for (int n = 0; code == KO_OK; n++) {
        const struct ko_yaml *include = ko_yaml_get(layers->map[layers->n - 1], "include");
        if (!include || ko_spec_is_null(include)) {
            break;
        }
        if (n == MAX_INCLUDES) {
            return ko_yaml_fail(include, err, "include: more than %d files include one another",
                                MAX_INCLUDES);
        }
        char *path = NULL;
        code = ko_spec_path(source, include, "include", &path, err);
        if (code == KO_OK) {
            code = read_file(source, path, include, layers, err);
        }
        free(path);
    }
    return code;
}

/* "a.b=value" as a block-style document: libyaml then reads the value as it would in a file. */
static enum ko_code write_setting(const char *setting, const char *equals, struct ko_text *out,
                                  struct ko_error *err)
{
    int depth = 0;
    for (const char *key = setting;;) {
        size_t n = strcspn(key, ".=");
        if (n == 0 || strspn(key, "abcdefghijklmnopqrstuvwxyz-_") < n) {
            return ko_fail(err, KO_E_INPUT,
                           "--set %s: expected KEY=VALUE, as in windows.sizes=[1,9]", setting);
        }
        ko_text_add(out, "%*s%.*s:", depth, "", (int)n, key);
        key += n;
        if (key >= equals) {
            break;
        }
        ko_text_add(out, "\n");
        depth++;
        key++;
    }
    ko_text_add(out, " %s\n", equals + 1);
    return ko_text_check(out, err);
}

static enum ko_code read_setting(struct ko_spec_source *source, const char *setting,
                                 struct ko_error *err)
{
    const char *equals = strchr(setting, '=');
    if (!equals || strchr(setting, '\n') != NULL) {
        return ko_fail(err, KO_E_INPUT,
                       "--set %s: expected KEY=VALUE on one line, as in windows.sizes=[1,9]",
                       setting);
    }
    struct ko_text text = {0}, name = {0};
    struct ko_yaml *root = NULL;
    ko_text_add(&name, "--set %.*s", (int)(equals - setting), setting);
    enum ko_code code = ko_text_check(&name, err);
    if (code == KO_OK) {
        code = write_setting(setting, equals, &text, err);
    }
    if (code == KO_OK) {
        code = ko_yaml_parse(ko_text_str(&text), ko_text_str(&name), &root, err);
    }
    if (code == KO_OK) {
        char *folder = ko_copy(source->folder[0], err);
        if (!folder) {
            ko_yaml_free(root);
            code = KO_E_MEMORY;
        } else {
            code = keep_root(source, root, folder, err);
        }
    }
    if (code == KO_OK && ko_yaml_get(root, "include") != NULL) {
        code = ko_fail(err, KO_E_INPUT, "--set %s: include is for files only", setting);
    }
    ko_text_free(&text);
    ko_text_free(&name);
    return code;
}

static enum ko_code open_all(struct ko_spec_source *source, const char *file,
                             const struct ko_strings *settings, struct ko_error *err)
{
    struct ko_layers files = {0};
    enum ko_code code = read_files(source, file, &files, err);
    size_t first_setting = source->n_roots;
    for (size_t i = 0; code == KO_OK && settings && i < settings->n; i++) {
        code = read_setting(source, settings->item[i], err);
    }
    for (size_t i = source->n_roots; code == KO_OK && i > first_setting; i--) {
        code = ko_layers_add(&source->top, source->root[i - 1], err);
    }
    for (size_t i = 0; code == KO_OK && i < files.n; i++) {
        code = ko_layers_add(&source->top, files.map[i], err);
    }
    ko_layers_free(&files);
    return code;
}

enum ko_code ko_spec_source_open(const char *file, const struct ko_options *options,
                                 struct ko_spec_source *out, struct ko_error *err)
{
    struct ko_spec_source source = {0};
    enum ko_code code =
        open_all(&source, file, !options ? NULL : &options->value[KO_OPT_SET].list, err);
    if (code != KO_OK) {
        ko_spec_source_close(&source);
        return code;
    }
    *out = source;
    return KO_OK;
}

static enum ko_code parse_alone(struct ko_spec_source *source, const char *text, const char *name,
                                struct ko_error *err)
{
    struct ko_yaml *root = NULL;
    enum ko_code code = ko_yaml_parse(text, name, &root, err);
    if (code != KO_OK) {
        return code;
    }
    char *folder = ko_copy("", err);
    if (!folder) {
        ko_yaml_free(root);
        return KO_E_MEMORY;
    }
    code = keep_root(source, root, folder, err);
    if (code == KO_OK) {
        code = check_map(source->root[0], err);
    }
    if (code == KO_OK && ko_yaml_get(source->root[0], "include") != NULL) {
        code = ko_fail(err, KO_E_INPUT, "%s: include: not allowed in a resolved spec", name);
    }
    return code == KO_OK ? ko_layers_add(&source->top, source->root[0], err) : code;
}

enum ko_code ko_spec_source_parse(const char *text, const char *name, struct ko_spec_source *out,
                                  struct ko_error *err)
{
    struct ko_spec_source source = {0};
    enum ko_code code = parse_alone(&source, text, name, err);
    if (code != KO_OK) {
        ko_spec_source_close(&source);
        return code;
    }
    *out = source;
    return KO_OK;
}

void ko_spec_source_close(struct ko_spec_source *source)
{
    for (size_t i = 0; i < source->n_roots; i++) {
        ko_yaml_free(source->root[i]);
        free(source->folder[i]);
    }
    free(source->root);
    free(source->folder);
    ko_strings_free(&source->real);
    ko_layers_free(&source->top);
    *source = (struct ko_spec_source){0};
}
