/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the prompts' words from a cube and writes them as CSV columns. The tables of sweeps and of
   clean runs both use it. */
#include "src/export/csv_prompts.h"

#include <stdio.h>

#include "src/formats/csv_stream.h"

static const char *const names[KO_CSV_N_WORDS] = {
    "prompt_text", "prompt_subject", "prompt_relation", "prompt_target", "prompt_foil"};

enum ko_code ko_csv_prompts_read(struct ko_cube_view *view, const char *prefix,
                                 struct ko_csv_prompts *out, struct ko_error *err)
{
    struct ko_csv_prompts prompts = {0};
    enum ko_code code = KO_OK;

    for (int c = 0; c < KO_CSV_N_WORDS && code == KO_OK; c++) {
        char dataset[64];
        (void)snprintf(dataset, sizeof dataset, "%s%s", prefix, names[c]);
        if (ko_cube_view_has(view, dataset)) {
            code = ko_cube_view_read_strings(view, dataset, &prompts.word[c], err);
        }
    }
    if (code == KO_OK) {
        *out = prompts;
    } else {
        ko_csv_prompts_free(&prompts);
    }
    return code;
}

void ko_csv_prompts_add(const struct ko_csv_prompts *prompts, size_t prompt, struct ko_text *out)
{
    for (int c = 0; c < KO_CSV_N_WORDS; c++) {
        ko_text_add(out, ",");
        if (prompt < prompts->word[c].n) {
            ko_csv_text(out, prompts->word[c].item[prompt]);
        }
    }
}

void ko_csv_prompts_free(struct ko_csv_prompts *prompts)
{
    for (int c = 0; c < KO_CSV_N_WORDS; c++) {
        ko_strings_free(&prompts->word[c]);
    }
}
