/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of a cube's file before anything in it is used: the file may come from elsewhere. Every
   object is opened here, by the same table that creation uses. */
#ifndef KO_CUBE_FORMAT_CHECK_H
#define KO_CUBE_FORMAT_CHECK_H

#include <hdf5.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cube/format/datasets.h"

enum {
    KO_CUBE_MAX_CHUNK_BYTES = 64 << 20, /* unpacked bytes of a compressed copy's chunk */
    KO_CUBE_MAX_RATIO = 1100,           /* unpacked to packed; deflate reaches 1032 */
    KO_CUBE_MAX_LAYERS = 1 << 20
};

/* Opens a dataset or group of the file. KO_E_INPUT where it is missing, of another kind, or a link
   to elsewhere (soft, external): no other file is ever opened. `file` is a file or group; the
   caller closes *id. */
KO_MUST_CHECK enum ko_code ko_cube_open_object(hid_t file, const char *path, const char *name,
                                               H5I_type_t kind, hid_t *id, struct ko_error *err);

/* Reads the length of an axis from its scale; 0 for an absent axis. KO_E_INPUT where the scale does
   not have one dimension of 1 to INT_MAX. */
KO_MUST_CHECK enum ko_code ko_cube_check_axis(hid_t file, const char *path, enum ko_cube_axis axis,
                                              hsize_t *n, struct ko_error *err);

/* Opens a dataset of the table and checks its type and shape. All its values must lie in this file
   (no virtual dataset, no external storage), with no filters but HDF5's own deflate, shuffle and
   fletcher32. KO_E_INPUT names the file, the dataset, and what was expected and found. The caller
   closes *id. */
KO_MUST_CHECK enum ko_code ko_cube_open_dataset(hid_t file, const char *path,
                                                const struct ko_cube_dataset *dataset,
                                                const struct ko_cube_lengths *lengths, hid_t *id,
                                                struct ko_error *err);

/* Checks every dataset of a cube with these lengths, and the lengths that the program fixes. */
KO_MUST_CHECK enum ko_code ko_cube_check_datasets(hid_t file, const char *path,
                                                  const struct ko_cube_lengths *lengths,
                                                  struct ko_error *err);

/* A type of the file in words: "float32", "big-endian int16", "variable-length string", ... */
void ko_cube_type_text(hid_t type, struct ko_text *out);

struct ko_cube_view;

/* Checks that HDF5 can read every string of the file: it must be an object of a heap inside the
   file, with the same length in both places. */
KO_MUST_CHECK enum ko_code ko_cube_check_strings(const struct ko_cube_view *view,
                                                 struct ko_error *err);

/* Checks that numbers which are used as indices, positions, token ids, windows, statuses or reasons
   are in range. Measured values are not checked. */
KO_MUST_CHECK enum ko_code ko_cube_check_values(const struct ko_cube_view *view,
                                                struct ko_error *err);

#endif
