/* SPDX-License-Identifier: Apache-2.0 */
/* Unicode normalisation forms, with the alignments of the crate unicode-normalization-alignments
   (decompose.rs, recompose.rs). */
#include <stdlib.h>
#include <utf8proc.h>

#include "src/base/memory.h"
#include "src/base/utf8.h"
#include "src/tokenizer/component_list.h"

enum { MAX_EXPANSION = 32 };

struct form {
    bool compatible, compose;
};

struct decomposed {
    uint32_t character;
    int32_t change;
    int class;
    size_t place;
};

struct decomposition {
    struct decomposed *item;
    size_t n, capacity;
};

/* Characters with a combining class or a decomposition that are newer than Unicode 9.0, the version
   of the crate's tables. Like the crate, leave them unchanged. */
static const uint32_t later_than_9[][2] = {
    {0x07FD, 0x07FD},   {0x0897, 0x089F},   {0x08CA, 0x08D3},   {0x09FE, 0x09FE},
    {0x0C3C, 0x0C3C},   {0x0D3B, 0x0D3C},   {0x0EBA, 0x0EBA},   {0x1715, 0x1715},
    {0x1ABF, 0x1AEB},   {0x1DF6, 0x1DFA},   {0x32FF, 0x32FF},   {0xA7F1, 0xA7F4},
    {0xA82C, 0xA82C},   {0xAB69, 0xAB69},   {0x105C0, 0x105F3}, {0x10780, 0x107BA},
    {0x10D24, 0x10D27}, {0x10D69, 0x10D6D}, {0x10EAB, 0x10EAC}, {0x10EFA, 0x10EFF},
    {0x10F46, 0x10F50}, {0x10F82, 0x10F85}, {0x11070, 0x11070}, {0x1133B, 0x1133B},
    {0x11380, 0x113E2}, {0x1145E, 0x1145E}, {0x11839, 0x1183A}, {0x11938, 0x11943},
    {0x119E0, 0x119E0}, {0x11A34, 0x11A34}, {0x11A47, 0x11A47}, {0x11A99, 0x11A99},
    {0x11D42, 0x11D45}, {0x11D97, 0x11D97}, {0x11F41, 0x11F42}, {0x16100, 0x1612F},
    {0x16D40, 0x16D6C}, {0x16FF0, 0x16FF1}, {0x1CCD6, 0x1CCF9}, {0x1E030, 0x1E08F},
    {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF},
    {0x1E5EE, 0x1E5EF}, {0x1E6E3, 0x1E6F5}, {0x1F16C, 0x1F16C}, {0x1FBF0, 0x1FBF9}};

static bool is_later(uint32_t character)
{
    size_t low = 0, high = sizeof later_than_9 / sizeof later_than_9[0];
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (character > later_than_9[middle][1]) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < sizeof later_than_9 / sizeof later_than_9[0] && character >= later_than_9[low][0];
}

static int combining_class(uint32_t character)
{
    if (character < 0x300 || is_later(character)) {
        return 0;
    }
    return (int)utf8proc_get_property((utf8proc_int32_t)character)->combining_class;
}

