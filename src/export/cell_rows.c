/* SPDX-License-Identifier: Apache-2.0 */
/* Decides how many prompts fit in memory at once, allocates the buffers, and reads the next group
   of prompts: statuses first, then values and clean runs. */
#include "src/export/cell_rows.h"

#include <stdio.h>
#include <stdlib.h>

#include "src/base/memory.h"

enum {
    MOST_BYTES = 8 << 20 /* of values in memory, unless one prompt has more */
};

static const char *const place_name[] = {"n_tokens", "subject_begin", "subject_end"};

#define READ_FLOAT ko_cube_view_rows_float
#define READ_INT   ko_cube_view_rows_int

/* The name [heat_]PREFIX[NAME] of a dataset. */
static const char *name_dataset(const struct ko_cell_rows *rows, const char *prefix,
                                const char *name, char text[64])
{
    (void)snprintf(text, 64, "%s%s%s", rows->part->heat ? "heat_" : "", prefix, name);
    return text;
}

/* Allocates n values of each metric that the cube has. prefix: "" or "clean_". False without
   memory. */
static bool allocate_metrics(const struct ko_cell_rows *rows, const char *prefix, size_t n,
                             struct ko_metric_arrays *out, struct ko_error *err)
{
    char text[64];
    bool good = true;

#define X(FIELD, name, ...)                                                                        \
    if (good && ko_cube_view_has(rows->part->view, name_dataset(rows, prefix, #name, text))) {     \
        good = (out->name = ko_new(n, sizeof *out->name, err));                                    \
    }
    KO_STORED_METRICS(X, )
#undef X
    return good;
}

static enum ko_code allocate_rows(struct ko_cell_rows *rows, struct ko_error *err)
{
    const size_t n_values = (size_t)rows->n_values * (size_t)rows->most, most = (size_t)rows->most;
    bool good = (rows->status = ko_new((size_t)rows->n_statuses * most, 1, err)) &&
                allocate_metrics(rows, "", n_values, &rows->value, err) &&
                allocate_metrics(rows, "clean_", most, &rows->clean, err);
    char name[64];

    if (good && ko_cube_view_has(rows->part->view, name_dataset(rows, "", "vacuous", name))) {
        good = (rows->vacuous = ko_new(n_values, 1, err));
    }
    const size_t n_tokens = n_values * (size_t)rows->part->axes->n_answer_tokens;
    if (good && n_tokens > 0) {
        good = (rows->answer_logprob = ko_new(n_tokens, sizeof(float), err)) &&
               (rows->answer_rank = ko_new(n_tokens, sizeof(int32_t), err));
    }
#define X(FIELD, member, ...)                                                                      \
    if (good && ko_cube_view_has(rows->part->view, name_dataset(rows, "", #member, name))) {       \
        good = (rows->choice.member = ko_new(n_values, sizeof *rows->choice.member, err));         \
    }
    KO_CHOICE_METRICS(X, )
#undef X
    const size_t n_options = n_values * (size_t)rows->part->axes->n_options;
    if (good && n_options > 0) {
        good = (rows->option_logprob = ko_new(n_options, sizeof(float), err));
    }
    for (int f = 0; f < KO_N_ROWS_PLACES && good; f++) {
        good = (rows->place[f] = ko_new(most, sizeof(int32_t), err));
    }
    return good ? KO_OK : KO_E_MEMORY;
}

void ko_cell_rows_free(struct ko_cell_rows *rows)
{
    free(rows->status);
    free(rows->vacuous);
    free(rows->answer_logprob);
    free(rows->answer_rank);
    free(rows->option_logprob);
#define X(FIELD, name, ...) free(rows->choice.name);
    KO_CHOICE_METRICS(X, )
#undef X
#define X(FIELD, name, ...)                                                                        \
    free(rows->value.name);                                                                        \
    free(rows->clean.name);
    KO_STORED_METRICS(X, )
#undef X
    for (int f = 0; f < KO_N_ROWS_PLACES; f++) {
        free(rows->place[f]);
    }
    *rows = (struct ko_cell_rows){0};
}

static enum ko_code read_metrics(const struct ko_cell_rows *rows, const char *prefix,
                                 int64_t n_each, const struct ko_metric_arrays *to,
                                 struct ko_error *err)
{
    struct ko_cube_view *view = rows->part->view;
    struct ko_cube_rows wanted = {
        .model = rows->model, .first = rows->first, .n = rows->n, .n_values = n_each * rows->n};
    char text[64];
    enum ko_code code = KO_OK;

#define X(FIELD, name, TYPE, ...)                                                                  \
    if (code == KO_OK && to->name) {                                                               \
        wanted.dataset = name_dataset(rows, prefix, #name, text);                                  \
        code = READ_##TYPE(view, &wanted, to->name, err);                                          \
    }
    KO_STORED_METRICS(X, )
#undef X
    return code;
}

static enum ko_code read_places(const struct ko_cell_rows *rows, struct ko_error *err)
{
    struct ko_cube_rows wanted = {
        .model = rows->model, .first = rows->first, .n = rows->n, .n_values = rows->n};
    char name[64];
    enum ko_code code = KO_OK;

    for (int f = 0; f < KO_N_ROWS_PLACES && code == KO_OK; f++) {
        wanted.dataset = name_dataset(rows, "", place_name[f], name);
        code = ko_cube_view_rows_int(rows->part->view, &wanted, rows->place[f], err);
    }
    return code;
}

static enum ko_code read_answers(const struct ko_cell_rows *rows, struct ko_error *err)
{
    char name[64];
    struct ko_cube_rows wanted = {.dataset = name_dataset(rows, "answer_", "logprob", name),
                                  .model = rows->model,
                                  .first = rows->first,
                                  .n = rows->n,
                                  .n_values =
                                      rows->n_values * rows->n * rows->part->axes->n_answer_tokens};
    if (!rows->answer_logprob) {
        return KO_OK;
    }
    enum ko_code code =
        ko_cube_view_rows_float(rows->part->view, &wanted, rows->answer_logprob, err);
    wanted.dataset = name_dataset(rows, "answer_", "rank", name);
    return code == KO_OK ? ko_cube_view_rows_int(rows->part->view, &wanted, rows->answer_rank, err)
                         : code;
}

static enum ko_code read_choices(const struct ko_cell_rows *rows, struct ko_error *err)
{
    struct ko_cube_view *view = rows->part->view;
    struct ko_cube_rows wanted = {.model = rows->model,
                                  .first = rows->first,
                                  .n = rows->n,
                                  .n_values = rows->n_values * rows->n};
    char text[64];
    enum ko_code code = KO_OK;

#define X(FIELD, name, TYPE, ...)                                                                  \
    if (code == KO_OK && rows->choice.name) {                                                      \
        wanted.dataset = name_dataset(rows, "", #name, text);                                      \
        code = READ_##TYPE(view, &wanted, rows->choice.name, err);                                 \
    }
    KO_CHOICE_METRICS(X, )
#undef X
    wanted.dataset = name_dataset(rows, "", "option_logprob", text);
    wanted.n_values *= rows->part->axes->n_options;
    return code == KO_OK && rows->option_logprob
               ? ko_cube_view_rows_float(view, &wanted, rows->option_logprob, err)
               : code;
}

/* Statuses first: a run may be writing, and it writes values before statuses. */
static enum ko_code read_rows(const struct ko_cell_rows *rows, struct ko_error *err)
{
    char name[64];
    const struct ko_cube_rows statuses = {.dataset = name_dataset(rows, "", "status", name),
                                          .model = rows->model,
                                          .first = rows->first,
                                          .n = rows->n,
                                          .n_values = rows->n_statuses * rows->n};
    enum ko_code code = ko_cube_view_rows_uint8(rows->part->view, &statuses, rows->status, err);
    if (code == KO_OK) {
        code = read_metrics(rows, "", rows->n_values, &rows->value, err);
    }
    if (code == KO_OK) {
        code = read_metrics(rows, "clean_", 1, &rows->clean, err);
    }
    if (code == KO_OK) {
        code = read_answers(rows, err);
    }
    if (code == KO_OK) {
        code = read_choices(rows, err);
    }
    if (code == KO_OK && rows->vacuous) {
        const struct ko_cube_rows marks = {.dataset = name_dataset(rows, "", "vacuous", name),
                                           .model = rows->model,
                                           .first = rows->first,
                                           .n = rows->n,
                                           .n_values = rows->n_values * rows->n};
        code = ko_cube_view_rows_uint8(rows->part->view, &marks, rows->vacuous, err);
    }
    return code == KO_OK ? read_places(rows, err) : code;
}

enum ko_code ko_cell_rows_new(const struct ko_cube_part *part, int32_t model,
                              struct ko_cell_rows *out, struct ko_error *err)
{
    *out = (struct ko_cell_rows){.part = part,
                                 .model = model,
                                 .n_statuses = part->n_statuses / part->n_prompts,
                                 .n_values = part->n_values / part->n_prompts};
    const int64_t of_answer =
        part->axes->n_answer_tokens * (int64_t)sizeof(struct ko_answer_metrics) +
        part->axes->n_options * (int64_t)sizeof(float) + (int64_t)sizeof(struct ko_choice_metrics);
    const int64_t bytes = out->n_values * ((int64_t)ko_stored_metrics_bytes(true) + of_answer);
    const int64_t fitting = bytes > 0 ? MOST_BYTES / bytes : 1;
    out->most = (int32_t)(fitting < 1 ? 1 : fitting > part->n_prompts ? part->n_prompts : fitting);
    return allocate_rows(out, err);
}

enum ko_code ko_cell_rows_next(struct ko_cell_rows *rows, bool *more, struct ko_error *err)
{
    const int32_t left = rows->part->n_prompts - rows->first - rows->n;
    rows->first += rows->n;
    rows->n = left < rows->most ? left : rows->most;
    *more = rows->n > 0;
    return *more ? read_rows(rows, err) : KO_OK;
}
