/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the names of the shapes that `bench` knows, or the configuration of one of them as its
   published checkpoint has it: for e2e/paper_plan.sh and e2e/hybrids_plan.sh. */
#include <stdio.h>

#include "src/bench/shapes.h"

int main(int argc, char **argv)
{
    if (argc < 2) {
        size_t n = 0;
        const char *const *names = ko_shape_names(&n);
        for (size_t k = 0; k < n; k++) {
            puts(names[k]);
        }
        return 0;
    }
    const char *config = ko_shape_config(argv[1]);
    if (!config) {
        fprintf(stderr, "shape_config: unknown shape '%s'\n", argv[1]);
        return 2;
    }
    puts(config);
    return 0;
}
