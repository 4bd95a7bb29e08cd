/* SPDX-License-Identifier: Apache-2.0 */
/* The shard that a run computes, and the file that it writes. */
#ifndef KO_RUN_SHARD_H
#define KO_RUN_SHARD_H

#include "src/base/error.h"
#include "src/options/options.h"
#include "src/spec/spec.h"
#include "src/tree/shard.h"

/* The shard of --shard: K/N, or auto, from the variables of a Slurm array; of 0 without the option.
   KO_E_INPUT for another form, for auto outside an array, and for auto in an array that may be only
   part of a larger one (because some tasks run again): one with gaps, with one task, with a first
   index above 1, or with other numbers of shards beside the output. The error says what to write.
   */
KO_MUST_CHECK enum ko_code ko_cli_shard(const struct ko_options *options, struct ko_shard *out,
                                        struct ko_error *err);

/* KO_E_INPUT if ranks select the shard's prompts and evaluation is NULL: every task of the array
   would make its own evaluation. */
KO_MUST_CHECK enum ko_code ko_cli_shard_check(const struct ko_spec *spec, struct ko_shard shard,
                                              const char *evaluation, struct ko_error *err);

/* "results/cube.h5" -> "results/cube.shard-0003-of-0016.h5"; the path itself where `of` is 0.
   free(). */
KO_MUST_CHECK char *ko_cli_shard_path(const char *cube, struct ko_shard shard,
                                      struct ko_error *err);

#endif
