/* SPDX-License-Identifier: Apache-2.0 */
/* Reads --model, --route, --target, --source, --feature and --window-size, and marks which labels of each
   axis were asked for. A word that the cube does not have is an error. */
#include "src/show/curve_filter.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/show/axis_words.h"

/* What all filters of one cube share. */
struct reader {
    const struct ko_options *options;
    const char *path;
    struct ko_error *err;
};

static const struct ko_strings *wanted_words(const struct reader *reader, enum ko_option id)
{
    return ko_option_given(reader->options, id) ? &reader->options->value[id].list : NULL;
}

/* Sets chosen [labels->n] to 1 where a label is among the words. Every word must be a label. */
static enum ko_code choose_labels(const struct reader *reader, const char *option, const char *what,
                                  const struct ko_strings *words, const struct ko_strings *labels,
                                  uint8_t *chosen)
{
    if (!words) {
        memset(chosen, 1, labels->n);
    }
    for (size_t w = 0; words && w < words->n; w++) {
        bool found = false;
        for (size_t k = 0; k < labels->n; k++) {
            if (strcmp(labels->item[k], words->item[w]) == 0) {
                chosen[k] = found = true;
            }
        }
        if (!found) {
            return ko_axis_unknown(option, reader->path, what, words->item[w], labels, reader->err);
        }
    }
    return KO_OK;
}

static enum ko_code canonical_words(const struct ko_strings *words, bool classes,
                                    struct ko_strings *out, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (size_t w = 0; code == KO_OK && w < words->n; w++) {
        char *word = NULL;
        code = ko_axis_canonical(words->item[w], classes, &word, err);
        if (code == KO_OK) {
            code = ko_strings_add(out, word, err);
        }
        free(word);
    }
    return code;
}

/* The routes, or the targets or sources of all routes; mean routes first. */
static enum ko_code route_words(const struct ko_cube_axes *axes, enum ko_option id,
                                struct ko_strings *out, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    if (id != KO_OPT_ROUTE) {
        return ko_axis_route_ends(axes, id == KO_OPT_SOURCE, out, err);
    }
    for (size_t r = 0; code == KO_OK && r < axes->route.n; r++) {
        code = ko_strings_add(out, axes->route.item[r], err);
    }
    for (size_t r = 0; code == KO_OK && r < axes->heat_route.n; r++) {
        code = ko_strings_add(out, axes->heat_route.item[r], err);
    }
    return code;
}

/* Clears the routes that were not asked for, or whose target or source was not. what: of the
   option. */
static enum ko_code filter_routes(const struct reader *reader, enum ko_option id, const char *what,
                                  const struct ko_cube_axes *axes, struct ko_curve_filter *filter)
{
    struct ko_strings labels = {0}, words = {0};
    const struct ko_strings *given = wanted_words(reader, id);
    char option[16];
    if (!given) {
        return KO_OK;
    }
    (void)snprintf(option, sizeof option, "--%s", what);
    uint8_t *chosen = ko_new(axes->route.n + axes->heat_route.n, 1, reader->err);
    enum ko_code code = chosen ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK) {
        code = route_words(axes, id, &labels, reader->err);
    }
    if (code == KO_OK) {
        code = canonical_words(given, false, &words, reader->err);
    }
    if (code == KO_OK) {
        code = choose_labels(reader, option, what, &words, &labels, chosen);
    }
    for (size_t r = 0; code == KO_OK && r < labels.n; r++) {
        if (r < axes->route.n) {
            filter->route[r] &= chosen[r];
        } else {
            filter->heat_route[r - axes->route.n] &= chosen[r];
        }
    }
    free(chosen);
    ko_strings_free(&labels);
    ko_strings_free(&words);
    return code;
}

/* The labels of all heads, if the word is head:each or ssm-head:each, with or without a suffix;
   otherwise, and where there are none, the word. */
static enum ko_code add_heads(const char *word, const struct ko_strings *classes,
                              struct ko_strings *out, struct ko_error *err)
{
    static const char each[] = "head:each";
    const char *at = strstr(word, each), *suffix = at ? at + strlen(each) : "";
    const size_t n_before = at ? (size_t)(at - word) + strlen("head:") : 0, before = out->n;
    enum ko_code code = KO_OK;
    for (size_t k = 0; code == KO_OK && at && k < classes->n; k++) {
        const char *label = classes->item[k], *number = label + n_before;
        if (strncmp(label, word, n_before) == 0) {
            const size_t n = strspn(number, "0123456789");
            code =
                n > 0 && strcmp(number + n, suffix) == 0 ? ko_strings_add(out, label, err) : KO_OK;
        }
    }
    return code == KO_OK && out->n == before ? ko_strings_add(out, word, err) : code;
}

