/* One suite over every backend: `plain` is compared with the papers' formulas in double precision,
 * the others with `plain`. */
#include "tests/conformance/check.h"

int main(void)
{
    return run_basic() + run_conv() + run_mamba1() + run_mamba2() + run_gated() + run_attention() +
           run_unembed() + run_tables();
}
