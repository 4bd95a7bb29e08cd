/* SPDX-License-Identifier: Apache-2.0 */
/* The long table of a cube: one line of CSV a cell. */
#ifndef KO_EXPORT_EXPORT_CSV_H
#define KO_EXPORT_EXPORT_CSV_H

#include <stdio.h>

#include "src/base/error.h"
#include "src/cube/read/read.h"
#include "src/show/curve_filter.h"

/* Writes the whole table to the stream, prompt by prompt: memory for one prompt's cells at least,
   and not much more. `where` names the output in errors. A sweep's lines are the cells that are
   done, and each start that fits in the model of what is pending, vacuous or failed; the heatmaps'
   follow the others of each model. An evaluation's are its clean runs. Only what passes the filter
   is written. KO_E_FAILED where the stream cannot be written. */
KO_MUST_CHECK enum ko_code ko_export_csv(struct ko_cube_view *view,
                                         const struct ko_curve_filter *filter, FILE *stream,
                                         const char *where, struct ko_error *err);

/* Those of an evaluation, for ko_export_csv. */
struct ko_csv_stream;
KO_MUST_CHECK enum ko_code ko_export_clean_runs(struct ko_cube_view *view,
                                                const struct ko_curve_filter *filter,
                                                struct ko_csv_stream *out, struct ko_error *err);

#endif
