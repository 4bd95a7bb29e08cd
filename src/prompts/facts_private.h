/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of prompt files share. */
#ifndef KO_PROMPTS_FACTS_PRIVATE_H
#define KO_PROMPTS_FACTS_PRIVATE_H

#include <json-c/json.h>

#include "src/prompts/facts.h"

/* The columns of a layout: keys of a JSON record or names of the CSV header. */
enum ko_fact_column {
    KO_FACT_ID,
    KO_FACT_TEXT,
    KO_FACT_SUBJECT,
    KO_FACT_TARGET,
    KO_FACT_FOIL,
    KO_FACT_RELATION,
    KO_FACT_COLUMNS
};

/* Of these columns the one of the id may be missing. */
enum { KO_FACT_REQUIRED = KO_FACT_FOIL }; /* the columns before it have to be there */

struct ko_facts_reader {
    struct ko_facts *facts; /* being filled; owned by the caller */
    size_t capacity;
};

/* Adds a fact with copies of the values (NULL: not there; an empty optional one counts as not
   there). Without an id it is the row's number, which all facts of a file have or none. */
KO_MUST_CHECK enum ko_code ko_facts_add(struct ko_facts_reader *reader,
                                        const char *const value[KO_FACT_COLUMNS], int line,
                                        struct ko_error *err);
/* Adds a JSON record, whose layout its keys tell. */
KO_MUST_CHECK enum ko_code ko_facts_add_record(struct ko_facts_reader *reader, json_object *record,
                                               int line, struct ko_error *err);
/* Adds a record of ROME's counterfact.json. */
KO_MUST_CHECK enum ko_code ko_facts_add_rome(struct ko_facts_reader *reader, json_object *record,
                                             int line, struct ko_error *err);
/* Whether a record is a relation of LRE's data (Hernandez et al. 2024), and the facts of one. */
bool ko_fact_is_relation(json_object *record);
KO_MUST_CHECK enum ko_code ko_facts_add_relation(struct ko_facts_reader *reader,
                                                 json_object *record, int line,
                                                 struct ko_error *err);
/* The template with its one {} replaced by the subject. */
KO_MUST_CHECK enum ko_code ko_fact_fill(const char *template, const char *subject,
                                        const char *where, struct ko_text *out,
                                        struct ko_error *err);
/* The string, or a number's decimal text, under a key; *out NULL where absent. A number that is not
   kept as it stands (beyond 64 bits, NaN) is KO_E_INPUT. Borrowed from the record. */
KO_MUST_CHECK enum ko_code ko_fact_value(json_object *record, const char *key, bool number,
                                         const char **out, const char *where, struct ko_error *err);

/* The kinds of files: n bytes of valid UTF-8 without NUL. */
KO_MUST_CHECK enum ko_code ko_facts_read_lines(struct ko_facts_reader *reader, const char *bytes,
                                               size_t n, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_facts_read_array(struct ko_facts_reader *reader, const char *bytes,
                                               size_t n, struct ko_error *err);
/* A text that is one object: a relation of LRE's, {"data": [...]}, or a record. */
KO_MUST_CHECK enum ko_code ko_facts_read_object(struct ko_facts_reader *reader, json_object *root,
                                                struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_facts_read_csv(struct ko_facts_reader *reader, const char *bytes,
                                             size_t n, struct ko_error *err);

#endif
