/* SPDX-License-Identifier: Apache-2.0 */
/* One safetensors file, mapped read-only. */
#ifndef KO_CHECKPOINT_SAFETENSORS_SAFETENSORS_H
#define KO_CHECKPOINT_SAFETENSORS_SAFETENSORS_H

#include <stddef.h>

#include "src/base/error.h"
#include "src/checkpoint/mapped/mapping.h"
#include "src/checkpoint/safetensors/safetensors_header.h"

enum { KO_HEADER_BYTES = 100000000 }; /* the longest header that the format allows */

struct ko_safetensors {
    struct ko_mapping map;   /* the whole file */
    const char *header_text; /* in the map */
    size_t header_bytes;
    struct ko_safetensors_header header; /* every entry's tensor.data points into the map */
};

/* Maps the file and checks its header. Checks that the tensors' data fill the rest of the file
   without overlaps or gaps, each as long as its shape and dtype require. KO_E_INPUT "WHERE: ...".
   Free with ko_safetensors_close, also after a failure. */
KO_MUST_CHECK enum ko_code ko_safetensors_open(const char *path, const char *where,
                                               struct ko_safetensors *file, struct ko_error *err);
void ko_safetensors_close(struct ko_safetensors *file);

#endif
