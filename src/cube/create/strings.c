/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the texts of a new cube: labels, prompts and tokens. Bytes that are not valid UTF-8 are
   replaced. */
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/utf8.h"
#include "src/cube/create/fill.h"
#include "src/cube/format/hdf5_check.h"

/* The strings of one dataset. They are borrowed from the plan where they can be stored
   unchanged. */
struct string_list {
    const char **item;      /* [n] */
    struct ko_strings made; /* strings that had to be copied */
};

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static const char *model_string(const struct ko_plan_model *model, enum ko_cube_field field)
{
    switch (field) {
    case KO_FIELD_ARCHITECTURE:
        return model->architecture;
    case KO_FIELD_CHECKPOINT_PATH:
        return model->path;
    case KO_FIELD_TOKENIZER_PATH:
        return model->tokenizer;
    case KO_FIELD_FINGERPRINT:
        return model->fingerprint;
    default:
        return model->tokenizer_fingerprint;
    }
}

static const char *fact_string(const struct ko_plan_fact *fact, enum ko_cube_field field)
{
    switch (field) {
    case KO_FIELD_TEXT:
        return fact->text;
    case KO_FIELD_SUBJECT:
        return fact->subject;
    case KO_FIELD_TARGET:
        return fact->target;
    case KO_FIELD_TARGETS:
        return fact->targets;
    case KO_FIELD_OPTIONS:
        return fact->options;
    case KO_FIELD_FOIL:
        return fact->foil;
    default:
        return fact->relation;
    }
}

static const char *token_piece(const struct ko_cube_content *content, enum ko_cube_axis axis,
                               size_t model, size_t index, size_t position)
{
    const struct ko_plan *plan = content->plan;
    const struct ko_prompt *prompt =
        ko_plan_prompt(plan, (int32_t)model, ko_cube_fact(plan, axis, index));

    if (!content->tokenizer || !content->tokenizer[model] || prompt->reason != KO_RUNNABLE ||
        position >= (size_t)prompt->n_tokens) {
        return NULL;
    }
    return ko_tokenizer_piece(content->tokenizer[model], prompt->token[position]);
}

/* at: the index on each axis. A NULL counts as empty. */
static const char *string_at(const struct ko_cube_new *cube, const struct ko_cube_dataset *dataset,
                             const size_t *at, char buffer[64])
{
    const struct ko_plan *plan = cube->content->plan;

    switch (dataset->field) {
    case KO_FIELD_LABEL:
        return ko_cube_label(plan, dataset->axis[0], at[0], buffer);
    case KO_FIELD_TOKEN_TEXT:
        return token_piece(cube->content, dataset->axis[1], at[0], at[1], at[2]);
    case KO_FIELD_TEXT:
    case KO_FIELD_SUBJECT:
    case KO_FIELD_TARGET:
    case KO_FIELD_TARGETS:
    case KO_FIELD_OPTIONS:
    case KO_FIELD_FOIL:
    case KO_FIELD_RELATION:
        return fact_string(&plan->fact[ko_cube_fact(plan, dataset->axis[0], at[0])],
                           dataset->field);
    default:
        return model_string(&plan->model[at[0]], dataset->field);
    }
}

/* Paths may hold any bytes. Each byte that is not valid UTF-8 is stored as U+FFFD. */
static enum ko_code add_clean(struct ko_strings *made, const char *text, struct ko_error *err)
{
    struct ko_text clean = {0};
    size_t n = strlen(text);

    for (size_t i = 0; i < n;) {
        size_t length = 1;
        while (length <= 4 && i + length <= n && !ko_utf8_valid(text + i, length)) {
            length++;
        }
        if (length <= 4 && i + length <= n) {
            ko_text_add_bytes(&clean, text + i, length);
            i += length;
        } else {
            ko_text_add(&clean, "\xEF\xBF\xBD");
            i++;
        }
    }
    enum ko_code code = ko_text_check(&clean, err);
    if (code == KO_OK) {
        code = ko_strings_add(made, ko_text_str(&clean), err);
    }
    ko_text_free(&clean);
    return code;
}

static enum ko_code gather_strings(const struct ko_cube_new *cube,
                                   const struct ko_cube_dataset *dataset, int n_axes, size_t n,
                                   struct string_list *list, struct ko_error *err)
{
    size_t at[KO_CUBE_MAX_AXES] = {0};
    enum ko_code code = KO_OK;

    for (size_t i = 0; i < n && code == KO_OK; i++) {
        char buffer[64];
        const char *text = or_empty(string_at(cube, dataset, at, buffer));
        if (text == buffer || !ko_utf8_valid(text, strlen(text))) {
            code = add_clean(&list->made, text, err);
            if (code == KO_OK) {
                text = list->made.item[list->made.n - 1];
            }
        }
        list->item[i] = text;
        for (int k = n_axes - 1; k >= 0 && ++at[k] == cube->lengths.n[dataset->axis[k]]; k--) {
            at[k] = 0;
        }
    }
    return code;
}

/* The characters of n strings, each padded with NUL to width bytes. free(). */
static char *pad_strings(const char *const *item, size_t n, size_t width, struct ko_error *err)
{
    size_t bytes;

    if (ko_multiply(n, width, &bytes, "labels", err) != KO_OK) {
        return NULL;
    }
    char *out = ko_new(bytes, 1, err);
    for (size_t i = 0; out && i < n; i++) {
        memcpy(out + i * width, item[i], strnlen(item[i], width));
    }
    return out;
}

enum ko_code ko_cube_fill_strings(struct ko_cube_new *cube, size_t index, struct ko_error *err)
{
    const struct ko_cube_dataset *dataset = &ko_cube_table[index];
    bool chars = dataset->type == KO_TYPE_CHAR;
    int n_axes = ko_cube_n_axes(dataset) - (chars ? 1 : 0);
    struct string_list list = {0};
    char *bytes = NULL;
    hid_t type = H5I_INVALID_HID;
    size_t n = 1;
    enum ko_code code = KO_OK;

    for (int i = 0; i < n_axes && code == KO_OK; i++) {
        code = ko_multiply(n, (size_t)cube->lengths.n[dataset->axis[i]], &n, dataset->name, err);
    }
    if (code != KO_OK) {
        return code;
    }
    list.item = ko_new(n, sizeof *list.item, err);
    if (!list.item) {
        return KO_E_MEMORY;
    }
    code = gather_strings(cube, dataset, n_axes, n, &list, err);
    if (code == KO_OK && chars) {
        bytes = pad_strings(list.item, n, (size_t)cube->lengths.n[KO_AXIS_LABEL_LENGTH], err);
        code = bytes ? KO_OK : err->code;
    }
    if (code != KO_OK) {
        goto done;
    }
    type = ko_cube_new_type(dataset->type);
    if (type < 0 || H5Dwrite(cube->dataset[index], type, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                             chars ? (const void *)bytes : (const void *)list.item) < 0) {
        code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot write dataset '%s'", cube->path,
                            dataset->name);
    }
done:
    ko_hdf5_close(type, &code, cube->path, err);
    free(bytes);
    free(list.item);
    ko_strings_free(&list.made);
    return code;
}
