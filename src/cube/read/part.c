/* SPDX-License-Identifier: Apache-2.0 */
/* Computes the shape of the mean or the heat cells, and reads datasets of one model or one curve. */
#include "src/cube/read/part.h"

#include <stdio.h>
#include <stdlib.h>

#include "src/base/memory.h"

enum { NAME_BYTES = 64, MOST_VALUES = 8 << 20 /* 64 MiB of doubles */ };

enum ko_code ko_cube_part_of(struct ko_cube_view *view, bool heat, struct ko_cube_part *out,
                             struct ko_error *err)
{
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    struct ko_cube_part part = {.view = view, .axes = axes, .heat = heat};
    const struct ko_strings *routes = heat ? &axes->heat_route : &axes->route;
    const size_t n_prompts = heat ? axes->heat_prompt.n : axes->prompt.n;
    if (routes->n > 0 && n_prompts > 0) { /* a shard may have routes and no prompt */
        part.n_routes = (int32_t)routes->n;
        part.n_prompts = (int32_t)n_prompts;
        part.n_classes = (int32_t)axes->feature_class.n;
        part.n_sources = heat ? axes->n_source_positions : 1;
        part.n_sizes = axes->n_sizes;
        part.n_starts = axes->n_starts;
    }
    const int32_t axis[] = {part.n_prompts, part.n_routes, part.n_classes, part.n_sources,
                            part.n_sizes};
    size_t n = 1, n_values = 0, n_bytes = 0;
    enum ko_code code = KO_OK;
    for (size_t k = 0; code == KO_OK && k < sizeof axis / sizeof axis[0]; k++) {
        code = ko_multiply(n, (size_t)axis[k], &n, "cells of a model", err);
    }
    if (code == KO_OK) {
        code = ko_multiply(n, (size_t)part.n_starts, &n_values, "cells of a model", err);
    }
    if (code == KO_OK) {
        code = ko_multiply(n_values, sizeof(double), &n_bytes, "cells of a model", err);
    }
    if (code != KO_OK) {
        return code;
    }
    part.n_statuses = (int64_t)n;
    part.n_values = (int64_t)n_values;
    part.most_values = MOST_VALUES;
    *out = part;
    return KO_OK;
}

static const char *name_dataset(const struct ko_cube_part *part, const char *middle,
                                const char *name, char text[NAME_BYTES])
{
    (void)snprintf(text, NAME_BYTES, "%s%s%s", part->heat ? "heat_" : "", middle, name);
    return text;
}

enum ko_code ko_cube_part_statuses(const struct ko_cube_part *part, int32_t model, uint8_t **out,
                                   struct ko_error *err)
{
    char name[NAME_BYTES];
    uint8_t *read = ko_new((size_t)part->n_statuses, sizeof *read, err);
    if (!read) {
        return KO_E_MEMORY;
    }
    const enum ko_code code = ko_cube_view_read_uint8(
        part->view, name_dataset(part, "", "status", name), model, read, part->n_statuses, err);
    if (code == KO_OK) {
        *out = read;
    } else {
        free(read);
    }
    return code;
}

int64_t ko_cube_part_n_values(const struct ko_cube_part *part, const struct ko_cube_slice *slice)
{
    return slice ? (int64_t)part->n_prompts * part->n_sources * part->n_starts : part->n_values;
}

static struct ko_cube_rows all_rows(const struct ko_cube_part *part, const char *dataset,
                                    int32_t model, const struct ko_cube_slice *slice)
{
    return (struct ko_cube_rows){.dataset = dataset,
                                 .model = model,
                                 .n = part->n_prompts,
                                 .n_values = ko_cube_part_n_values(part, slice),
                                 .slice = slice};
}

enum ko_code ko_cube_part_doubles(const struct ko_cube_part *part, const char *name, int32_t model,
                                  const struct ko_cube_slice *slice, double *out,
                                  struct ko_error *err)
{
    char text[NAME_BYTES];
    const struct ko_cube_rows rows =
        all_rows(part, name_dataset(part, "", name, text), model, slice);
    return ko_cube_view_rows_double(part->view, &rows, out, err);
}

enum ko_code ko_cube_part_vacuous(const struct ko_cube_part *part, int32_t model,
                                  const struct ko_cube_slice *slice, uint8_t *out,
                                  struct ko_error *err)
{
    char text[NAME_BYTES];
    const struct ko_cube_rows rows =
        all_rows(part, name_dataset(part, "", "vacuous", text), model, slice);
    return ko_cube_view_rows_uint8(part->view, &rows, out, err);
}

enum ko_code ko_cube_part_clean(const struct ko_cube_part *part, const char *name, int32_t model,
                                double **out, struct ko_error *err)
{
    char text[NAME_BYTES];
    double *read = ko_new((size_t)part->n_prompts, sizeof *read, err);
    if (!read) {
        return KO_E_MEMORY;
    }
    const enum ko_code code = ko_cube_view_read_double(
        part->view, name_dataset(part, "clean_", name, text), model, read, part->n_prompts, err);
    if (code == KO_OK) {
        *out = read;
    } else {
        free(read);
    }
    return code;
}
