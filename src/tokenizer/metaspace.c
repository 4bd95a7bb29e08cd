/* SPDX-License-Identifier: Apache-2.0 */
/* `Metaspace`: tokenizers/src/pre_tokenizers/metaspace.rs. */
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/utf8.h"
#include "src/formats/json.h"
#include "src/tokenizer/splitter.h"

enum prepend { PREPEND_ALWAYS, PREPEND_FIRST, PREPEND_NEVER };

struct metaspace {
    char *replacement; /* one character; owned */
    enum prepend prepend;
    bool split;
    struct ko_regex *space;      /* owned */
    struct ko_matches matches;   /* spaces of the current piece */
    struct ko_splitter splitter; /* before each replacement */
};

static void close_metaspace(void *state)
{
    struct metaspace *m = state;
    if (!m) {
        return;
    }
    free(m->replacement);
    ko_regex_free(m->space);
    ko_matches_free(&m->matches);
    ko_splitter_free(&m->splitter);
    free(m);
}

/* Older files have add_prefix_space (always or never) instead of prepend_scheme. */
static enum ko_code read_prepend(json_object *spec, const char *where, enum prepend *out,
                                 struct ko_error *err)
{
    static const char *const names[] = {"always", "first", "never"};
    bool prefix = true;
    const char *name = NULL;
    enum ko_code code = ko_json_string(spec, "prepend_scheme", &name, where, err);
    if (code == KO_OK) {
        code = ko_json_bool(spec, "add_prefix_space", &prefix, where, err);
    }
    if (code != KO_OK) {
        return code;
    }
    if (!name) {
        name = names[prefix ? PREPEND_ALWAYS : PREPEND_NEVER];
    }
    size_t i = 0;
    while (i < 3 && strcmp(name, names[i]) != 0) {
        i++;
    }
    if (i == 3) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: prepend_scheme '%s' is not supported, only always, first and never",
                       where, name);
    }
    if (!prefix && i != PREPEND_NEVER) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: add_prefix_space is false but prepend_scheme is '%s', remove one of "
                       "them",
                       where, name);
    }
    *out = (enum prepend)i;
    return KO_OK;
}

static enum ko_code read_options(json_object *spec, const char *where, struct metaspace *m,
                                 struct ko_error *err)
{
    static const char *const keys[] = {"replacement", "prepend_scheme", "add_prefix_space",
                                       "split",       "str_rep",        "type"};
    const char *replacement = "";
    enum ko_code code = ko_keys_check(spec, keys, 6, 1, where, err);
    if (code == KO_OK) {
        code = ko_json_string(spec, "replacement", &replacement, where, err);
    }
    if (code == KO_OK && ko_utf8_count(replacement, strlen(replacement)) != 1) {
        code = ko_fail(err, KO_E_INPUT, "%s: replacement '%s' is not supported, only one character",
                       where, replacement);
    }
    if (code == KO_OK) {
        code = read_prepend(spec, where, &m->prepend, err);
    }
    m->split = true;
    if (code == KO_OK) {
        code = ko_json_bool(spec, "split", &m->split, where, err);
    }
    if (code != KO_OK) {
        return code;
    }
    m->replacement = ko_copy(replacement, err);
    return m->replacement ? KO_OK : KO_E_MEMORY;
}

static enum ko_code open_metaspace(json_object *spec, const char *where, void **state,
                                   struct ko_error *err)
{
    struct metaspace *m = ko_new(1, sizeof *m, err);
    if (!m) {
        return KO_E_MEMORY;
    }
    m->splitter.behavior = KO_SPLIT_MERGED_WITH_NEXT;
    enum ko_code code = read_options(spec, where, m, err);
    if (code == KO_OK) {
        code = ko_regex_compile_literal(" ", where, &m->space, err);
    }
    if (code == KO_OK) {
        code = ko_regex_compile_literal(m->replacement, where, &m->splitter.regex, err);
    }
    if (code != KO_OK) {
        close_metaspace(m);
    } else {
        *state = m;
    }
    return code;
}

static enum ko_code replace_spaces(void *context, const char *text, size_t n,
                                   struct ko_changes *changes, struct ko_error *err)
{
    struct metaspace *m = context;
    enum ko_code code = ko_regex_matches(m->space, text, n, &m->matches, err);
    return code != KO_OK ? code
                         : ko_matches_replace(&m->matches, text, m->replacement, changes, err);
}

static enum ko_code prepend_replacement(void *context, const char *text, size_t n,
                                        struct ko_changes *changes, struct ko_error *err)
{
    const struct metaspace *m = context;
    size_t n_replacement = strlen(m->replacement);
    bool there = n >= n_replacement && memcmp(text, m->replacement, n_replacement) == 0;
    if (there || (m->prepend == PREPEND_FIRST && changes->begin > 0)) {
        return ko_changes_keep(changes, text, n, err);
    }
    return ko_changes_prepend(changes, m->replacement, n_replacement, text, n, err);
}

static enum ko_code pre_tokenize(void *state, struct ko_pieces *pieces, struct ko_error *err)
{
    struct metaspace *m = state;
    enum ko_code code = ko_pieces_rewrite(pieces, replace_spaces, m, err);
    if (code == KO_OK && m->prepend != PREPEND_NEVER) {
        code = ko_pieces_rewrite(pieces, prepend_replacement, m, err);
    }
    if (code == KO_OK && m->split) {
        code = ko_splitter_split(&m->splitter, pieces, err);
    }
    return code;
}

const struct ko_component_type ko_metaspace_pre_tokenizer = {
    .name = "Metaspace",
    .open = open_metaspace,
    .on_pieces = pre_tokenize,
    .close = close_metaspace,
};