static enum ko_code filter_features(const struct reader *reader, const struct ko_cube_axes *axes,
                                    struct ko_curve_filter *filter)
{
    struct ko_strings words = {0}, expanded = {0};
    const struct ko_strings *given = wanted_words(reader, KO_OPT_FEATURE);
    enum ko_code code = KO_OK;
    for (size_t w = 0; code == KO_OK && given && w < given->n; w++) {
        code = add_heads(given->item[w], &axes->feature_class, &expanded, reader->err);
    }
    if (code == KO_OK) {
        code = canonical_words(&expanded, true, &words, reader->err);
    }
    if (code == KO_OK) {
        code = choose_labels(reader, "--feature", "feature class", given ? &words : NULL,
                             &axes->feature_class, filter->class);
    }
    ko_strings_free(&expanded);
    ko_strings_free(&words);
    return code;
}

static enum ko_code unknown_size(const struct reader *reader, int64_t size,
                                 const struct ko_cube_axes *axes)
{
    int32_t nearest = axes->n_sizes > 0 ? axes->window_size[0] : 0;
    for (int32_t s = 1; s < axes->n_sizes; s++) {
        if (llabs(axes->window_size[s] - size) < llabs(nearest - size)) {
            nearest = axes->window_size[s];
        }
    }
    return ko_fail(reader->err, KO_E_INPUT,
                   "--window-size: %s has no window of %lld layers, did you mean %d?", reader->path,
                   (long long)size, nearest);
}

static enum ko_code filter_sizes(const struct reader *reader, const struct ko_cube_axes *axes,
                                 struct ko_curve_filter *filter)
{
    const struct ko_strings *given = wanted_words(reader, KO_OPT_WINDOW_SIZE);
    if (!given) {
        memset(filter->size, 1, (size_t)axes->n_sizes);
    }
    for (size_t w = 0; given && w < given->n; w++) {
        int64_t size = 0;
        bool found = false;
        const enum ko_code code =
            ko_parse_int(given->item[w], 1, INT32_MAX, &size, "--window-size", reader->err);
        if (code != KO_OK) {
            return code;
        }
        for (int32_t s = 0; s < axes->n_sizes; s++) {
            if (axes->window_size[s] == size) {
                filter->size[s] = found = true;
            }
        }
        if (!found) {
            return unknown_size(reader, size, axes);
        }
    }
    return KO_OK;
}

enum ko_code ko_curve_filter_read(const struct ko_options *options, const char *path,
                                  const struct ko_cube_axes *axes, struct ko_curve_filter *out,
                                  struct ko_error *err)
{
    const struct reader reader = {options, path, err};
    struct ko_curve_filter filter = {.model = ko_new(axes->model.n, 1, err),
                                     .route = ko_new(axes->route.n, 1, err),
                                     .heat_route = ko_new(axes->heat_route.n, 1, err),
                                     .class = ko_new(axes->feature_class.n, 1, err),
                                     .size = ko_new((size_t)axes->n_sizes, 1, err)};
    enum ko_code code =
        filter.model && filter.route && filter.heat_route && filter.class && filter.size
            ? KO_OK
            : KO_E_MEMORY;
    if (code == KO_OK) {
        memset(filter.route, 1, axes->route.n);
        memset(filter.heat_route, 1, axes->heat_route.n);
        code = choose_labels(&reader, "--model", "model", wanted_words(&reader, KO_OPT_MODEL),
                             &axes->model, filter.model);
    }
    if (code == KO_OK) {
        code = filter_routes(&reader, KO_OPT_ROUTE, "route", axes, &filter);
    }
    if (code == KO_OK) {
        code = filter_routes(&reader, KO_OPT_TARGET, "target", axes, &filter);
    }
    if (code == KO_OK) {
        code = filter_routes(&reader, KO_OPT_SOURCE, "source", axes, &filter);
    }
    if (code == KO_OK) {
        code = filter_features(&reader, axes, &filter);
    }
    if (code == KO_OK) {
        code = filter_sizes(&reader, axes, &filter);
    }
    if (code == KO_OK) {
        *out = filter;
    } else {
        ko_curve_filter_free(&filter);
    }
    return code;
}

void ko_curve_filter_free(struct ko_curve_filter *filter)
{
    free(filter->model);
    free(filter->route);
    free(filter->heat_route);
    free(filter->class);
    free(filter->size);
    *filter = (struct ko_curve_filter){0};
}
