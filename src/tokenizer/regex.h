/* Regular expressions as Hugging Face's tokenizers read them (Oniguruma), on PCRE2. */
#ifndef KO_TOKENIZER_REGEX_H
#define KO_TOKENIZER_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/error.h"
#include "src/tokenizer/pieces.h"

struct ko_regex;

/* Compiles the pattern. \s and \S become the property White_Space (PCRE2's differs at U+180E);
   \p{L} and \p{N} are completed to Unicode 16, which is what Hugging Face's tokenizers 0.23 know,
   whatever version PCRE2 has. KO_E_INPUT: "WHERE: regular expression ...". Free with ko_regex_free.
 */
KO_MUST_CHECK enum ko_code ko_regex_compile(const char *pattern, const char *where,
                                            struct ko_regex **out, struct ko_error *err);
void ko_regex_free(struct ko_regex *regex);

/* The first match at or after byte `from` of n bytes of valid UTF-8; *found false where there is
 * none. */
KO_MUST_CHECK enum ko_code ko_regex_find(struct ko_regex *regex, const char *text, size_t n,
                                         size_t from, size_t *begin, size_t *end, bool *found,
                                         struct ko_error *err);
/* Adds matches and what lies between them, in order: SplitDelimiterBehavior::Isolated. `regex` is a
 * struct ko_regex. */
KO_MUST_CHECK enum ko_code ko_regex_cut(void *regex, const char *text, size_t n,
                                        struct ko_piece_list *parts, struct ko_error *err);

#endif
