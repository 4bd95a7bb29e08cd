/* SPDX-License-Identifier: Apache-2.0 */
/* Splits route labels, brings words into the form that cubes use, and writes the error for a word
   that the cube does not have, with the nearest one that it has. */
#include "src/show/axis_words.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/spec/feature_class.h"

enum ko_code ko_route_label_split(const char *label, char **target, char **source,
                                  struct ko_error *err)
{
    const char *arrow = strstr(label, "<-"), *at = strchr(label, '@');
    const char *between = arrow ? arrow : at;
    if (!between) {
        return ko_fail(err, KO_E_INPUT,
                       "route '%s': has neither '<-' nor '@', so this is not a cube of knockout",
                       label);
    }
    char *left = ko_copy_n(label, (size_t)(between - label), err);
    char *right = ko_copy(between + (arrow ? 2 : 1), err);
    if (!left || !right) {
        free(left);
        free(right);
        return KO_E_MEMORY;
    }
    *target = arrow ? left : right;
    *source = arrow ? right : left;
    return KO_OK;
}

void ko_route_label_join(const char *like, const char *target, const char *source,
                         struct ko_text *out)
{
    if (strstr(like, "<-")) {
        ko_text_add(out, "%s<-%s", target, source);
    } else {
        ko_text_add(out, "%s@%s", source, target);
    }
}

enum ko_code ko_axis_canonical(const char *word, bool classes, char **out, struct ko_error *err)
{
    char label[64];
    struct ko_feature_class class;
    char *copy = ko_copy(word, err), *to = copy;
    if (!copy) {
        return KO_E_MEMORY;
    }
    for (const char *from = word; *from; from++) {
        if (*from != ' ') {
            *to++ = *from;
        }
    }
    *to = '\0';
    if (classes && ko_feature_class_parse(copy, &class, NULL) == KO_OK) {
        ko_feature_class_label(&class, label);
        free(copy);
        copy = ko_copy(label, err);
    }
    *out = copy;
    return copy ? KO_OK : KO_E_MEMORY;
}

enum ko_code ko_axis_route_ends(const struct ko_cube_axes *axes, bool sources,
                                struct ko_strings *out, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (size_t r = 0; code == KO_OK && r < axes->route.n + axes->heat_route.n; r++) {
        char *target = NULL, *source = NULL;
        code = ko_route_label_split(r < axes->route.n ? axes->route.item[r]
                                                      : axes->heat_route.item[r - axes->route.n],
                                    &target, &source, err);
        if (code == KO_OK) {
            code = ko_strings_add(out, sources ? source : target, err);
        }
        free(target);
        free(source);
    }
    return code;
}

enum ko_code ko_axis_unknown(const char *option, const char *path, const char *what,
                             const char *word, const struct ko_strings *known, struct ko_error *err)
{
    struct ko_text list = {0};
    const char *nearest = ko_nearest(word, (const char *const *)known->item, known->n);
    if (nearest) {
        return ko_fail(err, KO_E_INPUT, "%s: %s has no %s '%s', did you mean '%s'?", option, path,
                       what, word, nearest);
    }
    if (known->n == 0) {
        return ko_fail(err, KO_E_INPUT, "%s: %s has no %s at all, leave the option out", option,
                       path, what);
    }
    for (size_t k = 0; k < known->n; k++) {
        ko_text_add(&list, "%s%s", k ? ", " : "", known->item[k]);
    }
    ko_fail(err, KO_E_INPUT, "%s: %s has no %s '%s', choose from: %s", option, path, what, word,
            ko_text_str(&list));
    ko_text_free(&list);
    return KO_E_INPUT;
}
