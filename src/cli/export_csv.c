#include "src/cli/export_csv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/cli/csv_stream.h"
#include "src/cli/cube_block.h"
#include "src/plan/plan.h"

enum {
    MOST_BYTES = 8 << 20 /* of values in memory, where a prompt does not have more */
};

enum { LOGPROB, PROB, KL, FOIL_LOGPROB, N_FLOATS };
enum { TARGET_RANK, TOP1_ID, N_INTS };
static const char *const float_name[] = {"logprob", "prob", "kl", "foil_logprob"};
static const char *const int_name[] = {"target_rank", "top1_id"};
static const char header[] =
    "model,prompt,route,feature_class,source_position,window_size,window_start,depth,status,"
    "logprob,prob,kl,target_rank,top1_id,foil_logprob,clean_logprob,clean_prob,clean_target_rank,"
    "clean_top1_id,clean_foil_logprob\n";

/* Some prompts of one model. Arrays are NULL where the cube has no such dataset. */
struct rows {
    const struct ko_cube_block *block;
    const double *depth; /* [n_sizes, n_starts] of the model; borrowed */
    int32_t model, first, n, most;
    int64_t n_statuses, n_values; /* of one prompt */
    uint8_t *status;
    float *number[N_FLOATS], *clean_number[N_FLOATS]; /* cells; clean runs */
    int32_t *whole[N_INTS], *clean_whole[N_INTS];
};

/* ----------------------------------------------------------------------------------------------
 * one line */

static void add_number(struct ko_text *text, const float *values, int64_t at)
{
    if (values)
        ko_csv_number(text, (double)values[at]);
}

static void add_values(struct ko_text *text, const struct rows *rows, int64_t at)
{
    for (int f = LOGPROB; f <= KL; f++) {
        ko_text_add(text, ",");
        add_number(text, rows->number[f], at);
    }
    for (int f = 0; f < N_INTS; f++) {
        ko_text_add(text, ",");
        ko_csv_whole(text, rows->whole[f], at);
    }
    ko_text_add(text, ",");
    add_number(text, rows->number[FOIL_LOGPROB], at);
}

static void add_clean(struct ko_text *text, const struct rows *rows, int32_t prompt)
{
    ko_text_add(text, ",");
    add_number(text, rows->clean_number[LOGPROB], prompt);
    ko_text_add(text, ",");
    add_number(text, rows->clean_number[PROB], prompt);
    for (int f = 0; f < N_INTS; f++) {
        ko_text_add(text, ",");
        ko_csv_whole(text, rows->clean_whole[f], prompt);
    }
    ko_text_add(text, ",");
    add_number(text, rows->clean_number[FOIL_LOGPROB], prompt);
    ko_text_add(text, "\n");
}

static const char *status_word(uint8_t status)
{
    return status == KO_DONE      ? "done"
           : status == KO_VACUOUS ? "vacuous"
           : status == KO_PENDING ? "pending"
                                  : "failed";
}

/* The lines of one status: its starts. `labels` are the first columns, `clean` the last ones. */
static void add_starts(struct ko_text *text, const struct rows *rows, int64_t status_at,
                       int32_t size, const char *labels, const char *clean)
{
    const struct ko_cube_axes *axes = rows->block->axes;
    const uint8_t status = rows->status[status_at];
    const int64_t last = (int64_t)axes->n_layers[rows->model] - axes->window_size[size];
    const int32_t n_starts = rows->block->n_starts;

    for (int32_t s = 0; s < n_starts; s++) {
        const int64_t at = status_at * n_starts + s;
        if (status == KO_DONE ? rows->whole[TARGET_RANK][at] < 1 : axes->window_start[s] > last)
            continue;
        ko_text_add(text, "%s,%d,%d,", labels, axes->window_size[size], axes->window_start[s]);
        ko_csv_number(text, rows->depth[(int64_t)size * n_starts + s]);
        ko_text_add(text, ",%s", status_word(status));
        add_values(text, rows, at);
        ko_text_add(text, "%s", clean);
    }
}

/* ----------------------------------------------------------------------------------------------
 * the prompts in memory */

