/* SPDX-License-Identifier: Apache-2.0 */
/* `Lowercase`: tokenizers/src/normalizers/utils.rs. */
#include <utf8proc.h>

#include "src/base/utf8.h"
#include "src/tokenizer/component_list.h"

/* Capital letters newer than Unicode 14 that Rust 1.9x knows (Unicode 17), and the distance to
   their small letters. */
static const struct {
    uint32_t first, last;
    int32_t distance;
} later_than_14[] = {
    {0x1C89, 0x1C89, 1},      {0xA7CB, 0xA7CB, 0x264 - 0xA7CB},
    {0xA7CC, 0xA7CC, 1},      {0xA7CE, 0xA7CE, 1},
    {0xA7D2, 0xA7D2, 1},      {0xA7D4, 0xA7D4, 1},
    {0xA7DA, 0xA7DA, 1},      {0xA7DC, 0xA7DC, 0x19B - 0xA7DC},
    {0x10D50, 0x10D65, 0x20}, {0x16EA0, 0x16EB8, 0x1B},
};

static uint32_t to_lower(uint32_t character)
{
    for (size_t i = 0; i < sizeof later_than_14 / sizeof later_than_14[0]; i++) {
        if (character >= later_than_14[i].first && character <= later_than_14[i].last) {
            return (uint32_t)((int32_t)character + later_than_14[i].distance);
        }
    }
    return (uint32_t)utf8proc_tolower((utf8proc_int32_t)character);
}

static enum ko_code lowercase_piece(void *context, const char *text, size_t n,
                                    struct ko_changes *changes, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    (void)context;
    for (size_t at = 0; code == KO_OK && at < n;) {
        uint32_t character;
        at += ko_utf8_get(text + at, &character);
        if (character == 0x130) { /* the only capital whose small letter is two characters */
            code = ko_changes_add(changes, 'i', 0, err);
            if (code == KO_OK) {
                code = ko_changes_add(changes, 0x307, 1, err);
            }
        } else {
            code = ko_changes_add(changes, to_lower(character), 0, err);
        }
    }
    return code;
}

static enum ko_code open_lowercase(json_object *spec, const char *where, void **state,
                                   struct ko_error *err)
{
    static const char *const keys[] = {"type"};
    *state = NULL;
    return ko_keys_check(spec, keys, 1, 1, where, err);
}

static enum ko_code on_pieces(void *state, struct ko_pieces *pieces, struct ko_error *err)
{
    return ko_pieces_rewrite(pieces, lowercase_piece, state, err);
}

const struct ko_component_type ko_lowercase_normalizer = {
    .name = "Lowercase",
    .open = open_lowercase,
    .on_pieces = on_pieces,
};
