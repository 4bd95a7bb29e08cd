/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the top level of a spec and its blocks in order. Each key is read by a file of its own
   (spec_models.c, spec_routes.c and others). */
#include "src/spec/spec.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/spec/spec_read.h"

static const char *const top_keys[] = {"include",   "models",     "prompts", "evaluation",
                                       "routes",    "features",   "windows", "sweeps",
                                       "precision", "row-budget", "backend"};
static const char *const block_keys[] = {"name",   "models",   "prompts",
                                         "routes", "features", "windows"};
enum {
    N_TOP_KEYS = sizeof top_keys / sizeof top_keys[0],
    N_BLOCK_KEYS = sizeof block_keys / sizeof block_keys[0]
};
const struct ko_spec_keys ko_top_keys = {top_keys, N_TOP_KEYS};
const struct ko_spec_keys ko_block_keys = {block_keys, N_BLOCK_KEYS};

static void block_free(struct ko_spec_block *block)
{
    free(block->name);
    free(block->model);
    ko_select_free(block->select);
    ko_strings_free(&block->routes);
    ko_strings_free(&block->features);
    ko_strings_free(&block->routes_where);
    ko_strings_free(&block->features_where);
    for (size_t i = 0; i < block->n_sizes; i++) {
        free(block->size[i].where);
    }
    free(block->size);
    free(block->start);
    free(block->where);
}

void ko_spec_free(struct ko_spec *spec)
{
    if (!spec) {
        return;
    }
    for (size_t i = 0; i < spec->n_models; i++) {
        ko_spec_model_free(&spec->model[i]);
    }
    free(spec->model);
    ko_strings_free(&spec->prompt_files);
    ko_strings_free(&spec->embeddings);
    for (size_t i = 0; i < spec->n_blocks; i++) {
        block_free(&spec->block[i]);
    }
    free(spec->block);
    ko_window_lists_free(&spec->lists);
    free(spec->file);
    free(spec->evaluation);
    free(spec->resolved);
    free(spec);
}

/* A block without `models` has all models of the top-level list. */
static enum ko_code read_block_models(struct ko_spec *spec, const struct ko_spec_source *source,
                                      const struct ko_yaml *at, const struct ko_yaml *own,
                                      struct ko_spec_block *block, struct ko_error *err)
{
    if (own) {
        return ko_spec_read_models(spec, source, own, true, block, err);
    }
    const struct ko_yaml *top = ko_layers_get(&source->top, "models");
    if (!top) {
        return ko_yaml_fail(at, err, "missing key 'models', write models: [FOLDER]");
    }
    block->model = ko_new(top->n, sizeof *block->model, err);
    if (!block->model) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < top->n; i++) {
        block->model[block->n_models++] = i; /* declared first, in this order */
    }
    return KO_OK;
}

static enum ko_code read_block_name(const struct ko_spec *spec, const struct ko_yaml *node,
                                    struct ko_spec_block *block, struct ko_error *err)
{
    const struct ko_yaml *own = ko_yaml_get(node, "name");
    const char *name = NULL;
    if (!own) {
        return KO_OK;
    }
    enum ko_code code = ko_spec_word(own, "name", "a name", &name, err);
    for (size_t b = 0; code == KO_OK && b < spec->n_blocks; b++) {
        if (spec->block[b].name && strcmp(spec->block[b].name, name) == 0) {
            code =
                ko_yaml_fail(own, err,
                             "name: '%s' is also the name of another block, at %s: rename one of "
                             "them",
                             name, spec->block[b].where);
        }
    }
    if (code == KO_OK) {
        block->name = ko_copy(name, err);
        code = !block->name ? KO_E_MEMORY : KO_OK;
    }
    return code;
}

