/* SPDX-License-Identifier: Apache-2.0 */
/* Merges the files of a sweep's shards into one cube: a physical copy, in one process, a slab at a
   time. */
#ifndef KO_CUBE_MERGE_MERGE_H
#define KO_CUBE_MERGE_MERGE_H

#include <stdbool.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cube/create/create.h"
#include "src/cube/merge/merged.h"

/* Writes the cube at `path` under a temporary name and renames it as `placing` says (NULL: an
   existing file is replaced). Its datasets equal those of one job, bit for bit, except `run*`: the
   shards' run tables follow one another. KO_E_INPUT, before anything is written, where a file is
   not a shard; where two files differ in sweep, backend, precision, format, checkpoint, tokenizer
   or weights; where two have the same number or the same prompt; and, unless `partial`, where a
   shard is missing or a prompt is pending, with files and numbers. With `partial` such prompts stay
   pending. Memory: two statuses per prompt and 16 MiB, or one prompt's largest dataset. */
KO_MUST_CHECK enum ko_code ko_cube_merge(const char *path, const struct ko_strings *shards,
                                         bool partial, const struct ko_cube_placing *placing,
                                         struct ko_cube_merged *out, struct ko_error *err);

#endif
