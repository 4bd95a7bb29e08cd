/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the folder of a model by its path or its Hugging Face name. It looks for the snapshot that
   refs/main names, or takes the only one. */
#include "src/base/user/hub_cache.h"

#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/base/file.h"
#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/base/user/home.h"

enum { REVISION_BYTES = 256, NAME_BYTES = 96 };

static const char root_prefix[] = "models--";

static bool is_folder(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

/* "NAME" or "ORG/NAME" of letters, digits, '-', '_' and '.'. Each begins with a letter or digit. */
static bool is_hub_name(const char *text)
{
    size_t n = strlen(text), parts = 1;
    if (n == 0 || n > NAME_BYTES || strstr(text, "--") || strstr(text, "..")) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const bool begins = i == 0 || text[i - 1] == '/';
        parts += text[i] == '/';
        if (begins ? !isalnum((unsigned char)text[i])
                   : !isalnum((unsigned char)text[i]) && !strchr("-_./", text[i])) {
            return false;
        }
    }
    return parts <= 2 && text[n - 1] != '/';
}

/* The cache's folder, from the first variable that is set. */
static enum ko_code cache_folder(char **out, struct ko_error *err)
{
    static const struct {
        const char *variable, *inside; /* NULL: the cache itself */
    } places[] = {{"HF_HUB_CACHE", NULL},
                  {"HUGGINGFACE_HUB_CACHE", NULL},
                  {"HF_HOME", "hub"},
                  {"XDG_CACHE_HOME", "huggingface/hub"}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        const char *value = getenv(places[i].variable);
        char *home = NULL;
        if (!value || value[0] == '\0') {
            continue;
        }
        enum ko_code code = ko_home_expand(value, &home, err);
        if (code != KO_OK) {
            return ko_fail_in(err, "%s", places[i].variable);
        }
        if (!places[i].inside) {
            *out = home;
            return KO_OK;
        }
        *out = ko_path_join(home, places[i].inside, err);
        free(home);
        return *out ? KO_OK : KO_E_MEMORY;
    }
    return ko_home_expand("~/.cache/huggingface/hub", out, err);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum ko_code list_snapshots(const char *root, struct ko_strings *names, struct ko_error *err)
{
    char *folder = ko_path_join(root, "snapshots", err);
    if (!folder) {
        return KO_E_MEMORY;
    }
    enum ko_code code = KO_OK;
    DIR *open = opendir(folder);
    for (struct dirent *entry; code == KO_OK && open && (entry = readdir(open)) != NULL;) {
        if (entry->d_name[0] != '.') {
            code = ko_strings_add(names, entry->d_name, err);
        }
    }
    if (open) {
        (void)closedir(open);
    }
    if (names->n > 1) {
        qsort(names->item, names->n, sizeof names->item[0], by_name);
    }
    free(folder);
    return code;
}

static enum ko_code fail_ambiguous(const char *root, const struct ko_strings *names,
                                   struct ko_error *err)
{
    struct ko_text list = {0};
    for (size_t i = 0; i < names->n; i++) {
        ko_text_add(&list, "%s%s", i > 0 ? ", " : "", names->item[i]);
    }
    enum ko_code code = ko_fail(err, KO_E_INPUT,
                                "'%s' has %zu snapshots and no refs/main, name one of them as "
                                "%s/snapshots/...: %s",
                                root, names->n, root, ko_text_str(&list));
    ko_text_free(&list);
    return code;
}

/* The only snapshot of a repository without refs/main. */
static enum ko_code only_snapshot(const char *root, struct ko_text *revision, struct ko_error *err)
{
    struct ko_strings names = {0};
    enum ko_code code = list_snapshots(root, &names, err);
    if (code == KO_OK && names.n == 0) {
        code = ko_fail(err, KO_E_INPUT, "'%s' has no snapshot, download the model again", root);
    } else if (code == KO_OK && names.n > 1) {
        code = fail_ambiguous(root, &names, err);
    } else if (code == KO_OK) {
        ko_text_add(revision, "%s", names.item[0]);
        code = ko_text_check(revision, err);
    }
    ko_strings_free(&names);
    return code;
}

/* The revision in refs/main, without white space around it. Empty if there is no refs/main. */
static enum ko_code read_main(const char *root, struct ko_text *revision, struct ko_error *err)
{
    char *bytes = NULL, *path = ko_path_join(root, "refs/main", err);
    size_t n = 0;
    enum ko_code code = path ? KO_OK : KO_E_MEMORY;
    if (path && ko_file_exists(path)) {
        code = ko_file_read(path, REVISION_BYTES, &bytes, &n, err);
        while (n > 0 && isspace((unsigned char)bytes[n - 1])) {
            n--;
        }
        if (code == KO_OK && (n == 0 || memchr(bytes, '/', n) || bytes[0] == '.')) {
            code = ko_fail(err, KO_E_INPUT,
                           "'%s' does not name a snapshot, download the model again", path);
        } else if (code == KO_OK) {
            ko_text_add_bytes(revision, bytes, n);
            code = ko_text_check(revision, err);
        }
    }
    free(bytes);
    free(path);
    return code;
}

static enum ko_code find_snapshot(const char *root, char **out, struct ko_error *err)
{
    struct ko_text revision = {0};
    char *folder = NULL, *snapshots = NULL;
    enum ko_code code = read_main(root, &revision, err);
    if (code == KO_OK && revision.n == 0) {
        code = only_snapshot(root, &revision, err);
    }
    if (code == KO_OK) {
        snapshots = ko_path_join(root, "snapshots", err);
        folder = snapshots ? ko_path_join(snapshots, ko_text_str(&revision), err) : NULL;
        code = folder ? KO_OK : KO_E_MEMORY;
    }
    if (code == KO_OK && !is_folder(folder)) {
        code = ko_fail(err, KO_E_INPUT,
                       "'%s': refs/main names the snapshot %s, which does not exist, download the "
                       "model again",
                       root, ko_text_str(&revision));
    }
    if (code == KO_OK) {
        *out = folder;
        folder = NULL;
    }
    free(folder);
    free(snapshots);
    ko_text_free(&revision);
    return code;
}

/* Sets *root to whether a folder is a repository's root in a cache. */
static enum ko_code check_root(const char *path, bool *root, struct ko_error *err)
{
    char *name = ko_path_last(path, err);
    char *snapshots = name ? ko_path_join(path, "snapshots", err) : NULL;
    const enum ko_code code = snapshots ? KO_OK : KO_E_MEMORY;
    *root =
        snapshots && is_folder(snapshots) && strncmp(name, root_prefix, strlen(root_prefix)) == 0;
    free(snapshots);
    free(name);
    return code;
}

static enum ko_code find_name(const char *name, const char *path, char **out, struct ko_error *err)
{
    struct ko_text root = {0};
    char *cache = NULL;
    enum ko_code code = cache_folder(&cache, err);
    if (code != KO_OK) {
        return code;
    }
    ko_text_add(&root, "%s/%s", cache, root_prefix);
    const char *slash = strchr(name, '/');
    if (slash) {
        ko_text_add(&root, "%.*s--%s", (int)(slash - name), name, slash + 1);
    } else {
        ko_text_add(&root, "%s", name);
    }
    code = ko_text_check(&root, err);
    if (code == KO_OK && !is_folder(ko_text_str(&root))) {
        const bool same = strcmp(name, path) == 0;
        code = ko_fail(err, KO_E_INPUT,
                       "'%s' is neither a folder%s%s%s nor in the cache of the Hugging Face hub "
                       "(%s): correct the path, or run `hf download %s`",
                       name, same ? "" : " (", same ? "" : path, same ? "" : ")", cache, name);
    } else if (code == KO_OK) {
        code = find_snapshot(ko_text_str(&root), out, err);
    }
    ko_text_free(&root);
    free(cache);
    return code;
}

enum ko_code ko_hub_find(const char *text, const char *path, char **out, struct ko_error *err)
{
    if (ko_file_exists(path)) {
        bool root = false;
        if (check_root(path, &root, err) != KO_OK) {
            return KO_E_MEMORY;
        }
        if (root) {
            return find_snapshot(path, out, err);
        }
        *out = ko_copy(path, err);
        return *out ? KO_OK : KO_E_MEMORY;
    }
    if (is_hub_name(text)) {
        return find_name(text, path, out, err);
    }
    return ko_fail(err, KO_E_INPUT, "folder '%s' does not exist, correct the path", path);
}
