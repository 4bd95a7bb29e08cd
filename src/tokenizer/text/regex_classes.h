/* SPDX-License-Identifier: Apache-2.0 */
/* Character properties as Hugging Face's tokenizers 0.23 know them (Unicode 16), spelled for the
   inside of a PCRE2 class. */
#ifndef KO_TOKENIZER_TEXT_REGEX_CLASSES_H
#define KO_TOKENIZER_TEXT_REGEX_CLASSES_H

#include <stddef.h>

/* The class of a general category in \p{...}, with the characters that PCRE2 up to 10.42 (Unicode
   14) lacks. name[n]. NULL for any other name. */
const char *ko_regex_property(const char *name, size_t n);
/* The class of the escape \s, \d, \w or \h of Oniguruma; NULL for any other letter. */
const char *ko_regex_escape(char letter);

/* \w of Rust's regex, for the inside of a class of ko_regex_compile. */
#define KO_RUST_WORD                                                                               \
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}"                    \
    "\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}\\x{200c}\\x{200d}"

#endif
