#include "kernels/cpu/openblas.h"

#include <cblas.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

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
