/* SPDX-License-Identifier: Apache-2.0 */
/* Groups the prompts of each model by what the audit found, and writes one line for each group: the
   number of prompts and the first ids. Also sends these lines to the log. */
#include "src/run/audit_lines.h"

#include "src/formats/table.h"
#include "src/run/result_line.h"

enum { NAMED_PROMPTS = 5 };

/* What a line is about: the prompts of a model that have one property. */
struct group {
    const struct ko_plan *plan;
    int32_t model;
    bool (*has)(const struct ko_prompt *prompt, int32_t value);
    int32_t value;
};

static bool in_group(const struct group *group, int32_t fact)
{
    return group->has(ko_plan_prompt(group->plan, group->model, fact), group->value);
}

static int32_t count_group(const struct group *group)
{
    int32_t n = 0;
    for (int32_t f = 0; f < group->plan->n_facts; f++) {
        n += in_group(group, f);
    }
    return n;
}

/* ": 17, 18, ..." */
static void add_ids(const struct group *group, struct ko_text *out)
{
    int32_t n = 0;
    for (int32_t f = 0; f < group->plan->n_facts && n <= NAMED_PROMPTS; f++) {
        if (!in_group(group, f)) {
            continue;
        }
        if (n == NAMED_PROMPTS) {
            ko_text_add(out, ", ...");
        } else {
            ko_text_add(out, "%s%s", n == 0 ? ": " : ", ", group->plan->fact[f].id);
        }
        n++;
    }
}

static enum ko_code add_line(struct ko_text *line, struct ko_strings *lines, struct ko_error *err)
{
    enum ko_code code = ko_text_check(line, err);
    if (code == KO_OK) {
        code = ko_strings_add(lines, ko_text_str(line), err);
    }
    ko_text_free(line);
    return code;
}

static bool is_skipped(const struct ko_prompt *prompt, int32_t reason)
{
    return (int32_t)prompt->reason == reason;
}

static bool has_foil_state(const struct ko_prompt *prompt, int32_t state)
{
    return prompt->reason == KO_RUNNABLE && (int32_t)prompt->foil_state == state;
}

static bool has_blank_target(const struct ko_prompt *prompt, int32_t unused)
{
    (void)unused;
    return prompt->reason == KO_RUNNABLE && prompt->target_blank;
}

static bool has_appended(const struct ko_prompt *prompt, int32_t unused)
{
    (void)unused;
    return prompt->reason == KO_RUNNABLE && prompt->n_appended > 0;
}

static enum ko_code add_foils(const struct ko_plan *plan, int32_t model,
                              struct ko_audit_lines *lines, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (int32_t state = KO_FOIL_SCORED + 1; code == KO_OK && state < KO_N_FOILS; state++) {
        const struct group group = {plan, model, has_foil_state, state};
        const int32_t n = count_group(&group);
        char number[32];
        struct ko_text line = {0};
        if (n == 0) {
            continue;
        }
        ko_text_add(&line, "%s: %s foil%s count%s as none, %s", plan->model[model].name,
                    ko_grouped(n, number), ko_plural(n), n == 1 ? "s" : "",
                    ko_foil_sentence((enum ko_foil)state));
        add_ids(&group, &line);
        code = add_line(&line, &lines->warning, err);
    }
    return code;
}

static enum ko_code add_blank_targets(const struct ko_plan *plan, int32_t model,
                                      struct ko_audit_lines *lines, struct ko_error *err)
{
    const struct group group = {plan, model, has_blank_target, 0};
    const int32_t n = count_group(&group);
    char number[32];
    struct ko_text line = {0};
    if (n == 0) {
        return KO_OK;
    }
    ko_text_add(&line,
                "%s: the scored token of %s answer%s is white space alone, so any answer that "
                "begins with it scores the same (prompts.score: raw-first-token)",
                plan->model[model].name, ko_grouped(n, number), ko_plural(n));
    add_ids(&group, &line);
    return add_line(&line, &lines->warning, err);
}

