/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/encodings.h"

#include "src/base/utf8.h"
#include "tests/fuzz/fuzz.h"

void fuzz_encode(struct ko_tokenizer *tokenizer, const char *text, size_t n)
{
    struct ko_error err;
    struct ko_encoding e = {0};
    if (ko_tokenizer_encode(tokenizer, text, n, &e, &err)) {
        return;
    }
    FUZZ_CHECK(ko_utf8_valid(text, n));
    for (size_t i = 0; i < e.n; i++) {
        FUZZ_CHECK(e.id[i] >= 0);
        if (!e.special[i]) { /* a template may add what the vocabulary lacks */
            FUZZ_CHECK(e.id[i] < ko_tokenizer_n_ids(tokenizer) &&
                       ko_tokenizer_piece(tokenizer, e.id[i]) != NULL);
        }
        FUZZ_CHECK(e.char_begin[i] >= 0 && e.char_begin[i] <= e.char_end[i]);
        FUZZ_CHECK((size_t)e.char_end[i] <= n + 1);
    }
    ko_encoding_free(&e);
}
