/* SPDX-License-Identifier: Apache-2.0 */
/* Lists the known column layouts of prompt files and chooses one from the column names. If a column
   is missing, the error suggests a similar one from the file. */
#include "src/prompts/fact_layout.h"

#include <string.h>
#include <strings.h>

static const struct ko_fact_layout plain = {
    {"id", "prompt", "subject", "target", "foil", "relation"}, {"targets", "options"}};
static const struct ko_fact_layout tracing = {
    {"case_id", "prompt", "subject", "target_true", "target_false", "relation_id"}, {NULL}};
static const struct ko_fact_layout known = {
    {"known_id", "prompt", "subject", "attribute", NULL, "relation_id"}, {NULL}};
/* PopQA (Mallen et al. 2023) */
static const struct ko_fact_layout popqa = {{"id", "question", "subj", "obj", NULL, "prop"},
                                            {"possible_answers", NULL}};
static const struct ko_fact_layout *const layouts[] = {&plain, &tracing, &known, &popqa};
enum { N_LAYOUTS = sizeof layouts / sizeof layouts[0] };

static bool has_name(const struct ko_strings *names, const char *name)
{
    return ko_strings_find(names, name) >= 0;
}

/* Prefers a layout whose id and target are both there, then one whose target is, then one whose id
   is. */
static const struct ko_fact_layout *choose_layout(const struct ko_strings *names)
{
    const struct ko_fact_layout *best = &plain;
    for (size_t i = 0, best_score = 0; i < N_LAYOUTS; i++) {
        size_t score = (size_t)has_name(names, layouts[i]->column[KO_FACT_ID]) +
                       2 * (size_t)has_name(names, layouts[i]->column[KO_FACT_TARGET]);
        if (score > best_score) {
            best = layouts[i];
            best_score = score;
        }
    }
    return best;
}

struct ko_fact_layout ko_fact_layout_of(const struct ko_strings *names)
{
    struct ko_fact_layout layout = *choose_layout(names);
    if (has_name(names, layout.column[KO_FACT_ID])) {
        return layout;
    }
    layout.column[KO_FACT_ID] = NULL;
    for (size_t i = 0; i < N_LAYOUTS && !layout.column[KO_FACT_ID]; i++) {
        if (has_name(names, layouts[i]->column[KO_FACT_ID])) {
            layout.column[KO_FACT_ID] = layouts[i]->column[KO_FACT_ID];
        }
    }
    return layout;
}

bool ko_fact_layout_is_plain(const struct ko_fact_layout *layout)
{
    return layout->column[KO_FACT_TARGET] == plain.column[KO_FACT_TARGET];
}

/* The name that other data sets give a column, if this file uses it. */
static const char *find_synonym(const struct ko_strings *names, const char *column)
{
    static const struct {
        const char *column, *other;
    } rows[] = {
        {"target", "answer"},       {"target", "object"},     {"target", "label"},
        {"target", "completion"},   {"target", "target_str"}, {"target", "expected"},
        {"target", "output"},       {"subject", "entity"},    {"subject", "subj"},
        {"subject", "subject_str"}, {"prompt", "text"},       {"prompt", "question"},
        {"prompt", "input"},        {"prompt", "sentence"},   {"prompt", "query"},
    };
    for (size_t i = 0; i < names->n; i++) {
        for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
            if (strcmp(column, rows[r].column) == 0 &&
                strcasecmp(names->item[i], rows[r].other) == 0) {
                return names->item[i];
            }
        }
    }
    return NULL;
}

enum ko_code ko_fact_missing(const struct ko_strings *names, const char *column, const char *what,
                             const char *where, struct ko_error *err)
{
    const char *near = find_synonym(names, column);
    if (!near) {
        const char *best = ko_nearest(column, (const char *const *)names->item, names->n);
        bool taken = false; /* it is the right name of another column */
        for (size_t i = 0; best && i < KO_FACT_COLUMNS; i++) {
            taken = taken || strcmp(best, plain.column[i]) == 0;
        }
        near = taken ? NULL : best;
    }
    if (near) {
        return ko_fail(err, KO_E_INPUT, "%s: missing %s '%s', rename '%s' if that is meant", where,
                       what, column, near);
    }
    return ko_fail(err, KO_E_INPUT, "%s: missing %s '%s'", where, what, column);
}

enum ko_code ko_fact_note_names(const struct ko_strings *names, const struct ko_fact_layout *layout,
                                struct ko_strings *notes, struct ko_error *err)
{
    const char *optional[] = {plain.column[KO_FACT_ID], layout->column[KO_FACT_FOIL],
                              layout->column[KO_FACT_RELATION],
                              ko_fact_layout_is_plain(layout) ? "spans" : NULL,
                              ko_fact_layout_is_plain(layout) ? "token_spans" : NULL};
    enum ko_code code = KO_OK;
    if (layout->column[KO_FACT_ID]) {
        optional[0] = NULL;
    }
    for (size_t o = 0; o < sizeof optional / sizeof optional[0]; o++) {
        if (!optional[o] || has_name(names, optional[o])) {
            continue;
        }
        for (size_t i = 0; code == KO_OK && i < names->n; i++) {
            const char *name = names->item[i];
            struct ko_text text = {0};
            /* Too many words are one letter away from a short one such as id. */
            if (strcasecmp(name, optional[o]) != 0 &&
                (strlen(optional[o]) < 4 || !ko_one_edit(name, optional[o]))) {
                continue;
            }
            ko_text_add(&text, "'%s' is not read, did you mean '%s'?", name, optional[o]);
            code = ko_text_check(&text, err);
            if (code == KO_OK) {
                code = ko_strings_intern(notes, ko_text_str(&text), NULL, err);
            }
            ko_text_free(&text);
        }
    }
    return code;
}
