/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint folder: its configuration and its tensors, checked before use and mapped, never
   copied whole. */
#ifndef KO_CHECKPOINT_CHECKPOINT_H
#define KO_CHECKPOINT_CHECKPOINT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/checkpoint/mapped/tensor.h"

struct ko_checkpoint;

/* Opens `folder`: reads config.json and the headers of its weight files (the first that exists of
   model.safetensors.index.json, model.safetensors, pytorch_model.bin.index.json and
   pytorch_model.bin; nothing else is looked at), checks every name, dtype, shape, offset and file
   length, and maps the files read-only. Symbolic links on disk are followed; absolute names and
   ".." inside the index are refused. `name` is what errors call
   the model. KO_E_INPUT for anything wrong. Free with ko_checkpoint_close. */
KO_MUST_CHECK enum ko_code ko_checkpoint_open(const char *folder, const char *name,
                                              struct ko_checkpoint **out, struct ko_error *err);
void ko_checkpoint_close(struct ko_checkpoint *checkpoint);

const char *ko_checkpoint_name(const struct ko_checkpoint *checkpoint);
/* config.json, a JSON object. Borrowed. */
json_object *ko_checkpoint_config(const struct ko_checkpoint *checkpoint);
/* All tensors in order of name; *n of them. Borrowed. */
const struct ko_tensor *ko_checkpoint_tensors(const struct ko_checkpoint *checkpoint, size_t *n);
/* NULL where there is none of that name. */
const struct ko_tensor *ko_checkpoint_find(const struct ko_checkpoint *checkpoint,
                                           const char *name);
/* Leaves the first n bytes of every tensor's name out, counted from the whole name: they are the
   same in all (at most what ko_checkpoint_common gives). What an earlier call left out comes
   back. */
void ko_checkpoint_strip(struct ko_checkpoint *checkpoint, size_t n);
/* Bytes that all whole names begin with, up to and with the last '.' of them; 0 where there is
   none. */
size_t ko_checkpoint_common(const struct ko_checkpoint *checkpoint);
/* The first n bytes of the whole names are what is left out now. Borrowed; not terminated there. */
const char *ko_checkpoint_stripped(const struct ko_checkpoint *checkpoint, size_t *n);
/* Reads `folder`'s config.json, a JSON object. *config: json_object_put() it. KO_E_INPUT: also
   where the folder holds an adapter instead of a model. */
KO_MUST_CHECK enum ko_code ko_checkpoint_read_config(const char *folder, const char *name,
                                                     json_object **config, struct ko_error *err);
/* XXH3-128, 32 hex digits: config.json, and every weight file's header (of torch's files data.pkl
   and the entries' names, places and sizes) and length. */
const char *ko_checkpoint_fingerprint(const struct ko_checkpoint *checkpoint);

#endif
