/* SPDX-License-Identifier: Apache-2.0 */
/* Allocates, frees and copies host memory for the backends "plain" and "cpu". It also refuses any
   precision other than float32, for both. */
#include "kernels/host.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"

enum ko_code ko_host_alloc(struct ko_backend *be, size_t bytes, void **out, struct ko_error *err)
{
    (void)be;
    void *memory = ko_new(bytes, 1, err);
    if (!memory) {
        return KO_E_MEMORY;
    }
    *out = memory;
    return KO_OK;
}

void ko_host_release(struct ko_backend *be, void *memory)
{
    (void)be;
    free(memory);
}

enum ko_code ko_host_copy(struct ko_backend *be, void *to, const void *from, size_t bytes,
                          struct ko_error *err)
{
    (void)be;
    (void)err;
    if (bytes) {
        memcpy(to, from, bytes);
    }
    return KO_OK;
}

enum ko_code ko_host_wait(struct ko_backend *be, struct ko_error *err)
{
    (void)be;
    (void)err;
    return KO_OK;
}

enum ko_code ko_host_check_precision(const char *backend, enum ko_precision precision,
                                     struct ko_error *err)
{
    if (precision == KO_FLOAT32) {
        return KO_OK;
    }
    return ko_fail(err, KO_E_INPUT,
                   "precision: %s computes in float32, got %s, choose float32 or a GPU", backend,
                   precision == KO_TF32     ? "tf32"
                   : precision == KO_BF16X3 ? "bf16x3"
                                            : "bfloat16");
}
