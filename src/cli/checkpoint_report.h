/* SPDX-License-Identifier: Apache-2.0 */
/* What `inspect` prints about a checkpoint folder. */
#ifndef KO_CLI_CHECKPOINT_REPORT_H
#define KO_CLI_CHECKPOINT_REPORT_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/checkpoint/checkpoint.h"
#include "src/models/model.h"
#include "src/tokenizer/tokenizer.h"

struct ko_checkpoint_report {
    char *name, *folder, *tokenizer_file; /* owned, like every pointer here */
    struct ko_checkpoint *checkpoint;     /* NULL: it cannot be opened */
    struct ko_model *model;         /* NULL: it cannot be run; from config.json alone if the weights
                                       do not fit */
    struct ko_tokenizer *tokenizer; /* NULL: it cannot be read */
    int32_t n_added_in_front;       /* special tokens that the tokenizer puts in front of a text */
    int32_t added_id;               /* the first of them, -1: none */
    size_t n_tensors[KO_N_DTYPES];
    double tensor_bytes;        /* on disk */
    struct ko_strings details;  /* a phrase for each particular of the model */
    struct ko_strings notes;    /* one line for each contradiction or ignored setting */
    struct ko_strings problems; /* one line for each problem that would stop a run */
};

/* Opens the weights, the configuration and the tokenizer. What cannot be opened is added to the
   problems; only a missing folder is an error. folder: may be a name on the hub
   (src/base/user/hub_cache.h). tokenizer: a folder, a name or a file; NULL: the checkpoint's own. Free
   with ko_checkpoint_report_free, also after a failure. */
KO_MUST_CHECK enum ko_code ko_checkpoint_report_make(const char *folder, const char *tokenizer,
                                                     struct ko_checkpoint_report *out,
                                                     struct ko_error *err);
void ko_checkpoint_report_free(struct ko_checkpoint_report *report); /* leaves {0} */

#endif
