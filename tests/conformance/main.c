/* SPDX-License-Identifier: Apache-2.0 */
/* One suite over every backend: `plain` is compared with the papers' formulas in double precision,
   the others with `plain`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/check.h"
#include "tests/support/gpu.h"

/* KO_CONFORMANCE names one suite alone, for who is in a hurry. */
static int run(const char *name, int (*suite)(void))
{
    const char *only = getenv("KO_CONFORMANCE");
    return only && strcmp(only, name) != 0 ? 0 : suite();
}

int main(void)
{
    const char *why = NULL;
    if (test_gpu_asked() && !test_gpu(&why)) {
        printf("skipped: %s\n", why);
        return TEST_SKIPPED;
    }
    return run("basic", run_basic) + run("conv", run_conv) + run("mamba1", run_mamba1) +
           run("mamba2", run_mamba2) + run("gated", run_gated) + run("attention", run_attention) +
           run("unembed", run_unembed) + run("precision", run_precision) +
           run("tables", run_tables);
}
