/* SPDX-License-Identifier: Apache-2.0 */
/* A scratch folder of a test, removed with everything in it. The functions abort where the machine
   fails them. */
#ifndef TESTS_SUPPORT_FOLDER_H
#define TESTS_SUPPORT_FOLDER_H

#include <stddef.h>

/* A new folder's path. Remove it with test_folder_remove, which frees the path too. */
char *test_folder_make(void);
void test_folder_remove(char *folder);
/* "folder/name". free(). */
char *test_folder_path(const char *folder, const char *name);
/* Writes n bytes as the file `name`, replacing it. */
void test_folder_write(const char *folder, const char *name, const void *bytes, size_t n);
/* The same for a text. */
void test_folder_write_text(const char *folder, const char *name, const char *text);
/* A safetensors file: the header's length, the header, n bytes of data (NULL: zeros). */
void test_folder_write_safetensors(const char *folder, const char *name, const char *header,
                                   const void *data, size_t n);
/* The bytes of a file, NUL added; their number in *n. free(). */
char *test_read(const char *path, size_t *n);

#endif
