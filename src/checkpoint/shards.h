/* SPDX-License-Identifier: Apache-2.0 */
/* Which weight files a checkpoint folder has, and where its index places each tensor. */
#ifndef KO_CHECKPOINT_SHARDS_H
#define KO_CHECKPOINT_SHARDS_H

#include <json-c/json.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/checkpoint/weight_file.h"

struct ko_shards {
    enum ko_weight_format format;
    struct ko_strings files; /* plain names inside the folder, in order */
    json_object *root;       /* the index; NULL: one file without an index; owned */
    json_object *weight_map; /* tensor -> file, inside root */
    const char *index;       /* the index's name in the folder; NULL without one */
};

/* Takes the first that exists of model.safetensors.index.json, model.safetensors,
   pytorch_model.bin.index.json and pytorch_model.bin. An index may only have plain file names.
   `where`: the model's name. KO_E_INPUT "WHERE: ...". Free with ko_shards_free, also after a
   failure. */
KO_MUST_CHECK enum ko_code ko_shards_find(const char *folder, const char *where,
                                          struct ko_shards *shards, struct ko_error *err);
void ko_shards_free(struct ko_shards *shards);

#endif
