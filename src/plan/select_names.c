/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the models, relations and ids that a selection names. */
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/plan/build.h"

enum { SHOWN = 6 /* relations that a message lists */ };

struct checker {
    const struct ko_plan_builder *builder;
    const char *file;
    const struct ko_plan_fact *fact; /* [n] of the file */
    int32_t n;
    struct ko_text *unmatched; /* the first value without a prompt */
};

/* A selection may name the models of the evaluation or, before there is one, all models that the
   spec declares. */
static enum ko_code check_model_name(const struct ko_plan_builder *builder,
                                     const struct ko_select *select, const char *name)
{
    const struct ko_strings *ranked = builder->input->ranked_models;
    const struct ko_spec *spec = builder->input->spec;
    size_t n = ranked != NULL ? ranked->n : spec->n_models;
    const char **names = ko_new(n, sizeof *names, builder->err);
    if (!names) {
        return KO_E_MEMORY;
    }
    bool found = false;
    for (size_t i = 0; i < n; i++) {
        names[i] = ranked != NULL ? ranked->item[i] : spec->model[i].name;
        found = found || strcmp(names[i], name) == 0;
    }
    const char *near = ko_nearest(name, names, n);
    enum ko_code code = KO_OK;
    if (!found && near) {
        code = ko_fail(builder->err, KO_E_INPUT,
                       "%s: correct-by: unknown model '%s', did you mean '%s'?", select->where,
                       name, near);
    } else if (!found) {
        code = ko_fail(builder->err, KO_E_INPUT,
                       "%s: correct-by: unknown model '%s', %s does not have it", select->where,
                       name, ranked != NULL ? "the evaluation" : "the spec");
    }
    free(names);
    return code;
}

/* The fact's id or relation; NULL where it has no relation. */
static const char *value_of(const struct ko_plan_fact *fact, enum ko_select_kind kind)
{
    return kind == KO_SELECT_ID ? fact->id : fact->relation;
}

/* Lists the first few relations of the file. */
static enum ko_code list_relations(const struct checker *c, struct ko_text *out)
{
    struct ko_strings seen = {0};
    enum ko_code code = KO_OK;
    for (int32_t f = 0; code == KO_OK && f < c->n && seen.n <= SHOWN; f++) {
        if (c->fact[f].relation) {
            code = ko_strings_intern(&seen, c->fact[f].relation, NULL, c->builder->err);
        }
    }
    if (seen.n == 0) {
        ko_text_add(out, ", none has a relation");
    }
    for (size_t k = 0; k < seen.n; k++) {
        ko_text_add(out,
                    k == 0      ? ", there are '%s'"
                    : k < SHOWN ? ", '%s'"
                                : ", ...",
                    seen.item[k]);
    }
    ko_strings_free(&seen);
    return code;
}

/* The nearest value among the file's prompts. None for a number: numbers look alike by chance. */
static enum ko_code find_nearest(const struct checker *c, enum ko_select_kind kind,
                                 const char *value, const char **near)
{
    size_t n = 0;
    *near = NULL;
    if (strspn(value, "0123456789") == strlen(value)) {
        return KO_OK;
    }
    const char **known = ko_new((size_t)c->n, sizeof *known, c->builder->err);
    if (!known) {
        return KO_E_MEMORY;
    }
    for (int32_t f = 0; f < c->n; f++) {
        if (value_of(&c->fact[f], kind)) {
            known[n++] = value_of(&c->fact[f], kind);
        }
    }
    *near = ko_nearest(value, known, n);
    free(known);
    return KO_OK;
}

/* Warns of a relation or id that no prompt has: it is most likely mistyped. */
static enum ko_code check_value(const struct checker *c, const struct ko_select *select,
                                const char *value)
{
    const enum ko_select_kind kind = select->kind;
    struct ko_text text = {0};
    const char *near = NULL;
    for (int32_t f = 0; f < c->n; f++) {
        const char *own = value_of(&c->fact[f], kind);
        if (own && strcmp(own, value) == 0) {
            return KO_OK;
        }
    }
    enum ko_code code = find_nearest(c, kind, value, &near);
    ko_text_add(&text, "no prompt of %s has the %s '%s'", c->file,
                kind == KO_SELECT_ID ? "id" : "relation", value);
    if (near) {
        ko_text_add(&text, ", did you mean '%s'?", near);
    } else if (kind == KO_SELECT_ID && c->n > 0) {
        ko_text_add(&text, ", the first has '%s' and the last '%s'", c->fact[0].id,
                    c->fact[c->n - 1].id);
    } else if (code == KO_OK) {
        code = list_relations(c, &text);
    }
    if (code == KO_OK) {
        code = ko_text_check(&text, c->builder->err);
    }
    if (code == KO_OK && c->unmatched->n == 0) {
        ko_text_add(c->unmatched, "%s", ko_text_str(&text));
        code = ko_text_check(c->unmatched, c->builder->err);
    }
    if (code == KO_OK) {
        code = ko_plan_warn(c->builder, "%s: %s", select->where, ko_text_str(&text));
    }
    ko_text_free(&text);
    return code;
}

static enum ko_code check_select(const struct checker *c, const struct ko_select *select)
{
    enum ko_code code = KO_OK;
    for (size_t i = 0; code == KO_OK && i < select->names.n; i++) {
        code = select->kind == KO_SELECT_CORRECT_BY
                   ? check_model_name(c->builder, select, select->names.item[i])
                   : check_value(c, select, select->names.item[i]);
    }
    for (size_t i = 0; code == KO_OK && i < select->n_parts; i++) {
        code = check_select(c, select->part[i]);
    }
    return code;
}

enum ko_code ko_plan_select_check_names(const struct ko_plan_builder *builder,
                                        const struct ko_select *select, size_t file,
                                        struct ko_text *unmatched)
{
    const int32_t begin = builder->file_begin[file];
    const struct checker checker = {builder, builder->input->facts[file].file,
                                    builder->plan->fact + begin,
                                    builder->file_begin[file + 1] - begin, unmatched};
    return check_select(&checker, select);
}
