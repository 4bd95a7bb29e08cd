/* SPDX-License-Identifier: Apache-2.0 */
/* Copies checked shards into the new cube. */
#ifndef KO_CUBE_MERGE_MERGE_COPY_H
#define KO_CUBE_MERGE_MERGE_COPY_H

#include "src/base/error.h"
#include "src/cube/create/fill.h"
#include "src/cube/merge/merge_set.h"

/* Bytes that are read and written at once, unless a single index of the first axis has more. */
enum { KO_MERGE_SLAB_BYTES = 16 << 20 };

/* Copies a whole dataset of the table; `from` must have it. */
KO_MUST_CHECK enum ko_code ko_merge_copy_dataset(const struct ko_cube_view *from,
                                                 struct ko_cube_new *to, size_t index,
                                                 struct ko_error *err);

/* Copies the results and statuses of the prompts that the set assigns to this file to their places
   in the whole cube. */
KO_MUST_CHECK enum ko_code ko_merge_copy_results(const struct ko_merge_set *set,
                                                 const struct ko_cube_shard *shard, int32_t file,
                                                 struct ko_cube_new *to, struct ko_error *err);

/* Writes a hyperslab of a dataset of the new cube: `first` and `count` have an element for each
   axis, values have the table's type. */
KO_MUST_CHECK enum ko_code ko_merge_write(const struct ko_cube_new *to, size_t index,
                                          const hsize_t *first, const hsize_t *count,
                                          const void *values, struct ko_error *err);

#endif