static void add_labels(struct ko_text *text, const struct rows *rows, int32_t prompt, int32_t route,
                       int32_t feature, int32_t source)
{
    const struct ko_cube_axes *axes = rows->block->axes;
    const bool heat = rows->block->heat;
    const char *const words[] = {
        axes->model.item[rows->model],
        (heat ? &axes->heat_prompt : &axes->prompt)->item[rows->first + prompt],
        (heat ? &axes->heat_route : &axes->route)->item[route], axes->feature_class.item[feature]};

    for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
        ko_csv_text(text, words[w]);
        ko_text_add(text, ",");
    }
    if (heat)
        ko_text_add(text, "%d", source);
}

static enum ko_code add_prompt(struct ko_csv_stream *out, const struct rows *rows, int32_t prompt,
                               struct ko_error *err)
{
    const struct ko_cube_block *block = rows->block;
    struct ko_text labels = {0}, clean = {0};
    enum ko_code code = KO_OK;

    add_clean(&clean, rows, prompt);
    for (int32_t r = 0; r < block->n_routes; r++)
        for (int32_t f = 0; f < block->n_features; f++)
            for (int32_t k = 0; k < block->n_sources && code == KO_OK; k++) {
                labels.n = 0;
                add_labels(&labels, rows, prompt, r, f, k);
                for (int32_t s = 0; s < block->n_sizes; s++) {
                    const int64_t at = ko_cube_block_status_at(block, prompt, r, f, k, s);
                    if (rows->status[at] != KO_NOT_PLANNED)
                        add_starts(&out->text, rows, at, s, ko_text_str(&labels),
                                   ko_text_str(&clean));
                }
                code = ko_csv_flush(out, KO_CSV_FULL, err);
            }
    if (code == KO_OK)
        code = ko_text_check(&labels, err);
    if (code == KO_OK)
        code = ko_text_check(&clean, err);
    ko_text_free(&labels);
    ko_text_free(&clean);
    return code;
}

/* The dataset [heat_][clean_]NAME, NULL where the cube lacks it. */
static const char *dataset_of(const struct rows *rows, const char *middle, const char *name,
                              char text[64])
{
    (void)snprintf(text, 64, "%s%s%s", rows->block->heat ? "heat_" : "", middle, name);
    return ko_cube_view_has(rows->block->view, text) ? text : NULL;
}

static enum ko_code allocate(struct rows *rows, struct ko_error *err)
{
    const size_t n_values = (size_t)rows->n_values * (size_t)rows->most, most = (size_t)rows->most;
    char name[64];
    bool good = true;

    rows->status = ko_new((size_t)rows->n_statuses * most, 1, err);
    good = rows->status;
    for (int f = 0; f < N_FLOATS && good; f++) {
        if (dataset_of(rows, "", float_name[f], name))
            good = (rows->number[f] = ko_new(n_values, sizeof(float), err));
        if (good && dataset_of(rows, "clean_", float_name[f], name))
            good = (rows->clean_number[f] = ko_new(most, sizeof(float), err));
    }
    for (int f = 0; f < N_INTS && good; f++) {
        good = (rows->whole[f] = ko_new(n_values, sizeof(int32_t), err));
        good = good && (rows->clean_whole[f] = ko_new(most, sizeof(int32_t), err));
    }
    return good ? KO_OK : KO_E_MEMORY;
}

static void free_rows(struct rows *rows)
{
    free(rows->status);
    for (int f = 0; f < N_FLOATS; f++) {
        free(rows->number[f]);
        free(rows->clean_number[f]);
    }
    for (int f = 0; f < N_INTS; f++) {
        free(rows->whole[f]);
        free(rows->clean_whole[f]);
    }
}

static enum ko_code read_part(const struct rows *rows, const char *middle, int64_t n_each,
                              float *const number[N_FLOATS], int32_t *const whole[N_INTS],
                              struct ko_error *err)
{
    struct ko_cube_view *view = rows->block->view;
    struct ko_cube_rows wanted = {
        .model = rows->model, .first = rows->first, .n = rows->n, .n_values = n_each * rows->n};
    char name[64];
    enum ko_code code = KO_OK;

