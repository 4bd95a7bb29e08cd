/* SPDX-License-Identifier: Apache-2.0 */
/* What `inspect` says of a checkpoint folder. */
#ifndef KO_CLI_CHECKPOINT_REPORT_H
#define KO_CLI_CHECKPOINT_REPORT_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/checkpoint/checkpoint.h"
#include "src/models/model.h"
#include "src/tokenizer/tokenizer.h"

struct ko_checkpoint_report {
    char *name, *folder, *tokenizer_file; /* owned, as all */
    struct ko_checkpoint *checkpoint;     /* NULL where it cannot be opened */
    struct ko_model *model;         /* NULL where it cannot be run; without weights that fit it is
                                       what config.json alone says */
    struct ko_tokenizer *tokenizer; /* NULL where it cannot be read */
    int32_t n_added_in_front;       /* special tokens that the tokenizer puts in front of a text */
    int32_t added_id;               /* the first of them, -1: none */
    size_t n_tensors[KO_N_DTYPES];
    double tensor_bytes;        /* on disk */
    struct ko_strings notes;    /* what the files contradict, or say in vain, a line each */
    struct ko_strings problems; /* what would stop it from running, a line each */
};

/* Opens what can be opened; what cannot is a problem, not an error, but for a folder that is not
   there. folder: also a name of the hub (src/base/hub_cache.h). tokenizer: the same or a file, NULL:
   the checkpoint's own. Free with ko_checkpoint_report_free, also after a failure. */
KO_MUST_CHECK enum ko_code ko_checkpoint_report_make(const char *folder, const char *tokenizer,
                                                     struct ko_checkpoint_report *out,
                                                     struct ko_error *err);
void ko_checkpoint_report_free(struct ko_checkpoint_report *report); /* leaves {0} */

#endif
