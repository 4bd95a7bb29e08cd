/* SPDX-License-Identifier: Apache-2.0 */
/* Opens the spec, the prompt files and the models one after the other, and closes them again. */
#include "src/run/inputs.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/memory.h"
#include "src/checkpoint/checkpoint.h"
#include "src/models/model_open.h"
#include "src/models/weights.h"
#include "src/prompts/matrices/embeddings.h"
#include "src/tokenizer/side_files.h"

static enum ko_code choose_models(struct ko_inputs *inputs, enum ko_inputs_models which,
                                  struct ko_error *err)
{
    const struct ko_spec *spec = inputs->spec;
    inputs->spec_model = ko_new(spec->n_models, sizeof *inputs->spec_model, err);
    inputs->used = ko_new(spec->n_models, 1, err);
    inputs->model = ko_new(spec->n_models, sizeof *inputs->model, err);
    inputs->fingerprint = ko_new(spec->n_models, sizeof *inputs->fingerprint, err);
    inputs->tokenizer = ko_new(spec->n_models, sizeof *inputs->tokenizer, err);
    inputs->front = ko_new(spec->n_models, sizeof *inputs->front, err);
    inputs->streams = ko_new(spec->n_models, 1, err);
    inputs->slots = ko_new(spec->n_models, 1, err);
    if (!inputs->spec_model || !inputs->used || !inputs->model || !inputs->fingerprint ||
        !inputs->tokenizer || !inputs->front || !inputs->streams || !inputs->slots) {
        return KO_E_MEMORY;
    }
    for (size_t m = 0; m < spec->n_models; m++) {
        bool used = false;
        for (size_t b = 0; b < spec->n_blocks && !used; b++) {
            for (size_t k = 0; k < spec->block[b].n_models && !used; k++) {
                used = spec->block[b].model[k] == m;
            }
        }
        if (!used && which != KO_MODELS_ALL) {
            continue;
        }
        inputs->used[inputs->n_models] = used;
        inputs->spec_model[inputs->n_models++] = m;
    }
    return KO_OK;
}

