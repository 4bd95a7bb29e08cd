/* One suite over every backend: `plain` is compared with the papers' formulas in double precision,
 * the others with `plain`. */
#include <stdio.h>

#include "tests/conformance/check.h"
#include "tests/support/gpu.h"

int main(void)
{
    const char *why = NULL;
    if (test_gpu_asked() && !test_gpu(&why)) {
        printf("skipped: %s\n", why);
        return TEST_SKIPPED;
    }
    return run_basic() + run_conv() + run_mamba1() + run_mamba2() + run_gated() + run_attention() +
           run_unembed() + run_precision() + run_tables();
}
