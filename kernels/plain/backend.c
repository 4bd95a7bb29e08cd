/* SPDX-License-Identifier: Apache-2.0 */
/* Opens and closes the plain backend, and lists its functions in ko_kernels_plain. The arithmetic
   is in the other files of this folder. */
#include "kernels/plain/plain.h"

#include <stdio.h>
#include <stdlib.h>

#include "kernels/host.h"
#include "src/base/memory.h"

static enum ko_code plain_open(const struct ko_backend_config *config, struct ko_backend **out,
                               struct ko_error *err)
{
    enum ko_code code = ko_host_check_precision("plain", config->precision, err);
    if (code != KO_OK) {
        return code;
    }
    struct ko_backend *be = ko_new(1, sizeof *be, err);
    if (!be) {
        return KO_E_MEMORY;
    }
    *out = be;
    return KO_OK;
}

static void plain_close(struct ko_backend *be)
{
    free(be);
}

static void plain_describe(const struct ko_backend *be, char *text, size_t n)
{
    (void)be;
    snprintf(text, n, "plain loops, 1 thread");
}

static enum ko_code plain_set_rows(struct ko_backend *be, const struct ko_rows *rows,
                                   struct ko_error *err)
{
    (void)err;
    be->rows = *rows;
    return KO_OK;
}

const struct ko_kernels ko_kernels_plain = {.name = "plain",
                                            .open = plain_open,
                                            .close = plain_close,
                                            .describe = plain_describe,
                                            .alloc = ko_host_alloc,
                                            .release = ko_host_release,
                                            .upload = ko_host_copy,
                                            .download = ko_host_copy,
                                            .wait = ko_host_wait,
                                            .set_rows = plain_set_rows,
#define KO_ENTRY(name, args) .name = ko_plain_##name,
                                            KO_OPERATIONS(KO_ENTRY)
#undef KO_ENTRY
};
