/* SPDX-License-Identifier: Apache-2.0 */
/* Sorts the branches of a wave into the order of their rows. */
#include "src/tree/branches/branch_order.h"

#include <stdlib.h>

#include "src/base/memory.h"

struct sorted_branch {
    struct ko_branch branch;
    int32_t was; /* its index before */
};

static int compare_int(int32_t a, int32_t b)
{
    return (a > b) - (a < b);
}

static int compare_branches(const void *left, const void *right)
{
    const struct sorted_branch *a = left, *b = right;
    const int orders[] = {compare_int(a->branch.leaves_at, b->branch.leaves_at),
                          compare_int(b->branch.conv, a->branch.conv),
                          compare_int(a->branch.prompt, b->branch.prompt),
                          compare_int(ko_branch_start(&a->branch), ko_branch_start(&b->branch)),
                          compare_int(a->branch.edge_set, b->branch.edge_set),
                          compare_int(a->was, b->was)};
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        if (orders[i] != 0) {
            return orders[i];
        }
    }
    return 0;
}

/* Parents come first because they leave earlier. */
enum ko_code ko_branches_sort(struct ko_branch *branch, int32_t n_branches, int32_t *now,
                              struct ko_error *err)
{
    const size_t n = (size_t)n_branches;
    struct sorted_branch *sorted = ko_new(n, sizeof *sorted, err);
    if (!sorted) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < n; i++) {
        sorted[i] = (struct sorted_branch){branch[i], (int32_t)i};
    }
    qsort(sorted, n, sizeof *sorted, compare_branches);
    for (size_t i = 0; i < n; i++) {
        now[sorted[i].was] = (int32_t)i;
    }
    for (size_t i = 0; i < n; i++) {
        branch[i] = sorted[i].branch;
        branch[i].parent = branch[i].parent >= 0 ? now[branch[i].parent] : -1;
    }
    free(sorted);
    return KO_OK;
}

void ko_branches_number_rows(struct ko_branch *branch, int32_t n_branches, int32_t n_rows)
{
    for (int32_t k = n_branches - 1; k >= 0; k--) {
        n_rows -= branch[k].n_rows;
        branch[k].first_row = n_rows;
    }
    for (int32_t k = 0, stem = 0; k < n_branches; k++) {
        if (branch[k].n_shared > 0) {
            branch[k].shared_row = branch[stem].first_row;
        } else {
            stem = k;
        }
    }
}
