/* SPDX-License-Identifier: Apache-2.0 */
/* Common parts of the pre-tokenizers that split. */
#ifndef KO_TOKENIZER_SPLITTER_H
#define KO_TOKENIZER_SPLITTER_H

#include <json-c/json.h>
#include <stdbool.h>

#include "src/tokenizer/component_list.h"
#include "src/tokenizer/text/matches.h"
#include "src/tokenizer/text/regex.h"

/* Start from {0}; free with ko_splitter_free. */
struct ko_splitter {
    struct ko_regex *regex; /* owned */
    enum ko_split_behavior behavior;
    bool invert;               /* swap the roles of matches and the text between them */
    struct ko_matches matches; /* of the current piece */
};

void ko_splitter_free(struct ko_splitter *splitter); /* leaves {0} */
/* Splits every piece that has no id. */
KO_MUST_CHECK enum ko_code ko_splitter_split(struct ko_splitter *splitter, struct ko_pieces *pieces,
                                             struct ko_error *err);

/* Reads the key "pattern", {"String": ...} or {"Regex": ...}, of an object that has it. */
KO_MUST_CHECK enum ko_code ko_pattern_read(json_object *spec, const char *where,
                                           struct ko_regex **out, struct ko_error *err);

/* For a pre-tokenizer whose state is a splitter. `pattern` is compiled. */
KO_MUST_CHECK enum ko_code ko_splitter_open(const char *pattern, enum ko_split_behavior behavior,
                                            const char *where, void **state, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_splitter_on_pieces(void *state, struct ko_pieces *pieces,
                                                 struct ko_error *err);
void ko_splitter_close(void *state);

#endif
