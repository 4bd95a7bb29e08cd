/* SPDX-License-Identifier: Apache-2.0 */
/* A zip archive in memory, read with libzip, and the offsets of its stored entries. */
#ifndef KO_CHECKPOINT_TORCH_ZIP_ARCHIVE_H
#define KO_CHECKPOINT_TORCH_ZIP_ARCHIVE_H

#include <stddef.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/checkpoint/mapped/mapping.h"

enum { KO_ZIP_ENTRIES = 1 << 19, KO_ZIP_NAME = 1024 }; /* most entries, longest name in bytes */

struct ko_zip_entry {
    char *name;          /* owned */
    size_t index;        /* its number in the archive */
    size_t begin, bytes; /* offset and size of its data */
};

struct ko_zip_archive;

/* Opens the archive in `map`, which is borrowed until the archive is closed. Every entry must be
   uncompressed, unencrypted and inside the file, have a unique name, follow a local header with
   that name, and overlap no other entry. KO_E_INPUT "WHERE: ...". Free with ko_zip_close. */
KO_MUST_CHECK enum ko_code ko_zip_open(const struct ko_mapping *map, const char *where,
                                       struct ko_zip_archive **out, struct ko_error *err);
void ko_zip_close(struct ko_zip_archive *archive);

/* All entries in order of name; *n of them. Borrowed. */
const struct ko_zip_entry *ko_zip_entries(const struct ko_zip_archive *archive, size_t *n);
/* NULL if no entry has this name. */
const struct ko_zip_entry *ko_zip_find(const struct ko_zip_archive *archive, const char *name);
/* The name of the first entry of the archive; NULL if it has no entry. */
const char *ko_zip_first_name(const struct ko_zip_archive *archive);
/* Adds the entry's bytes, at most max_bytes, to `out`, and checks their CRC-32. KO_E_INPUT
   "WHERE: ENTRY: ...". */
KO_MUST_CHECK enum ko_code ko_zip_read(struct ko_zip_archive *archive,
                                       const struct ko_zip_entry *entry, size_t max_bytes,
                                       struct ko_text *out, struct ko_error *err);

#endif
