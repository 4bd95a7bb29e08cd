/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the id of the token that the spec's `bos` asks for, and checks that the tokenizer and the
   model have it. Also collects contradictions of the tokenizer's side files. */
#include "src/run/front.h"

#include "src/tokenizer/side_files.h"

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

enum ko_code ko_front_decide(const struct ko_spec_model *spec, const struct ko_shape *shape,
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

void ko_front_free(struct ko_front *front)
{
    ko_strings_free(&front->notes);
    *front = (struct ko_front){0};
}
