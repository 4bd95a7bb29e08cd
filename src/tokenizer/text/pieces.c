/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts and rewrites the text step by step. After each change, every byte still knows its place in
   the original text. */
#include "src/tokenizer/text/pieces.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/utf8.h"

enum ko_code ko_piece_list_add(struct ko_piece_list *list, size_t begin, size_t end, int32_t id,
                               struct ko_error *err)
{
    if (begin >= end) {
        return KO_OK;
    }
    struct ko_piece *grown = ko_grow(list->piece, &list->capacity, list->n + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    list->piece = grown;
    list->piece[list->n++] = (struct ko_piece){begin, end, id};
    return KO_OK;
}

static enum ko_code too_long(struct ko_error *err)
{
    (void)ko_fail(err, KO_E_INPUT, "tokenizer: its rules make a text longer than %d bytes",
                  KO_PIECES_BYTES);
    return KO_E_INPUT; /* clang's analyzer does not know what ko_fail returns */
}

enum ko_code ko_changes_add(struct ko_changes *changes, uint32_t character, int32_t change,
                            struct ko_error *err)
{
    if (changes->n == KO_PIECES_BYTES) {
        return too_long(err);
    }
    struct ko_change *grown =
        ko_grow(changes->change, &changes->capacity, changes->n + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    changes->change = grown;
    changes->change[changes->n++] = (struct ko_change){character, change, changes->skip};
    changes->skip = 0;
    return KO_OK;
}

void ko_changes_skip(struct ko_changes *changes, size_t n)
{
    changes->skip += n;
}

static enum ko_code add_all(struct ko_changes *changes, const char *text, size_t n, int32_t change,
                            struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (size_t at = 0; code == KO_OK && at < n;) {
        uint32_t character;
        at += ko_utf8_get(text + at, &character);
        code = ko_changes_add(changes, character, change, err);
    }
    return code;
}

enum ko_code ko_changes_keep(struct ko_changes *changes, const char *text, size_t n,
                             struct ko_error *err)
{
    return add_all(changes, text, n, 0, err);
}

enum ko_code ko_changes_insert(struct ko_changes *changes, const char *text, size_t n,
                               struct ko_error *err)
{
    return add_all(changes, text, n, 1, err);
}

enum ko_code ko_changes_prepend(struct ko_changes *changes, const char *prefix, size_t n_prefix,
                                const char *text, size_t n, struct ko_error *err)
{
    uint32_t character;
    size_t first = ko_utf8_get(prefix, &character);
    enum ko_code code = ko_changes_add(changes, character, 0, err);
    if (code == KO_OK) {
        code = ko_changes_insert(changes, prefix + first, n_prefix - first, err);
    }
    first = ko_utf8_get(text, &character);
    if (code == KO_OK) {
        code = ko_changes_add(changes, character, 1, err);
    }
    return code != KO_OK ? code : ko_changes_keep(changes, text + first, n - first, err);
}

static enum ko_code append_bytes(struct ko_pieces *pieces, const char *text, size_t n,
                                 struct ko_error *err)
{
    if (n > KO_PIECES_BYTES - pieces->n_bytes) {
        return too_long(err);
    }
    char *grown =
        ko_grow(pieces->text, &pieces->text_capacity, pieces->n_bytes + n, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    pieces->text = grown;
    struct ko_origin *origin =
        ko_grow(pieces->origin, &pieces->origin_capacity, pieces->n_bytes + n, sizeof *origin, err);
    if (!origin) {
        return KO_E_MEMORY;
    }
    pieces->origin = origin;
    if (n) {
        memcpy(pieces->text + pieces->n_bytes, text, n);
    }
    pieces->n_bytes += n;
    return KO_OK;
}

enum ko_code ko_pieces_start(struct ko_pieces *pieces, const char *text, size_t n,
                             struct ko_error *err)
{
    *pieces = (struct ko_pieces){0};
    enum ko_code code = append_bytes(pieces, text, n, err);
    for (size_t i = 0; code == KO_OK && i < n;) {
        uint32_t character;
        size_t bytes = ko_utf8_get(text + i, &character);
        for (size_t k = 0; k < bytes; k++) {
            pieces->origin[i + k] = (struct ko_origin){(int32_t)i, (int32_t)(i + bytes)};
        }
        i += bytes;
    }
    if (code == KO_OK) {
        code = ko_piece_list_add(&pieces->list, 0, n, -1, err);
    }
    if (code != KO_OK) {
        ko_pieces_free(pieces);
    }
    return code;
}

void ko_pieces_free(struct ko_pieces *pieces)
{
    if (!pieces) {
        return;
    }
    free(pieces->text);
    free(pieces->origin);
    free(pieces->list.piece);
    *pieces = (struct ko_pieces){0};
}

enum ko_code ko_pieces_cut(struct ko_pieces *pieces, ko_piece_cutter *cut, void *context,
                           struct ko_error *err)
{
    struct ko_piece_list next = {0}, parts = {0};
    enum ko_code code = KO_OK;
    for (size_t i = 0; code == KO_OK && i < pieces->list.n; i++) {
        const struct ko_piece *old = &pieces->list.piece[i];
        if (old->id >= 0) {
            code = ko_piece_list_add(&next, old->begin, old->end, old->id, err);
            continue;
        }
        parts.n = 0;
        code = cut(context, pieces->text + old->begin, old->end - old->begin, &parts, err);
        for (size_t k = 0; code == KO_OK && k < parts.n; k++) {
            code = ko_piece_list_add(&next, old->begin + parts.piece[k].begin,
                                     old->begin + parts.piece[k].end, parts.piece[k].id, err);
        }
    }
    free(parts.piece);
    if (code != KO_OK) {
        free(next.piece);
        return code;
    }
    free(pieces->list.piece);
    pieces->list = next;
    return KO_OK;
}

static size_t skip_characters(const char *text, size_t n, size_t at, size_t count)
{
    for (; count > 0 && at < n; count--) {
        uint32_t character;
        at += ko_utf8_get(text + at, &character);
    }
    return at;
}

/* The origin of each new character is that of the character it replaces; an inserted one shares
   that of the character before it. `transform_range` in tokenizers/src/tokenizer/normalizer.rs. */
static enum ko_code apply_changes(struct ko_pieces *next, const char *text,
                                  const struct ko_origin *origin, size_t n,
                                  const struct ko_changes *changes, struct ko_error *err)
{
    size_t at = 0;
    for (size_t i = 0; i < changes->n; i++) {
        const struct ko_change *c = &changes->change[i];
        at = skip_characters(text, n, at, c->skip);
        struct ko_origin from = {origin[0].begin, origin[0].begin};
        if (c->change > 0 && at > 0) {
            from = origin[at - 1];
        }
        if (c->change <= 0) {
            from = origin[at < n ? at : n - 1];
            at = skip_characters(text, n, at, (size_t)(1 - (int64_t)c->change));
        }
        char utf8[KO_UTF8_BYTES];
        size_t bytes = ko_utf8_put(c->character, utf8), begin = next->n_bytes;
        enum ko_code code = append_bytes(next, utf8, bytes, err);
        if (code != KO_OK) {
            return code;
        }
        for (size_t k = 0; k < bytes; k++) {
            next->origin[begin + k] = from;
        }
    }
    return KO_OK;
}

enum ko_code ko_pieces_rewrite(struct ko_pieces *pieces, ko_piece_rewriter *rewrite, void *context,
                               struct ko_error *err)
{
    struct ko_pieces next = {0};
    struct ko_changes changes = {0};
    enum ko_code code = KO_OK;
    for (size_t i = 0; code == KO_OK && i < pieces->list.n; i++) {
        const struct ko_piece *old = &pieces->list.piece[i];
        const char *text = pieces->text + old->begin;
        const struct ko_origin *origin = pieces->origin + old->begin;
        size_t n = old->end - old->begin, begin = next.n_bytes;
        if (old->id >= 0) {
            code = append_bytes(&next, text, n, err);
            if (code == KO_OK) {
                memcpy(next.origin + begin, origin, n * sizeof *origin);
            }
        } else {
            changes.n = changes.skip = 0;
            changes.begin = origin->begin;
            code = rewrite(context, text, n, &changes, err);
            if (code == KO_OK) {
                code = apply_changes(&next, text, origin, n, &changes, err);
            }
        }
        if (code == KO_OK) {
            code = ko_piece_list_add(&next.list, begin, next.n_bytes, old->id, err);
        }
    }
    free(changes.change);
    if (code != KO_OK) {
        ko_pieces_free(&next);
        return code;
    }
    ko_pieces_free(pieces);
    *pieces = next;
    return KO_OK;
}
