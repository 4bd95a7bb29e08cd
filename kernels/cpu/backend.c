/* SPDX-License-Identifier: Apache-2.0 */
/* Opens and closes the CPU backend, sets its number of threads, and lists its functions in
   ko_kernels_cpu. The arithmetic is in the other files of this folder. */
#include <stdio.h>
#include <stdlib.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/openblas.h"
#include "kernels/host.h"
#include "src/base/memory.h"

enum ko_code ko_cpu_open_isa(const struct ko_backend_config *config, const struct ko_cpu_isa *isa,
                             struct ko_backend **out, struct ko_error *err)
{
    enum ko_code code = ko_host_check_precision("cpu", config->precision, err);
    if (code != KO_OK) {
        return code;
    }
    if (config->threads < 1) {
        return ko_fail(err, KO_E_INPUT,
                       "threads: expected at least 1, got %d, choose the number of cores",
                       config->threads);
    }
    code = ko_openblas_prepare(config->threads, err);
    if (code != KO_OK) {
        return code;
    }
    struct ko_backend *be = ko_new(1, sizeof *be, err);
    if (!be) {
        return KO_E_MEMORY;
    }
    be->threads = config->threads;
    be->isa = isa;
    be->tiled_from = KO_CPU_TILED_FROM;
    be->packed_floats = KO_CPU_PACKED_FLOATS;
    *out = be;
    return KO_OK;
}

static enum ko_code cpu_open(const struct ko_backend_config *config, struct ko_backend **out,
                             struct ko_error *err)
{
    return ko_cpu_open_isa(config, ko_cpu_isa_pick(), out, err);
}

static void cpu_close(struct ko_backend *be)
{
    if (be) {
        ko_cpu_tree_free(&be->tree);
        free(be->scratch);
        free(be);
    }
}

static void cpu_describe(const struct ko_backend *be, char *text, size_t n)
{
    snprintf(text, n, "OpenBLAS %s, %d thread%s, %s", ko_openblas_core(), be->threads,
             be->threads == 1 ? "" : "s", be->isa->name);
}

static enum ko_code cpu_set_rows(struct ko_backend *be, const struct ko_rows *rows,
                                 struct ko_error *err)
{
    enum ko_code code = ko_cpu_tree_build(rows, &be->tree, err);
    if (code != KO_OK) {
        return code;
    }
    be->rows = *rows;
    ko_openblas_set_threads(be->threads);
    return KO_OK;
}

void *ko_cpu_scratch(struct ko_backend *be, size_t bytes, struct ko_error *err)
{
    if (bytes > be->scratch_bytes || !be->scratch) {
        void *memory = ko_new(bytes, 1, err);
        if (!memory) {
            return NULL;
        }
        free(be->scratch);
        be->scratch = memory;
        be->scratch_bytes = bytes;
    }
    return be->scratch;
}

const struct ko_kernels ko_kernels_cpu = {.name = "cpu",
                                          .open = cpu_open,
                                          .close = cpu_close,
                                          .describe = cpu_describe,
                                          .alloc = ko_host_alloc,
                                          .release = ko_host_release,
                                          .upload = ko_host_copy,
                                          .download = ko_host_copy,
                                          .wait = ko_host_wait,
                                          .set_rows = cpu_set_rows,
                                          .attention_bytes = ko_cpu_attention_bytes,
#define KO_ENTRY(name, args) .name = ko_cpu_##name,
                                          KO_OPERATIONS(KO_ENTRY)
#undef KO_ENTRY
};
