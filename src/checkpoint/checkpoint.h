/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint folder: its configuration and its tensors, checked and mapped, never copied
   whole. */
#ifndef KO_CHECKPOINT_CHECKPOINT_H
#define KO_CHECKPOINT_CHECKPOINT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/checkpoint/mapped/tensor.h"

struct ko_checkpoint;

/* Opens `folder`: reads config.json and the headers of the weight files, checks every name, dtype,
   shape, offset and file length, and maps the files read-only. The weight files are the first that
   exist of model.safetensors.index.json, model.safetensors, pytorch_model.bin.index.json and
   pytorch_model.bin. Follows symbolic links on disk; refuses absolute names and ".." in the index.
   `name`: the model's name in errors. KO_E_INPUT for anything wrong. Free with
   ko_checkpoint_close. */
KO_MUST_CHECK enum ko_code ko_checkpoint_open(const char *folder, const char *name,
                                              struct ko_checkpoint **out, struct ko_error *err);
void ko_checkpoint_close(struct ko_checkpoint *checkpoint);

const char *ko_checkpoint_name(const struct ko_checkpoint *checkpoint);
/* config.json, a JSON object. Borrowed. */
json_object *ko_checkpoint_config(const struct ko_checkpoint *checkpoint);
/* All tensors in order of name; *n of them. Borrowed. */
const struct ko_tensor *ko_checkpoint_tensors(const struct ko_checkpoint *checkpoint, size_t *n);
/* NULL if no tensor has this name. */
const struct ko_tensor *ko_checkpoint_find(const struct ko_checkpoint *checkpoint,
                                           const char *name);
/* Hides the first n bytes of every tensor's full name; n is at most ko_checkpoint_common. Replaces
   the n of an earlier call. */
void ko_checkpoint_strip(struct ko_checkpoint *checkpoint, size_t n);
/* The length of the prefix that all full names share, up to and including its last '.'. 0: no such
   prefix. */
size_t ko_checkpoint_common(const struct ko_checkpoint *checkpoint);
/* The hidden prefix: the first *n bytes of the result, which is not terminated there. Borrowed. */
const char *ko_checkpoint_stripped(const struct ko_checkpoint *checkpoint, size_t *n);
/* Reads `folder`'s config.json, a JSON object. *config: json_object_put() it. KO_E_INPUT also if
   the folder has an adapter instead of a model. */
KO_MUST_CHECK enum ko_code ko_checkpoint_read_config(const char *folder, const char *name,
                                                     json_object **config, struct ko_error *err);
/* XXH3-128 as 32 hex digits of config.json and of every weight file's header and length. The header
   of a torch file is its data.pkl and the names, offsets and sizes of its entries. */
const char *ko_checkpoint_fingerprint(const struct ko_checkpoint *checkpoint);
/* Whether both were opened from the same files on this machine, and none of these was written or
   replaced in between. A false no is possible, after a change of a file's rights for example. */
bool ko_checkpoint_same_files(const struct ko_checkpoint *a, const struct ko_checkpoint *b);

#endif
