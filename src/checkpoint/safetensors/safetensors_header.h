/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON header of a safetensors file, read strictly. */
#ifndef KO_CHECKPOINT_SAFETENSORS_SAFETENSORS_HEADER_H
#define KO_CHECKPOINT_SAFETENSORS_SAFETENSORS_HEADER_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/checkpoint/mapped/tensor.h"

enum { KO_HEADER_TENSORS = 1 << 18 }; /* most tensors of a file */

/* One entry. The header owns tensor.name and does not set tensor.data. */
struct ko_header_entry {
    struct ko_tensor tensor;
    int64_t begin, end; /* data_offsets: bytes from the end of the header */
    char *name;
};

struct ko_safetensors_header {
    struct ko_header_entry *entries; /* [n] in order of name; owned */
    size_t n, capacity;
};

/* Reads `n` bytes of JSON: an object of tensor entries and at most one __metadata__ of strings. An
   entry has dtype, shape and data_offsets, each once, and nothing else. Names must be unique UTF-8
   without control characters. KO_E_INPUT "WHERE: header: ...". Free with
   ko_safetensors_header_free, also after a failure. Source: the format section of safetensors'
   README and SafeTensors::read_metadata. */
KO_MUST_CHECK enum ko_code ko_safetensors_header_read(const char *text, size_t n, const char *where,
                                                      struct ko_safetensors_header *header,
                                                      struct ko_error *err);
void ko_safetensors_header_free(struct ko_safetensors_header *header);

#endif
