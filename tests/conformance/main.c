/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the same tests on every backend. `plain` is compared with the papers' formulas in double
   precision, and the others with `plain`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/check.h"
#include "tests/support/gpu.h"

/* $KO_CONFORMANCE is the name of the only suite to run; all run if it is not set. */
static int run_suite(const char *name, int (*suite)(void))
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
    return run_suite("basic", run_basic) + run_suite("experts", run_experts) +
           run_suite("conv", run_conv) + run_suite("mamba1", run_mamba1) +
           run_suite("mamba2", run_mamba2) + run_suite("deltanet", run_deltanet) +
           run_suite("rglru", run_rglru) + run_suite("gated", run_gated) +
           run_suite("heads", run_heads) + run_suite("attention", run_attention) +
           run_suite("attention", run_long_attention) +
           run_suite("attention-tiles", run_attention_tiles) + run_suite("unembed", run_unembed) +
           run_suite("precision", run_precision) + run_suite("tables", run_tables);
}
