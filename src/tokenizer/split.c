/* SPDX-License-Identifier: Apache-2.0 */
/* `Split`: tokenizers/src/pre_tokenizers/split.rs. */
#include "src/base/memory.h"
#include "src/formats/json.h"
#include "src/tokenizer/splitter.h"

static enum ko_code open_split(json_object *spec, const char *where, void **state,
                               struct ko_error *err)
{
    static const char *const keys[] = {"pattern", "behavior", "invert", "type"};
    enum ko_code code = ko_keys_check(spec, keys, 4, 3, where, err);
    if (code != KO_OK) {
        return code;
    }
    struct ko_splitter *s = ko_new(1, sizeof *s, err);
    if (!s) {
        return KO_E_MEMORY;
    }
    code = ko_split_behavior_read(spec, where, &s->behavior, err);
    if (code == KO_OK) {
        code = ko_json_bool(spec, "invert", &s->invert, where, err);
    }
    if (code == KO_OK) {
        code = ko_pattern_read(spec, where, &s->regex, err);
    }
    if (code != KO_OK) {
        ko_splitter_close(s);
    } else {
        *state = s;
    }
    return code;
}

const struct ko_component_type ko_split_pre_tokenizer = {
    .name = "Split",
    .open = open_split,
    .on_pieces = ko_splitter_on_pieces,
    .close = ko_splitter_close,
};
