/* SPDX-License-Identifier: Apache-2.0 */
/* The layouts of prompt files with a value a column: which one a file has, and what a file without
   one of its columns is told. */
#ifndef KO_PROMPTS_FACT_LAYOUT_H
#define KO_PROMPTS_FACT_LAYOUT_H

#include <stdbool.h>

#include "src/base/text.h"
#include "src/prompts/facts_private.h"

/* Where each of a record's values stands: keys of JSON or names of the CSV header. */
struct ko_fact_layout {
    const char *column[KO_FACT_COLUMNS]; /* NULL: there is none */
};

/* The layout of a record or header that has these names: the plain one (id, prompt, subject,
   target), counterfact-tracing's or known_1000's. The id's column is the layout's own or another
   one's, NULL where there is none. */
struct ko_fact_layout ko_fact_layout_of(const struct ko_strings *names);

bool ko_fact_layout_is_plain(const struct ko_fact_layout *layout);

/* KO_E_INPUT "WHERE: missing WHAT 'COLUMN', ..." with the name that is most likely meant; what:
   "key" or "column". */
enum ko_code ko_fact_missing(const struct ko_strings *names, const char *column, const char *what,
                             const char *where, struct ko_error *err);

/* Adds a note for every name that is not read but looks like a column that may be missing, and is:
   "'Foil' is not read, did you mean 'foil'?". */
KO_MUST_CHECK enum ko_code ko_fact_note_names(const struct ko_strings *names,
                                              const struct ko_fact_layout *layout,
                                              struct ko_strings *notes, struct ko_error *err);

#endif
