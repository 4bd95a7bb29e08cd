/* SPDX-License-Identifier: Apache-2.0 */
/* The physical copy of a merge: from files that were checked into a new cube. */
#ifndef KO_CUBE_MERGE_MERGE_COPY_H
#define KO_CUBE_MERGE_MERGE_COPY_H

#include "src/base/error.h"
#include "src/cube/create/fill.h"
#include "src/cube/merge/merge_set.h"

/* Bytes that are read and written at once; more only where one index of the first axis (one prompt
   of a dataset of cells) has more. */
enum { KO_MERGE_SLAB_BYTES = 16 << 20 };

/* Copies a whole dataset of the table from a view that has it. */
KO_MUST_CHECK enum ko_code ko_merge_copy_dataset(const struct ko_cube_view *from,
                                                 struct ko_cube_new *to, size_t index,
                                                 struct ko_error *err);

/* Copies the results and statuses of the prompts that the set says are the file's, to their places
   in the whole cube. */
KO_MUST_CHECK enum ko_code ko_merge_copy_results(const struct ko_merge_set *set,
                                                 const struct ko_cube_shard *shard, int32_t file,
                                                 struct ko_cube_new *to, struct ko_error *err);

/* Writes `count` elements a axis from `first` on of a dataset of the new cube, in memory as the
   table says. */
KO_MUST_CHECK enum ko_code ko_merge_write(const struct ko_cube_new *to, size_t index,
                                          const hsize_t *first, const hsize_t *count,
                                          const void *values, struct ko_error *err);

#endif
