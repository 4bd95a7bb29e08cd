/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the `prompts` key of a block: the file, files of matrices, the selection, the sample and
   the scoring rule. All
   blocks of a spec must have the same scoring rule. */
#include <stdlib.h>

#include "src/base/text.h"
#include "src/spec/spec_read.h"

static const char *const prompt_keys[] = {"file",   "embeddings", "select",
                                          "sample", "score",      "answer-rows"};
enum { N_PROMPT_KEYS = sizeof prompt_keys / sizeof prompt_keys[0] };
static const char *const sample_keys[] = {"n", "seed"};
const struct ko_spec_keys ko_prompt_keys = {prompt_keys,
                                            sizeof prompt_keys / sizeof prompt_keys[0]};
const struct ko_spec_keys ko_sample_keys = {sample_keys,
                                            sizeof sample_keys / sizeof sample_keys[0]};

static enum ko_code read_sample(const struct ko_layers *prompts, struct ko_spec_block *block,
                                struct ko_error *err)
{
    struct ko_layers layers = {0};
    enum ko_code code = ko_layers_under(prompts, "sample", sample_keys, 2, &layers, err);
    if (code != KO_OK || layers.n == 0) {
        goto done;
    }
    const struct ko_yaml *n = ko_layers_get(&layers, "n");
    const struct ko_yaml *seed = ko_layers_get(&layers, "seed");
    if (!n) {
        code = ko_yaml_fail(layers.map[0], err, "sample: missing key 'n', write {n: 100, seed: 0}");
        goto done;
    }
    int64_t seed_value = 0;
    code = ko_spec_whole(n, "sample.n", 1, INT32_MAX, &block->sample_n, err);
    if (code == KO_OK && seed) {
        code = ko_spec_whole(seed, "sample.seed", 0, INT64_MAX, &seed_value, err);
    }
    if (code == KO_OK && seed &&
        ko_parse_natural(seed->text, INT64_MAX, &seed_value, "sample.seed", NULL) != KO_OK) {
        code = ko_yaml_fail(seed, err,
                            "sample.seed: expected a whole number without sign or leading zeros, "
                            "got '%s'",
                            seed->text);
    }
    block->sample_seed = (uint64_t)seed_value;
done:
    ko_layers_free(&layers);
    return code;
}

/* A word of the prompts that all blocks share. */
struct shared_word {
    const char *name, *key; /* "score", "prompts.score" */
    const char *const *words;
    size_t n_words, usual;
};

/* A spec has one rule, because a prompt is evaluated once for all blocks that sweep it. *index: the
   rule of the blocks before, which this block must have too unless it is the first. */
static enum ko_code read_shared(const struct ko_spec *spec, const struct ko_layers *prompts,
                                const struct ko_spec_block *block, const struct shared_word *word,
                                size_t *index, struct ko_error *err)
{
    const struct ko_yaml *node = ko_layers_get(prompts, word->name);
    size_t found = word->usual;
    enum ko_code code = KO_OK;
    if (node && !ko_spec_is_null(node)) {
        code = ko_spec_choice(node, word->key, word->words, word->n_words, &found, err);
    }
    if (code == KO_OK && block == spec->block) {
        *index = found;
    } else if (code == KO_OK && found != *index) {
        code =
            ko_yaml_fail(node != NULL ? node : prompts->map[0], err,
                         "%s: '%s' here and '%s' in the block at %s: a spec has one rule, write "
                         "it at the top level",
                         word->key, word->words[found], word->words[*index], spec->block[0].where);
    }
    return code;
}

/* Reads the scoring rule, and what the rows of whole answers are. */
static enum ko_code read_score(struct ko_spec *spec, const struct ko_layers *prompts,
                               const struct ko_spec_block *block, struct ko_error *err)
{
    static const struct shared_word score = {"score", "prompts.score", ko_score_words, KO_N_SCORES,
                                             KO_SCORE_FIRST_TOKEN};
    static const struct shared_word rows = {"answer-rows", "prompts.answer-rows",
                                            ko_answer_rows_words, KO_N_ANSWER_ROWS,
                                            KO_ANSWER_ROWS_CLEAN};
    const struct ko_yaml *node = ko_layers_get(prompts, rows.name);
    size_t at_score = spec->score, at_rows = spec->answer_rows;
    enum ko_code code = read_shared(spec, prompts, block, &score, &at_score, err);
    if (code == KO_OK) {
        code = read_shared(spec, prompts, block, &rows, &at_rows, err);
    }
    if (code == KO_OK && node && !ko_spec_is_null(node) && at_score != KO_SCORE_WHOLE_ANSWER) {
        code = ko_yaml_fail(node, err,
                            "prompts.answer-rows: only whole answers have rows, write score: "
                            "whole-answer or leave it out");
    }
    if (code == KO_OK) {
        spec->score = (enum ko_score)at_score;
        spec->answer_rows = (enum ko_answer_rows)at_rows;
    }
    return code;
}

/* One file of matrices, or a list of them. */
static enum ko_code read_embeddings(struct ko_spec *spec, const struct ko_spec_source *source,
                                    const struct ko_layers *prompts, struct ko_error *err)
{
    static const char key[] = "prompts.embeddings";
    const struct ko_yaml *node = ko_layers_get(prompts, "embeddings");
    enum ko_code code = KO_OK;
    if (!node || ko_spec_is_null(node)) {
        return KO_OK;
    }
    const bool list = node->kind == KO_YAML_LIST;
    for (size_t i = 0; code == KO_OK && i < (list ? node->n : 1); i++) {
        char *path = NULL;
        code = ko_spec_path(source, list ? node->item[i] : node, key, &path, err);
        if (code == KO_OK) {
            code = ko_strings_intern(&spec->embeddings, path, NULL, err);
        }
        free(path);
    }
    return code;
}

enum ko_code ko_spec_read_prompts(struct ko_spec *spec, const struct ko_spec_source *source,
                                  const struct ko_layers *layers, const struct ko_yaml *at,
                                  struct ko_spec_block *block, struct ko_error *err)
{
    struct ko_layers prompts = {0};
    char *path = NULL;
    enum ko_code code =
        ko_layers_under(layers, "prompts", prompt_keys, N_PROMPT_KEYS, &prompts, err);
    if (code != KO_OK) {
        goto done;
    }
    const struct ko_yaml *file = ko_layers_get(&prompts, "file");
    if (!file) {
        code = ko_yaml_fail(prompts.n > 0 ? prompts.map[0] : at, err,
                            "missing key 'file' of prompts, write prompts: {file: facts.jsonl}");
        goto done;
    }
    code = ko_spec_path(source, file, "prompts.file", &path, err);
    if (code == KO_OK) {
        code = ko_strings_intern(&spec->prompt_files, path, &block->file, err);
    }
    if (code == KO_OK) {
        code = read_embeddings(spec, source, &prompts, err);
    }
    if (code == KO_OK) {
        code = ko_select_read(ko_layers_get(&prompts, "select"), &block->select, err);
    }
    if (code == KO_OK) {
        code = read_sample(&prompts, block, err);
    }
    if (code == KO_OK) {
        code = read_score(spec, &prompts, block, err);
    }
done:
    free(path);
    ko_layers_free(&prompts);
    return code;
}
