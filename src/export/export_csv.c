/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a sweep's cells as CSV. It reads the cube a group of prompts at a time, so a large cube
   need not fit in memory. Cubes without a sweep go to export_clean.c. */
#include "src/export/export_csv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/cube/read/planned.h"
#include "src/export/cell_rows.h"
#include "src/export/choice_columns.h"
#include "src/export/csv_prompts.h"
#include "src/formats/csv_stream.h"
#include "src/forward/record.h"
#include "src/plan/plan.h"
#include "src/show/curve_metric.h"

/* clang-format off */
#define COLUMN_ALL(name) "," #name
#define COLUMN_CELL(name)
#define COLUMN_FOIL(name) "," #name
#define VALUE_COLUMN(FIELD, name, ...) "," #name
#define CLEAN_COLUMN(FIELD, name, TYPE, WHERE, ...) COLUMN_##WHERE(clean_##name)
static const char header[] =
    "model,prompt,route,feature_class,source_position,window_size,window_start,depth,status"
    KO_EXPORTED_METRICS(VALUE_COLUMN, ) KO_EXPORTED_METRICS(CLEAN_COLUMN, )
    ",change" KO_CSV_PROMPT_COLUMNS ",n_tokens,subject_begin,subject_end,first_layer,last_layer";
/* Of whole answers, the numbers of their tokens, with blanks between them. */
static const char answer_header[] = ",answer_logprob,answer_rank";
/* clang-format on */

/* Some prompts of one model, and which of their cells are written. */
struct rows {
    struct ko_cell_rows cell;
    const struct ko_curve_filter *filter;
    const struct ko_csv_prompts *words;  /* the words of all prompts of the axis */
    const double *depth;                 /* [n_sizes, n_starts] of the model; borrowed */
    const struct ko_layer_range *layers; /* likewise */
    struct ko_cube_planned *planned;     /* borrowed */
};

/* The table of a sweep. */
struct table {
    struct ko_csv_stream *out;
    const struct ko_curve_filter *filter;
    struct ko_csv_prompts words, heat_words;
    struct ko_cube_planned *planned; /* owned */
};

/* ----------------------------------------------------------------------------------------------
   one line */

static void add_float(struct ko_text *text, const float *values, int64_t at)
{
    ko_text_add(text, ",");
    if (values) {
        ko_csv_number(text, (double)values[at]);
    }
}

static void add_int(struct ko_text *text, const int32_t *values, int64_t at)
{
    ko_text_add(text, ",");
    ko_csv_whole(text, values, at);
}

#define ADD_FLOAT add_float
#define ADD_INT   add_int

/* A field for each metric; empty unless the cell is done, because its values may be half written. */
static void add_values(struct ko_text *text, const struct rows *rows, bool done, int64_t at)
{
#define X(FIELD, name, TYPE, ...) ADD_##TYPE(text, done ? rows->cell.value.name : NULL, at);
    KO_EXPORTED_METRICS(X, )
#undef X
}

static void add_clean(struct ko_text *text, const struct rows *rows, int32_t prompt)
{
#define X(FIELD, name, TYPE, WHERE, ...)                                                           \
    if (KO_METRIC_OF_CLEAN_##WHERE) {                                                              \
        ADD_##TYPE(text, rows->cell.clean.name, prompt);                                           \
    }
    KO_EXPORTED_METRICS(X, )
#undef X
}

/* The change in percent; empty where the cell or its clean run has no value. */
static void add_change(struct ko_text *text, const struct rows *rows, int32_t prompt, int64_t at)
{
    ko_text_add(text, ",");
    ko_csv_number(text, ko_curve_value(KO_CURVE_CHANGE, (double)rows->cell.clean.logprob[prompt],
                                       (double)rows->cell.value.logprob[at]));
}

static void add_prompt_columns(struct ko_text *text, const struct rows *rows, int32_t prompt)
{
    ko_csv_prompts_add(rows->words, (size_t)(rows->cell.first + prompt), text);
    for (int f = 0; f < KO_N_ROWS_PLACES; f++) {
        add_int(text, rows->cell.place[f], prompt);
    }
}

