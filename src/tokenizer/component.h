/* SPDX-License-Identifier: Apache-2.0 */
/* The components of a tokenizer.json. Their `type` distinguishes them. A new type is one file and
   one line in component_list.h. */
#ifndef KO_TOKENIZER_COMPONENT_H
#define KO_TOKENIZER_COMPONENT_H

#include <json-c/json.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/tokenizer/text/pieces.h"
#include "src/tokenizer/tokens.h"

struct ko_component;

/* A normalizer, a pre-tokenizer or a post-processor. */
struct ko_component_type {
    const char *name; /* the value of `type` */
    /* Reads the object. *state (may be NULL) goes to the other functions. Refuses unknown keys and
       values. */
    enum ko_code (*open)(json_object *spec, const char *where, void **state, struct ko_error *err);
    /* Normalizers and pre-tokenizers; NULL for post-processors. */
    enum ko_code (*on_pieces)(void *state, struct ko_pieces *pieces, struct ko_error *err);
    /* Post-processors; NULL for the others. Offsets are characters of the original text. */
    enum ko_code (*on_tokens)(void *state, struct ko_tokens *tokens, struct ko_error *err);
    void (*close)(void *state);
    /* The component's *n parts. NULL for a type without parts. */
    const struct ko_component *(*parts)(const void *state, size_t *n);
};

/* type NULL: the file has null, and the component does nothing. */
struct ko_component {
    const struct ko_component_type *type;
    void *state;
};

/* The types that a component may have (component_list.h). */
struct ko_component_types {
    const struct ko_component_type *const *type; /* [n]; borrowed */
    size_t n;
};

/* Reads `spec` (NULL for null) as one of the types. `where` is "FILE: COMPONENT". Free with
   ko_component_close. */
KO_MUST_CHECK enum ko_code ko_component_open(json_object *spec, const char *where,
                                             struct ko_component_types types,
                                             struct ko_component *out, struct ko_error *err);
void ko_component_close(struct ko_component *component); /* leaves {0} */
KO_MUST_CHECK enum ko_code ko_component_on_pieces(const struct ko_component *component,
                                                  struct ko_pieces *pieces, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_component_on_tokens(const struct ko_component *component,
                                                  struct ko_tokens *tokens, struct ko_error *err);
/* How often `type` occurs in the component, itself and all nested parts included. */
size_t ko_component_count(const struct ko_component *component,
                          const struct ko_component_type *type);

/* The model, which turns a word (the text of a piece) into tokens. */
struct ko_subword_type {
    const char *name;
    enum ko_code (*open)(json_object *spec, const char *where, void **state, struct ko_error *err);
    /* Adds the tokens of a word of n > 0 bytes, with byte ranges of the word. */
    enum ko_code (*encode)(void *state, const char *word, size_t n, struct ko_tokens *tokens,
                           struct ko_error *err);
    int32_t (*find)(const void *state, const char *text, size_t n); /* the id, or -1 */
    const char *(*piece)(const void *state, int32_t id);            /* NULL: no such id; borrowed */
    int32_t (*n_ids)(const void *state);    /* one more than the largest id */
    size_t (*n_entries)(const void *state); /* entries of the vocabulary */
    void (*close)(void *state);
};

struct ko_subword {
    const struct ko_subword_type *type;
    void *state;
};

struct ko_subword_types {
    const struct ko_subword_type *const *type; /* [n]; borrowed */
    size_t n;
};

/* Reads `spec` as one of the types. Free with ko_subword_close. */
KO_MUST_CHECK enum ko_code ko_subword_open(json_object *spec, const char *where,
                                           struct ko_subword_types types, struct ko_subword *out,
                                           struct ko_error *err);
void ko_subword_close(struct ko_subword *model); /* leaves {0} */

/* Checks that spec is an object, that all its keys are among the n known keys, and that it has the
   first n_required of them, not null. KO_E_INPUT "WHERE: ..." names the key and the nearest known
   key. */
KO_MUST_CHECK enum ko_code ko_keys_check(json_object *spec, const char *const *known, size_t n,
                                         size_t n_required, const char *where,
                                         struct ko_error *err);

#endif
