/* SPDX-License-Identifier: Apache-2.0 */
/* The columns with a prompt's words, as in the prompt file. */
#ifndef KO_EXPORT_CSV_PROMPTS_H
#define KO_EXPORT_CSV_PROMPTS_H

#include <stddef.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cube/read/read.h"

/* The names of the columns, each after a comma. */
#define KO_CSV_PROMPT_COLUMNS                                                                      \
    ",prompt_text,prompt_subject,prompt_relation,prompt_target,prompt_foil"

enum { KO_CSV_N_WORDS = 5 };

struct ko_csv_prompts {
    struct ko_strings word[KO_CSV_N_WORDS]; /* in the order of the columns; foils may be missing */
};

/* Reads the words of a prompt axis: prefix is "", "heat_" or "eval_". Free with
   ko_csv_prompts_free. */
KO_MUST_CHECK enum ko_code ko_csv_prompts_read(struct ko_cube_view *view, const char *prefix,
                                               struct ko_csv_prompts *out, struct ko_error *err);
/* Adds the fields of one prompt, each after a comma. */
void ko_csv_prompts_add(const struct ko_csv_prompts *prompts, size_t prompt, struct ko_text *out);
void ko_csv_prompts_free(struct ko_csv_prompts *prompts); /* leaves {0} */

#endif