static const char *status_word(uint8_t status)
{
    return status == KO_DONE      ? "done"
           : status == KO_VACUOUS ? "vacuous"
           : status == KO_PENDING ? "pending"
                                  : "failed";
}

/* A planned cell's status. A cell that is flagged done without a value counts as pending. */
static uint8_t state_of(const struct rows *rows, uint8_t status, int64_t at)
{
    if (rows->cell.vacuous && rows->cell.vacuous[at] == 1) {
        return KO_VACUOUS;
    }
    return status == KO_DONE && !ko_cell_has_value(rows->cell.value.logprob[at],
                                                   rows->cell.value.target_rank[at])
               ? KO_PENDING
               : status;
}

/* The tokens of a whole answer, two fields. */
static void add_answer(struct ko_text *text, const struct rows *rows, bool done, int64_t at)
{
    const int32_t n = rows->cell.part->axes->n_answer_tokens;
    const float *logprob = rows->cell.answer_logprob;
    const int32_t *rank = rows->cell.answer_rank;

    ko_text_add(text, ",");
    for (int64_t k = at * n; done && k < (at + 1) * n && rank[k] >= 1; k++) {
        ko_text_add(text, "%s", k == at * n ? "" : " ");
        ko_csv_number(text, (double)logprob[k]);
    }
    ko_text_add(text, ",");
    for (int64_t k = at * n; done && k < (at + 1) * n && rank[k] >= 1; k++) {
        ko_text_add(text, "%s%d", k == at * n ? "" : " ", rank[k]);
    }
}

/* Of several right answers and options, four fields. */
static void add_choice(struct ko_text *text, const struct rows *rows, bool done, int64_t at)
{
    const int32_t n = rows->cell.option_logprob ? rows->cell.part->axes->n_options : 0;
    struct ko_choice_metrics choice = ko_no_choice_metrics;
#define X(FIELD, name, ...)                                                                        \
    if (done && rows->cell.choice.name) {                                                          \
        choice.name = rows->cell.choice.name[at];                                                  \
    }
    KO_CHOICE_METRICS(X, )
#undef X
    ko_csv_choice_add(text, &choice, n > 0 ? rows->cell.option_logprob + at * n : NULL,
                      done ? n : 0);
}

/* The text that all lines of a prompt share. */
struct common {
    int32_t prompt; /* among the rows */
    struct ko_cube_starts starts;
    const char *labels;    /* the first columns */
    const char *clean;     /* the clean run's, each after a comma */
    const char *of_prompt; /* the prompt's, each after a comma */
};

/* Adds the lines of one status: its planned starts. */
static void add_starts(struct ko_text *text, const struct rows *rows, int64_t status_at,
                       int32_t size, const uint8_t *planned, const struct common *common)
{
    const struct ko_cube_axes *axes = rows->cell.part->axes;
    const int32_t n_starts = rows->cell.part->n_starts;

    for (int32_t s = 0; s < n_starts; s++) {
        const int64_t at = status_at * n_starts + s;
        const uint8_t state = state_of(rows, rows->cell.status[status_at], at);
        if (!planned[s]) {
            continue;
        }
        ko_text_add(text, "%s,%d,%d,", common->labels, axes->window_size[size],
                    axes->window_start[s]);
        ko_csv_number(text, rows->depth[(int64_t)size * n_starts + s]);
        ko_text_add(text, ",%s", status_word(state));
        add_values(text, rows, state == KO_DONE, at);
        ko_text_add(text, "%s", common->clean);
        if (state == KO_DONE) {
            add_change(text, rows, common->prompt, at);
        } else {
            ko_text_add(text, ",");
        }
        const struct ko_layer_range layers = rows->layers[(int64_t)size * n_starts + s];
        ko_text_add(text, "%s,%d,%d", common->of_prompt, layers.begin, layers.end - 1);
        if (rows->cell.answer_logprob) {
            add_answer(text, rows, state == KO_DONE, at);
        }
        if (axes->several) {
            add_choice(text, rows, state == KO_DONE, at);
        }
        ko_text_add(text, "\n");
    }
}

