/* SPDX-License-Identifier: Apache-2.0 */
/* `Whitespace`: tokenizers/src/pre_tokenizers/whitespace.rs. */
#include "src/tokenizer/splitter.h"
#include "src/tokenizer/text/regex_classes.h"

static enum ko_code open_whitespace(json_object *spec, const char *where, void **state,
                                    struct ko_error *err)
{
    static const char *const keys[] = {"type"};
    enum ko_code code = ko_keys_check(spec, keys, 1, 1, where, err);
    if (code == KO_OK) {
        code = ko_splitter_open("[" KO_RUST_WORD "]+|[^\\s" KO_RUST_WORD "]+", KO_SPLIT_REMOVED,
                                where, state, err);
    }
    if (code == KO_OK) {
        ((struct ko_splitter *)*state)->invert = true;
    }
    return code;
}

const struct ko_component_type ko_whitespace_pre_tokenizer = {
    .name = "Whitespace",
    .open = open_whitespace,
    .on_pieces = ko_splitter_on_pieces,
    .close = ko_splitter_close,
};
