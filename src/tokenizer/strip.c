/* SPDX-License-Identifier: Apache-2.0 */
/* `Strip`: tokenizers/src/normalizers/strip.rs. */
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/base/utf8.h"
#include "src/formats/json.h"
#include "src/tokenizer/component_list.h"
#include "src/tokenizer/text/unicode.h"

struct strip {
    bool left, right;
};

static enum ko_code open_strip(json_object *spec, const char *where, void **state,
                               struct ko_error *err)
{
    static const char *const keys[] = {"strip_left", "strip_right", "type"};
    struct strip strip = {false, false};
    enum ko_code code = ko_keys_check(spec, keys, 3, 2, where, err);
    if (code == KO_OK) {
        code = ko_json_bool(spec, keys[0], &strip.left, where, err);
    }
    if (code == KO_OK) {
        code = ko_json_bool(spec, keys[1], &strip.right, where, err);
    }
    if (code != KO_OK) {
        return code;
    }
    struct strip *kept = ko_new(1, sizeof *kept, err);
    if (!kept) {
        return KO_E_MEMORY;
    }
    *kept = strip;
    *state = kept;
    return KO_OK;
}

static enum ko_code strip_piece(void *context, const char *text, size_t n,
                                struct ko_changes *changes, struct ko_error *err)
{
    const struct strip *strip = context;
    const size_t begin = strip->left ? ko_utf8_after_space(text, n, 0) : 0;
    size_t end = strip->right ? ko_utf8_before_space(text, n) : n;
    end = end > begin ? end : begin;
    ko_changes_skip(changes, ko_utf8_count(text, begin));
    return ko_changes_keep(changes, text + begin, end - begin, err);
}

static enum ko_code on_pieces(void *state, struct ko_pieces *pieces, struct ko_error *err)
{
    return ko_pieces_rewrite(pieces, strip_piece, state, err);
}

const struct ko_component_type ko_strip_normalizer = {
    .name = "Strip",
    .open = open_strip,
    .on_pieces = on_pieces,
    .close = free,
};