/* ----------------------------------------------------------------------------------------------
   the prompts in memory */

static void add_labels(struct ko_text *text, const struct rows *rows, int32_t prompt, int32_t route,
                       int32_t class, int32_t source)
{
    const struct ko_cube_axes *axes = rows->cell.part->axes;
    const bool heat = rows->cell.part->heat;
    const char *const words[] = {
        axes->model.item[rows->cell.model],
        (heat ? &axes->heat_prompt : &axes->prompt)->item[rows->cell.first + prompt],
        (heat ? &axes->heat_route : &axes->route)->item[route], axes->feature_class.item[class]};

    for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
        ko_csv_text(text, words[w]);
        ko_text_add(text, ",");
    }
    if (heat) {
        ko_text_add(text, "%d", source);
    }
}

/* Adds the lines of one (prompt, route, class, source): its sizes. */
static void add_sizes(struct ko_text *text, const struct rows *rows, const int32_t at[3],
                      const struct common *common)
{
    const struct ko_cube_part *part = rows->cell.part;
    for (int32_t s = 0; s < part->n_sizes; s++) {
        const int64_t status_at =
            ko_cube_part_status_at(part, common->prompt, at[0], at[1], at[2], s);
        const int64_t place = ((int64_t)at[0] * part->n_classes + at[1]) * part->n_sizes + s;
        if (rows->filter->size[s] && rows->cell.status[status_at] != KO_NOT_PLANNED) {
            add_starts(text, rows, status_at, s, common->starts.planned + place * part->n_starts,
                       common);
        }
    }
}

static enum ko_code add_prompt(struct ko_csv_stream *out, const struct rows *rows, int32_t prompt,
                               struct ko_error *err)
{
    const struct ko_cube_part *part = rows->cell.part;
    const uint8_t *route = part->heat ? rows->filter->heat_route : rows->filter->route;
    const struct ko_cube_starts starts = ko_cube_planned_starts(
        rows->planned, part->heat, rows->cell.model, rows->cell.first + prompt);
    struct ko_text labels = {0}, clean = {0}, of_prompt = {0};
    enum ko_code code = KO_OK;

    add_clean(&clean, rows, prompt);
    add_prompt_columns(&of_prompt, rows, prompt);
    for (int32_t r = 0; r < part->n_routes; r++) {
        for (int32_t f = 0; f < part->n_classes; f++) {
            for (int32_t k = 0; k < part->n_sources && code == KO_OK; k++) {
                if (!route[r] || !rows->filter->class[f]) {
                    continue;
                }
                labels.n = 0;
                add_labels(&labels, rows, prompt, r, f, k);
                add_sizes(&out->text, rows, (const int32_t[]){r, f, k},
                          &(struct common){prompt, starts, ko_text_str(&labels),
                                           ko_text_str(&clean), ko_text_str(&of_prompt)});
                code = ko_csv_flush(out, KO_CSV_FULL, err);
            }
        }
    }
    if (code == KO_OK) {
        code = ko_text_check(&labels, err);
    }
    if (code == KO_OK) {
        code = ko_text_check(&clean, err);
    }
    if (code == KO_OK) {
        code = ko_text_check(&of_prompt, err);
    }
    ko_text_free(&labels);
    ko_text_free(&clean);
    ko_text_free(&of_prompt);
    return code;
}

static bool any_chosen(const uint8_t *chosen, int32_t n)
{
    for (int32_t k = 0; k < n; k++) {
        if (chosen[k]) {
            return true;
        }
    }
    return false;
}

/* What a model's windows are. Both arrays [n_sizes, n_starts]. */
struct windows {
    double *depth;
    struct ko_layer_range *layers;
};

static enum ko_code read_windows(struct ko_cube_view *view, int32_t model,
                                 const struct windows *windows, struct ko_error *err)
{
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    const int64_t n = (int64_t)axes->n_sizes * axes->n_starts;
    for (int64_t k = 0; k < n; k++) {
        windows->layers[k] = ko_cube_window(axes, model, axes->window_size[k / axes->n_starts],
                                            axes->window_start[k % axes->n_starts]);
    }
    return n > 0 ? ko_cube_view_read_double(view, "depth", model, windows->depth, n, err) : KO_OK;
}

