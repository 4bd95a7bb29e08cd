/* SPDX-License-Identifier: Apache-2.0 */
/* Which of its kernels OpenBLAS chose for this processor, and which it should have chosen. */
#ifndef KO_KERNELS_CPU_OPENBLAS_H
#define KO_KERNELS_CPU_OPENBLAS_H

#include <stdbool.h>

#include "src/base/error.h"

/* An OpenBLAS that is older than the processor falls back to kernels without vectors, at a quarter
   of the speed. Its choice can only be changed by OPENBLAS_CORETYPE in the environment before the
   library loads: true where the process should set that variable to name (filled then) and
   re-execute itself once. False where the choice is fine, where the variable is set already (the
   user's choice, or the second start), and on processors other than x86-64. */
bool ko_openblas_core_wanted(char name[32]);

/* The rule alone: the core that a processor with these features should have in place of `chosen`;
   NULL: that one is fine. */
const char *ko_openblas_core_for(const char *chosen, bool avx512, bool avx2_fma);

/* Takes the memory that OpenBLAS needs to compute with so many threads from the thread that calls,
   and leaves it to the library. KO_E_MEMORY where the process may not have as much (ulimit -v): the
   library itself would ask for it for ever, in the first product. */
KO_MUST_CHECK enum ko_code ko_openblas_prepare(int threads, struct ko_error *err);

/* The name of the kernels in use ("SkylakeX"). Borrowed, static. */
const char *ko_openblas_core(void);

#endif
