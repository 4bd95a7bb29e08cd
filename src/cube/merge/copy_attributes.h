/* SPDX-License-Identifier: Apache-2.0 */
/* Copying the attributes of an HDF5 object. */
#ifndef KO_CUBE_MERGE_COPY_ATTRIBUTES_H
#define KO_CUBE_MERGE_COPY_ATTRIBUTES_H

#include <hdf5.h>

#include "src/base/error.h"

/* Copies every attribute of a root or dataset, except those of HDF5's dimension scales. KO_E_INPUT
   where an attribute is of a kind that no cube has (references, compounds, more than 1 MiB). `path`
   is the source's file. */
KO_MUST_CHECK enum ko_code ko_cube_copy_attributes(hid_t from, hid_t to, const char *path,
                                                   struct ko_error *err);

#endif
