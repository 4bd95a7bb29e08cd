/* SPDX-License-Identifier: Apache-2.0 */
/* The mean cells or the heat cells of a cube, read one model or one curve at a time. */
#ifndef KO_CUBE_READ_PART_H
#define KO_CUBE_READ_PART_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/cube/read/read.h"

/* Values lie as [n_prompts, n_routes, n_classes, n_sources, n_sizes, n_starts], statuses likewise
   without the last axis. n_sources is 1 for mean routes. */
struct ko_cube_part {
    struct ko_cube_view *view; /* borrowed */
    const struct ko_cube_axes *axes;
    bool heat;
    int32_t n_prompts, n_routes, n_classes, n_sources, n_sizes, n_starts;
    int64_t n_statuses, n_values; /* of one model */
    int64_t most_values;          /* that are read at once: of a whole model, or else of a curve */
};

/* KO_E_INPUT where the products are too large for memory. All numbers are 0 where the part has no
   routes or no prompts. */
KO_MUST_CHECK enum ko_code ko_cube_part_of(struct ko_cube_view *view, bool heat,
                                           struct ko_cube_part *out, struct ko_error *err);

/* Reads the statuses of one model [n_statuses]; free() them. */
KO_MUST_CHECK enum ko_code ko_cube_part_statuses(const struct ko_cube_part *part, int32_t model,
                                                 uint8_t **out, struct ko_error *err);
/* The values of one model, or of one slice of it [n_prompts, n_sources, n_starts]. slice: NULL, or as
   in struct ko_cube_rows. */
int64_t ko_cube_part_n_values(const struct ko_cube_part *part, const struct ko_cube_slice *slice);
/* Reads so many values of the dataset NAME or heat_NAME, or of `vacuous`. */
KO_MUST_CHECK enum ko_code ko_cube_part_doubles(const struct ko_cube_part *part, const char *name,
                                                int32_t model, const struct ko_cube_slice *slice,
                                                double *out, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cube_part_vacuous(const struct ko_cube_part *part, int32_t model,
                                                const struct ko_cube_slice *slice, uint8_t *out,
                                                struct ko_error *err);
/* Reads clean_NAME or heat_clean_NAME of one model [n_prompts]; free() it. */
KO_MUST_CHECK enum ko_code ko_cube_part_clean(const struct ko_cube_part *part, const char *name,
                                              int32_t model, double **out, struct ko_error *err);

static inline int64_t ko_cube_part_status_at(const struct ko_cube_part *part, int32_t prompt,
                                             int32_t route, int32_t class, int32_t source,
                                             int32_t size)
{
    return ((((int64_t)prompt * part->n_routes + route) * part->n_classes + class) *
                part->n_sources +
            source) *
               part->n_sizes +
           size;
}
/* The index of the status's first start. */
static inline int64_t ko_cube_part_value_at(const struct ko_cube_part *part, int64_t status_at)
{
    return status_at * part->n_starts;
}

#endif
