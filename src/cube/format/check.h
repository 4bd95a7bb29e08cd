/* SPDX-License-Identifier: Apache-2.0 */
/* What is checked of a cube's file before anything in it is used: a file from elsewhere is input.
   Every object is opened through here, by the one table that creation goes by too. */
#ifndef KO_CUBE_FORMAT_CHECK_H
#define KO_CUBE_FORMAT_CHECK_H

#include <hdf5.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cube/format/datasets.h"

enum {
    KO_CUBE_MAX_CHUNK_BYTES = 64 << 20, /* of a chunk of a compressed copy, unpacked */
    KO_CUBE_MAX_RATIO = 1100,           /* unpacked to packed; deflate reaches 1032 */
    KO_CUBE_MAX_LAYERS = 1 << 20
};

/* Opens an object of the file's own, a dataset or a group. KO_E_INPUT where it is missing, of
   another kind, or a link that leads elsewhere (soft, external): no other file is ever opened.
   `file` is a file or group; the caller closes *id. */
KO_MUST_CHECK enum ko_code ko_cube_open_object(hid_t file, const char *path, const char *name,
                                               H5I_type_t kind, hid_t *id, struct ko_error *err);

/* The length of an axis, from its scale; 0 where there is none. KO_E_INPUT where the scale has not
   one dimension of 1 to INT_MAX. */
KO_MUST_CHECK enum ko_code ko_cube_check_axis(hid_t file, const char *path, enum ko_cube_axis axis,
                                              hsize_t *n, struct ko_error *err);

/* Opens a dataset of the table and checks it: type, shape, and that its values lie in this file (no
   virtual dataset, no external storage), all of them, unpacked by no filter but those of HDF5
   itself (deflate, shuffle, fletcher32). KO_E_INPUT naming file, dataset, what was expected and
   what was found. The caller closes *id. */
KO_MUST_CHECK enum ko_code ko_cube_open_dataset(hid_t file, const char *path,
                                                const struct ko_cube_dataset *dataset,
                                                const struct ko_cube_lengths *lengths, hid_t *id,
                                                struct ko_error *err);

/* Checks every dataset that a cube of these lengths has, and the lengths of the axes that the
   program fixes. */
KO_MUST_CHECK enum ko_code ko_cube_check_datasets(hid_t file, const char *path,
                                                  const struct ko_cube_lengths *lengths,
                                                  struct ko_error *err);

/* "float32", "big-endian int16", "variable-length string", ...: a type of the file in words. */
void ko_cube_type_text(hid_t type, struct ko_text *out);

struct ko_cube_view;

/* Checks that every string of the file is one that HDF5 can read: an object of a heap, all within
   the file, as long as both say. */
KO_MUST_CHECK enum ko_code ko_cube_check_strings(const struct ko_cube_view *view,
                                                 struct ko_error *err);

/* Checks that the numbers that others are looked up by are in their ranges: indices, positions,
   token ids, windows, statuses, reasons. Measured values are not looked at: any is a number. */
KO_MUST_CHECK enum ko_code ko_cube_check_values(const struct ko_cube_view *view,
                                                struct ko_error *err);

#endif
