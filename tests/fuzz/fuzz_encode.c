/* SPDX-License-Identifier: Apache-2.0 */
/* A text into each of the bundled tokenizers. */
#include "src/base/text.h"
#include "tests/fuzz/encodings.h"
#include "tests/fuzz/fuzz.h"

static const char *const names[] = {"falcon", "gemma",     "gpt-neox",   "gpt2",  "llama2",
                                    "llama3", "metaspace", "mistral-v3", "qwen2", "single-digits"};
enum { N_TOKENIZERS = sizeof names / sizeof names[0] };
static struct ko_tokenizer *tokenizers[N_TOKENIZERS];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    for (size_t i = 0; i < N_TOKENIZERS; i++) {
        struct ko_error err;
        struct ko_text path = {0};
        ko_text_add(&path, "%s/tests/data/tokenizers/%s/tokenizer.json", KO_SOURCE_DIR, names[i]);
        FUZZ_CHECK(!ko_tokenizer_open(ko_text_str(&path), &tokenizers[i], &err));
        ko_text_free(&path);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < N_TOKENIZERS; i++) {
        fuzz_encode(tokenizers[i], (const char *)data, size);
    }
    return 0;
}
