/* SPDX-License-Identifier: Apache-2.0 */
/* A weight file that torch.save wrote in its zip format, mapped read-only. */
#ifndef KO_CHECKPOINT_TORCH_TORCH_FILE_H
#define KO_CHECKPOINT_TORCH_TORCH_FILE_H

#include <stddef.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/checkpoint/mapped/mapping.h"
#include "src/checkpoint/mapped/tensor.h"
#include "src/checkpoint/torch/state_dict.h"

struct ko_torch_file {
    struct ko_mapping map;     /* the whole file */
    struct ko_text header;     /* data.pkl, then every entry's name, place and size */
    struct ko_state_dict dict; /* owns the tensors' names */
    struct ko_tensor *tensors; /* [n] in order of name; their data are in the map; owned */
    size_t n;
};

/* Maps the file and checks the zip archive and data.pkl, without running any of its code. Every
   tensor must be contiguous and lie inside its storage, whose entry must have the right size.
   Tensors may share a storage. Refuses torch's format from before version 1.6 and big-endian files.
   KO_E_INPUT "WHERE: ...". Free with ko_torch_file_close, also after a failure. */
KO_MUST_CHECK enum ko_code ko_torch_file_open(const char *path, const char *where,
                                              struct ko_torch_file *file, struct ko_error *err);
void ko_torch_file_close(struct ko_torch_file *file);

#endif
