/* SPDX-License-Identifier: Apache-2.0 */
/* A .safetensors file. */
#include <math.h>

#include "src/checkpoint/safetensors/safetensors.h"
#include "tests/fuzz/fuzz.h"

static struct fuzz_file file;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_file_open(&file);
    return 0;
}

/* All of its bytes are in the file. */
static void read_tensor(const struct ko_safetensors *from, const struct ko_tensor *t)
{
    const char *data = t->data, *map = from->map.data;
    FUZZ_CHECK(data >= map && t->data_bytes <= from->map.bytes - (size_t)(data - map));
    FUZZ_CHECK(t->data_bytes == (size_t)t->n * ko_dtype_bytes(t->dtype));
    if (t->dtype > KO_BF16) {
        return;
    }
    for (int64_t i = 0; i < t->n; i++) {
        float value = NAN;
        bool finite = ko_tensor_to_float(t, i, 1, &value);
        FUZZ_CHECK(finite == (isfinite(value) != 0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ko_error err;
    struct ko_safetensors safetensors;
    fuzz_file_fill(&file, data, size);
    if (!ko_safetensors_open(file.path, "fuzz", &safetensors, &err)) {
        for (size_t i = 0; i < safetensors.header.n; i++) {
            read_tensor(&safetensors, &safetensors.header.entries[i].tensor);
        }
    }
    ko_safetensors_close(&safetensors);
    return 0;
}
