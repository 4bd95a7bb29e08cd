/* SPDX-License-Identifier: Apache-2.0 */
/* Regular expressions as Hugging Face's tokenizers read them (Oniguruma), on PCRE2. */
#ifndef KO_TOKENIZER_TEXT_REGEX_H
#define KO_TOKENIZER_TEXT_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/error.h"
#include "src/tokenizer/text/matches.h"

struct ko_regex;

/* Compiles the pattern, which regex_translate.h reads; character properties are those of Unicode
   16, which is what Hugging Face's tokenizers 0.23 know, whatever version PCRE2 has. KO_E_INPUT:
   "WHERE: regular expression ...". Free with ko_regex_free. */
KO_MUST_CHECK enum ko_code ko_regex_compile(const char *pattern, const char *where,
                                            struct ko_regex **out, struct ko_error *err);
/* One that matches just this text. */
KO_MUST_CHECK enum ko_code ko_regex_compile_literal(const char *text, const char *where,
                                                    struct ko_regex **out, struct ko_error *err);
void ko_regex_free(struct ko_regex *regex);

/* The first match at or after byte `from` of n bytes of valid UTF-8. match->is_match is false if
   there is no match. */
KO_MUST_CHECK enum ko_code ko_regex_find(struct ko_regex *regex, const char *text, size_t n,
                                         size_t from, struct ko_match *match, struct ko_error *err);
/* All matches and what lies between them, in order, from left to right; an empty match right behind
   another match does not count. `FindMatches` of the crate onig. */
KO_MUST_CHECK enum ko_code ko_regex_matches(struct ko_regex *regex, const char *text, size_t n,
                                            struct ko_matches *matches, struct ko_error *err);
/* Whether some text has an empty match. */
bool ko_regex_can_match_nothing(const struct ko_regex *regex);

#endif