static enum ko_code add_appended(const struct ko_plan *plan, int32_t model,
                                 struct ko_audit_lines *lines, struct ko_error *err)
{
    const struct group group = {plan, model, has_appended, 0};
    const int32_t n = count_group(&group);
    char number[32];
    struct ko_text line = {0};
    if (n == 0) {
        return KO_OK;
    }
    ko_text_add(&line,
                "%s: %s prompt%s end%s with the white space that begins the answer's tokens "
                "(prompts.score: first-text)",
                plan->model[model].name, ko_grouped(n, number), ko_plural(n), n == 1 ? "s" : "");
    add_ids(&group, &line);
    return add_line(&line, &lines->note, err);
}

enum ko_code ko_audit_lines_answers(const struct ko_plan *plan, struct ko_audit_lines *lines,
                                    struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (int32_t m = 0; code == KO_OK && m < plan->n_models; m++) {
        code = add_foils(plan, m, lines, err);
        if (code == KO_OK) {
            code = add_blank_targets(plan, m, lines, err);
        }
        if (code == KO_OK) {
            code = add_appended(plan, m, lines, err);
        }
    }
    return code;
}

enum ko_code ko_audit_lines_skipped(const struct ko_plan *plan, struct ko_audit_lines *lines,
                                    struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (int32_t m = 0; m < plan->n_models; m++) {
        for (int32_t reason = 1; code == KO_OK && reason < KO_N_REASONS; reason++) {
            const struct group group = {plan, m, is_skipped, reason};
            const int32_t n = count_group(&group);
            char number[32];
            struct ko_text line = {0};
            if (n == 0) {
                continue;
            }
            ko_text_add(&line, "%s: %s prompt%s %s skipped, %s", plan->model[m].name,
                        ko_grouped(n, number), ko_plural(n), n == 1 ? "is" : "are",
                        ko_reason_sentence((enum ko_reason)reason));
            add_ids(&group, &line);
            code = add_line(&line, &lines->warning, err);
        }
    }
    return code;
}

enum ko_code ko_audit_lines_files(const struct ko_inputs *inputs, const struct ko_plan *plan,
                                  struct ko_audit_lines *lines, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (int32_t m = 0; m < plan->n_models; m++) {
        const char *name = plan->model[m].name;
        const struct ko_strings *notes = &inputs->front[ko_inputs_find(inputs, name)].notes;
        for (size_t k = 0; code == KO_OK && k < notes->n; k++) {
            struct ko_text line = {0};
            ko_text_add(&line, "%s: %s", name, notes->item[k]);
            code = add_line(&line, &lines->file, err);
        }
    }
    return code;
}

void ko_audit_lines_free(struct ko_audit_lines *lines)
{
    ko_strings_free(&lines->warning);
    ko_strings_free(&lines->note);
    ko_strings_free(&lines->file);
}

enum ko_code ko_audit_log(const struct ko_inputs *inputs, const struct ko_plan *plan,
                          const struct ko_log *log, struct ko_error *err)
{
    struct ko_audit_lines lines = {0};
    enum ko_code code = ko_audit_lines_files(inputs, plan, &lines, err);
    if (code == KO_OK) {
        code = ko_audit_lines_skipped(plan, &lines, err);
    }
    if (code == KO_OK) {
        code = ko_audit_lines_answers(plan, &lines, err);
    }
    for (size_t k = 0; code == KO_OK && k < lines.file.n; k++) {
        ko_log_write(log, KO_LOG_WARN, "tokenizer %s", lines.file.item[k]);
    }
    for (size_t k = 0; code == KO_OK && k < lines.warning.n; k++) {
        ko_log_warn(log, "prompts", "%s", lines.warning.item[k]);
    }
    for (size_t k = 0; code == KO_OK && k < lines.note.n; k++) {
        ko_log_write(log, KO_LOG_INFO, "prompts %s", lines.note.item[k]);
    }
    ko_audit_lines_free(&lines);
    return code;
}
