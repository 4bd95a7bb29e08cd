/* Where a run writes: the cube, its evaluation, and whether they may be written. */
#ifndef KO_CLI_OUTPUT_H
#define KO_CLI_OUTPUT_H

#include <stdbool.h>

#include "src/base/error.h"
#include "src/base/options.h"

struct ko_output {
    char *cube;       /* owned */
    char *evaluation; /* X.evaluation.h5 beside X.h5; owned */
    bool resume, overwrite;
};

/* From --output, --resume, --overwrite. own_evaluation: the run makes X.evaluation.h5 itself.
   KO_E_INPUT where the output is missing, is in a folder that does not exist, or exists already
   without --resume or --overwrite. Free with ko_output_free. */
KO_MUST_CHECK enum ko_code ko_output_check(const struct ko_options *options, bool own_evaluation,
                                           struct ko_output *out, struct ko_error *err);
void ko_output_free(struct ko_output *output); /* leaves {0} */

#endif
