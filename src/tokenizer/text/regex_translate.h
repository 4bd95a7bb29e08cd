/* SPDX-License-Identifier: Apache-2.0 */
/* Translates regular expressions of Oniguruma, as in tokenizer.json, to PCRE2. */
#ifndef KO_TOKENIZER_TEXT_REGEX_TRANSLATE_H
#define KO_TOKENIZER_TEXT_REGEX_TRANSLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/error.h"
#include "src/base/text.h"

enum { KO_REGEX_DEPTH = 32 };

/* A running translation. Start from {.pattern, .at = pattern, .where, .err}; `out` is owned. */
struct ko_translation {
    const char *pattern, *at; /* at: what comes next; borrowed */
    const char *where;        /* borrowed */
    struct ko_error *err;
    struct ko_text out;
    size_t group[KO_REGEX_DEPTH]; /* where in `out` each open group begins */
    size_t depth;
    size_t atom; /* where in `out` the last atom begins */
    bool caseless;
    size_t caseless_depth; /* the depth of the group that made it caseless */
};

/* Translates the whole pattern into t->out, for PCRE2_UTF. KO_E_INPUT "WHERE: regular expression
   '...': '...' is not supported" for syntax that the libraries read differently. The reference is
   the Oniguruma of Hugging Face's tokenizers 0.23. */
KO_MUST_CHECK enum ko_code ko_regex_translate(struct ko_translation *t);
/* Translates the class that begins with '[' at t->at, and adds it to *out. depth: the number of
   enclosing classes. */
KO_MUST_CHECK enum ko_code ko_regex_translate_class(struct ko_translation *t, size_t depth,
                                                    struct ko_text *out);

/* An escape: one character, or a class. */
struct ko_regex_escaped {
    const char *class; /* NULL: `character` */
    bool negated;
    unsigned character;
};
/* Reads the escape at t->at and moves past it. Other escapes: *known is false and t->at stays. */
KO_MUST_CHECK enum ko_code ko_regex_read_escape(struct ko_translation *t,
                                                struct ko_regex_escaped *out, bool *known);
/* KO_E_INPUT for the n bytes at t->at. */
enum ko_code ko_regex_refuse(struct ko_translation *t, size_t n);

#endif
