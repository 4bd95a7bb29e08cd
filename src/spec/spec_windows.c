/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the `windows` key of a block: sizes in layers or percent, starts, and which layers they
   count. It also converts a percentage to layers of a model. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/spec/spec_read.h"

enum { MAX_LAYERS = 1000000 };

static const char *const window_keys[] = {"sizes", "starts", "over", "style", "layers"};
static const char *const starts_keys[] = {"every"};
const struct ko_spec_keys ko_window_keys = {window_keys,
                                            sizeof window_keys / sizeof window_keys[0]};
const struct ko_spec_keys ko_starts_keys = {starts_keys,
                                            sizeof starts_keys / sizeof starts_keys[0]};

const char *const ko_over_words[KO_N_OVERS] = {
#define X(NAME, word, what, mixers) word,
    KO_OVERS(X)
#undef X
};
const char *const ko_over_what[KO_N_OVERS] = {
#define X(NAME, word, what, mixers) what,
    KO_OVERS(X)
#undef X
};

const char *const ko_style_words[KO_N_STYLES] = {
#define X(NAME, word, sized, start) word,
    KO_STYLES(X)
#undef X
};
const char *const ko_style_starts[KO_N_STYLES] = {
#define X(NAME, word, sized, start) start,
    KO_STYLES(X)
#undef X
};

bool ko_style_has_sizes(enum ko_style style)
{
    static const bool has[KO_N_STYLES] = {
#define X(NAME, word, sized, start) sized,
        KO_STYLES(X)
#undef X
    };
    return has[style];
}

bool ko_over_counts(enum ko_over over, uint8_t mixers)
{
    static const uint8_t wanted[KO_N_OVERS] = {
#define X(NAME, word, what, mixers) mixers,
        KO_OVERS(X)
#undef X
    };
    return wanted[over] == 0 || (mixers & wanted[over]) != 0;
}

static enum ko_code read_percent(const struct ko_yaml *item, double *value, struct ko_error *err)
{
    size_t n = strlen(item->text);
    char *number = ko_copy_n(item->text, n - 1, err);
    if (!number) {
        return KO_E_MEMORY;
    }
    double share = 0.0;
    enum ko_code code = ko_parse_double(number, &share, "windows.sizes", NULL);
    free(number);
    if (code != KO_OK || !(share > 0.0 && share <= 100.0)) {
        return ko_yaml_fail(item, err,
                            "windows.sizes: expected a share of depth above 0%% and up "
                            "to 100%%, got '%s'",
                            item->text);
    }
    *value = share;
    return KO_OK;
}

static enum ko_code read_size(const struct ko_yaml *item, struct ko_size *size,
                              struct ko_error *err)
{
    int64_t layers = 0;
    enum ko_code code = KO_OK;
    size_t n = item->kind == KO_YAML_SCALAR ? strlen(item->text) : 0;
    if (n > 1 && item->text[n - 1] == '%') {
        size->percent = true;
        code = read_percent(item, &size->value, err);
    } else {
        bool whole =
            n > 0 && !item->quoted &&
            ko_parse_int(item->text, 1, MAX_LAYERS, &layers, "windows.sizes", NULL) == KO_OK;
        char got[96];
        if (!whole) {
            return ko_yaml_fail(item, err,
                                "windows.sizes: expected a whole number of layers from "
                                "1, or a share of depth as in 12%%, got %s",
                                ko_spec_describe(item, got));
        }
        size->value = (double)layers;
    }
    if (code == KO_OK) {
        size->where = ko_spec_where(item, err);
        code = !size->where ? KO_E_MEMORY : KO_OK;
    }
    return code;
}

static enum ko_code read_sizes(const struct ko_yaml *list, struct ko_spec_block *block,
                               struct ko_error *err)
{
    enum ko_code code = ko_spec_check_list(list, "windows.sizes", "whole numbers or shares", err);
    if (code != KO_OK) {
        return code;
    }
    block->size = ko_new(list->n, sizeof *block->size, err);
    if (!block->size) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; code == KO_OK && i < list->n; i++) {
        code = read_size(list->item[i], &block->size[i], err);
        block->n_sizes += code == KO_OK;
    }
    return code;
}

