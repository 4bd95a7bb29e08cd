/* SPDX-License-Identifier: Apache-2.0 */
/* The files that a run writes, and checks that it may write them. */
#ifndef KO_RUN_OUTPUT_H
#define KO_RUN_OUTPUT_H

#include <stdbool.h>

#include "src/base/error.h"
#include "src/options/options.h"
#include "src/tree/shard.h"

struct ko_output {
    char *cube;       /* owned */
    char *evaluation; /* X.evaluation.h5 beside X.h5; owned */
    char *aside;      /* path of the old cube until the new one replaces it; NULL: none; owned */
    struct ko_shard shard; /* of 0: the whole sweep */
    bool resume, overwrite;
    bool own_evaluation; /* the run makes the evaluation itself */
};

/* Whether two paths name one existing file. */
bool ko_same_file(const char *a, const char *b);

/* The path of the evaluation of a run into `cube`: "results/cube.h5" ->
   "results/cube.evaluation.h5". free(). */
KO_MUST_CHECK char *ko_output_evaluation(const char *cube, struct ko_error *err);

/* Fills *out from --output, --resume and --overwrite. For a shard (of > 0) the cube is the shard's
   file beside --output. A link is followed: the cube, its lock and its evaluation are at the link's
   target. own_evaluation: the run makes X.evaluation.h5 itself. external: the evaluation that the
   run reads, or NULL. KO_E_INPUT if the output is missing, its folder does not exist, it exists
   without --resume or --overwrite, it is the external evaluation, or --overwrite would replace a
   file that is not HDF5. Free with ko_output_free. */
KO_MUST_CHECK enum ko_code ko_output_check(const struct ko_options *options, bool own_evaluation,
                                           const char *external, struct ko_shard shard,
                                           struct ko_output *out, struct ko_error *err);
/* Checks existing files again once this run holds the lock: another run may have made them since.
   */
KO_MUST_CHECK enum ko_code ko_output_check_again(const struct ko_output *output,
                                                 struct ko_error *err);
/* With --overwrite, renames an existing cube, so that --resume cannot mistake it for this run's
   after an interruption. With --resume, finds the cube that such an interrupted run has renamed. */
KO_MUST_CHECK enum ko_code ko_output_set_aside(struct ko_output *output, struct ko_error *err);
/* At the end of a run: deletes the renamed cube if the new one exists, and renames it back if
   --overwrite was refused before the new one was made. false: the renamed cube stays, because the
   run was interrupted before that. */
bool ko_output_settle(const struct ko_output *output, enum ko_code code);
void ko_output_free(struct ko_output *output); /* leaves {0} */

#endif
