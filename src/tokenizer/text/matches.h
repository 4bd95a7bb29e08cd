/* SPDX-License-Identifier: Apache-2.0 */
/* The matches of a pattern in a text, and the pieces that a pre-tokenizer makes of them. */
#ifndef KO_TOKENIZER_TEXT_MATCHES_H
#define KO_TOKENIZER_TEXT_MATCHES_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include "src/base/error.h"
#include "src/tokenizer/text/pieces.h"

/* Bytes [begin, end) of the text: a match, which may be empty, or the text between two matches. */
struct ko_match {
    size_t begin, end;
    bool is_match;
};

/* In order, and together the whole text. Start from {0}; free with ko_matches_free. */
struct ko_matches {
    struct ko_match *match; /* owned */
    size_t n, capacity;
};

/* `SplitDelimiterBehavior` of tokenizers/src/tokenizer/normalizer.rs. */
enum ko_split_behavior {
    KO_SPLIT_REMOVED,
    KO_SPLIT_ISOLATED,
    KO_SPLIT_MERGED_WITH_PREVIOUS,
    KO_SPLIT_MERGED_WITH_NEXT,
    KO_SPLIT_CONTIGUOUS
};

KO_MUST_CHECK enum ko_code ko_matches_add(struct ko_matches *matches, size_t begin, size_t end,
                                          bool is_match, struct ko_error *err);
void ko_matches_free(struct ko_matches *matches); /* leaves {0} */

/* Reads the key "behavior" of an object. *out stays unchanged if it is absent. KO_E_INPUT names an
   unknown value. */
KO_MUST_CHECK enum ko_code ko_split_behavior_read(json_object *spec, const char *where,
                                                  enum ko_split_behavior *out,
                                                  struct ko_error *err);
/* Adds the pieces to *parts. Changes *matches. */
KO_MUST_CHECK enum ko_code ko_matches_cut(struct ko_matches *matches,
                                          enum ko_split_behavior behavior,
                                          struct ko_piece_list *parts, struct ko_error *err);
/* Adds the text with `content` in place of every match to *changes: `replace` of NormalizedString.
 */
KO_MUST_CHECK enum ko_code ko_matches_replace(const struct ko_matches *matches, const char *text,
                                              const char *content, struct ko_changes *changes,
                                              struct ko_error *err);

#endif
