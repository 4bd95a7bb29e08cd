/* SPDX-License-Identifier: Apache-2.0 */
/* A tokenizer.json, and a few texts through what could be opened. */
#include <string.h>

#include "src/tokenizer/tokenizer.h"
#include "tests/fuzz/encodings.h"
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
    static const char *const texts[] = {
        "", "ab a", " The city\nof  <s>Foo's 1234,",
        "\xC3\xA9\xE2\x96\x81\xF0\x9F\x98\x80 I\xCC\x87 \xEF\xAC\x81"};
    struct ko_error err;
    struct ko_tokenizer *tokenizer = NULL;
    fuzz_file_fill(&file, data, size);
    if (ko_tokenizer_open(file.path, &tokenizer, &err)) {
        return 0;
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        fuzz_encode(tokenizer, texts[i], strlen(texts[i]));
    }
    ko_tokenizer_close(tokenizer);
    return 0;
}
