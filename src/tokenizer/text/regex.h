/* SPDX-License-Identifier: Apache-2.0 */
/* Regular expressions as Hugging Face's tokenizers read them (Oniguruma), on PCRE2. */
#ifndef KO_TOKENIZER_TEXT_REGEX_H
#define KO_TOKENIZER_TEXT_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/error.h"
#include "src/tokenizer/text/matches.h"

struct ko_regex;

/* Compiles the pattern after translation (regex_translate.h). Character properties are those of
   Unicode 16, as in Hugging Face's tokenizers 0.23, for every version of PCRE2. KO_E_INPUT: "WHERE:
   regular expression ...". Free with ko_regex_free. */
KO_MUST_CHECK enum ko_code ko_regex_compile(const char *pattern, const char *where,
                                            struct ko_regex **out, struct ko_error *err);
/* The same for a pattern that matches exactly this text. */
KO_MUST_CHECK enum ko_code ko_regex_compile_literal(const char *text, const char *where,
                                                    struct ko_regex **out, struct ko_error *err);
void ko_regex_free(struct ko_regex *regex);

/* The first match at or after byte `from` of n bytes of valid UTF-8. match->is_match is false if
   there is no match. */
KO_MUST_CHECK enum ko_code ko_regex_find(struct ko_regex *regex, const char *text, size_t n,
                                         size_t from, struct ko_match *match, struct ko_error *err);
/* All matches and the text between them, from left to right. An empty match right after another
   match does not count, as in `FindMatches` of the crate onig. */
KO_MUST_CHECK enum ko_code ko_regex_matches(struct ko_regex *regex, const char *text, size_t n,
                                            struct ko_matches *matches, struct ko_error *err);
/* Whether the pattern can match an empty text. */
bool ko_regex_can_match_nothing(const struct ko_regex *regex);

#endif
