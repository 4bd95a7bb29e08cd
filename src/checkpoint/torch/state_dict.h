/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the data.pkl of a state dict that torch.save wrote. The unpickler knows only tensors,
   dictionaries and storages, and runs no code. */
#ifndef KO_CHECKPOINT_TORCH_STATE_DICT_H
#define KO_CHECKPOINT_TORCH_STATE_DICT_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/checkpoint/mapped/tensor.h"

enum {
    KO_STATE_DICT_BYTES = 64 << 20, /* longest data.pkl */
    KO_STATE_DICT_NAME = 4096       /* longest name of a tensor in bytes */
};

/* A tensor as described in the pickle. */
struct ko_state_tensor {
    char *name;      /* owned */
    const char *key; /* the storage's key [n_key], not terminated; borrowed from the pickle */
    size_t n_key;
    int64_t storage_n; /* elements in the storage */
    int64_t offset;    /* elements before the tensor's first one */
    enum ko_dtype dtype;
    int n_dims;
    int64_t shape[KO_TENSOR_DIMS], stride[KO_TENSOR_DIMS]; /* elements */
};

struct ko_state_dict {
    struct ko_state_tensor *tensors; /* [n] in order of name; owned */
    size_t n, capacity;
};

/* Reads `n` bytes, a pickle of protocol 2: a dict or collections.OrderedDict from names to tensors
   (torch._utils._rebuild_tensor_v2) or parameters. Names must be unique UTF-8 without control
   characters; shapes, strides, offsets and counts must not be negative. Refuses other opcodes and
   globals by name. KO_E_INPUT "WHERE: ...". Free with ko_state_dict_free, also after a failure.
   Source: Python's pickletools and torch/_weights_only_unpickler.py. */
KO_MUST_CHECK enum ko_code ko_state_dict_read(const char *bytes, size_t n, const char *where,
                                              struct ko_state_dict *dict, struct ko_error *err);
void ko_state_dict_free(struct ko_state_dict *dict);

#endif
