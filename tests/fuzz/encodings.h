/* SPDX-License-Identifier: Apache-2.0 */
/* What is true of every encoding. */
#ifndef KO_FUZZ_ENCODINGS_H
#define KO_FUZZ_ENCODINGS_H

#include <stddef.h>

#include "src/tokenizer/tokenizer.h"

/* Encodes the text and checks that ids have pieces, and that offsets lie in the text and are in
   order. */
void fuzz_encode(struct ko_tokenizer *tokenizer, const char *text, size_t n);

#endif
