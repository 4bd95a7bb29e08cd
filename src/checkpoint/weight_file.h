/* SPDX-License-Identifier: Apache-2.0 */
/* A weight file in either format, safetensors or torch.save. */
#ifndef KO_CHECKPOINT_WEIGHT_FILE_H
#define KO_CHECKPOINT_WEIGHT_FILE_H

#include <stddef.h>

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/checkpoint/mapped/tensor.h"
#include "src/checkpoint/safetensors/safetensors.h"
#include "src/checkpoint/torch/torch_file.h"

enum ko_weight_format { KO_FORMAT_SAFETENSORS, KO_FORMAT_TORCH };

struct ko_weight_file {
    enum ko_weight_format format;
    union {
        struct ko_safetensors safetensors;
        struct ko_torch_file torch;
    };
};

/* KO_E_INPUT "WHERE: ...". Free with ko_weight_file_close, also after a failure. */
KO_MUST_CHECK enum ko_code ko_weight_file_open(enum ko_weight_format format, const char *path,
                                               const char *where, struct ko_weight_file *file,
                                               struct ko_error *err);
void ko_weight_file_close(struct ko_weight_file *file);

size_t ko_weight_file_tensors(const struct ko_weight_file *file);
/* Tensor number i in order of name. Borrowed. */
const struct ko_tensor *ko_weight_file_tensor(const struct ko_weight_file *file, size_t i);
/* The *n bytes that describe the tensors. Borrowed. */
const void *ko_weight_file_header(const struct ko_weight_file *file, size_t *n);
/* Whether the file is still as long as when it was opened. */
bool ko_weight_file_is_whole(const struct ko_weight_file *file);
/* struct ko_mapping's version. */
uint64_t ko_weight_file_version(const struct ko_weight_file *file);
/* The file's length. */
size_t ko_weight_file_bytes(const struct ko_weight_file *file);

#endif
