/* SPDX-License-Identifier: Apache-2.0 */
/* Takes a path apart from its end to find the folder's name, and recognizes the folders of the
   Hugging Face hub cache. */
#include "src/spec/model_name.h"

#include <stdbool.h>
#include <string.h>

#include "src/base/memory.h"

/* Component number `back` of the path, from its end: [begin, begin + n). n is 0 before the first. */
static const char *find_component(const char *path, int back, size_t *n)
{
    const char *end = path + strlen(path), *begin = end;
    for (int i = 0; i <= back; i++) {
        end = i == 0 ? end : begin;
        while (end > path && end[-1] == '/') {
            end--;
        }
        begin = end;
        while (begin > path && begin[-1] != '/') {
            begin--;
        }
    }
    *n = (size_t)(end - begin);
    return begin;
}

enum ko_code ko_model_name_of_folder(const char *path, char **name, struct ko_error *err)
{
    static const char hub[] = "models--";
    size_t n = 0, n_hub = 0;
    const char *middle = find_component(path, 1, &n);
    const char *repository = find_component(path, 2, &n_hub);
    if (n == strlen("snapshots") && memcmp(middle, "snapshots", n) == 0 && n_hub > strlen(hub) &&
        memcmp(repository, hub, strlen(hub)) == 0) {
        *name = ko_copy_n(repository + strlen(hub), n_hub - strlen(hub), err);
        if (!*name) {
            return KO_E_MEMORY;
        }
        char *dashes = strstr(*name, "--");
        if (dashes) {
            *dashes = '/';
            memmove(dashes + 1, dashes + 2, strlen(dashes + 2) + 1);
        }
        return KO_OK;
    }
    const char *last = find_component(path, 0, &n);
    if (n == 0 || (n == 1 && last[0] == '.') || (n == 2 && memcmp(last, "..", 2) == 0)) {
        return ko_fail(err, KO_E_INPUT,
                       "models: folder '%s' does not name the model, write {name: NAME, path: %s}",
                       path, path);
    }
    *name = ko_copy_n(last, n, err);
    return !*name ? KO_E_MEMORY : KO_OK;
}
