/* SPDX-License-Identifier: Apache-2.0 */
/* A prompt token by token, with the token sets of the routes below it, so that overlaps show. */
#ifndef KO_PREVIEW_TOKEN_GRID_H
#define KO_PREVIEW_TOKEN_GRID_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/plan/plan.h"
#include "src/tokenizer/tokenizer.h"

struct ko_token_grid {
    int32_t n_tokens;
    struct ko_strings piece; /* [n_tokens] printable */
    struct ko_strings set;   /* names, in the order of their first use by a route */
    uint8_t *member;         /* [set.n, n_tokens] */
};

/* Lists the sets that the plan's routes use, in one runnable prompt (`each` and `later` are not
   sets). Free with ko_token_grid_free. */
KO_MUST_CHECK enum ko_code ko_token_grid_of(const struct ko_plan *plan,
                                            const struct ko_prompt *prompt,
                                            const struct ko_tokenizer *tokenizer,
                                            struct ko_token_grid *out, struct ko_error *err);
void ko_token_grid_free(struct ko_token_grid *grid); /* leaves {0} */

/* Prints positions, pieces, and one line for each set with marks under its tokens ('#', or a
   coloured bar). If tokens are in several sets, a last line counts the sets. Folds at `width`
   columns. */
void ko_token_grid_print(const struct ko_token_grid *grid, bool color, int width,
                         struct ko_text *out);

#endif
