/* SPDX-License-Identifier: Apache-2.0 */
/* A cube during its creation: what the files of this folder share. */
#ifndef KO_CUBE_CREATE_FILL_H
#define KO_CUBE_CREATE_FILL_H

#include <hdf5.h>

#include "src/cube/create/create.h"
#include "src/cube/format/datasets.h"

struct ko_cube_new {
    const char *path; /* as the user gave it, for errors; borrowed */
    const struct ko_cube_content *content;
    const struct ko_cube_placing *placing; /* NULL: replaces an existing file; borrowed */
    struct ko_cube_lengths lengths;
    const char *spec; /* the spec, where it is too long for an attribute, else NULL; borrowed */
    hid_t file;
    hid_t dataset[KO_CUBE_N_DATASETS]; /* by the table, negative: absent */
};

/* Writes root attributes and datasets of a new cube into cube->file. */
typedef enum ko_code ko_cube_writer(struct ko_cube_new *cube, void *context, struct ko_error *err);

/* Creates a temporary file whose name begins with cube->path, lets `write` fill it, and renames it
   as cube->placing says. Sets cube->file and cube->dataset; the caller sets the lengths. KO_E_INPUT
   where the folder cannot be written, KO_E_FAILED where the disk has no space for a cube of these
   lengths; then no file is left behind. */
KO_MUST_CHECK enum ko_code ko_cube_write_file(struct ko_cube_new *cube, ko_cube_writer *write,
                                              void *context, struct ko_error *err);

/* Creates every dataset that a cube of these lengths has, and attaches the axes. */
KO_MUST_CHECK enum ko_code ko_cube_define_all(struct ko_cube_new *cube, struct ko_error *err);
/* Writes the attributes `Conventions`, `cube_format` and `kind`, in this order. */
KO_MUST_CHECK enum ko_code ko_cube_write_format(const struct ko_cube_new *cube,
                                                struct ko_error *err);

/* Creates the empty group KO_CUBE_WHOLE in a shard's file, for the outline of the whole cube. The
   caller closes it; negative on failure. */
hid_t ko_cube_create_outline(hid_t file);

/* Writes a fixed-length UTF-8 attribute. KO_E_INPUT where the text is longer than
   KO_CUBE_MAX_ATTRIBUTE. */
KO_MUST_CHECK enum ko_code ko_cube_text_attribute(hid_t object, const char *path, const char *name,
                                                  const char *text, struct ko_error *err);

/* Call it after a failed write, before closing the file. HDF5 keeps objects that it cannot write
   and frees them twice at exit. So the file continues in memory, where HDF5 can write them. */
void ko_cube_go_on_in_memory(hid_t file);

/* Sets a dataset's creation properties: contiguous, allocated at once, its fill value. Every value
   has its place in the file from the start, so later writes touch no metadata. */
bool ko_cube_set_creation(hid_t creation, const struct ko_cube_dataset *dataset, hid_t type);
/* Creates a dataset, contiguous and allocated at once, with its fill value and attributes. */
KO_MUST_CHECK enum ko_code ko_cube_define(struct ko_cube_new *cube, size_t index,
                                          struct ko_error *err);
/* Makes each dataset that has its axis' name the scale of that axis, and attaches the scales to all
   other datasets. */
KO_MUST_CHECK enum ko_code ko_cube_attach_scales(struct ko_cube_new *cube, struct ko_error *err);

/* The label at an index of a labelled axis (model, prompts, routes, feature class). It may be
   written into buffer. Borrowed. */
const char *ko_cube_label(const struct ko_plan *plan, enum ko_cube_axis axis, size_t index,
                          char buffer[64]);
/* The longest label of any axis of these lengths in bytes, at least KO_CUBE_MIN_LABEL_LENGTH. */
size_t ko_cube_label_length(const struct ko_plan *plan, const struct ko_cube_lengths *lengths);
/* The fact at an index of the prompt, heat_prompt or eval_prompt axis. */
int32_t ko_cube_fact(const struct ko_plan *plan, enum ko_cube_axis axis, size_t index);

/* Write what is known at creation: strings, numbers, planned statuses with the vacuous cells. Other datasets keep their
   fill value. */
KO_MUST_CHECK enum ko_code ko_cube_fill_strings(struct ko_cube_new *cube, size_t index,
                                                struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cube_fill_numbers(struct ko_cube_new *cube, size_t index,
                                                struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cube_fill_hashes(struct ko_cube_new *cube, size_t index,
                                               struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cube_fill_statuses(struct ko_cube_new *cube, struct ko_error *err);

#endif