static enum ko_code decompose_character(uint32_t character, bool compatible,
                                        struct decomposition *to, struct ko_error *err)
{
    utf8proc_int32_t part[MAX_EXPANSION] = {(utf8proc_int32_t)character};
    utf8proc_ssize_t n = 1;
    if (character >= 0x80 && !is_later(character)) {
        utf8proc_option_t options =
            compatible ? UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT : UTF8PROC_DECOMPOSE;
        int boundary = 0;
        n = utf8proc_decompose_char((utf8proc_int32_t)character, part, MAX_EXPANSION, options,
                                    &boundary);
    }
    if (n < 0 || n > MAX_EXPANSION) {
        return ko_fail(err, KO_E_FAILED, "tokenizer: U+%04X cannot be decomposed: %s", character,
                       n < 0 ? utf8proc_errmsg(n) : "too long");
    }
    struct decomposed *grown =
        ko_grow(to->item, &to->capacity, to->n + (size_t)n, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    to->item = grown;
    for (utf8proc_ssize_t i = 0; i < n; i++) {
        uint32_t c = (uint32_t)part[i];
        to->item[to->n] = (struct decomposed){c, i > 0, combining_class(c), to->n};
        to->n++;
    }
    return KO_OK;
}

static int by_class(const void *a, const void *b)
{
    const struct decomposed *x = a, *y = b;
    return x->class != y->class ? x->class - y->class
                                : (x->place > y->place) - (x->place < y->place);
}

/* Canonical order: sorts every run of combining characters by class, stably. */
static void reorder_marks(struct decomposition *d)
{
    for (size_t i = 0, n = 1; i < d->n; i += n, n = 1) {
        if (d->item[i].class == 0) {
            continue;
        }
        while (i + n < d->n && d->item[i + n].class != 0) {
            n++;
        }
        if (n > 1) {
            qsort(d->item + i, n, sizeof d->item[0], by_class);
        }
    }
}

static bool compose_pair(uint32_t a, uint32_t b, uint32_t *composed)
{
    utf8proc_int32_t pair[2] = {(utf8proc_int32_t)a, (utf8proc_int32_t)b};
    if (is_later(a) || is_later(b)) {
        return false;
    }
    if (utf8proc_normalize_utf32(pair, 2, UTF8PROC_COMPOSE | UTF8PROC_STABLE) != 1) {
        return false;
    }
    *composed = (uint32_t)pair[0];
    return !is_later(*composed);
}

/* The composite so far, and the combining characters that did not join it. They are emitted before
   the next starter. */
struct composition {
    bool has_starter;
    struct decomposed starter;
    int last_class; /* of the waiting ones; -1: none wait */
    struct decomposed *waiting;
    size_t n_waiting;
};

static enum ko_code emit_character(const struct decomposed *d, struct ko_changes *changes,
                                   struct ko_error *err)
{
    return ko_changes_add(changes, d->character, d->change, err);
}

static enum ko_code emit_all(struct composition *c, struct ko_changes *changes,
                             struct ko_error *err)
{
    enum ko_code code = c->has_starter ? emit_character(&c->starter, changes, err) : KO_OK;
    for (size_t i = 0; code == KO_OK && i < c->n_waiting; i++) {
        code = emit_character(&c->waiting[i], changes, err);
    }
    c->n_waiting = 0;
    c->last_class = -1;
    c->has_starter = false;
    return code;
}

static enum ko_code compose_characters(const struct decomposition *d, struct ko_changes *changes,
                                       struct ko_error *err)
{
    struct composition c = {.last_class = -1, .waiting = ko_new(d->n, sizeof *c.waiting, err)};
    enum ko_code code = c.waiting ? KO_OK : KO_E_MEMORY;
    for (size_t i = 0; code == KO_OK && i < d->n; i++) {
        const struct decomposed *next = &d->item[i];
        uint32_t composed = 0;
        if (!c.has_starter && next->class != 0) {
            code = emit_character(next, changes, err);
            continue;
        }
        if (c.has_starter && c.last_class < next->class &&
            compose_pair(c.starter.character, next->character, &composed)) {
            c.starter.character = composed;
            c.starter.change += next->change - 1;
            continue;
        }
        if (next->class != 0) {
            c.waiting[c.n_waiting++] = *next;
            c.last_class = next->class;
            continue;
        }
        code = emit_all(&c, changes, err);
        c.starter = *next;
        c.has_starter = true;
    }
    if (code == KO_OK) {
        code = emit_all(&c, changes, err);
    }
    free(c.waiting);
    return code;
}

static enum ko_code normalize_piece(void *context, const char *text, size_t n,
                                    struct ko_changes *changes, struct ko_error *err)
{
    const struct form *form = context;
    struct decomposition d = {0};
    enum ko_code code = KO_OK;
    for (size_t at = 0; code == KO_OK && at < n;) {
        uint32_t character;
        at += ko_utf8_get(text + at, &character);
        code = decompose_character(character, form->compatible, &d, err);
    }
    reorder_marks(&d);
    if (code == KO_OK && form->compose) {
        code = compose_characters(&d, changes, err);
    }
    for (size_t i = 0; code == KO_OK && !form->compose && i < d.n; i++) {
        code = emit_character(&d.item[i], changes, err);
    }
    free(d.item);
    return code;
}

static enum ko_code open_form(json_object *spec, const char *where, void **state,
                              struct ko_error *err)
{
    static const char *const keys[] = {"type"};
    *state = NULL;
    return ko_keys_check(spec, keys, 1, 1, where, err);
}

#define FORM(which, name_, compatible, compose)                                                    \
    static enum ko_code on_pieces_##which(void *state, struct ko_pieces *pieces,                   \
                                          struct ko_error *err)                                    \
    {                                                                                              \
        struct form options = {compatible, compose};                                               \
        (void)state;                                                                               \
        return ko_pieces_rewrite(pieces, normalize_piece, &options, err);                          \
    }                                                                                              \
    const struct ko_component_type ko_##which##_normalizer = {                                     \
        .name = name_,                                                                             \
        .open = open_form,                                                                         \
        .on_pieces = on_pieces_##which,                                                            \
    };
FORM(nfc, "NFC", false, true)
FORM(nfd, "NFD", false, false)
FORM(nfkc, "NFKC", true, true)
FORM(nfkd, "NFKD", true, false)
