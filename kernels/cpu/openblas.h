/* SPDX-License-Identifier: Apache-2.0 */
/* Which kernels OpenBLAS chose for this processor, which it should have chosen, and whether there
   is memory for it. */
#ifndef KO_KERNELS_CPU_OPENBLAS_H
#define KO_KERNELS_CPU_OPENBLAS_H

#include <stdbool.h>

#include "src/base/error.h"

/* Whether the process should set OPENBLAS_CORETYPE to `name`, which is then filled, and re-execute
   itself once. An OpenBLAS that is older than the processor falls back to kernels without vectors,
   at a quarter of the speed, and reads that variable only when it loads. False where the choice is
   fine, where the variable is already set (by the user, or because this is the second start), and
   on processors other than x86-64. */
bool ko_openblas_core_wanted(char name[32]);

/* The rule: the core that a processor with these features should use instead of `chosen`; NULL:
   `chosen` is fine. */
const char *ko_openblas_core_for(const char *chosen, bool avx512, bool avx2_fma);

/* Sets the calling thread's number of threads; OpenMP and OpenBLAS keep one for each thread. OpenBLAS
   cuts a product into parts that wait for each other. Newer versions, such as 0.3.29, make as many
   parts as OpenMP promises threads, whatever their own number is. Where OMP_THREAD_LIMIT allows fewer
   than it promises, such a product never ends. So both are set. */
void ko_openblas_set_threads(int threads);

/* Makes OpenBLAS allocate the memory that it needs for `threads` threads, and sets these for the
   calling thread. KO_E_MEMORY if the process may not have that much (ulimit -v); OpenBLAS itself
   would then retry for ever in its first product. */
KO_MUST_CHECK enum ko_code ko_openblas_prepare(int threads, struct ko_error *err);

/* The name of the kernels in use ("SkylakeX"). Borrowed, static. */
const char *ko_openblas_core(void);

#endif
