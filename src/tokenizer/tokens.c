/* SPDX-License-Identifier: Apache-2.0 */
/* Appends a token to a growing list. */
#include "src/tokenizer/tokens.h"

#include "src/base/memory.h"

enum ko_code ko_tokens_add(struct ko_tokens *tokens, const struct ko_token *token,
                           struct ko_error *err)
{
    struct ko_token *grown =
        ko_grow(tokens->token, &tokens->capacity, tokens->n + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    tokens->token = grown;
    tokens->token[tokens->n++] = *token;
    return KO_OK;
}
