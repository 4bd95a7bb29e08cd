/* SPDX-License-Identifier: Apache-2.0 */
/* A cube as one long CSV table. */
#ifndef KO_EXPORT_EXPORT_CSV_H
#define KO_EXPORT_EXPORT_CSV_H

#include <stdio.h>

#include "src/base/error.h"
#include "src/cube/read/read.h"
#include "src/show/curve_filter.h"

/* Writes the table to the stream, prompt by prompt; it needs memory for one prompt's cells. `where`
   names the output in errors. A sweep has a line for each planned cell that passes the filter; each
   model's heatmaps follow its mean routes. An evaluation has a line for each clean run. KO_E_FAILED
   where the stream cannot be written. */
KO_MUST_CHECK enum ko_code ko_export_csv(struct ko_cube_view *view,
                                         const struct ko_curve_filter *filter, FILE *stream,
                                         const char *where, struct ko_error *err);

/* Writes the table of an evaluation, for ko_export_csv. */
struct ko_csv_stream;
KO_MUST_CHECK enum ko_code ko_export_clean_runs(struct ko_cube_view *view,
                                                const struct ko_curve_filter *filter,
                                                struct ko_csv_stream *out, struct ko_error *err);

#endif