static enum ko_code read_start_list(const struct ko_yaml *list, struct ko_spec_block *block,
                                    struct ko_error *err)
{
    enum ko_code code = ko_spec_check_list(list, "windows.starts", "layers", err);
    if (code != KO_OK) {
        return code;
    }
    block->starts = KO_STARTS_LIST;
    block->start = ko_new(list->n, sizeof *block->start, err);
    if (!block->start) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; code == KO_OK && i < list->n; i++) {
        int64_t start = 0;
        code = ko_spec_whole(list->item[i], "windows.starts", 0, MAX_LAYERS, &start, err);
        if (code == KO_OK) {
            block->start[block->n_starts++] = (int32_t)start;
        }
    }
    return code;
}

static enum ko_code read_starts(const struct ko_yaml *node, struct ko_spec_block *block,
                                struct ko_error *err)
{
    block->starts = KO_STARTS_ALL;
    if (!node || (node->kind == KO_YAML_SCALAR && node->text && strcmp(node->text, "all") == 0)) {
        return KO_OK;
    }
    if (node->kind == KO_YAML_LIST) {
        return read_start_list(node, block, err);
    }
    if (node->kind == KO_YAML_SCALAR || node->n == 0) {
        char got[96];
        return ko_yaml_fail(node, err,
                            "windows.starts: expected all, a list of layers or {every: "
                            "N}, got %s",
                            node->kind == KO_YAML_MAP ? "an empty map"
                                                      : ko_spec_describe(node, got));
    }
    enum ko_code code = ko_yaml_check_keys(node, starts_keys, 1, err);
    int64_t every = 0;
    if (code == KO_OK) {
        code = ko_spec_whole(node->item[0], "windows.starts.every", 1, MAX_LAYERS, &every, err);
    }
    block->starts = KO_STARTS_EVERY;
    block->every = (int32_t)every;
    return code;
}

/* A spec has one rule, because all blocks share the axes of sizes and starts. */
static enum ko_code read_over(struct ko_spec *spec, const struct ko_layers *windows,
                              const struct ko_spec_block *block, struct ko_error *err)
{
    const struct ko_yaml *node = ko_layers_get(windows, "over");
    size_t index = KO_OVER_LAYERS;
    enum ko_code code = KO_OK;
    if (node && !ko_spec_is_null(node)) {
        code = ko_spec_choice(node, "windows.over", ko_over_words, KO_N_OVERS, &index, err);
    }
    if (code == KO_OK && block == spec->block) {
        spec->over = (enum ko_over)index;
        if (spec->style == KO_STYLE_LISTED && index != KO_OVER_LAYERS) {
            code = ko_yaml_fail(node, err,
                                "windows.over: lists in windows.layers count every layer, leave "
                                "out over: %s",
                                ko_over_words[index]);
        }
    } else if (code == KO_OK && (enum ko_over)index != spec->over) {
        code = ko_yaml_fail(node != NULL ? node : windows->map[0], err,
                            "windows.over: '%s' here and '%s' in the block at %s: the windows of a "
                            "spec count the same layers, write it at the top level",
                            ko_over_words[index], ko_over_words[spec->over], spec->block[0].where);
    }
    return code;
}

/* The style of a block. `layers` stands for KO_STYLE_LISTED, which has no word in a spec. */
static enum ko_code find_style(const struct ko_layers *windows, const struct ko_yaml **at,
                               enum ko_style *style, struct ko_error *err)
{
    const struct ko_yaml *word = ko_layers_get(windows, "style");
    const struct ko_yaml *layers = ko_layers_get(windows, "layers");
    size_t index = KO_STYLE_WHOLE;
    if (word && !ko_spec_is_null(word)) {
        const enum ko_code code =
            ko_spec_choice(word, "windows.style", ko_style_words, KO_STYLE_LISTED, &index, err);
        if (code != KO_OK) {
            return code;
        }
        *at = word;
    }
    *style = (enum ko_style)index;
    if (layers && !ko_spec_is_null(layers)) {
        if (index != KO_STYLE_WHOLE) {
            return ko_yaml_fail(layers, err,
                                "windows.layers: lists of layers have no style, leave out style: "
                                "%s",
                                ko_style_words[index]);
        }
        *style = KO_STYLE_LISTED;
        *at = layers;
    }
    return KO_OK;
}

/* The lists of a block; all blocks have the same. */
static enum ko_code read_lists(struct ko_spec *spec, const struct ko_yaml *at,
                               const struct ko_spec_block *block, struct ko_error *err)
{
    struct ko_window_lists lists = {0};
    enum ko_code code = ko_spec_read_lists(at, &lists, err);
    if (code == KO_OK && block == spec->block) {
        spec->lists = lists;
        return KO_OK;
    }
    if (code == KO_OK && !ko_window_lists_equal(&lists, &spec->lists)) {
        code = ko_yaml_fail(at, err,
                            "windows.layers: other lists than in the block at %s: write all lists "
                            "at the top level, and choose some of them with starts",
                            spec->block[0].where);
    }
    ko_window_lists_free(&lists);
    return code;
}

