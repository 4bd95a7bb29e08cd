/* SPDX-License-Identifier: Apache-2.0 */
/* Names, writes, reads and removes the file CUBE.run_log. */
#include "src/cube/run/run_kept.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/cube/format/datasets.h"

char *ko_run_kept_path(const char *path, struct ko_error *err)
{
    struct ko_text text = {0};

    ko_text_add(&text, "%s.run_log", path);
    char *name = ko_text_check(&text, err) == KO_OK ? ko_copy(ko_text_str(&text), err) : NULL;
    ko_text_free(&text);
    return name;
}

enum ko_code ko_run_kept_add(const char *path, const char *lines, struct ko_error *err)
{
    char *name = ko_run_kept_path(path, err);
    enum ko_code code = KO_OK;

    if (!name) {
        return KO_E_MEMORY;
    }
    FILE *file = fopen(name, "ae");
    const bool written = file && fputs(lines, file) >= 0;
    if ((file && fclose(file) != 0) || !written) {
        code = ko_fail(err, KO_E_FAILED, "%s: cannot be written: %s", name, strerror(errno));
    }
    free(name);
    return code;
}

enum ko_code ko_run_kept_read(const char *path, char **lines, struct ko_error *err)
{
    char *name = ko_run_kept_path(path, err);
    enum ko_code code = KO_OK;
    size_t n = 0;

    *lines = NULL;
    if (!name) {
        return KO_E_MEMORY;
    }
    if (ko_file_exists(name)) {
        code = ko_file_read(name, KO_CUBE_LOG_BYTES, lines, &n, err);
    }
    free(name);
    return code;
}

void ko_run_kept_remove(const char *path)
{
    char *name = ko_run_kept_path(path, NULL);

    if (name) {
        (void)unlink(name);
    }
    free(name);
}
