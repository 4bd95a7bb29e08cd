/* SPDX-License-Identifier: Apache-2.0 */
/* The data.pkl of a file of torch.save. */
#include <string.h>

#include "src/checkpoint/torch/state_dict.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ko_error err;
    struct ko_state_dict dict;
    if (!ko_state_dict_read((const char *)data, size, "fuzz", &dict, &err)) {
        for (size_t i = 0; i < dict.n; i++) {
            const struct ko_state_tensor *t = &dict.tensors[i];
            FUZZ_CHECK(t->key >= (const char *)data &&
                       t->key + t->n_key <= (const char *)data + size);
            FUZZ_CHECK(t->storage_n >= 0 && t->offset >= 0 && t->n_dims >= 0 &&
                       t->n_dims <= KO_TENSOR_DIMS);
            FUZZ_CHECK(i == 0 || strcmp(dict.tensors[i - 1].name, t->name) < 0);
        }
    }
    ko_state_dict_free(&dict);
    return 0;
}
