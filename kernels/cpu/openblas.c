/* SPDX-License-Identifier: Apache-2.0 */
/* Starts OpenBLAS and checks that there is memory for its buffers. It also tells whether OpenBLAS
   uses a kernel that is too slow for this processor. */
#define _GNU_SOURCE
#include "kernels/cpu/openblas.h"

#include <cblas.h>
#include <omp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/mman.h>

#include "src/base/memory.h"

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++) {
        if (strcasecmp(name, *names) == 0) {
            return true;
        }
    }
    return false;
}

const char *ko_openblas_core_for(const char *chosen, bool avx512, bool avx2_fma)
{
    static const char *const with_avx512[] = {"SkylakeX", "Cooperlake", "SapphireRapids", NULL};
    static const char *const with_avx2[] = {"Haswell", "Zen", NULL};
    if (is_one_of(chosen, with_avx512)) {
        return NULL;
    }
    if (avx512) {
        return "SkylakeX";
    }
    return avx2_fma && !is_one_of(chosen, with_avx2) ? "Haswell" : NULL;
}

/* Whether OpenBLAS can allocate its buffers. A buffer has BUFFER_SIZE bytes (its common.h; 32 << 22
   on x86-64 and ARM) and two pages. OpenBLAS allocates one for each thread at its start, and one
   more for a product. */
static bool has_room(int more_threads)
{
    const size_t bytes = (size_t)(more_threads + 1) * (((size_t)32 << 22) + 8192);
    void *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return room != MAP_FAILED && munmap(room, bytes) == 0;
}

void ko_openblas_set_threads(int threads)
{
    omp_set_dynamic(0);
    omp_set_num_threads(threads);
    openblas_set_num_threads(threads);
}

enum ko_code ko_openblas_prepare(int threads, struct ko_error *err)
{
    enum { N = 128 }; /* smaller products use no buffer */
    const int had = openblas_get_num_threads();
    const int more = threads > had ? threads - had : 0;
    if (!has_room(more)) {
        return ko_fail(err, KO_E_MEMORY,
                       "OpenBLAS: %d times 128 MiB of address space cannot be had for its buffers, "
                       "raise the limit (ulimit -v) or choose fewer --threads",
                       more + 1);
    }
    float *matrix = ko_new((size_t)3 * N * N, sizeof *matrix, err);
    if (!matrix) {
        return KO_E_MEMORY;
    }
    ko_openblas_set_threads(threads);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, N, N, N, 1, matrix, N,
                matrix + (size_t)N * N, N, 0, matrix + (size_t)2 * N * N, N);
    free(matrix);
    return KO_OK;
}

const char *ko_openblas_core(void)
{
    return openblas_get_corename();
}

bool ko_openblas_core_wanted(char name[32])
{
#if defined(__x86_64__)
    if (getenv("OPENBLAS_CORETYPE")) {
        return false;
    }
    __builtin_cpu_init();
    bool avx2_fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool avx512 = avx2_fma && __builtin_cpu_supports("avx512f") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512vl");
    const char *wanted = ko_openblas_core_for(ko_openblas_core(), avx512, avx2_fma);
    if (wanted) {
        snprintf(name, 32, "%s", wanted);
    }
    return wanted != NULL;
#else
    (void)name;
    return false;
#endif
}
