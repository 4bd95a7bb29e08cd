/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the resolved spec as YAML text: with every default, absolute paths and options. The cube
   stores this text. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/spec/spec_read.h"

const struct ko_spec_option ko_spec_options[KO_N_SPEC_OPTIONS] = {
    {"precision", KO_OPT_PRECISION},
    {"row-budget", KO_OPT_ROW_BUDGET},
    {"backend", KO_OPT_BACKEND},
};

/* A double-quoted YAML scalar. */
static void add_quoted(struct ko_text *out, const char *text)
{
    ko_text_add(out, "\"");
    for (const char *at = text; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        if (c == '"' || c == '\\') {
            ko_text_add(out, "\\%c", c);
        } else if (c < 0x20 || c == 0x7f) {
            ko_text_add(out, "\\x%02x", c);
        } else {
            ko_text_add_bytes(out, at, 1);
        }
    }
    ko_text_add(out, "\"");
}

/* The path made absolute. */
static void add_path(struct ko_text *out, const char *path)
{
    char *folder = path[0] == '/' ? NULL : getcwd(NULL, 0);
    struct ko_text whole = {0};
    if (folder) {
        ko_text_add(&whole, "%s/", folder);
    }
    ko_text_add(&whole, "%s", path);
    out->failed = out->failed || whole.failed;
    add_quoted(out, ko_text_str(&whole));
    ko_text_free(&whole);
    free(folder);
}

static void add_quoted_list(struct ko_text *out, const struct ko_strings *list)
{
    ko_text_add(out, "[");
    for (size_t i = 0; i < list->n; i++) {
        ko_text_add(out, i == 0 ? "" : ", ");
        add_quoted(out, list->item[i]);
    }
    ko_text_add(out, "]");
}

static void add_select(struct ko_text *out, const struct ko_select *select);

static void add_parts(struct ko_text *out, const struct ko_select *select)
{
    ko_text_add(out, "[");
    for (size_t i = 0; i < select->n_parts; i++) {
        ko_text_add(out, i == 0 ? "" : ", ");
        add_select(out, select->part[i]);
    }
    ko_text_add(out, "]");
}

static void add_select(struct ko_text *out, const struct ko_select *select)
{
    switch (select->kind) {
    case KO_SELECT_ALL:
        ko_text_add(out, "all");
        return;
    case KO_SELECT_CORRECT:
        ko_text_add(out, "correct");
        return;
    case KO_SELECT_CORRECT_BY_ALL:
        ko_text_add(out, "correct-by-all");
        return;
    case KO_SELECT_CORRECT_BY:
        ko_text_add(out, "{correct-by: ");
        add_quoted_list(out, &select->names);
        break;
    case KO_SELECT_RANK_AT_MOST:
        ko_text_add(out, "{rank-at-most: %" PRId64, select->k);
        break;
    case KO_SELECT_RELATION:
        ko_text_add(out, "{relation: ");
        add_quoted_list(out, &select->names);
        break;
    case KO_SELECT_ID:
        ko_text_add(out, "{id: ");
        add_quoted_list(out, &select->names);
        break;
    case KO_SELECT_ALL_OF:
        ko_text_add(out, "{all-of: ");
        add_parts(out, select);
        break;
    case KO_SELECT_ANY_OF:
        ko_text_add(out, "{any-of: ");
        add_parts(out, select);
        break;
    case KO_SELECT_NOT:
        ko_text_add(out, "{not: ");
        add_select(out, select->part[0]);
        break;
    }
    ko_text_add(out, "}");
}

/* Each list in brackets, layer by layer. */
static void add_lists(struct ko_text *out, const struct ko_window_lists *lists)
{
    for (int32_t k = 0; k < lists->n; k++) {
        ko_text_add(out, k == 0 ? "[" : ", [");
        for (int32_t i = lists->first[k]; i < lists->first[k + 1]; i++) {
            ko_text_add(out, "%s%d", i == lists->first[k] ? "" : ", ", lists->layer[i]);
        }
        ko_text_add(out, "]");
    }
}

static void add_sizes(struct ko_text *out, const struct ko_spec_block *block)
{
    ko_text_add(out, "sizes: [");
    for (size_t i = 0; i < block->n_sizes; i++) {
        ko_text_add(out, "%s%.15g%s", i == 0 ? "" : ", ", block->size[i].value,
                    block->size[i].percent ? "%" : "");
    }
}

