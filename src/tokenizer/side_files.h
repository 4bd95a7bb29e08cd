/* SPDX-License-Identifier: Apache-2.0 */
/* What the files beside tokenizer.json and config.json say of special tokens: tokenizer_config.json
   and generation_config.json. Nothing of it changes what is computed; contradictions are said. */
#ifndef KO_TOKENIZER_SIDE_FILES_H
#define KO_TOKENIZER_SIDE_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/tokenizer/tokenizer.h"

enum { KO_EOS_IDS = 16 }; /* most that a file's eos_token_id is remembered of */

/* bos_token_id and eos_token_id of config.json or generation_config.json. */
struct ko_special_ids {
    int64_t bos; /* -1: not named */
    int64_t eos[KO_EOS_IDS];
    int n_eos;
};

enum ko_said { KO_SAID_NOTHING, KO_SAID_FALSE, KO_SAID_TRUE };

struct ko_side_files {
    enum ko_said add_bos, add_eos, add_prefix_space; /* tokenizer_config.json, as the next two */
    char *bos, *eos;                                 /* texts of tokens, NULL: not named; owned */
    struct ko_special_ids config, generation;
    struct ko_strings notes; /* files that cannot be read, values of another kind: one line each */
};

/* Reads tokenizer_config.json beside the tokenizer's file, and config.json and
   generation_config.json in the model's folder. Absent files say nothing; broken ones are notes.
   KO_E_MEMORY alone. Free with ko_side_files_free, also after a failure. */
KO_MUST_CHECK enum ko_code ko_side_files_read(const char *tokenizer_file, const char *model_folder,
                                              struct ko_side_files *out, struct ko_error *err);
void ko_side_files_free(struct ko_side_files *files); /* leaves {0} */

/* Adds a line for each place where the files contradict what is computed with, and for what of
   tokenizer.json is not followed: special tokens behind a text, truncation, padding. bos_id:
   config.json's as the model has it, -1: none. bos_chosen: the user said what stands in front, so
   that nothing is said of BOS. KO_E_MEMORY, and what ko_tokenizer_encode fails with. */
KO_MUST_CHECK enum ko_code ko_side_files_compare(const struct ko_side_files *files,
                                                 struct ko_tokenizer *tokenizer, int32_t bos_id,
                                                 bool bos_chosen, struct ko_strings *notes,
                                                 struct ko_error *err);

/* The token that `bos: add` puts in front: bos_id, or where config.json names none, that of
   tokenizer_config.json. KO_E_INPUT where neither names one, where they name different ones, and
   where it ends a text and tokenizer_config.json does not name it as BOS: the line says what to
   write. */
KO_MUST_CHECK enum ko_code ko_side_files_bos(const struct ko_side_files *files,
                                             const struct ko_tokenizer *tokenizer, int32_t bos_id,
                                             int32_t *out, struct ko_error *err);

#endif