KO_PRINTF(3, 4)
static enum ko_code add_note(struct ko_inputs *inputs, struct ko_error *err, const char *format,
                             ...)
{
    char text[KO_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return ko_strings_add(&inputs->notes, text, err);
}

static enum ko_code read_facts(struct ko_inputs *inputs, struct ko_error *err)
{
    const struct ko_strings *files = &inputs->spec->prompt_files;
    inputs->facts = ko_new(files->n, sizeof *inputs->facts, err);
    enum ko_code code = inputs->facts ? KO_OK : KO_E_MEMORY;
    size_t n = 0;
    for (size_t f = 0; code == KO_OK && f < files->n; f++) {
        code = ko_facts_read(files->item[f], &inputs->facts[f], err);
        n += inputs->facts[f].n;
        if (code == KO_OK && inputs->facts[f].numbered) {
            code =
                add_note(inputs, err, "%s: has no ids, so that a prompt's id is its number, from 0",
                         files->item[f]);
        }
        for (size_t k = 0; code == KO_OK && k < inputs->facts[f].notes.n; k++) {
            code = add_note(inputs, err, "%s: %s", files->item[f], inputs->facts[f].notes.item[k]);
        }
    }
    if (code == KO_OK && n > INT32_MAX) {
        code = ko_fail(err, KO_E_INPUT, "%s: %zu prompts are too many, split the file",
                       files->item[0], n);
    }
    inputs->n_facts = (int32_t)n;
    return code;
}

static enum ko_code note_embeddings(struct ko_inputs *inputs,
                                    const struct ko_embeddings *embeddings, struct ko_error *err)
{
    size_t n_prompts = 0, n_matrices = 0;
    for (size_t f = 0; f < inputs->spec->prompt_files.n; f++) {
        for (size_t k = 0; k < inputs->facts[f].n; k++) {
            n_prompts += inputs->facts[f].fact[k].embedded != NULL;
        }
    }
    for (size_t f = 0; f < embeddings->n; f++) {
        n_matrices += embeddings->file[f].header.n;
    }
    return add_note(inputs, err, "%zu prompts are matrices of embeddings, of %zu in: %s", n_prompts,
                    n_matrices, ko_text_str(&inputs->embeddings));
}

/* Gives the prompts that are matrices their shapes. hash: reads the matrices too. */
static enum ko_code read_embeddings(struct ko_inputs *inputs, bool hash, struct ko_error *err)
{
    const struct ko_spec *spec = inputs->spec;
    struct ko_embeddings embeddings = {0};
    enum ko_code code = ko_embeddings_open(&spec->embeddings, &embeddings, err);
    for (size_t f = 0; code == KO_OK && f < spec->prompt_files.n; f++) {
        code = ko_embeddings_attach(&embeddings, &inputs->facts[f], hash, err);
    }
    if (code == KO_OK) {
        ko_embeddings_describe(&embeddings, &inputs->embeddings);
        code = ko_text_check(&inputs->embeddings, err);
    }
    if (code == KO_OK && embeddings.n > 0) {
        code = note_embeddings(inputs, &embeddings, err);
    }
    ko_embeddings_close(&embeddings);
    return code;
}

/* How the weights are stored tells how much memory they take. The weights may still be missing, or be
   wrong, which `run` would say. */
static enum ko_code note_stored_types(const struct ko_spec_model *from, struct ko_model *model,
                                      struct ko_error *err)
{
    struct ko_checkpoint *checkpoint = NULL;
    struct ko_error own = {0};
    const enum ko_code code = ko_checkpoint_open(from->path, from->name, &checkpoint, &own);
    if (code == KO_OK) {
        ko_model_find_exact(model, checkpoint);
    }
    ko_checkpoint_close(checkpoint);
    if (code == KO_E_MEMORY && err) {
        *err = own;
    }
    return code == KO_E_MEMORY ? code : KO_OK;
}

static enum ko_code open_from_config(const struct ko_spec_model *from, struct ko_model **out,
                                     struct ko_error *err)
{
    json_object *config = NULL;
    enum ko_code code = ko_checkpoint_read_config(from->path, from->name, &config, err);
    if (code == KO_OK) {
        code = ko_model_from_config(from->name, config, out, err);
    }
    json_object_put(config);
    if (code == KO_OK) {
        code = note_stored_types(from, *out, err);
    }
    return code;
}

/* Notes the prefix that is removed from all tensor names. */
static enum ko_code note_prefix(struct ko_inputs *inputs, const struct ko_checkpoint *checkpoint,
                                struct ko_error *err)
{
    size_t n = 0;
    const char *prefix = ko_checkpoint_stripped(checkpoint, &n);
    if (n == 0) {
        return KO_OK;
    }
    return add_note(inputs, err, "%s: all tensors' names begin with '%.*s', which is left out",
                    ko_checkpoint_name(checkpoint), (int)n, prefix);
}

static enum ko_code fail_unknown(const struct ko_spec_model *spec,
                                 const struct ko_tokenizer *tokenizer, struct ko_error *err)
{
    const char *nearest = NULL;
    enum ko_code code = ko_tokenizer_nearest(tokenizer, spec->bos_token, &nearest, err);
    if (code != KO_OK) {
        return code;
    }
    return nearest != NULL
               ? ko_fail(err, KO_E_INPUT,
                         "bos: the tokenizer has no token '%s', did you mean '%s'?",
                         spec->bos_token, nearest)
               : ko_fail(err, KO_E_INPUT,
                         "bos: the tokenizer has no token '%s'; write default, add, none, a token "
                         "or an id",
                         spec->bos_token);
}

/* The token that the spec names by its text or its id. */
static enum ko_code find_token(const struct ko_spec_model *spec, const struct ko_shape *shape,
                               const struct ko_tokenizer *tokenizer, int32_t *out,
                               struct ko_error *err)
{
    const int32_t id =
        spec->bos_token != NULL ? ko_tokenizer_find(tokenizer, spec->bos_token) : spec->bos_id;
    if (id < 0) {
        return fail_unknown(spec, tokenizer, err);
    }
    if (!ko_tokenizer_piece(tokenizer, id)) {
        return ko_fail(err, KO_E_INPUT,
                       "bos: the tokenizer has no token with id %d, choose one up to %d", id,
                       ko_tokenizer_n_ids(tokenizer) - 1);
    }
    if (id >= shape->vocabulary) {
        return ko_fail(err, KO_E_INPUT,
                       "bos: id %d is outside the model's vocabulary, choose one up to %d", id,
                       shape->vocabulary - 1);
    }
    *out = id;
    return KO_OK;
}

static enum ko_code decide_bos(const struct ko_spec_model *spec, const struct ko_shape *shape,
                               const struct ko_side_files *files, struct ko_tokenizer *tokenizer,
                               struct ko_front *out, struct ko_error *err)
{
    const bool chosen = spec->bos == KO_BOS_NONE || spec->bos == KO_BOS_TOKEN;
    enum ko_code code =
        ko_side_files_compare(files, tokenizer, shape->bos_id, chosen, &out->notes, err);
    if (code == KO_OK && spec->bos == KO_BOS_ADD) {
        code = ko_side_files_bos(files, tokenizer, shape->bos_id, &out->bos_id, err);
    }
    if (code == KO_OK && spec->bos == KO_BOS_TOKEN) {
        code = find_token(spec, shape, tokenizer, &out->bos_id, err);
    }
    return code == KO_E_INPUT ? ko_fail_in(err, "%s: %s", spec->where, spec->name) : code;
}

/* Finds the token that `bos` names. KO_E_INPUT "SPEC:LINE:COLUMN: MODEL: bos: ..." for a token that
   the tokenizer or the model lacks (the error names the nearest) and for an ambiguous `add`. Free
   with free_front, also after a failure. */
static enum ko_code find_front(const struct ko_spec_model *spec, const struct ko_shape *shape,
                               struct ko_tokenizer *tokenizer, struct ko_front *out,
                               struct ko_error *err)
{
    struct ko_side_files files = {0};
    *out = (struct ko_front){.bos_id = -1};
    enum ko_code code = ko_side_files_read(spec->tokenizer, spec->path, &files, err);
    if (code == KO_OK) {
        code = decide_bos(spec, shape, &files, tokenizer, out, err);
    }
    ko_side_files_free(&files);
    return code;
}

static void free_front(struct ko_front *front)
{
    ko_strings_free(&front->notes);
    *front = (struct ko_front){0};
}

static enum ko_code open_model(struct ko_inputs *inputs, int32_t m, bool with_weights,
                               struct ko_error *err)
{
    const struct ko_spec_model *from = &inputs->spec->model[inputs->spec_model[m]];
    struct ko_checkpoint *checkpoint = NULL;
    enum ko_code code;
    if (from->missing) {
        return ko_fail(err, KO_E_INPUT, "%s: %s", from->where, from->missing);
    }
    if (with_weights) {
        code = ko_checkpoint_open(from->path, from->name, &checkpoint, err);
        if (code == KO_OK) {
            code = ko_model_open(checkpoint, &inputs->model[m], err);
        }
        if (code == KO_OK) {
            code = note_prefix(inputs, checkpoint, err);
        }
    } else {
        code = open_from_config(from, &inputs->model[m], err);
    }
    if (code == KO_OK) {
        inputs->fingerprint[m] =
            ko_copy(checkpoint ? ko_checkpoint_fingerprint(checkpoint) : "", err);
        code = inputs->fingerprint[m] ? KO_OK : KO_E_MEMORY;
    }
    ko_checkpoint_close(checkpoint);
    if (code == KO_OK) {
        code = ko_tokenizer_open(from->tokenizer, &inputs->tokenizer[m], err);
        if (code != KO_OK) {
            return ko_fail_in(err, "%s", from->name);
        }
        code = find_front(from, &inputs->model[m]->shape, inputs->tokenizer[m], &inputs->front[m],
                          err);
    }
    return code;
}

static void close_all_but_spec(struct ko_inputs *inputs)
{
    for (size_t f = 0; inputs->facts && inputs->spec && f < inputs->spec->prompt_files.n; f++) {
        ko_facts_free(&inputs->facts[f]);
    }
    for (int32_t m = 0; m < inputs->n_models; m++) {
        ko_model_free(inputs->model[m]);
        ko_tokenizer_close(inputs->tokenizer[m]);
        free(inputs->fingerprint[m]);
        free_front(&inputs->front[m]);
    }
    free(inputs->facts);
    free(inputs->spec_model);
    free(inputs->used);
    free(inputs->model);
    free(inputs->fingerprint);
    free(inputs->tokenizer);
    free(inputs->front);
    free(inputs->streams);
    free(inputs->slots);
    free(inputs->selected);
    ko_strings_free(&inputs->notes);
    ko_text_free(&inputs->embeddings);
}

enum ko_code ko_inputs_open_spec(struct ko_spec *spec, struct ko_options *options,
                                 enum ko_inputs_models which, bool with_weights,
                                 struct ko_inputs *out, struct ko_error *err)
{
    struct ko_inputs inputs = {.spec = spec};
    inputs.row_budget = ko_option_int(options, KO_OPT_ROW_BUDGET);
    enum ko_code code = KO_OK;
    if (inputs.row_budget < 0 || inputs.row_budget > INT32_MAX / 64) {
        code = ko_fail(err, KO_E_INPUT,
                       "row-budget: %lld is out of range, choose 0 (the default) to %d rows",
                       (long long)inputs.row_budget, INT32_MAX / 64);
    }
    if (code == KO_OK) {
        code = read_facts(&inputs, err);
    }
    if (code == KO_OK) {
        code = read_embeddings(&inputs, with_weights, err);
    }
    if (code == KO_OK) {
        code = choose_models(&inputs, which, err);
    }
    for (int32_t m = 0; code == KO_OK && m < inputs.n_models; m++) {
        code = open_model(&inputs, m, with_weights, err);
    }
    if (code != KO_OK) {
        close_all_but_spec(&inputs); /* the caller still owns the spec */
        return code;
    }
    *out = inputs;
    return KO_OK;
}

enum ko_code ko_inputs_open(const char *spec_file, struct ko_options *options,
                            enum ko_inputs_models which, bool with_weights, struct ko_inputs *out,
                            struct ko_error *err)
{
    struct ko_spec *spec = NULL;
    enum ko_code code = ko_spec_read(spec_file, options, &spec, err);
    if (code == KO_OK) {
        code = ko_inputs_open_spec(spec, options, which, with_weights, out, err);
    }
    if (code != KO_OK) {
        ko_spec_free(spec);
    }
    return code;
}

void ko_inputs_close(struct ko_inputs *inputs)
{
    if (!inputs) {
        return;
    }
    close_all_but_spec(inputs);
    ko_spec_free(inputs->spec);
    *inputs = (struct ko_inputs){0};
}

int32_t ko_inputs_find(const struct ko_inputs *inputs, const char *name)
{
    for (int32_t m = 0; m < inputs->n_models; m++) {
        if (strcmp(inputs->model[m]->name, name) == 0) {
            return m;
        }
    }
    return -1;
}
