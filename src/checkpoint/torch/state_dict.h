/* SPDX-License-Identifier: Apache-2.0 */
/* The data.pkl of a state dict that torch.save wrote, read by an unpickler that knows tensors,
   dictionaries and storages, and calls nothing. */
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

/* A tensor as the pickle describes it. */
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

/* Reads `n` bytes, a pickle of protocol 2: a dict or collections.OrderedDict of names and tensors
   (torch._utils._rebuild_tensor_v2, also as a parameter). Names are unique UTF-8 without control
   characters; shapes, strides, offsets and counts are from 0. Any other opcode or global is refused
   by name. KO_E_INPUT "WHERE: ...". Free with ko_state_dict_free, also after a failure. Source:
   Python's pickletools and torch/_weights_only_unpickler.py. */
KO_MUST_CHECK enum ko_code ko_state_dict_read(const char *bytes, size_t n, const char *where,
                                              struct ko_state_dict *dict, struct ko_error *err);
void ko_state_dict_free(struct ko_state_dict *dict);

#endif
