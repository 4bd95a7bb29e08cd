/* SPDX-License-Identifier: Apache-2.0 */
/* One cube from the files of a sweep's shards: physical, one process, a slab at a time. */
#ifndef KO_CUBE_MERGE_MERGE_H
#define KO_CUBE_MERGE_MERGE_H

#include <stdbool.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cube/create/create.h"
#include "src/cube/merge/merged.h"

/* Writes the cube at `path` under a temporary name; it gets its own as `placing` says (NULL: an
   existing one is replaced). Its datasets are those of one job, bit for bit, but for names that
   begin with `run`: the shards' run tables follow one another. KO_E_INPUT, before anything is
   written, where a file is no shard; where two are of different sweeps, backends, precisions,
   formats, checkpoints, tokenizers or weights; where two hold the same number or the same prompt;
   and, unless `partial`, where a shard is missing or a prompt is pending, naming files and numbers.
   `partial` leaves those pending. Memory: two statuses a prompt and 16 MiB, or one prompt's largest
   dataset. */
KO_MUST_CHECK enum ko_code ko_cube_merge(const char *path, const struct ko_strings *shards,
                                         bool partial, const struct ko_cube_placing *placing,
                                         struct ko_cube_merged *out, struct ko_error *err);

#endif
