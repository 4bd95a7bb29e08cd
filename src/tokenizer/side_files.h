/* SPDX-License-Identifier: Apache-2.0 */
/* Special tokens in tokenizer_config.json, config.json and generation_config.json. They change no
   result. Contradictions with tokenizer.json become notes. */
#ifndef KO_TOKENIZER_SIDE_FILES_H
#define KO_TOKENIZER_SIDE_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/tokenizer/tokenizer.h"

enum { KO_EOS_IDS = 16 }; /* most ids kept of an eos_token_id */

/* bos_token_id and eos_token_id of config.json or generation_config.json. */
struct ko_special_ids {
    int64_t bos; /* -1: not in the file */
    int64_t eos[KO_EOS_IDS];
    int n_eos;
};

enum ko_setting { KO_SETTING_ABSENT, KO_SETTING_FALSE, KO_SETTING_TRUE };

struct ko_side_files {
    enum ko_setting add_bos, add_eos, add_prefix_space; /* tokenizer_config.json, as the next two */
    char *bos, *eos; /* texts of tokens; NULL: not in the file; owned */
    struct ko_special_ids config, generation;
    struct ko_strings notes; /* one line for each unreadable file or wrong value */
};

/* Reads tokenizer_config.json beside the tokenizer's file, and config.json and
   generation_config.json in the model's folder. Absent files are skipped; damaged files become
   notes. Fails only with KO_E_MEMORY. Free with ko_side_files_free, also after a failure. */
KO_MUST_CHECK enum ko_code ko_side_files_read(const char *tokenizer_file, const char *model_folder,
                                              struct ko_side_files *out, struct ko_error *err);
void ko_side_files_free(struct ko_side_files *files); /* leaves {0} */

/* Adds a note for each contradiction between the files and the tokens that are used, and for each
   ignored part of tokenizer.json: special tokens after a text, truncation, padding. bos_id: of
   config.json; -1: none. bos_chosen: the user chose the first token, so skip notes about BOS.
   KO_E_MEMORY, or an error of ko_tokenizer_encode. */
KO_MUST_CHECK enum ko_code ko_side_files_compare(const struct ko_side_files *files,
                                                 struct ko_tokenizer *tokenizer, int32_t bos_id,
                                                 bool bos_chosen, struct ko_strings *notes,
                                                 struct ko_error *err);

/* The token that `bos: add` puts before a text: bos_id, or without it the BOS of
   tokenizer_config.json. KO_E_INPUT, with what to write, if neither file names a token, if they
   differ, or if the token ends a text and tokenizer_config.json does not name it as BOS. */
KO_MUST_CHECK enum ko_code ko_side_files_bos(const struct ko_side_files *files,
                                             const struct ko_tokenizer *tokenizer, int32_t bos_id,
                                             int32_t *out, struct ko_error *err);

#endif
