/* SPDX-License-Identifier: Apache-2.0 */
/* A cube that is open for reading. */
#ifndef KO_CUBE_READ_VIEW_H
#define KO_CUBE_READ_VIEW_H

#include <hdf5.h>

#include "src/base/text.h"
#include "src/cube/format/datasets.h"
#include "src/cube/read/read.h"

struct ko_cube_view {
    char *path; /* owned */
    hid_t file; /* for an outline: the group */
    struct ko_cube_lengths lengths;
    struct ko_strings attribute_name, attribute_value; /* of the root */
    struct ko_cube_axes axes;
};

/* Reads the lengths of the axes, checks types and shapes of all datasets, and reads the labels. The
   caller has set what the view is (evaluation, foils, shard, outline). */
KO_MUST_CHECK enum ko_code ko_cube_view_read_content(struct ko_cube_view *view,
                                                     struct ko_error *err);

/* Reads which mixers each layer has and which layers windows count, and checks them. Reads n_layers
   of the axes. */
KO_MUST_CHECK enum ko_code ko_cube_view_read_layers(struct ko_cube_view *view,
                                                    struct ko_error *err);

/* Reads the style of windows and, for styles other than `whole`, their layers and depths. Reads the
   other axes. */
KO_MUST_CHECK enum ko_code ko_cube_view_read_windows(struct ko_cube_view *view,
                                                     struct ko_error *err);

/* Opens the outline of the whole cube in a shard's file. KO_E_INPUT where the file has no outline
   or its datasets have wrong types or shapes. Close with ko_cube_view_close, before the shard's
   view. */
KO_MUST_CHECK enum ko_code ko_cube_view_open_outline(const struct ko_cube_view *shard,
                                                     struct ko_cube_view **out,
                                                     struct ko_error *err);

/* Reads the root attributes that are texts or whole numbers. */
KO_MUST_CHECK enum ko_code ko_cube_view_read_attributes(struct ko_cube_view *view,
                                                        struct ko_error *err);

/* Replaces an attribute `spec` that refers to the dataset spec_text by the text of that dataset. */
KO_MUST_CHECK enum ko_code ko_cube_view_read_spec(struct ko_cube_view *view, struct ko_error *err);

/* Reads `count` indices of a dataset's first axis, from `first` on, whole in its other axes, as the
   given HDF5 type. KO_E_INPUT where the dataset is absent. */
KO_MUST_CHECK enum ko_code ko_cube_view_transfer(const struct ko_cube_view *view,
                                                 const char *dataset, hsize_t first, hsize_t count,
                                                 hid_t type, void *out, struct ko_error *err);
/* The same in the dataset's own type. Free strings with ko_cube_free_values. */
KO_MUST_CHECK enum ko_code ko_cube_view_read_stored(const struct ko_cube_view *view,
                                                    const char *dataset, hsize_t first,
                                                    hsize_t count, void *out, struct ko_error *err);

#endif
