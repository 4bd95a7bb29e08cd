/* SPDX-License-Identifier: Apache-2.0 */
/* `Replace`: tokenizers/src/normalizers/replace.rs. */
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/formats/json.h"
#include "src/tokenizer/splitter.h"

struct replace {
    struct ko_regex *regex;    /* owned */
    char *content;             /* owned */
    struct ko_matches matches; /* of the piece in work */
};

static void close_replace(void *state)
{
    struct replace *r = state;
    if (!r) {
        return;
    }
    ko_regex_free(r->regex);
    free(r->content);
    ko_matches_free(&r->matches);
    free(r);
}

static enum ko_code read_replace(json_object *spec, const char *where, struct replace *r,
                                 struct ko_error *err)
{
    static const char *const keys[] = {"pattern", "content", "type"};
    const char *content = "";
    enum ko_code code = ko_keys_check(spec, keys, 3, 2, where, err);
    if (code == KO_OK) {
        code = ko_json_string(spec, "content", &content, where, err);
    }
    if (code == KO_OK) {
        code = ko_pattern_read(spec, where, &r->regex, err);
    }
    /* Hugging Face gives wrong offsets after it replaces an empty match at the start. */
    if (code == KO_OK && ko_regex_can_match_nothing(r->regex)) {
        code = ko_fail(err, KO_E_INPUT,
                       "%s: pattern: one that can match an empty text is not supported", where);
    }
    if (code != KO_OK) {
        return code;
    }
    r->content = ko_copy(content, err);
    return r->content ? KO_OK : KO_E_MEMORY;
}

static enum ko_code open_replace(json_object *spec, const char *where, void **state,
                                 struct ko_error *err)
{
    struct replace *r = ko_new(1, sizeof *r, err);
    if (!r) {
        return KO_E_MEMORY;
    }
    enum ko_code code = read_replace(spec, where, r, err);
    if (code != KO_OK) {
        close_replace(r);
    } else {
        *state = r;
    }
    return code;
}

static enum ko_code replace_matches(void *context, const char *text, size_t n,
                                    struct ko_changes *changes, struct ko_error *err)
{
    struct replace *r = context;
    enum ko_code code = ko_regex_matches(r->regex, text, n, &r->matches, err);
    return code != KO_OK ? code : ko_matches_replace(&r->matches, text, r->content, changes, err);
}

static enum ko_code on_pieces(void *state, struct ko_pieces *pieces, struct ko_error *err)
{
    return ko_pieces_rewrite(pieces, replace_matches, state, err);
}

const struct ko_component_type ko_replace_normalizer = {
    .name = "Replace",
    .open = open_replace,
    .on_pieces = on_pieces,
    .close = close_replace,
};
