/* SPDX-License-Identifier: Apache-2.0 */
/* A cube while it is created: what the parts of the creation share. */
#ifndef KO_CUBE_CREATE_FILL_H
#define KO_CUBE_CREATE_FILL_H

#include <hdf5.h>

#include "src/cube/create/create.h"
#include "src/cube/format/datasets.h"

struct ko_cube_new {
    const char *path; /* as the user named it, for errors; borrowed */
    const struct ko_cube_content *content;
    const struct ko_cube_placing *placing; /* NULL: replaces what is there; borrowed */
    struct ko_cube_lengths lengths;
    const char *spec; /* where it is too long for an attribute, else NULL; borrowed */
    hid_t file;
    hid_t dataset[KO_CUBE_N_DATASETS]; /* by the table, negative: absent */
};

/* Writes root attributes and datasets of a new cube into cube->file. */
typedef enum ko_code ko_cube_writer(struct ko_cube_new *cube, void *context, struct ko_error *err);

/* Makes the file cube->path under a temporary name that begins with it, lets `write` fill it and
   gives it its name as cube->placing says. cube->file and cube->dataset are set here,
   lengths are the caller's. KO_E_INPUT where the folder cannot be written, KO_E_FAILED where the
   disk has no room for a cube of these lengths; nothing is left behind then. */
KO_MUST_CHECK enum ko_code ko_cube_write_file(struct ko_cube_new *cube, ko_cube_writer *write,
                                              void *context, struct ko_error *err);

/* Creates every dataset that a cube of these lengths has, and attaches the axes. */
KO_MUST_CHECK enum ko_code ko_cube_define_all(struct ko_cube_new *cube, struct ko_error *err);
/* The attributes `Conventions`, `cube_format` and `kind`, in this order. */
KO_MUST_CHECK enum ko_code ko_cube_write_format(const struct ko_cube_new *cube,
                                                struct ko_error *err);

/* The empty group KO_CUBE_WHOLE of a shard's file, which outlines the whole cube. The caller closes
   it; negative where it fails. */
hid_t ko_cube_create_outline(hid_t file);

/* A fixed-length UTF-8 attribute. KO_E_INPUT where the text is longer than KO_CUBE_MAX_ATTRIBUTE.
 */
KO_MUST_CHECK enum ko_code ko_cube_text_attribute(hid_t object, const char *path, const char *name,
                                                  const char *text, struct ko_error *err);

/* For a file whose writing has failed, before it is closed. Closing what cannot be written leaves
   HDF5 with objects that it frees twice when the program ends. So the file goes on in memory, where
   there is room for the little that HDF5 still holds. */
void ko_cube_go_on_in_memory(hid_t file);

/* The creation properties of a dataset: contiguous, allocated at once, its fill value. Everything
   that is ever written has its place in the file from the start: a later write touches no metadata.
 */
bool ko_cube_set_creation(hid_t creation, const struct ko_cube_dataset *dataset, hid_t type);
/* Creates a dataset, contiguous and allocated at once, with its fill value and attributes. */
KO_MUST_CHECK enum ko_code ko_cube_define(struct ko_cube_new *cube, size_t index,
                                          struct ko_error *err);
/* Makes every dataset that is named like its axis that axis' scale and attaches them to all others.
 */
KO_MUST_CHECK enum ko_code ko_cube_attach_scales(struct ko_cube_new *cube, struct ko_error *err);

/* The label at an index of a labelled axis (model, prompts, routes, feature class); buffer is used
   where it has to be made. Borrowed. */
const char *ko_cube_label(const struct ko_plan *plan, enum ko_cube_axis axis, size_t index,
                          char buffer[64]);
/* The longest label of any axis of these lengths in bytes, at least KO_CUBE_MIN_LABEL_LENGTH. */
size_t ko_cube_label_length(const struct ko_plan *plan, const struct ko_cube_lengths *lengths);
/* The fact at an index of the prompt, heat_prompt or eval_prompt axis. */
int32_t ko_cube_fact(const struct ko_plan *plan, enum ko_cube_axis axis, size_t index);

/* Writes what is known at creation: strings and their characters; numbers; the planned statuses.
   Datasets of other fields are left at their fill value. */
KO_MUST_CHECK enum ko_code ko_cube_fill_strings(struct ko_cube_new *cube, size_t index,
                                                struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cube_fill_numbers(struct ko_cube_new *cube, size_t index,
                                                struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cube_fill_hashes(struct ko_cube_new *cube, size_t index,
                                               struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cube_fill_statuses(struct ko_cube_new *cube, struct ko_error *err);

#endif
