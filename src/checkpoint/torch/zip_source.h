/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a mapped archive as a source for libzip. */
#ifndef KO_CHECKPOINT_TORCH_ZIP_SOURCE_H
#define KO_CHECKPOINT_TORCH_ZIP_SOURCE_H

#include <stddef.h>
#include <zip.h>

#include "src/checkpoint/mapped/mapping.h"

struct ko_zip_source {
    const struct ko_mapping *map; /* borrowed */
    zip_int64_t at;
    size_t last_read; /* where the last read began */
    zip_error_t error;
};

void ko_zip_source_init(struct ko_zip_source *source, const struct ko_mapping *map);
/* A zip_source_callback. source: a struct ko_zip_source, which libzip does not own. */
zip_int64_t ko_zip_source_call(void *source, void *data, zip_uint64_t n, zip_source_cmd_t command);

#endif
