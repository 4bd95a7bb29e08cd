/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps a list of matches and the text between them. Cuts a text by the list, or replaces the
   matches by another text. */
#include "src/tokenizer/text/matches.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/utf8.h"
#include "src/formats/json.h"

enum ko_code ko_matches_add(struct ko_matches *matches, size_t begin, size_t end, bool is_match,
                            struct ko_error *err)
{
    struct ko_match *grown =
        ko_grow(matches->match, &matches->capacity, matches->n + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    matches->match = grown;
    matches->match[matches->n++] = (struct ko_match){begin, end, is_match};
    return KO_OK;
}

void ko_matches_free(struct ko_matches *matches)
{
    if (!matches) {
        return;
    }
    free(matches->match);
    *matches = (struct ko_matches){0};
}

enum ko_code ko_split_behavior_read(json_object *spec, const char *where,
                                    enum ko_split_behavior *out, struct ko_error *err)
{
    static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious",
                                        "MergedWithNext", "Contiguous"};
    const char *name = NULL;
    enum ko_code code = ko_json_string(spec, "behavior", &name, where, err);
    for (size_t i = 0; code == KO_OK && name && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) != 0) {
            continue;
        }
        *out = (enum ko_split_behavior)i;
        return KO_OK;
    }
    return code || !name ? code
                         : ko_fail(err, KO_E_INPUT,
                                   "%s: behavior '%s' is not supported, only Removed, Isolated, "
                                   "MergedWithPrevious, MergedWithNext and Contiguous",
                                   where, name);
}

/* Joins neighbors in place. Contiguous: neighbors of one kind. Otherwise: a match with the text
   before it, or after it for MergedWithNext, which goes from right to left. */
static void join_neighbors(struct ko_matches *matches, enum ko_split_behavior behavior)
{
    bool backward = behavior == KO_SPLIT_MERGED_WITH_NEXT, previous = false;
    size_t kept = 0, n = matches->n;
    for (size_t i = 0; i < n; i++) {
        struct ko_match m = matches->match[backward ? n - 1 - i : i];
        struct ko_match *last = kept ? &matches->match[backward ? n - kept : kept - 1] : NULL;
        bool joined =
            behavior == KO_SPLIT_CONTIGUOUS ? m.is_match == previous : m.is_match && !previous;
        previous = m.is_match;
        if (joined && last && backward) {
            last->begin = m.begin;
        } else if (joined && last) {
            last->end = m.end;
        } else {
            matches->match[backward ? n - 1 - kept++ : kept++] = m;
        }
    }
    if (backward && kept) {
        memmove(matches->match, matches->match + (n - kept), kept * sizeof *matches->match);
    }
    matches->n = kept;
}

enum ko_code ko_matches_cut(struct ko_matches *matches, enum ko_split_behavior behavior,
                            struct ko_piece_list *parts, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    if (behavior != KO_SPLIT_REMOVED && behavior != KO_SPLIT_ISOLATED) {
        join_neighbors(matches, behavior);
    }
    for (size_t i = 0; code == KO_OK && i < matches->n; i++) {
        const struct ko_match *m = &matches->match[i];
        if (behavior != KO_SPLIT_REMOVED || !m->is_match) {
            code = ko_piece_list_add(parts, m->begin, m->end, -1, err);
        }
    }
    return code;
}

enum ko_code ko_matches_replace(const struct ko_matches *matches, const char *text,
                                const char *content, struct ko_changes *changes,
                                struct ko_error *err)
{
    size_t n_content = strlen(content);
    enum ko_code code = KO_OK;
    for (size_t i = 0; code == KO_OK && i < matches->n; i++) {
        const struct ko_match *m = &matches->match[i];
        const char *part = text + m->begin;
        size_t n = m->end - m->begin;
        if (m->is_match) {
            ko_changes_skip(changes, ko_utf8_count(part, n));
            code = ko_changes_insert(changes, content, n_content, err);
        } else {
            code = ko_changes_keep(changes, part, n, err);
        }
    }
    return code;
}
