/* SPDX-License-Identifier: Apache-2.0 */
/* Allocates buffers for one prompt of an old cube, reads its cells and its clean run into them, and
   returns the metrics of single cells. */
#include "src/cube/reuse/values.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/base/memory.h"

enum ko_code ko_reuse_values_new(const struct ko_reuse_map *map, const struct ko_reuse_part *part,
                                 struct ko_reuse_values *out, struct ko_error *err)
{
    const size_t n = (size_t)part->n_values;
    const bool good = (out->status = ko_new((size_t)part->n_statuses, 1, err)) &&
                      (out->logprob = ko_new(n, sizeof(float), err)) &&
                      (out->kl = ko_new(n, sizeof(float), err)) &&
                      (out->target_rank = ko_new(n, sizeof(int32_t), err)) &&
                      (out->top1_id = ko_new(n, sizeof(int32_t), err)) &&
                      (!map->foils || (out->foil_logprob = ko_new(n, sizeof(float), err)));

    return good ? KO_OK : KO_E_MEMORY;
}

void ko_reuse_values_free(struct ko_reuse_values *values)
{
    free(values->status);
    free(values->logprob);
    free(values->kl);
    free(values->foil_logprob);
    free(values->target_rank);
    free(values->top1_id);
    *values = (struct ko_reuse_values){0};
}

enum ko_code ko_reuse_values_read(const struct ko_reuse_map *map, const struct ko_reuse_part *part,
                                  int32_t model, int32_t prompt,
                                  const struct ko_reuse_values *values, struct ko_error *err)
{
    static const char *const floats[] = {"logprob", "kl", "foil_logprob"};
    static const char *const ints[] = {"target_rank", "top1_id"};
    float *const number[] = {values->logprob, values->kl, values->foil_logprob};
    int32_t *const whole[] = {values->target_rank, values->top1_id};
    char name[64];
    struct ko_cube_rows rows = {
        .dataset = name, .model = model, .first = prompt, .n = 1, .n_values = part->n_statuses};
    const char *prefix = part->heat ? "heat_" : "";

    (void)snprintf(name, sizeof name, "%sstatus", prefix);
    enum ko_code code = ko_cube_view_rows_uint8(map->old, &rows, values->status, err);
    rows.n_values = part->n_values;
    for (int f = 0; f < 3 && code == KO_OK; f++) {
        if (number[f]) {
            (void)snprintf(name, sizeof name, "%s%s", prefix, floats[f]);
            code = ko_cube_view_rows_float(map->old, &rows, number[f], err);
        }
    }
    for (int f = 0; f < 2 && code == KO_OK; f++) {
        (void)snprintf(name, sizeof name, "%s%s", prefix, ints[f]);
        code = ko_cube_view_rows_int(map->old, &rows, whole[f], err);
    }
    return code;
}

enum ko_code ko_reuse_clean_read(const struct ko_reuse_map *map, const struct ko_reuse_part *part,
                                 int32_t model, int32_t prompt, bool foil, struct ko_metrics *clean,
                                 struct ko_error *err)
{
    const char *prefix = part->heat ? "heat_" : "";
    struct ko_metrics found = {.foil_logprob = NAN};
    char name[64];
    const struct ko_cube_rows row = {
        .dataset = name, .model = model, .first = prompt, .n = 1, .n_values = 1};

    (void)snprintf(name, sizeof name, "%sclean_logprob", prefix);
    enum ko_code code = ko_cube_view_rows_float(map->old, &row, &found.logprob, err);
    if (code == KO_OK && foil) {
        (void)snprintf(name, sizeof name, "%sclean_foil_logprob", prefix);
        code = ko_cube_view_rows_float(map->old, &row, &found.foil_logprob, err);
    }
    (void)snprintf(name, sizeof name, "%sclean_target_rank", prefix);
    if (code == KO_OK) {
        code = ko_cube_view_rows_int(map->old, &row, &found.target_rank, err);
    }
    (void)snprintf(name, sizeof name, "%sclean_top1_id", prefix);
    if (code == KO_OK) {
        code = ko_cube_view_rows_int(map->old, &row, &found.top1_id, err);
    }
    *clean = found;
    return code;
}

struct ko_metrics ko_reuse_values_at(const struct ko_reuse_values *values, int64_t at, bool foil)
{
    return (struct ko_metrics){.logprob = values->logprob[at],
                               .foil_logprob = foil ? values->foil_logprob[at] : NAN,
                               .kl = values->kl[at],
                               .target_rank = values->target_rank[at],
                               .top1_id = values->top1_id[at]};
}

bool ko_reuse_value_is_there(const struct ko_metrics *metrics, bool foil)
{
    return metrics->target_rank >= 1 && metrics->top1_id >= 0 && isfinite(metrics->logprob) &&
           isfinite(metrics->kl) && (!foil || isfinite(metrics->foil_logprob));
}
