/* SPDX-License-Identifier: Apache-2.0 */
/* Where a run writes: the cube, its evaluation, and whether they may be written. */
#ifndef KO_RUN_OUTPUT_H
#define KO_RUN_OUTPUT_H

#include <stdbool.h>

#include "src/base/error.h"
#include "src/options/options.h"
#include "src/tree/shard.h"

struct ko_output {
    char *cube;       /* owned */
    char *evaluation; /* X.evaluation.h5 beside X.h5; owned */
    char *aside; /* where the cube to be replaced waits until it is; NULL: there was none; owned */
    struct ko_shard shard; /* of 0: the whole sweep */
    bool resume, overwrite;
    bool own_evaluation; /* the run makes the evaluation itself */
};

/* Whether two paths name one existing file. */
bool ko_same_file(const char *a, const char *b);

/* Where a run into `cube` has its evaluation: "results/cube.h5" -> "results/cube.evaluation.h5".
   free(). */
KO_MUST_CHECK char *ko_output_evaluation(const char *cube, struct ko_error *err);

/* From --output, --resume, --overwrite; of a shard (of > 0) the cube is the shard's file beside
   --output. own_evaluation: the run makes X.evaluation.h5 itself;
   external: the evaluation that it reads, or NULL. A link is followed: the cube is the file that it
   names, with lock and evaluation beside that one. KO_E_INPUT where the output is missing, is in a
   folder that does not exist, exists already without --resume or --overwrite, is the external
   evaluation, or would be replaced and is no HDF5 file. Free with ko_output_free. */
KO_MUST_CHECK enum ko_code ko_output_check(const struct ko_options *options, bool own_evaluation,
                                           const char *external, struct ko_shard shard,
                                           struct ko_output *out, struct ko_error *err);
/* The same question once more, when the lock is this run's: another run may have made the files in
   the meantime. */
KO_MUST_CHECK enum ko_code ko_output_check_again(const struct ko_output *output,
                                                 struct ko_error *err);
/* --overwrite: moves an existing cube to a name beside it, so that a run that is interrupted before
   it has made its own leaves nothing that --resume would take for it. --resume: finds what such a
   run has left there. */
KO_MUST_CHECK enum ko_code ko_output_set_aside(struct ko_output *output, struct ko_error *err);
/* The end of the run: what was set aside is removed where the new cube is there, and comes back
   where --overwrite was refused before it made one. false where it stays aside: the run was
   interrupted before that. */
bool ko_output_settle(const struct ko_output *output, enum ko_code code);
void ko_output_free(struct ko_output *output); /* leaves {0} */

#endif
