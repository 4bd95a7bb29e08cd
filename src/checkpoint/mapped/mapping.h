/* SPDX-License-Identifier: Apache-2.0 */
/* A regular file, mapped read-only and watched (mapping_watch.h). */
#ifndef KO_CHECKPOINT_MAPPED_MAPPING_H
#define KO_CHECKPOINT_MAPPED_MAPPING_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"

struct ko_mapping {
    void *data; /* NULL if the file is empty; owned */
    size_t bytes;
    uint64_t version; /* differs once the file was written or replaced by another one */
};

/* Maps the file at `path`; follows links. KO_E_INPUT "WHERE: ..." if it cannot be opened or is not
   a regular file. Free with ko_mapping_close, which leaves {0}. */
KO_MUST_CHECK enum ko_code ko_mapping_open(const char *path, const char *where,
                                           struct ko_mapping *map, struct ko_error *err);
void ko_mapping_close(struct ko_mapping *map);

#endif