static enum ko_code export_part(const struct table *table, const struct ko_cube_part *part,
                                int32_t model, const struct windows *windows, struct ko_error *err)
{
    struct ko_csv_stream *out = table->out;
    const struct ko_curve_filter *filter = table->filter;
    if (!any_chosen(part->heat ? filter->heat_route : filter->route, part->n_routes)) {
        return KO_OK;
    }
    struct rows rows = {.filter = filter,
                        .words = part->heat ? &table->heat_words : &table->words,
                        .depth = windows->depth,
                        .layers = windows->layers,
                        .planned = table->planned};
    bool more = true;
    enum ko_code code = ko_cell_rows_new(part, model, &rows.cell, err);
    while (code == KO_OK && more) {
        code = ko_cell_rows_next(&rows.cell, &more, err);
        for (int32_t p = 0; code == KO_OK && p < rows.cell.n; p++) {
            code = add_prompt(out, &rows, p, err);
        }
    }
    ko_cell_rows_free(&rows.cell);
    return code;
}

static enum ko_code export_sweep(struct ko_cube_view *view, const struct ko_curve_filter *filter,
                                 struct ko_csv_stream *out, struct ko_error *err)
{
    struct table table = {.out = out, .filter = filter};
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    const size_t n_windows = (size_t)axes->n_sizes * (size_t)axes->n_starts;
    struct ko_cube_part mean = {0}, heat = {0};
    const struct windows windows = {ko_new(n_windows, sizeof *windows.depth, err),
                                    ko_new(n_windows, sizeof *windows.layers, err)};
    enum ko_code code = windows.depth && windows.layers ? KO_OK : KO_E_MEMORY;

    if (code == KO_OK) {
        code = ko_cube_part_of(view, false, &mean, err);
    }
    if (code == KO_OK) {
        code = ko_cube_part_of(view, true, &heat, err);
    }
    if (code == KO_OK && mean.n_routes > 0) {
        code = ko_csv_prompts_read(view, "", &table.words, err);
    }
    if (code == KO_OK && heat.n_routes > 0) {
        code = ko_csv_prompts_read(view, "heat_", &table.heat_words, err);
    }
    if (code == KO_OK) {
        code = ko_cube_planned_open(view, &table.planned, err);
    }
    ko_text_add(&out->text, "%s%s%s\n", header, axes->n_answer_tokens > 0 ? answer_header : "",
                axes->several ? ko_csv_choice_header : "");
    for (int32_t m = 0; code == KO_OK && m < (int32_t)axes->model.n; m++) {
        if (!filter->model[m]) {
            continue;
        }
        code = read_windows(view, m, &windows, err);
        if (code == KO_OK) {
            code = export_part(&table, &mean, m, &windows, err);
        }
        if (code == KO_OK) {
            code = export_part(&table, &heat, m, &windows, err);
        }
    }
    ko_cube_planned_close(table.planned);
    ko_csv_prompts_free(&table.words);
    ko_csv_prompts_free(&table.heat_words);
    free(windows.depth);
    free(windows.layers);
    return code;
}

enum ko_code ko_export_csv(struct ko_cube_view *view, const struct ko_curve_filter *filter,
                           FILE *stream, const char *where, struct ko_error *err)
{
    struct ko_csv_stream out = {.stream = stream, .where = where};
    enum ko_code code = ko_cube_view_is_evaluation(view)
                            ? ko_export_clean_runs(view, filter, &out, err)
                            : export_sweep(view, filter, &out, err);
    if (code == KO_OK) {
        code = ko_csv_flush(&out, 0, err);
    }
    if (code == KO_OK && fflush(stream) != 0) {
        code = ko_fail(err, KO_E_FAILED, "%s: cannot be written: %s", where, strerror(errno));
    }
    ko_text_free(&out.text);
    return code;
}
