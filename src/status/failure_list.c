/* SPDX-License-Identifier: Apache-2.0 */
/* Groups the failed prompts of each model by reason and looks up the matching error text in the
   cube's log. Prints the groups as text or JSON. */
#include "src/status/failure_list.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/formats/json_out.h"

enum { NAMED = 8 /* prompts of a group that are printed by name */ };

static const enum ko_failure reasons[] = {
#define X(name, code, sentence) name,
    KO_FAILURES(X)
#undef X
};

/* Finds the text of the log's last line about this model. */
static enum ko_code last_words(const char *log, const char *model, char **out, struct ko_error *err)
{
    struct ko_text mark = {0};
    const char *last = NULL;
    ko_text_add(&mark, "failed model=\"%s\" text=\"", model);
    enum ko_code code = ko_text_check(&mark, err);
    for (const char *at = log; code == KO_OK && (at = strstr(at, mark.data)); at++) {
        last = at + mark.n;
    }
    const char *end = last ? strstr(last, "\"\n") : NULL;
    if (end) {
        *out = ko_copy_n(last, (size_t)(end - last), err);
        code = *out ? KO_OK : KO_E_MEMORY;
    }
    ko_text_free(&mark);
    return code;
}

static enum ko_code add_group(struct ko_failure_list *list, int32_t model, enum ko_failure reason,
                              const uint8_t *code_of, int32_t n, struct ko_error *err)
{
    struct ko_failure_group group = {.model = model, .reason = reason};
    for (int32_t p = 0; p < n; p++) {
        group.n += code_of[p] == reason;
    }
    if (group.n == 0) {
        return KO_OK;
    }
    struct ko_failure_group *grown =
        ko_grow(list->group, &list->capacity, list->n + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    list->group = grown;
    group.prompt = ko_new((size_t)group.n, sizeof *group.prompt, err);
    if (!group.prompt) {
        return KO_E_MEMORY;
    }
    int32_t k = 0;
    for (int32_t p = 0; p < n; p++) {
        if (code_of[p] == reason) {
            group.prompt[k++] = p;
        }
    }
    list->group[list->n++] = group;
    return KO_OK;
}

static enum ko_code add_texts(struct ko_cube_view *view, struct ko_failure_list *list,
                              struct ko_error *err)
{
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    char *log = NULL;
    if (list->n == 0) {
        return KO_OK;
    }
    enum ko_code code = ko_cube_view_run_log(view, &log, err);
    for (size_t g = 0; code == KO_OK && g < list->n; g++) {
        if (list->group[g].reason != KO_FAILED_NOT_FINITE) { /* its text is the sentence */
            code =
                last_words(log, axes->model.item[list->group[g].model], &list->group[g].text, err);
        }
    }
    free(log);
    return code;
}

enum ko_code ko_failure_list_read(struct ko_cube_view *view, struct ko_failure_list *out,
                                  struct ko_error *err)
{
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    const size_t n = axes->eval_prompt.n;
    struct ko_failure_list list = {0};
    *out = list;
    if (ko_cube_view_is_evaluation(view)) {
        return KO_OK;
    }
    uint8_t *code_of = ko_new(n, 1, err);
    enum ko_code code = code_of ? KO_OK : KO_E_MEMORY;
    for (int32_t m = 0; code == KO_OK && m < (int32_t)axes->model.n; m++) {
        code = ko_cube_view_read_uint8(view, "reason_code", m, code_of, (int64_t)n, err);
        for (size_t r = 0; code == KO_OK && r < sizeof reasons / sizeof reasons[0]; r++) {
            code = add_group(&list, m, reasons[r], code_of, (int32_t)n, err);
        }
    }
    free(code_of);
    if (code == KO_OK) {
        code = add_texts(view, &list, err);
    }
    if (code != KO_OK) {
        ko_failure_list_free(&list);
    } else {
        *out = list;
    }
    return code;
}

void ko_failure_list_free(struct ko_failure_list *list)
{
    for (size_t g = 0; g < list->n; g++) {
        free(list->group[g].prompt);
        free(list->group[g].text);
    }
    free(list->group);
    *list = (struct ko_failure_list){0};
}

void ko_failure_list_print(const struct ko_failure_list *list, const struct ko_cube_axes *axes,
                           struct ko_text *out)
{
    if (list->n > 0) {
        ko_text_add(out, "\nfailed, --resume tries again:\n");
    }
    for (size_t g = 0; g < list->n; g++) {
        const struct ko_failure_group *group = &list->group[g];
        char number[32];
        ko_text_add(out, "  %s: %s prompt%s: %s\n", axes->model.item[group->model],
                    ko_grouped(group->n, number), group->n == 1 ? "" : "s",
                    ko_failure_sentence(group->reason));
        if (group->text) {
            ko_text_add(out, "    %s\n", group->text);
        }
        ko_text_add(out, "    prompts");
        for (int32_t p = 0; p < group->n && p < NAMED; p++) {
            ko_text_add(out, "%s %s", p ? "," : "", axes->eval_prompt.item[group->prompt[p]]);
        }
        if (group->n > NAMED) {
            ko_text_add(out, " and %s more", ko_grouped(group->n - NAMED, number));
        }
        ko_text_add(out, "\n");
    }
}

void ko_failure_list_json(const struct ko_failure_list *list, const struct ko_cube_axes *axes,
                          json_object *to)
{
    json_object *groups = ko_json_put_list(to, "failures");
    for (size_t g = 0; g < list->n; g++) {
        const struct ko_failure_group *group = &list->group[g];
        json_object *object = ko_json_add_object(groups);
        ko_json_put_text(object, "model", axes->model.item[group->model]);
        ko_json_put_int(object, "reason_code", group->reason);
        ko_json_put_text(object, "reason", ko_failure_sentence(group->reason));
        json_object *prompts = ko_json_put_list(object, "prompts");
        for (int32_t p = 0; p < group->n; p++) {
            json_object_array_add(prompts,
                                  json_object_new_string(axes->eval_prompt.item[group->prompt[p]]));
        }
        if (group->text) {
            ko_json_put_text(object, "text", group->text);
        }
    }
}
