/* SPDX-License-Identifier: Apache-2.0 */
/* The index of a checkpoint in several files, and a checkpoint opened through it. */
#include <string.h>

#include "src/checkpoint/checkpoint.h"
#include "src/checkpoint/shards.h"
#include "tests/fuzz/fuzz.h"

static struct fuzz_file index_file, config, first, second;
static const char *folder;

/* A .safetensors file of one tensor without elements. */
static void fill_shard(struct fuzz_file *file, const char *name)
{
    char bytes[256] = {0};
    const char *rest = "\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}";
    size_t n = 8;
    for (const char *part[] = {"{\"", name, rest, NULL}, **at = part; *at; at++) {
        memcpy(bytes + n, *at, strlen(*at));
        n += strlen(*at);
    }
    bytes[0] = (char)(n - 8);
    fuzz_file_fill(file, bytes, n);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    folder = fuzz_folder();
    fuzz_file_open(&index_file);
    fuzz_file_open(&config);
    fuzz_file_open(&first);
    fuzz_file_open(&second);
    fuzz_file_fill(&config, "{}", 2);
    fill_shard(&first, "x");
    fill_shard(&second, "y");
    fuzz_file_link(&index_file, folder, "model.safetensors.index.json");
    fuzz_file_link(&config, folder, "config.json");
    fuzz_file_link(&first, folder, "a.safetensors");
    fuzz_file_link(&second, folder, "b.safetensors");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ko_error err;
    struct ko_shards shards;
    struct ko_checkpoint *checkpoint = NULL;
    fuzz_file_fill(&index_file, data, size);
    if (!ko_shards_find(folder, "fuzz", &shards, &err)) {
        for (size_t i = 0; i < shards.files.n; i++) {
            const char *name = shards.files.item[i];
            FUZZ_CHECK(*name && !strchr(name, '/') && strcmp(name, "..") != 0);
        }
    }
    ko_shards_free(&shards);
    if (!ko_checkpoint_open(folder, "fuzz", &checkpoint, &err)) {
        size_t n = 0;
        (void)ko_checkpoint_tensors(checkpoint, &n);
        FUZZ_CHECK(n == 1 || n == 2);
        ko_checkpoint_close(checkpoint);
    }
    return 0;
}