/* A spec has one style, because all blocks share the axes of sizes and starts. */
static enum ko_code read_style(struct ko_spec *spec, const struct ko_layers *windows,
                               const struct ko_spec_block *block, struct ko_error *err)
{
    const struct ko_yaml *at = windows->n > 0 ? windows->map[0] : NULL;
    enum ko_style style = KO_STYLE_WHOLE;
    enum ko_code code = find_style(windows, &at, &style, err);
    if (code != KO_OK) {
        return code;
    }
    if (block == spec->block) {
        spec->style = style;
    } else if (style != spec->style) {
        return ko_yaml_fail(at, err,
                            "windows.style: '%s' here and '%s' in the block at %s: all windows of "
                            "a spec have one style, write it at the top level",
                            ko_style_words[style], ko_style_words[spec->style],
                            spec->block[0].where);
    }
    return style == KO_STYLE_LISTED ? read_lists(spec, at, block, err) : KO_OK;
}

/* Windows without a size have one place on the axis of sizes. */
static enum ko_code set_no_size(const struct ko_yaml *at, struct ko_spec_block *block,
                                struct ko_error *err)
{
    block->size = ko_new(1, sizeof *block->size, err);
    if (!block->size) {
        return KO_E_MEMORY;
    }
    block->size[0].where = ko_spec_where(at, err);
    block->n_sizes = 1;
    return block->size[0].where ? KO_OK : KO_E_MEMORY;
}

static enum ko_code read_block_sizes(const struct ko_spec *spec, const struct ko_layers *windows,
                                     const struct ko_yaml *at, bool required,
                                     struct ko_spec_block *block, struct ko_error *err)
{
    const struct ko_yaml *sizes = ko_layers_get(windows, "sizes");
    if (sizes && ko_spec_is_null(sizes)) {
        sizes = NULL;
    }
    if (!ko_style_has_sizes(spec->style) && windows->n > 0) {
        return sizes ? ko_yaml_fail(sizes, err,
                                    "windows.sizes: windows of style '%s' have no sizes, leave "
                                    "them out",
                                    ko_style_words[spec->style])
                     : set_no_size(at, block, err);
    }
    if (sizes) {
        return read_sizes(sizes, block, err);
    }
    return required ? ko_yaml_fail(at, err,
                                   "missing key 'sizes' of windows, write windows: {sizes: [9]}")
                    : KO_OK;
}

enum ko_code ko_spec_read_windows(struct ko_spec *spec, const struct ko_layers *layers,
                                  const struct ko_yaml *at, bool required,
                                  struct ko_spec_block *block, struct ko_error *err)
{
    struct ko_layers windows = {0};
    enum ko_code code = ko_layers_under(layers, "windows", window_keys, 5, &windows, err);
    if (code == KO_OK && (windows.n > 0 || block == spec->block)) {
        code = read_style(spec, &windows, block, err);
    }
    if (code == KO_OK) {
        code = read_block_sizes(spec, &windows, windows.n > 0 ? windows.map[0] : at, required,
                                block, err);
    }
    if (code == KO_OK) {
        code = read_starts(ko_layers_get(&windows, "starts"), block, err);
    }
    if (code == KO_OK && (windows.n > 0 || block == spec->block)) {
        code = read_over(spec, &windows, block, err);
    }
    ko_layers_free(&windows);
    return code;
}

int32_t ko_size_layers(const struct ko_size *size, int32_t n_layers)
{
    if (!size->percent) {
        return (int32_t)size->value;
    }
    /* Percentages are decimal: 58 % of 25 is 14.5 and rounds up, although 0.58 * 25 < 14.5. */
    double layers = floor(size->value * n_layers / 100.0 + 0.5);
    return layers < 1.0 ? 1 : (int32_t)layers;
}

bool ko_spec_starts_at(const struct ko_spec_block *block, int32_t layer)
{
    switch (block->starts) {
    case KO_STARTS_ALL:
        return true;
    case KO_STARTS_EVERY:
        return layer % block->every == 0;
    case KO_STARTS_LIST:
        break;
    }
    for (size_t i = 0; i < block->n_starts; i++) {
        if (block->start[i] == layer) {
            return true;
        }
    }
    return false;
}
