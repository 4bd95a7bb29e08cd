/* SPDX-License-Identifier: Apache-2.0 */
/* A cube that all ranks have open for writing. */
#ifndef KO_MPI_CUBE_CUBE_H
#define KO_MPI_CUBE_CUBE_H

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/plan/plan.h"

struct ko_cube;

/* Collective over comm (the workers): opens an existing cube for writing. plan is the one that it
   was created from (borrowed). Errors are agreed on. Close with ko_cube_close (collective). */
KO_MUST_CHECK enum ko_code ko_cube_open(const char *path, const struct ko_plan *plan, MPI_Comm comm,
                                        struct ko_cube **out, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cube_close(struct ko_cube *cube, struct ko_error *err);

/* Whether the cube marks each cell that was taken from an earlier one. */
bool ko_cube_has_reused(const struct ko_cube *cube);

/* Local, needed on the first rank of comm: the progress that the next commits write into the run's
   row, with the time, for `status`. cells: computed in this run; work_share: of its floating-point
   operations, 0 to 1. */
void ko_cube_set_progress(struct ko_cube *cube, double cells, double work_share);

/* Collective: writes a model's content hash (32 hex digits; NULL on all ranks but one). */
KO_MUST_CHECK enum ko_code ko_cube_write_content_hash(struct ko_cube *cube, int32_t model,
                                                      const char *hash, struct ko_error *err);

/* Collective: the means of components of a model, [ko_plan_mean_values]. *stored: whether an earlier
   run has written them; else they are NaN. */
KO_MUST_CHECK enum ko_code ko_cube_read_means(struct ko_cube *cube, int32_t model, float *means,
                                              bool *stored, struct ko_error *err);
/* Collective: writes them (NULL on all ranks but one). */
KO_MUST_CHECK enum ko_code ko_cube_write_means(struct ko_cube *cube, int32_t model,
                                               const float *means, struct ko_error *err);

#endif