/* node: the block's map; NULL for a spec without `sweeps`. */
static enum ko_code read_block(struct ko_spec *spec, const struct ko_spec_source *source,
                               const struct ko_yaml *node, bool sweep, struct ko_spec_block *block,
                               struct ko_error *err)
{
    struct ko_layers layers = {0};
    const struct ko_yaml *at = node != NULL ? node : source->root[0];
    enum ko_code code = KO_OK;
    block->sample_n = -1;
    block->where = ko_spec_where(at, err);
    if (!block->where) {
        return KO_E_MEMORY;
    }
    if (node) {
        code = read_block_name(spec, node, block, err);
    }
    if (code == KO_OK && node) {
        code = ko_layers_add(&layers, node, err);
    }
    for (size_t i = 0; code == KO_OK && i < source->top.n; i++) {
        code = ko_layers_add(&layers, source->top.map[i], err);
    }
    if (code == KO_OK) {
        const struct ko_yaml *own = !node ? NULL : ko_yaml_get(node, "models");
        code = read_block_models(spec, source, at, own, block, err);
    }
    if (code == KO_OK) {
        code = ko_spec_read_prompts(spec, source, &layers, at, block, err);
    }
    if (code == KO_OK) {
        code = ko_spec_read_routes(&layers, at, sweep, block, err);
    }
    if (code == KO_OK) {
        code = ko_spec_read_features(&layers, block, err);
    }
    if (code == KO_OK) {
        code = ko_spec_read_windows(spec, &layers, at, sweep, block, err);
    }
    ko_layers_free(&layers);
    return code;
}

static enum ko_code check_block(const struct ko_yaml *node, struct ko_error *err)
{
    char got[96];
    if (node->kind != KO_YAML_MAP) {
        return ko_yaml_fail(node, err, "sweeps: expected a map in each block, got %s",
                            ko_spec_describe(node, got));
    }
    for (size_t i = 0; i < node->n; i++) {
        const char *key = node->key[i]->text;
        bool top = false, block = false;
        for (size_t k = 0; k < N_TOP_KEYS; k++) {
            top = top || strcmp(key, top_keys[k]) == 0;
        }
        for (size_t k = 0; k < N_BLOCK_KEYS; k++) {
            block = block || strcmp(key, block_keys[k]) == 0;
        }
        if (top && !block) {
            return ko_yaml_fail(node->key[i], err,
                                "key '%s' is for the top level, not for a block "
                                "of sweeps",
                                key);
        }
    }
    return ko_yaml_check_keys(node, block_keys, N_BLOCK_KEYS, err);
}

static enum ko_code read_blocks(struct ko_spec *spec, const struct ko_spec_source *source,
                                bool sweep, struct ko_error *err)
{
    const struct ko_yaml *sweeps = ko_layers_get(&source->top, "sweeps");
    enum ko_code code = !sweeps ? KO_OK : ko_spec_check_list(sweeps, "sweeps", "blocks", err);
    if (code != KO_OK) {
        return code;
    }
    size_t n = !sweeps ? 1 : sweeps->n;
    spec->block = ko_new(n, sizeof *spec->block, err);
    if (!spec->block) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; code == KO_OK && i < n; i++) {
        const struct ko_yaml *node = !sweeps ? NULL : sweeps->item[i];
        code = !node ? KO_OK : check_block(node, err);
        if (code == KO_OK) {
            spec->n_blocks = i + 1; /* now, so that a block that fails is freed too */
            code = read_block(spec, source, node, sweep, &spec->block[i], err);
        }
    }
    return code;
}

static enum ko_code check_options(const struct ko_layers *top, struct ko_error *err)
{
    static const char *const precisions[] = {"float32", "bf16x3", "tf32", "bfloat16"};
    static const char *const backends[] = {"cpu", "cuda"};
    const struct ko_yaml *precision = ko_layers_get(top, "precision");
    const struct ko_yaml *budget = ko_layers_get(top, "row-budget");
    const struct ko_yaml *backend = ko_layers_get(top, "backend");
    size_t index = 0;
    int64_t rows = 0;
    enum ko_code code = KO_OK;
    if (precision) {
        code = ko_spec_choice(precision, "precision", precisions, 4, &index, err);
    }
    if (code == KO_OK && backend) {
        code = ko_spec_choice(backend, "backend", backends, 2, &index, err);
    }
    if (code == KO_OK && budget) {
        code = ko_spec_whole(budget, "row-budget", 0, INT32_MAX, &rows, err);
    }
    return code;
}

