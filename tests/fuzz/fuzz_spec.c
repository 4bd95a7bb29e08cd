/* SPDX-License-Identifier: Apache-2.0 */
/* A sweep spec. */
#include "src/spec/spec.h"
#include "tests/fuzz/fuzz.h"

static struct fuzz_file file;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_file_open(&file);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ko_error err;
    struct ko_spec *spec = NULL;
    fuzz_file_fill(&file, data, size);
    if (!ko_spec_read(file.path, NULL, &spec, &err)) {
        FUZZ_CHECK(spec->n_blocks > 0 && spec->resolved);
        for (size_t b = 0; b < spec->n_blocks; b++) {
            const struct ko_spec_block *block = &spec->block[b];
            FUZZ_CHECK(block->file < spec->prompt_files.n);
            for (size_t m = 0; m < block->n_models; m++) {
                FUZZ_CHECK(block->model[m] < spec->n_models);
            }
        }
        ko_spec_free(spec);
    }
    return 0;
}
