/* SPDX-License-Identifier: Apache-2.0 */
/* Allocates buffers for one prompt of an old cube, reads its cells and its clean run into them, and
   returns the metrics of single cells. */
#include "src/cube/reuse/values.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"

#define READ_FLOAT ko_cube_view_rows_float
#define READ_INT   ko_cube_view_rows_int

enum ko_code ko_reuse_values_new(const struct ko_reuse_map *map, const struct ko_reuse_part *part,
                                 struct ko_reuse_values *out, struct ko_error *err)
{
    bool good = (out->status = ko_new((size_t)part->n_statuses, 1, err));

#define X(FIELD, name, TYPE, WHERE, ...)                                                           \
    if (good && (map->foils || !KO_METRIC_IS_FOIL_##WHERE)) {                                      \
        good = (out->name = ko_new((size_t)part->n_values, sizeof *out->name, err));               \
    }
    KO_RECORD_METRICS(X, )
#undef X
    size_t n = 0;
    if (good && map->axes->n_answer_tokens > 0 && part->n_values > 0) {
        good = ko_multiply((size_t)part->n_values, (size_t)map->axes->n_answer_tokens, &n,
                           "tokens of answers", err) == KO_OK;
#define X(FIELD, name, ...)                                                                        \
    good = good && (out->answer_##name = ko_new(n, sizeof *out->answer_##name, err));
        KO_ANSWER_METRICS(X, )
#undef X
    }
    return good ? KO_OK : KO_E_MEMORY;
}

void ko_reuse_values_free(struct ko_reuse_values *values)
{
    free(values->status);
#define X(FIELD, name, ...) free(values->name);
    KO_RECORD_METRICS(X, )
#undef X
#define X(FIELD, name, ...) free(values->answer_##name);
    KO_ANSWER_METRICS(X, )
#undef X
    *values = (struct ko_reuse_values){0};
}

enum ko_code ko_reuse_values_read(const struct ko_reuse_map *map, const struct ko_reuse_part *part,
                                  int32_t prompt, const struct ko_reuse_values *values,
                                  struct ko_error *err)
{
    const bool heat = part->heat;
    struct ko_cube_rows rows = {.dataset = heat ? "heat_status" : "status",
                                .model = part->model,
                                .first = prompt,
                                .n = 1,
                                .n_values = part->n_statuses};
    enum ko_code code = ko_cube_view_rows_uint8(map->old, &rows, values->status, err);

    rows.n_values = part->n_values;
#define X(FIELD, name, TYPE, ...)                                                                  \
    if (code == KO_OK && values->name) {                                                           \
        rows.dataset = heat ? "heat_" #name : #name;                                               \
        code = READ_##TYPE(map->old, &rows, values->name, err);                                    \
    }
    KO_RECORD_METRICS(X, )
#undef X
    rows.n_values = part->n_values * map->axes->n_answer_tokens;
#define X(FIELD, name, TYPE, ...)                                                                  \
    if (code == KO_OK && values->answer_##name) {                                                  \
        rows.dataset = heat ? "heat_answer_" #name : "answer_" #name;                              \
        code = READ_##TYPE(map->old, &rows, values->answer_##name, err);                           \
    }
    KO_ANSWER_METRICS(X, )
#undef X
    return code;
}

static bool is_answer_there(const struct ko_answer_metrics *answer, int32_t n)
{
    bool there = true;
    for (int32_t k = 0; k < n; k++) {
        there = there && isfinite(answer[k].logprob) && answer[k].rank >= 1;
    }
    return there;
}

bool ko_reuse_answer_at(const struct ko_reuse_map *map, const struct ko_reuse_values *values,
                        int64_t at, const struct ko_metrics *metrics, int32_t n,
                        struct ko_answer_metrics *out)
{
    out[0] = (struct ko_answer_metrics){metrics->logprob, metrics->target_rank};
    for (int32_t k = 0; values->answer_logprob && k < n; k++) {
        const int64_t from = at * map->axes->n_answer_tokens + k;
        out[k] =
            (struct ko_answer_metrics){values->answer_logprob[from], values->answer_rank[from]};
    }
    return is_answer_there(out, n);
}

enum ko_code ko_reuse_clean_answer(const struct ko_reuse_map *map, const struct ko_reuse_part *part,
                                   int32_t prompt, const struct ko_metrics *clean, int32_t n,
                                   struct ko_answer_metrics *out, bool *there, struct ko_error *err)
{
    const int32_t n_old = map->axes->n_answer_tokens;
    struct ko_cube_rows row = {.model = part->model, .first = prompt, .n = 1, .n_values = n_old};
    enum ko_code code = KO_OK;
    struct ko_reuse_values values = {0};

    if (n_old > 0) {
#define X(FIELD, name, TYPE, ...)                                                                  \
    values.answer_##name = ko_new((size_t)n_old, sizeof *values.answer_##name, err);               \
    row.dataset = part->heat ? "heat_clean_answer_" #name : "clean_answer_" #name;                 \
    if (code == KO_OK) {                                                                           \
        code = values.answer_##name ? READ_##TYPE(map->old, &row, values.answer_##name, err)       \
                                    : KO_E_MEMORY;                                                 \
    }
        KO_ANSWER_METRICS(X, )
#undef X
    }
    *there = code == KO_OK && ko_reuse_answer_at(map, &values, 0, clean, n, out);
    ko_reuse_values_free(&values);
    return code;
}

enum ko_code ko_reuse_clean_read(const struct ko_reuse_map *map, const struct ko_reuse_part *part,
                                 int32_t prompt, bool foil, struct ko_metrics *clean,
                                 struct ko_error *err)
{
    struct ko_metrics found = {.foil_logprob = NAN};
    struct ko_cube_rows row = {.model = part->model, .first = prompt, .n = 1, .n_values = 1};
    enum ko_code code = KO_OK;

#define X(FIELD, name, TYPE, WHERE, ...)                                                           \
    if (code == KO_OK && KO_METRIC_OF_CLEAN_##WHERE && (foil || !KO_METRIC_IS_FOIL_##WHERE)) {     \
        row.dataset = part->heat ? "heat_clean_" #name : "clean_" #name;                           \
        code = READ_##TYPE(map->old, &row, &found.name, err);                                      \
    }
    KO_RECORD_METRICS(X, )
#undef X
    *clean = found;
    return code;
}

struct ko_metrics ko_reuse_values_at(const struct ko_reuse_values *values, int64_t at, bool foil)
{
    struct ko_metrics metrics;

#define X(FIELD, name, TYPE, WHERE, ...)                                                           \
    metrics.name = foil || !KO_METRIC_IS_FOIL_##WHERE ? values->name[at] : KO_METRIC_NONE_##TYPE;
    KO_RECORD_METRICS(X, )
#undef X
    return metrics;
}

bool ko_reuse_value_is_there(const struct ko_metrics *metrics, bool foil)
{
    bool good = metrics->target_rank >= 1;

#define IS_FLOAT(value) isfinite(value)
#define IS_INT(value)   ((value) >= 0)
#define X(FIELD, name, TYPE, WHERE, ...)                                                           \
    good = good && ((KO_METRIC_IS_FOIL_##WHERE && !foil) || IS_##TYPE(metrics->name));
    KO_RECORD_METRICS(X, )
#undef X
    return good;
}
