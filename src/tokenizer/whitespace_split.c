/* SPDX-License-Identifier: Apache-2.0 */
/* `WhitespaceSplit`: tokenizers/src/pre_tokenizers/whitespace.rs. */
#include "src/tokenizer/splitter.h"

static enum ko_code open_whitespace_split(json_object *spec, const char *where, void **state,
                                          struct ko_error *err)
{
    static const char *const keys[] = {"type"};
    enum ko_code code = ko_keys_check(spec, keys, 1, 1, where, err);
    return code != KO_OK ? code : ko_splitter_open("\\s", KO_SPLIT_REMOVED, where, state, err);
}

const struct ko_component_type ko_whitespace_split_pre_tokenizer = {
    .name = "WhitespaceSplit",
    .open = open_whitespace_split,
    .on_pieces = ko_splitter_on_pieces,
    .close = ko_splitter_close,
};
