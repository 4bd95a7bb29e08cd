/* SPDX-License-Identifier: Apache-2.0 */
/* Resolves the paths of a spec: ${VARIABLE}, ~, relative paths, and names on the hub. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/base/user/home.h"
#include "src/base/user/hub_cache.h"
#include "src/spec/spec_read.h"

static size_t variable_length(const char *name)
{
    size_t n = 0;
    while (name[n] == '_' || isalpha((unsigned char)name[n]) ||
           (n > 0 && isdigit((unsigned char)name[n]))) {
        n++;
    }
    return n;
}

static enum ko_code expand_variables(const struct ko_yaml *node, const char *key,
                                     struct ko_text *out, struct ko_error *err)
{
    for (const char *at = node->text; *at != '\0';) {
        const char *variable = strstr(at, "${");
        if (!variable) {
            ko_text_add(out, "%s", at);
            break;
        }
        ko_text_add_bytes(out, at, (size_t)(variable - at));
        const char *name = variable + 2;
        size_t n = variable_length(name);
        if (n == 0 || name[n] != '}') {
            return ko_yaml_fail(node, err, "%s: '%s' has a ${ that is not a ${VARIABLE}", key,
                                node->text);
        }
        char *copy = ko_copy_n(name, n, err);
        if (!copy) {
            return KO_E_MEMORY;
        }
        const char *value = getenv(copy);
        if (!value) {
            enum ko_code code = ko_yaml_fail(node, err,
                                             "%s: environment variable '%s' is not set, set it or "
                                             "write the whole path",
                                             key, copy);
            free(copy);
            return code;
        }
        ko_text_add(out, "%s", value);
        free(copy);
        at = name + n + 1;
    }
    return ko_text_check(out, err);
}

/* The path with ${VARIABLE} and ~ expanded. free(). */
static enum ko_code read_expanded(const struct ko_yaml *node, const char *key, char **out,
                                  struct ko_error *err)
{
    const char *text = NULL;
    struct ko_error why = {0};
    enum ko_code code = ko_spec_word(node, key, "a path", &text, err);
    if (code != KO_OK) {
        return code;
    }
    struct ko_text expanded = {0};
    code = expand_variables(node, key, &expanded, err);
    if (code == KO_OK && expanded.n == 0) {
        code = ko_yaml_fail(node, err, "%s: '%s' is an empty path", key, text);
    }
    if (code == KO_OK) {
        code = ko_home_expand(ko_text_str(&expanded), out, &why);
        if (code == KO_E_INPUT) {
            code = ko_yaml_fail(node, err, "%s: %s", key, why.text);
        } else if (code != KO_OK) {
            code = ko_fail(err, code, "%s: %s", key, why.text);
        }
    }
    ko_text_free(&expanded);
    return code;
}

/* Resolves a relative path against the folder of the file it is written in. A path that begins with
   a variable is relative to the current folder, because variables come from the shell. */
static char *from_its_folder(const struct ko_spec_source *source, const struct ko_yaml *node,
                             const char *expanded, struct ko_error *err)
{
    const char *folder = "";
    for (size_t i = 0; i < source->n_roots; i++) {
        if (strcmp(source->root[i]->file, node->file) == 0) {
            folder = source->folder[i];
        }
    }
    return ko_path_join(strncmp(node->text, "${", 2) == 0 ? "" : folder, expanded, err);
}

enum ko_code ko_spec_path(const struct ko_spec_source *source, const struct ko_yaml *node,
                          const char *key, char **path, struct ko_error *err)
{
    char *expanded = NULL;
    enum ko_code code = read_expanded(node, key, &expanded, err);
    if (code == KO_OK) {
        *path = from_its_folder(source, node, expanded, err);
        code = !*path ? KO_E_MEMORY : KO_OK;
    }
    free(expanded);
    return code;
}

/* *found: the folder; or *reason: why it was not found. Both free(). */
static enum ko_code find_folder(const char *text, const char *path, const char *key, char **found,
                                char **reason, struct ko_error *err)
{
    struct ko_error why = {0};
    struct ko_text sentence = {0};
    enum ko_code code = ko_hub_find(text, path, found, &why);
    if (code == KO_OK) {
        return code;
    }
    if (code != KO_E_INPUT) {
        return ko_fail(err, code, "%s: %s", key, why.text);
    }
    ko_text_add(&sentence, "%s: %s", key, why.text);
    code = ko_text_check(&sentence, err);
    if (code == KO_OK) {
        *reason = ko_copy(ko_text_str(&sentence), err);
        code = !*reason ? KO_E_MEMORY : KO_OK;
    }
    ko_text_free(&sentence);
    return code;
}

enum ko_code ko_spec_checkpoint(const struct ko_spec_source *source, const struct ko_yaml *node,
                                const char *key, char **path, char **missing, struct ko_error *err)
{
    char *expanded = NULL, *reason = NULL;
    enum ko_code code = read_expanded(node, key, &expanded, err);
    if (code != KO_OK) {
        return code;
    }
    char *folder = from_its_folder(source, node, expanded, err), *found = NULL;
    code = !folder ? KO_E_MEMORY : find_folder(expanded, folder, key, &found, &reason, err);
    free(expanded);
    if (code != KO_OK) {
        free(folder);
        return code;
    }
    if (found) {
        free(folder);
        *path = found;
        return KO_OK;
    }
    *path = folder;
    if (!*missing) {
        *missing = reason;
    } else {
        free(reason);
    }
    return KO_OK;
}
