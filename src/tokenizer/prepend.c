/* SPDX-License-Identifier: Apache-2.0 */
/* `Prepend`: tokenizers/src/normalizers/prepend.rs. */
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/formats/json.h"
#include "src/tokenizer/component_list.h"

static enum ko_code open_prepend(json_object *spec, const char *where, void **state,
                                 struct ko_error *err)
{
    static const char *const keys[] = {"prepend", "type"};
    const char *prefix = "";
    enum ko_code code = ko_keys_check(spec, keys, 2, 1, where, err);
    if (code == KO_OK) {
        code = ko_json_string(spec, "prepend", &prefix, where, err);
    }
    if (code == KO_OK && !*prefix) {
        code = ko_fail(err, KO_E_INPUT, "%s: prepend is empty, remove it", where);
    }
    if (code != KO_OK) {
        return code;
    }
    *state = ko_copy(prefix, err);
    return *state ? KO_OK : KO_E_MEMORY;
}

static enum ko_code prepend_prefix(void *context, const char *text, size_t n,
                                   struct ko_changes *changes, struct ko_error *err)
{
    const char *prefix = context;
    return ko_changes_prepend(changes, prefix, strlen(prefix), text, n, err);
}

static enum ko_code on_pieces(void *state, struct ko_pieces *pieces, struct ko_error *err)
{
    return ko_pieces_rewrite(pieces, prepend_prefix, state, err);
}

const struct ko_component_type ko_prepend_normalizer = {
    .name = "Prepend",
    .open = open_prepend,
    .on_pieces = on_pieces,
    .close = free,
};
