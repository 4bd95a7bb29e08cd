/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the processor which instruction sets it has, and picks the best table of compiled loops. On
   processors other than x86-64 there is only one table. */
#include "kernels/cpu/isa.h"

extern const struct ko_cpu_isa ko_cpu_isa_baseline;
#if KO_HAVE_X86_64_ISA
extern const struct ko_cpu_isa ko_cpu_isa_v3, ko_cpu_isa_v4;

static const struct ko_cpu_isa *const tables[] = {&ko_cpu_isa_v4, &ko_cpu_isa_v3,
                                                  &ko_cpu_isa_baseline};

/* Index of the best table that the processor and the operating system allow. */
static size_t first_table(void)
{
    __builtin_cpu_init();
    bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
              __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
              __builtin_cpu_supports("avx512vl");
    return v4 ? 0 : v3 ? 1 : 2;
}
#else
static const struct ko_cpu_isa *const tables[] = {&ko_cpu_isa_baseline};

static size_t first_table(void)
{
    return 0;
}
#endif

const struct ko_cpu_isa *ko_cpu_isa_pick(void)
{
    return tables[first_table()];
}

const struct ko_cpu_isa *const *ko_cpu_isa_list(size_t *n)
{
    size_t first = first_table();
    *n = sizeof tables / sizeof tables[0] - first;
    return tables + first;
}