/* Sets the options that the spec gives. */
static enum ko_code set_options(const struct ko_layers *top, struct ko_options *options,
                                struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (size_t i = 0; options && code == KO_OK && i < KO_N_SPEC_OPTIONS; i++) {
        const struct ko_yaml *node = ko_layers_get(top, ko_spec_options[i].key);
        if (node) {
            char *where = ko_spec_where(node, err);
            code = !where ? KO_E_MEMORY
                          : ko_options_from_spec(options, ko_spec_options[i].id, node->text, where,
                                                 err);
            free(where);
        }
    }
    return code;
}

static enum ko_code read_evaluation(struct ko_spec *spec, const struct ko_spec_source *source,
                                    struct ko_error *err)
{
    const struct ko_yaml *node = ko_layers_get(&source->top, "evaluation");
    if (!node || ko_spec_is_null(node)) {
        return KO_OK;
    }
    return ko_spec_path(source, node, "evaluation", &spec->evaluation, err);
}

/* `sweep`: whether routes and windows must be there. */
static enum ko_code read_all(struct ko_spec *spec, const struct ko_spec_source *source, bool sweep,
                             struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (size_t i = 0; code == KO_OK && i < source->top.n; i++) {
        code = ko_yaml_check_keys(source->top.map[i], top_keys, N_TOP_KEYS, err);
    }
    const struct ko_yaml *models = ko_layers_get(&source->top, "models");
    if (code == KO_OK && models) {
        code = ko_spec_read_models(spec, source, models, false, NULL, err);
    }
    if (code == KO_OK) {
        code = check_options(&source->top, err);
    }
    if (code == KO_OK) {
        code = read_evaluation(spec, source, err);
    }
    return code == KO_OK ? read_blocks(spec, source, sweep, err) : code;
}

/* Takes the source. */
static enum ko_code read_source(const char *name, struct ko_spec_source *source, bool sweep,
                                struct ko_options *options, struct ko_spec **out,
                                struct ko_error *err)
{
    struct ko_spec *spec = ko_new(1, sizeof *spec, err);
    enum ko_code code = !spec ? KO_E_MEMORY : KO_OK;
    if (spec) {
        spec->file = ko_copy(name, err);
        code = !spec->file ? KO_E_MEMORY : read_all(spec, source, sweep, err);
    }
    if (code == KO_OK) {
        code = set_options(&source->top, options, err);
    }
    if (code == KO_OK) {
        code = ko_spec_resolve(spec, &source->top, options, err);
    }
    ko_spec_source_close(source);
    if (code != KO_OK) {
        ko_spec_free(spec);
        return code;
    }
    *out = spec;
    return KO_OK;
}

enum ko_code ko_spec_read(const char *file, struct ko_options *options, struct ko_spec **out,
                          struct ko_error *err)
{
    struct ko_spec_source source = {0};
    bool sweep = !options || !options->command || strcmp(options->command, "evaluate") != 0;
    enum ko_code code = ko_spec_source_open(file, options, &source, err);
    return code == KO_OK ? read_source(file, &source, sweep, options, out, err) : code;
}

enum ko_code ko_spec_parse(const char *text, const char *name, struct ko_spec **out,
                           struct ko_error *err)
{
    struct ko_spec_source source = {0};
    enum ko_code code = ko_spec_source_parse(text, name, &source, err);
    return code == KO_OK ? read_source(name, &source, false, NULL, out, err) : code;
}
