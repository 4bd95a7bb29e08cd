/* SPDX-License-Identifier: Apache-2.0 */
/* Gives every file of the folders on the command line to a fuzz target, without libFuzzer. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/base/file.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_BYTES = 16 << 20, SKIPPED = 77 };

/* The target's own, or this where it has none. */
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return 0;
}

static int replay(const char *folder, const char *name)
{
    struct ko_error err;
    char *bytes = NULL, *path = ko_path_join(folder, name, &err);
    size_t n = 0;
    int failed = !path || ko_file_read(path, MAX_BYTES, &bytes, &n, &err);
    if (failed) {
        fprintf(stderr, "%s\n", err.text);
    } else {
        (void)fprintf(stderr, "%s\r", name); /* the last one is named where it crashes */
        failed = LLVMFuzzerTestOneInput((const uint8_t *)bytes, n);
    }
    free(bytes);
    free(path);
    return failed;
}

int main(int argc, char **argv)
{
    int n = 0, failed = LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc && !failed; i++) {
        DIR *folder = opendir(argv[i]);
        for (struct dirent *entry; folder && !failed && (entry = readdir(folder));) {
            if (entry->d_name[0] == '.') {
                continue;
            }
            failed = replay(argv[i], entry->d_name);
            n++;
        }
        if (folder) {
            (void)closedir(folder);
        }
    }
    printf("%d inputs\n", n);
    if (n == 0) {
        puts("skipped: the corpus is empty");
    }
    return failed ? EXIT_FAILURE : n ? EXIT_SUCCESS : SKIPPED;
}
