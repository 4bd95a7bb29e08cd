/* SPDX-License-Identifier: Apache-2.0 */
/* Prompt files: facts as the user wrote them, before any tokenizer. */
#ifndef KO_PROMPTS_FACTS_H
#define KO_PROMPTS_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/prompts/answers/choice.h"

enum {
    KO_FACTS = 1 << 20,           /* prompts in a file */
    KO_FACT_BYTES = 1 << 20,      /* of a prompt, and of each other text of a fact */
    KO_FACT_SPAN_NAMES = 1 << 10, /* different span names in a file */
    KO_FACT_POSITIONS = 1 << 15,  /* the end of a span in positions: the most tokens of a prompt */
    KO_FACT_CHOICES = 1 << 8,     /* right answers and options of a prompt */
    KO_FACT_ADDED = 1 << 6,       /* further matrices of a prompt that is one */
};

/* One of several right answers, or an option. */
struct ko_fact_choice {
    char *text;     /* trimmed; of a matrix as in the file, and for given ids their JSON list */
    uint8_t kind;   /* KO_CHOICE_RIGHT, KO_CHOICE_OPTION or both */
    bool is_target; /* it is the fact's `target` */
    int32_t *id;    /* [n_ids] given tokens; n_ids 0: the text is tokenized; owned */
    size_t n_ids;
};

/* A run of a named span. A span of several runs is in the list with each, in order. */
struct ko_named_span {
    char *name;
    int32_t char_begin, char_end; /* characters of the prompt, end exclusive */
    bool positions;               /* they are positions of tokens instead */
};

/* What a prompt has that is a matrix of embeddings in place of a text. */
struct ko_fact_embedded {
    int32_t *target_id, *foil_id; /* [n]; n 0: the text `target` or `foil` is tokenized; owned */
    size_t n_target_ids, n_foil_ids;
    /* [n_turns, n_positions] rotary positions: n_turns is 0 (none are given), 1 or 3; owned */
    int32_t *turn;
    int32_t n_turns, n_positions;
    /* Of the matrix (ko_embeddings_attach): [n_rows, width], n_added further ones of this shape, and
       the XXH3-128 of all their bytes, "" if they were not read. */
    int32_t n_rows, width, n_added;
    char hash[33];
};

struct ko_fact {
    char *id;       /* unique; numbers are kept as their decimal text */
    char *text;     /* the prompt */
    char *subject;  /* as in the file (trimmed where it is used) */
    char *target;   /* as in the file */
    char *foil;     /* NULL where there is none */
    char *relation; /* NULL where there is none */
    /* The options in the order of the file, some of them right; without options the right answers,
       the target first. 0: the target is the only answer. No two are equal. */
    struct ko_fact_choice *choice;
    size_t n_choices;
    /* JSON lists of texts and of lists of ids. targets is NULL where there is one right answer, and
       options where there are none. */
    char *targets, *options;
    struct ko_named_span *span;
    size_t n_spans;
    struct ko_fact_embedded *embedded; /* NULL: the prompt is its text; owned */
    int line; /* of the file, from 1 (the record's number for JSON arrays) */
};

struct ko_facts {
    struct ko_fact *fact; /* in file order */
    size_t n;
    struct ko_strings span_names; /* all names used by any fact, in order of first use */
    char *file;
    struct ko_strings notes; /* about keys that are ignored but look like known ones */
    bool numbered;           /* the file has no ids: each fact's id is its number, from 0 */
};

/* Reads a prompt file. The content decides the format:
   - JSON Lines, a JSON array or CSV (header line) with prompt, subject, target, optionally id,
     relation, foil, and in JSON spans ({"verb": [12, 17]}, in characters) and token_spans
     ({"image": [5, 581], "frame": [[5, 149], [149, 293]]}, in positions of tokens);
     `targets`, a list of right answers, may stand beside or in place of `target`; `options` is a
     list of answers that the right ones are in. A CSV field has such a list as JSON text;
   - the same in the columns of counterfact-tracing: prompt, subject, target_true, target_false,
     relation_id, optionally case_id; or of known_1000.json: subject, attribute, prompt,
     relation_id, optionally known_id (target = attribute);
   - PopQA's columns: question, subj, obj, prop, optionally id and possible_answers, a list of right
     answers or its JSON text;
   - tab-separated values with a header line, in any of these columns;
   - ROME's counterfact.json: a JSON array of {case_id, requested_rewrite: {prompt: "{} template",
     subject, target_true: {str}, target_new: {str}, relation_id}};
   - a relation of LRE's data: {name, prompt_templates: ["{} template"], samples: [{subject,
     object}]}; only the first template is used.
   A JSON record with `embeddings`: true is a matrix (docs/embeddings.md): `target` or target_ids,
   optionally prompt (for people to read), id, relation, foil or foil_ids, token_spans,
   position_ids; `targets` and `options`, in which an answer is a text or a list of token ids.
   Other columns are ignored. An object may span several lines; {"data": [...]} is read as its list.
   If no record has an id, the ids are the records' numbers, from 0. KO_E_INPUT "FILE:LINE: ..." for a
   missing key, a wrong type, a duplicate key, an empty list of answers or options, equal options, a
   right answer that is not an option, invalid UTF-8, a NUL character, or a duplicate id (names both
   lines). Free with ko_facts_free. */
KO_MUST_CHECK enum ko_code ko_facts_read(const char *file, struct ko_facts *out,
                                         struct ko_error *err);
void ko_facts_free(struct ko_facts *facts); /* leaves {0} */

#endif
