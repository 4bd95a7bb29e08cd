/* SPDX-License-Identifier: Apache-2.0 */
/* Layouts of prompt files: which column holds which value. */
#ifndef KO_PROMPTS_FACT_LAYOUT_H
#define KO_PROMPTS_FACT_LAYOUT_H

#include <stdbool.h>

#include "src/base/text.h"

/* The values of a record. */
enum ko_fact_column {
    KO_FACT_ID,
    KO_FACT_TEXT,
    KO_FACT_SUBJECT,
    KO_FACT_TARGET,
    KO_FACT_FOIL,
    KO_FACT_RELATION,
    KO_FACT_COLUMNS
};

/* The columns that hold lists of texts. */
enum ko_fact_list { KO_FACT_TARGETS, KO_FACT_OPTIONS, KO_FACT_LISTS };

/* The columns before this one are required, except the id. */
enum { KO_FACT_REQUIRED = KO_FACT_FOIL };

/* The name of each column: a key of a JSON record, or a name in the CSV header. */
struct ko_fact_layout {
    const char *column[KO_FACT_COLUMNS]; /* NULL: the layout has no such column */
    const char *list[KO_FACT_LISTS];     /* likewise */
};

/* The layout of a record or header with these names: plain (id, prompt, subject, target),
   counterfact-tracing's, known_1000's or PopQA's. The id may be in another layout's column; its
   name is NULL if no column holds an id. */
struct ko_fact_layout ko_fact_layout_of(const struct ko_strings *names);

bool ko_fact_layout_is_plain(const struct ko_fact_layout *layout);

/* KO_E_INPUT "WHERE: missing WHAT 'COLUMN', ...", which suggests the name that is most likely meant.
   what: "key" or "column". */
enum ko_code ko_fact_missing(const struct ko_strings *names, const char *column, const char *what,
                             const char *where, struct ko_error *err);

/* Adds a note for each name that is ignored but looks like an optional column that is missing:
   "'Foil' is not read, did you mean 'foil'?". */
KO_MUST_CHECK enum ko_code ko_fact_note_names(const struct ko_strings *names,
                                              const struct ko_fact_layout *layout,
                                              struct ko_strings *notes, struct ko_error *err);

#endif