static void add_windows(struct ko_text *out, const struct ko_spec *spec,
                        const struct ko_spec_block *block)
{
    ko_text_add(out, "    windows: {");
    if (spec->style == KO_STYLE_LISTED) {
        ko_text_add(out, "layers: [");
        add_lists(out, &spec->lists);
        ko_text_add(out, "], ");
    } else if (spec->style != KO_STYLE_WHOLE) {
        ko_text_add(out, "style: %s, ", ko_style_words[spec->style]);
    }
    if (ko_style_has_sizes(spec->style)) {
        add_sizes(out, block);
        ko_text_add(out, "], ");
    }
    ko_text_add(out, "starts: ");
    if (block->starts == KO_STARTS_ALL) {
        ko_text_add(out, "all");
    } else if (block->starts == KO_STARTS_EVERY) {
        ko_text_add(out, "{every: %d}", block->every);
    } else {
        ko_text_add(out, "[");
        for (size_t i = 0; i < block->n_starts; i++) {
            ko_text_add(out, "%s%d", i == 0 ? "" : ", ", block->start[i]);
        }
        ko_text_add(out, "]");
    }
    if (spec->over != KO_OVER_LAYERS) {
        ko_text_add(out, ", over: %s", ko_over_words[spec->over]);
    }
    ko_text_add(out, "}\n");
}

static void add_block(struct ko_text *out, const struct ko_spec *spec,
                      const struct ko_spec_block *block)
{
    ko_text_add(out, "  - ");
    if (block->name) {
        ko_text_add(out, "name: ");
        add_quoted(out, block->name);
        ko_text_add(out, "\n    ");
    }
    ko_text_add(out, "models: [");
    for (size_t i = 0; i < block->n_models; i++) {
        ko_text_add(out, i == 0 ? "" : ", ");
        add_quoted(out, spec->model[block->model[i]].name);
    }
    ko_text_add(out, "]\n    prompts: {file: ");
    add_path(out, spec->prompt_files.item[block->file]);
    ko_text_add(out, ", select: ");
    add_select(out, block->select);
    if (block->sample_n >= 0) {
        ko_text_add(out, ", sample: {n: %" PRId64 ", seed: %" PRIu64 "}", block->sample_n,
                    block->sample_seed);
    }
    ko_text_add(out, "}\n");
    if (block->routes.n > 0) {
        ko_text_add(out, "    routes: ");
        add_quoted_list(out, &block->routes);
        ko_text_add(out, "\n");
    }
    ko_text_add(out, "    features: ");
    add_quoted_list(out, &block->features);
    ko_text_add(out, "\n");
    if (block->n_sizes > 0) {
        add_windows(out, spec, block);
    }
}

static void add_options(struct ko_text *out, const struct ko_layers *top,
                        const struct ko_options *options)
{
    for (size_t i = 0; i < KO_N_SPEC_OPTIONS; i++) {
        const struct ko_spec_option *option = &ko_spec_options[i];
        const struct ko_yaml *node = ko_layers_get(top, option->key);
        const char *text = options != NULL ? options->value[option->id].text
                           : node != NULL  ? node->text
                                           : NULL;
        if (text && text[0] != '\0') {
            ko_text_add(out, "%s: %s\n", option->key, text);
        }
    }
}

static void add_bos(struct ko_text *out, const struct ko_spec_model *model)
{
    if (model->bos != KO_BOS_TOKEN) {
        ko_text_add(out, "%s", ko_bos_words[model->bos]);
    } else if (model->bos_token) {
        add_quoted(out, model->bos_token);
    } else {
        ko_text_add(out, "%d", model->bos_id);
    }
}

enum ko_code ko_spec_resolve(struct ko_spec *spec, const struct ko_layers *top,
                             const struct ko_options *options, struct ko_error *err)
{
    struct ko_text out = {0};
    ko_text_add(&out, "models:\n");
    for (size_t i = 0; i < spec->n_models; i++) {
        const struct ko_spec_model *model = &spec->model[i];
        ko_text_add(&out, "  - {name: ");
        add_quoted(&out, model->name);
        ko_text_add(&out, ", path: ");
        add_path(&out, model->path);
        ko_text_add(&out, ", tokenizer: ");
        add_path(&out, model->tokenizer);
        ko_text_add(&out, ", bos: ");
        add_bos(&out, model);
        ko_text_add(&out, "}\n");
    }
    ko_text_add(&out, "prompts: {score: %s", ko_score_words[spec->score]);
    if (spec->score == KO_SCORE_WHOLE_ANSWER) {
        ko_text_add(&out, ", answer-rows: %s", ko_answer_rows_words[spec->answer_rows]);
    }
    if (spec->embeddings.n > 0) {
        ko_text_add(&out, ", embeddings: [");
        for (size_t i = 0; i < spec->embeddings.n; i++) {
            ko_text_add(&out, i == 0 ? "" : ", ");
            add_path(&out, spec->embeddings.item[i]);
        }
        ko_text_add(&out, "]");
    }
    ko_text_add(&out, "}\nsweeps:\n");
    for (size_t i = 0; i < spec->n_blocks; i++) {
        add_block(&out, spec, &spec->block[i]);
    }
    if (spec->evaluation) {
        ko_text_add(&out, "evaluation: ");
        add_path(&out, spec->evaluation);
        ko_text_add(&out, "\n");
    }
    add_options(&out, top, options);
    enum ko_code code = ko_text_check(&out, err);
    if (code == KO_OK) {
        spec->resolved = ko_copy(ko_text_str(&out), err);
        code = !spec->resolved ? KO_E_MEMORY : KO_OK;
    }
    ko_text_free(&out);
    return code;
}
