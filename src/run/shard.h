/* SPDX-License-Identifier: Apache-2.0 */
/* Which shard a run computes, and where it goes. */
#ifndef KO_RUN_SHARD_H
#define KO_RUN_SHARD_H

#include "src/base/error.h"
#include "src/options/options.h"
#include "src/spec/spec.h"
#include "src/tree/shard.h"

/* From --shard: K/N, or auto from the variables of a Slurm array; of 0 without the option. KO_E_INPUT
   for another form, and for auto outside an array and wherever the array may be a part of another
   one, as where some tasks run again: with gaps, of one task, beginning neither at 0 nor at 1, or
   beside shards of another number. The error says what to write. */
KO_MUST_CHECK enum ko_code ko_cli_shard(const struct ko_options *options, struct ko_shard *out,
                                        struct ko_error *err);

/* KO_E_INPUT where the shard's prompts are selected by ranks and there is no evaluation (NULL) to
   take them from: every task of the array would make its own. */
KO_MUST_CHECK enum ko_code ko_cli_shard_check(const struct ko_spec *spec, struct ko_shard shard,
                                              const char *evaluation, struct ko_error *err);

/* "results/cube.h5" -> "results/cube.shard-0003-of-0016.h5"; the cube's own path where `of` is 0.
   free(). */
KO_MUST_CHECK char *ko_cli_shard_path(const char *cube, struct ko_shard shard,
                                      struct ko_error *err);

#endif
