/* SPDX-License-Identifier: Apache-2.0 */
/* A text on its way to the model: normalized and cut into pieces. Every byte keeps its origin in
   the original text. */
#ifndef KO_TOKENIZER_TEXT_PIECES_H
#define KO_TOKENIZER_TEXT_PIECES_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"

enum { KO_PIECES_BYTES = 16 << 20 }; /* longest rewritten text, because rules can multiply a text */

/* Bytes [begin, end) of the original text. */
struct ko_origin {
    int32_t begin, end;
};

/* Bytes [begin, end) of the pieces' text. id: the added token; -1: the model encodes the piece. */
struct ko_piece {
    size_t begin, end;
    int32_t id;
};

struct ko_piece_list {
    struct ko_piece *piece; /* owned */
    size_t n, capacity;
};

/* One character of a rewritten piece, as for `transform` of Hugging Face's NormalizedString. change
   0: it replaces the next character of the old piece; 1: it is inserted; -N: it replaces the next
   character and N more are dropped. `skip` characters of the old piece are dropped first. */
struct ko_change {
    uint32_t character;
    int32_t change;
    size_t skip;
};

struct ko_changes {
    struct ko_change *change; /* owned; free() */
    size_t n, capacity;
    size_t skip;   /* for the next change */
    int32_t begin; /* byte of the original text at which the piece begins */
};

/* Start from {0}; free with ko_pieces_free. */
struct ko_pieces {
    char *text;               /* [n_bytes] valid UTF-8; owned */
    struct ko_origin *origin; /* [n_bytes]; owned */
    size_t n_bytes, text_capacity, origin_capacity;
    struct ko_piece_list list; /* in order */
};

/* Adds a piece of at least one byte; an empty one is left out. */
KO_MUST_CHECK enum ko_code ko_piece_list_add(struct ko_piece_list *list, size_t begin, size_t end,
                                             int32_t id, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_changes_add(struct ko_changes *changes, uint32_t character,
                                          int32_t change, struct ko_error *err);
/* Drops the next n characters of the old piece. */
void ko_changes_skip(struct ko_changes *changes, size_t n);
/* Keeps, or inserts, n bytes of valid UTF-8. */
KO_MUST_CHECK enum ko_code ko_changes_keep(struct ko_changes *changes, const char *text, size_t n,
                                           struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_changes_insert(struct ko_changes *changes, const char *text, size_t n,
                                             struct ko_error *err);
/* Makes the new text prefix + text, as `prepend` of NormalizedString. The first characters of both
   share one origin. Neither is empty. */
KO_MUST_CHECK enum ko_code ko_changes_prepend(struct ko_changes *changes, const char *prefix,
                                              size_t n_prefix, const char *text, size_t n,
                                              struct ko_error *err);

/* Starts with one piece of n <= INT32_MAX bytes of valid UTF-8. */
KO_MUST_CHECK enum ko_code ko_pieces_start(struct ko_pieces *pieces, const char *text, size_t n,
                                           struct ko_error *err);
void ko_pieces_free(struct ko_pieces *pieces); /* leaves {0} */

/* Adds the parts of a piece to *parts, counted from the first byte of its text. */
typedef enum ko_code ko_piece_cutter(void *context, const char *text, size_t n,
                                     struct ko_piece_list *parts, struct ko_error *err);
/* Adds the characters of a piece's new text to *changes. */
typedef enum ko_code ko_piece_rewriter(void *context, const char *text, size_t n,
                                       struct ko_changes *changes, struct ko_error *err);

/* Cuts, or rewrites, every piece that has no id. */
KO_MUST_CHECK enum ko_code ko_pieces_cut(struct ko_pieces *pieces, ko_piece_cutter *cut,
                                         void *context, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_pieces_rewrite(struct ko_pieces *pieces, ko_piece_rewriter *rewrite,
                                             void *context, struct ko_error *err);

#endif
