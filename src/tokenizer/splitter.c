/* SPDX-License-Identifier: Apache-2.0 */
/* Opens, runs and frees a splitter, which cuts a text where a regular expression matches. Also
   reads the JSON key `pattern`, which is a plain string or an expression. */
#include "src/tokenizer/splitter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/formats/json.h"

void ko_splitter_free(struct ko_splitter *splitter)
{
    if (!splitter) {
        return;
    }
    ko_regex_free(splitter->regex);
    ko_matches_free(&splitter->matches);
    *splitter = (struct ko_splitter){0};
}

static enum ko_code split_piece(void *context, const char *text, size_t n,
                                struct ko_piece_list *parts, struct ko_error *err)
{
    struct ko_splitter *s = context;
    enum ko_code code = ko_regex_matches(s->regex, text, n, &s->matches, err);
    for (size_t i = 0; s->invert && i < s->matches.n; i++) {
        s->matches.match[i].is_match = !s->matches.match[i].is_match;
    }
    return code != KO_OK ? code : ko_matches_cut(&s->matches, s->behavior, parts, err);
}

enum ko_code ko_splitter_split(struct ko_splitter *splitter, struct ko_pieces *pieces,
                               struct ko_error *err)
{
    return ko_pieces_cut(pieces, split_piece, splitter, err);
}

enum ko_code ko_pattern_read(json_object *spec, const char *where, struct ko_regex **out,
                             struct ko_error *err)
{
    static const char *const kinds[] = {"String", "Regex"};
    json_object *pattern = ko_json_get(spec, "pattern");
    const char *text[2] = {NULL, NULL};
    char at[KO_ERROR_TEXT];
    (void)snprintf(at, sizeof at, "%s: pattern", where);
    enum ko_code code = ko_keys_check(pattern, kinds, 2, 0, at, err);
    for (size_t i = 0; code == KO_OK && i < 2; i++) {
        code = ko_json_string(pattern, kinds[i], &text[i], at, err);
    }
    if (code == KO_OK && !text[0] == !text[1]) {
        code = ko_fail(err, KO_E_INPUT, "%s: expected one of the keys 'String' and 'Regex'", at);
    }
    if (code != KO_OK) {
        return code;
    }
    return text[0] ? ko_regex_compile_literal(text[0], at, out, err)
                   : ko_regex_compile(text[1], at, out, err);
}

enum ko_code ko_splitter_open(const char *pattern, enum ko_split_behavior behavior,
                              const char *where, void **state, struct ko_error *err)
{
    struct ko_splitter *s = ko_new(1, sizeof *s, err);
    if (!s) {
        return KO_E_MEMORY;
    }
    s->behavior = behavior;
    enum ko_code code = ko_regex_compile(pattern, where, &s->regex, err);
    if (code != KO_OK) {
        ko_splitter_close(s);
    } else {
        *state = s;
    }
    return code;
}

enum ko_code ko_splitter_on_pieces(void *state, struct ko_pieces *pieces, struct ko_error *err)
{
    return ko_splitter_split(state, pieces, err);
}

void ko_splitter_close(void *state)
{
    ko_splitter_free(state);
    free(state);
}
