/* SPDX-License-Identifier: Apache-2.0 */
/* Looks for other tokenizer files in a folder that has no tokenizer.json, and writes an error that
   says how to get one. */
#include "src/tokenizer/missing.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/base/file.h"

/* Sets *there to whether folder/name exists, perhaps as a dangling link. */
static enum ko_code find_file(const char *folder, const char *name, bool *there,
                              struct ko_error *err)
{
    struct stat about;
    char *path = ko_path_join(folder, name, err);
    *there = path && lstat(path, &about) == 0;
    const enum ko_code code = path ? KO_OK : KO_E_MEMORY;
    free(path);
    return code;
}

static enum ko_code fail_missing(const char *folder, struct ko_error *err)
{
    static const char *const slow[] = {"vocab.json", "tokenizer.model", "spiece.model"};
    for (size_t i = 0; i < sizeof slow / sizeof slow[0]; i++) {
        bool there = false;
        if (find_file(folder, slow[i], &there, err) != KO_OK) {
            return KO_E_MEMORY;
        }
        if (there) {
            return ko_fail(err, KO_E_INPUT,
                           "%s: has no tokenizer.json, only %s, which is not read: make it with "
                           "`python3 -c \"from transformers import AutoTokenizer as T; "
                           "T.from_pretrained('%s').save_pretrained('%s')\"`",
                           folder, slow[i], folder, folder);
        }
    }
    return ko_fail(
        err, KO_E_INPUT,
        "%s: has no tokenizer.json: name another folder with the model's key 'tokenizer' "
        "in the spec, or --tokenizer of inspect; state-spaces' mamba and mamba2 take "
        "that of EleutherAI/gpt-neox-20b (`hf download EleutherAI/gpt-neox-20b "
        "tokenizer.json`)",
        folder);
}

enum ko_code ko_tokenizer_check_there(const char *file, struct ko_error *err)
{
    char *name = ko_path_last(file, err), *folder = name ? ko_path_folder(file, err) : NULL;
    enum ko_code code = folder ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK && strcmp(name, "tokenizer.json") == 0 && ko_file_exists(folder)) {
        bool there = false;
        code = find_file(folder, name, &there, err);
        if (code == KO_OK && !there) {
            code = fail_missing(folder, err);
        }
    }
    free(name);
    free(folder);
    return code;
}
