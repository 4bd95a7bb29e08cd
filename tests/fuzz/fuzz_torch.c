/* SPDX-License-Identifier: Apache-2.0 */
/* A file of torch.save: the zip archive and what lies in it. The sums of the archive's directory
   are set right first: the reader checks them, and nearly no change of the bytes would get past
   that. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/checkpoint/torch/torch_file.h"
#include "tests/fuzz/fuzz.h"

static struct fuzz_file file;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_file_open(&file);
    return 0;
}

static uint32_t get(const uint8_t *at, size_t n)
{
    uint32_t value = 0;
    for (size_t i = n; i > 0; i--) {
        value = value << 8 | at[i - 1];
    }
    return value;
}

static uint32_t crc32_of(const uint8_t *bytes, size_t n)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        for (int k = 0; k < 8; k++) {
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
        }
    }
    return ~crc;
}

/* Of every record of the directory that leads to a local header whose data lie inside the file
   (APPNOTE.TXT 4.3.7, 4.3.12). */
static void set_sums(uint8_t *bytes, size_t n)
{
    enum { DIRECTORY = 46, LOCAL = 30 };
    for (size_t at = 0; at + DIRECTORY <= n; at++) {
        if (memcmp(bytes + at, "PK\1\2", 4) != 0) {
            continue;
        }
        size_t data_bytes = get(bytes + at + 24, 4), local = get(bytes + at + 42, 4);
        if (local > n || n - local < LOCAL || memcmp(bytes + local, "PK\3\4", 4) != 0) {
            continue;
        }
        size_t begin = local + LOCAL + get(bytes + local + 26, 2) + get(bytes + local + 28, 2);
        if (begin > n || data_bytes > n - begin) {
            continue;
        }
        uint32_t crc = crc32_of(bytes + begin, data_bytes);
        for (size_t i = 0; i < 4; i++) {
            bytes[at + 16 + i] = (uint8_t)(crc >> 8 * i);
            bytes[local + 14 + i] = (uint8_t)(crc >> 8 * i);
        }
    }
}

/* All of its bytes are in the file. */
static void read_tensor(const struct ko_torch_file *from, const struct ko_tensor *t)
{
    const char *data = t->data, *map = from->map.data;
    if (t->data_bytes > 0) {
        FUZZ_CHECK(data >= map && t->data_bytes <= from->map.bytes - (size_t)(data - map));
    }
    for (int64_t i = 0; t->dtype <= KO_BF16 && i < t->n; i++) {
        float value = NAN;
        bool finite = ko_tensor_to_float(t, i, 1, &value);
        FUZZ_CHECK(finite == (isfinite(value) != 0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ko_error err;
    struct ko_torch_file torch;
    uint8_t *bytes = malloc(size ? size : 1);
    FUZZ_CHECK(bytes != NULL);
    if (size) {
        memcpy(bytes, data, size);
    }
    set_sums(bytes, size);
    fuzz_file_fill(&file, bytes, size);
    free(bytes);
    if (!ko_torch_file_open(file.path, "fuzz", &torch, &err)) {
        for (size_t i = 0; i < torch.n; i++) {
            read_tensor(&torch, &torch.tensors[i]);
        }
    }
    ko_torch_file_close(&torch);
    return 0;
}