    for (int f = 0; f < N_FLOATS && code == KO_OK; f++)
        if (number[f]) {
            wanted.dataset = dataset_of(rows, middle, float_name[f], name);
            code = ko_cube_view_rows_float(view, &wanted, number[f], err);
        }
    for (int f = 0; f < N_INTS && code == KO_OK; f++) {
        wanted.dataset = dataset_of(rows, middle, int_name[f], name);
        code = ko_cube_view_rows_int(view, &wanted, whole[f], err);
    }
    return code;
}

/* Statuses first: what they say of a run under way holds for the values that are read after. */
static enum ko_code read_rows(const struct rows *rows, struct ko_error *err)
{
    char name[64];
    const struct ko_cube_rows statuses = {.dataset = dataset_of(rows, "", "status", name),
                                          .model = rows->model,
                                          .first = rows->first,
                                          .n = rows->n,
                                          .n_values = rows->n_statuses * rows->n};
    enum ko_code code = ko_cube_view_rows_uint8(rows->block->view, &statuses, rows->status, err);
    if (code == KO_OK)
        code = read_part(rows, "", rows->n_values, rows->number, rows->whole, err);
    if (code == KO_OK)
        code = read_part(rows, "clean_", 1, rows->clean_number, rows->clean_whole, err);
    return code;
}

static enum ko_code export_block(struct ko_csv_stream *out, const struct ko_cube_block *block,
                                 int32_t model, const double *depth, struct ko_error *err)
{
    if (block->n_routes == 0)
        return KO_OK;
    struct rows rows = {.block = block,
                        .depth = depth,
                        .model = model,
                        .n_statuses = block->n_statuses / block->n_prompts,
                        .n_values = block->n_values / block->n_prompts};
    const int64_t bytes = rows.n_values * (N_FLOATS + N_INTS) * (int64_t)sizeof(float);
    const int64_t fitting = bytes > 0 ? MOST_BYTES / bytes : 1;
    rows.most = (int32_t)(fitting < 1                  ? 1
                          : fitting > block->n_prompts ? block->n_prompts
                                                       : fitting);
    enum ko_code code = allocate(&rows, err);
    for (; code == KO_OK && rows.first < block->n_prompts; rows.first += rows.n) {
        const int32_t left = block->n_prompts - rows.first;
        rows.n = left < rows.most ? left : rows.most;
        code = read_rows(&rows, err);
        for (int32_t p = 0; code == KO_OK && p < rows.n; p++)
            code = add_prompt(out, &rows, p, err);
    }
    free_rows(&rows);
    return code;
}

static enum ko_code export_sweep(struct ko_cube_view *view, struct ko_csv_stream *out,
                                 struct ko_error *err)
{
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    const int64_t n_depths = (int64_t)axes->n_sizes * axes->n_starts;
    struct ko_cube_block plain = {0}, heat = {0};
    double *depth = ko_new((size_t)n_depths, sizeof *depth, err);
    enum ko_code code = depth ? KO_OK : KO_E_MEMORY;

    if (code == KO_OK)
        code = ko_cube_block_of(view, false, &plain, err);
    if (code == KO_OK)
        code = ko_cube_block_of(view, true, &heat, err);
    ko_text_add(&out->text, "%s", header);
    for (int32_t m = 0; code == KO_OK && m < (int32_t)axes->model.n; m++) {
        if (n_depths > 0)
            code = ko_cube_view_read_double(view, "depth", m, depth, n_depths, err);
        if (code == KO_OK)
            code = export_block(out, &plain, m, depth, err);
        if (code == KO_OK)
            code = export_block(out, &heat, m, depth, err);
    }
    free(depth);
    return code;
}

enum ko_code ko_export_csv(struct ko_cube_view *view, FILE *stream, const char *where,
                           struct ko_error *err)
{
    struct ko_csv_stream out = {.stream = stream, .where = where};
    enum ko_code code = ko_cube_view_is_evaluation(view) ? ko_export_clean_runs(view, &out, err)
                                                         : export_sweep(view, &out, err);
    if (code == KO_OK)
        code = ko_csv_flush(&out, 0, err);
    if (code == KO_OK && fflush(stream) != 0)
        code = ko_fail(err, KO_E_FAILED, "%s: cannot be written: %s", where, strerror(errno));
    ko_text_free(&out.text);
    return code;
}
