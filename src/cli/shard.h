/* Which shard a run computes, and where it goes. */
#ifndef KO_CLI_SHARD_H
#define KO_CLI_SHARD_H

#include "src/base/error.h"
#include "src/base/options.h"
#include "src/plan/shard.h"
#include "src/spec/spec.h"

/* From --shard: K/N, or auto from the variables of a Slurm array; of 0 without the option.
   KO_E_INPUT for another form, outside an array, and in an array whose tasks are not MIN, MIN+1,
   ..., MAX. */
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
