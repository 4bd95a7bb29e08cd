/* SPDX-License-Identifier: Apache-2.0 */
/* Mamba-1's scan on the CPU, from the top. The threads share the prompts and blocks of channels.
   The trunk is walked once, and each branch is computed when the trunk reaches the position where its
   path begins. The steps are in scan.c and scan_branch.c. */
#include <omp.h>
#include <string.h>

#include "kernels/cpu/scan.h"

/* Sets trunk_until: a reader needs the trunk's h'_k up to its end, another branch up to the
   position where it leaves. */
static void mark_trunk(const struct ko_scan *scan)
{
    const struct ko_rows *rows = &scan->be->rows;
    const struct ko_cpu_tree *tree = &scan->be->tree;
    for (int32_t k = 0; k < tree->max_sets; k++) {
        scan->trunk_until[k] = -1;
    }
    for (int32_t at = tree->first[scan->prompt]; at < tree->first[scan->prompt + 1]; at++) {
        const int32_t b = tree->by_start[at];
        if (b >= scan->active) {
            continue;
        }
        const struct ko_branch *branch = &rows->branches[b];
        int32_t until = ko_branch_start(branch) - 1;
        if (ko_scan_reads(scan, b)) {
            until = branch->parent < 0 ? ko_branch_end(branch) - 1
                                       : ko_branch_start(&rows->branches[branch->parent]) - 1;
        }
        ko_scan_need(scan, b, until, scan->trunk_until);
    }
}

/* Walks the trunk once. Each branch is computed when the trunk has the states it starts from. */
static void scan_block(const struct ko_scan *scan)
{
    const struct ko_rows *rows = &scan->be->rows;
    const struct ko_cpu_tree *tree = &scan->be->tree;
    const struct ko_mamba1 *args = scan->args;
    int32_t at = tree->first[scan->prompt], end = tree->first[scan->prompt + 1];
    int32_t n_tokens = rows->n_tokens[scan->prompt];
    scan->be->isa->scan_prepare(scan->n, args->d_state, args->a + scan->first,
                                (size_t)args->d_inner, scan->a2);
    memset(scan->trunk, 0, scan->state * sizeof(float));
    mark_trunk(scan);
    for (int32_t i = 0; i < n_tokens; i++) {
        for (; at < end && ko_branch_start(&rows->branches[tree->by_start[at]]) == i; at++) {
            int32_t b = tree->by_start[at];
            if (b < scan->active && !ko_scan_reads(scan, b)) {
                ko_scan_branch(scan, b);
            }
        }
        int32_t row = rows->trunk_first[scan->prompt] + i;
        struct ko_scan_inputs in = ko_scan_read(scan, row, i);
        ko_scan_step(scan, &in, scan->trunk, scan->trunk_until, i == n_tokens - 1);
        ko_scan_write(scan, &in, row, scan->y);
        ko_scan_readers(scan, &in, rows->n_branches + scan->prompt);
    }
}

/* The number of branches with their own inputs. They come first, since branches are ordered like
   their rows. */
static int32_t count_own_inputs(const struct ko_rows *rows, int32_t stage)
{
    int32_t n = 0;
    while (n < rows->n_branches_active[stage] &&
           rows->branches[n].first_row < rows->n_convolved[stage]) {
        n++;
    }
    return n;
}

enum ko_code ko_cpu_mamba1(struct ko_backend *be, const struct ko_mamba1 *args,
                           struct ko_error *err)
{
    size_t bytes = ko_scan_scratch(args->d_state, be->tree.max_sets);
    unsigned char *scratch = ko_cpu_scratch(be, bytes * (size_t)be->threads, err);
    if (!scratch) {
        return KO_E_MEMORY;
    }
    int32_t blocks = (args->d_inner + KO_SCAN_BLOCK - 1) / KO_SCAN_BLOCK;
    int32_t units = blocks * be->rows.n_prompts;
    int32_t first_reader = count_own_inputs(&be->rows, args->stage);
#pragma omp parallel num_threads(be->threads)
    {
        struct ko_scan scan = {.be = be,
                               .args = args,
                               .first_reader = first_reader,
                               .active = be->rows.n_branches_active[args->stage]};
        ko_scan_carve(&scan, scratch + bytes * (size_t)omp_get_thread_num(), be->tree.max_sets);
#pragma omp for schedule(dynamic)
        for (int32_t unit = 0; unit < units; unit++) {
            scan.prompt = unit / blocks;
            scan.first = unit % blocks * KO_SCAN_BLOCK;
            int32_t left = args->d_inner - scan.first;
            scan.n = left < KO_SCAN_BLOCK ? left : KO_SCAN_BLOCK;
            scan_block(&scan);
        }
    }
    return KO_OK;
}
