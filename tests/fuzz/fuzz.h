/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets share. A target defines LLVMFuzzerTestOneInput; it gets bytes that a
   stranger could have put into a file, hands them to a reader and checks what the reader's header
   promises of its result. */
#ifndef KO_FUZZ_H
#define KO_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Called once before the first input. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* A file in memory whose bytes are replaced by every fuzz_file_fill. */
struct fuzz_file {
    char path[64]; /* a name by which it can be opened and mapped like any other file */
    int fd;
};

/* Makes an empty one, which lives as long as the process. */
void fuzz_file_open(struct fuzz_file *file);
void fuzz_file_fill(struct fuzz_file *file, const void *bytes, size_t n);
/* The same under a name in a folder. */
void fuzz_file_link(const struct fuzz_file *file, const char *folder, const char *name);

/* A new empty folder, removed with all that is in it when the process ends. */
const char *fuzz_folder(void);

/* Ends the process, as a finding, unless `claim` holds. */
#define FUZZ_CHECK(claim) fuzz_check((claim) ? 1 : 0, #claim, __FILE__, __LINE__)
void fuzz_check(int holds, const char *claim, const char *file, int line);

#endif
