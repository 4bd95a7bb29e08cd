/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the readers of prompt files, for this folder alone. */
#ifndef KO_PROMPTS_FACTS_PRIVATE_H
#define KO_PROMPTS_FACTS_PRIVATE_H

#include <json-c/json.h>

#include "src/prompts/fact_layout.h"
#include "src/prompts/facts.h"

struct ko_facts_reader {
    struct ko_facts *facts; /* being filled; owned by the caller */
    size_t capacity;
};

/* Where a record is. */
struct ko_fact_place {
    const char *where; /* "FILE:LINE", for errors */
    int line;
};

/* Adds a fact with copies of the values. NULL: the column is absent; an empty optional value counts
   as absent. Without an id, the fact's number is its id; either all facts of a file have ids or no
   fact has. */
KO_MUST_CHECK enum ko_code ko_facts_add(struct ko_facts_reader *reader,
                                        const char *const value[KO_FACT_COLUMNS], int line,
                                        struct ko_error *err);
/* Adds a JSON record. Its keys decide its layout. */
KO_MUST_CHECK enum ko_code ko_facts_add_record(struct ko_facts_reader *reader, json_object *record,
                                               int line, struct ko_error *err);
/* Adds a record of ROME's counterfact.json. */
KO_MUST_CHECK enum ko_code ko_facts_add_rome(struct ko_facts_reader *reader, json_object *record,
                                             int line, struct ko_error *err);
/* Whether a record is a relation of LRE's data (Hernandez et al. 2024). */
bool ko_fact_is_relation(json_object *record);
/* Adds the facts of such a relation. */
KO_MUST_CHECK enum ko_code ko_facts_add_relation(struct ko_facts_reader *reader,
                                                 json_object *record, int line,
                                                 struct ko_error *err);
/* Appends the template to out, with the subject in place of its one {}. */
KO_MUST_CHECK enum ko_code ko_fact_fill(const char *template, const char *subject,
                                        const char *where, struct ko_text *out,
                                        struct ko_error *err);
/* Adds a record with the key `embeddings`. */
KO_MUST_CHECK enum ko_code ko_facts_add_embedded(struct ko_facts_reader *reader,
                                                 json_object *record, int line, const char *where,
                                                 struct ko_error *err);
void ko_fact_embedded_free(struct ko_fact_embedded *embedded);
/* Copies a list of 1 to KO_FACT_POSITIONS token ids. The caller frees *out. */
KO_MUST_CHECK enum ko_code ko_fact_read_ids(json_object *list, const char *key, int32_t **out,
                                            size_t *n, const char *where, struct ko_error *err);
/* Adds the spans of a record, in characters (`spans`) and in positions (`token_spans`). */
KO_MUST_CHECK enum ko_code ko_fact_read_spans(struct ko_fact *fact, json_object *record,
                                              const char *where, struct ko_error *err);
/* What a record says of its right answers and options. */
struct ko_fact_answers {
    json_object *targets, *options; /* lists of texts, of a matrix also of lists of ids; or NULL */
    json_object *target_ids;        /* the ids of `target`; NULL: it is its text */
    const char *key;                /* the name of the key or column of targets, for errors */
};
/* Sets the choices of the last fact. */
KO_MUST_CHECK enum ko_code ko_fact_set_choices(struct ko_facts *facts,
                                               const struct ko_fact_answers *answers,
                                               const char *where, struct ko_error *err);
/* Frees them. */
void ko_fact_choices_free(struct ko_fact *fact);
/* The list under a key, whose value may be its JSON text; *out NULL: there is none. The caller puts
   it. */
KO_MUST_CHECK enum ko_code ko_fact_read_list(json_object *record, const char *key,
                                             json_object **out, const char *where,
                                             struct ko_error *err);
/* The first text of a list of right answers, which stands in place of a missing target; "" where it
   has none, which ko_fact_set_choices refuses. NULL: there is no list. Borrowed from the list. */
const char *ko_fact_first_target(json_object *targets);
/* The list that a JSON text holds; *out NULL for an empty text. The caller puts it. */
KO_MUST_CHECK enum ko_code ko_fact_parse_list(const char *text, const char *key, const char *where,
                                              json_object **out, struct ko_error *err);
/* The string under a key, or with `number` a number's decimal text; NULL if the key is absent.
   Borrowed from the record. KO_E_INPUT for a number that its text would not give exactly (beyond 64
   bits, NaN). */
KO_MUST_CHECK enum ko_code ko_fact_value(json_object *record, const char *key, bool number,
                                         const char **out, const char *where, struct ko_error *err);

/* Readers of one kind of file each. The n bytes are valid UTF-8 without NUL. */
KO_MUST_CHECK enum ko_code ko_facts_read_lines(struct ko_facts_reader *reader, const char *bytes,
                                               size_t n, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_facts_read_array(struct ko_facts_reader *reader, const char *bytes,
                                               size_t n, struct ko_error *err);
/* Adds the facts of a file that is one object: a relation of LRE's data, {"data": [...]}, or one
   record. */
KO_MUST_CHECK enum ko_code ko_facts_read_object(struct ko_facts_reader *reader, json_object *root,
                                                struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_facts_read_csv(struct ko_facts_reader *reader, const char *bytes,
                                             size_t n, struct ko_error *err);

#endif
