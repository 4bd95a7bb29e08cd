/* SPDX-License-Identifier: Apache-2.0 */
/* Adds up the memory of attention in tiles, also before there is a wave. */
#include "kernels/cpu/attention_memory.h"

void ko_attend_list_parts(const struct ko_attend_sizes *size, size_t bytes[KO_ATTEND_PARTS])
{
    const size_t n_slots = size->n_panels * size->n_kv_heads;
    bytes[0] = n_slots * size->slot_floats * sizeof(float);
    bytes[1] = size->thread_bytes * size->threads;
    bytes[2] = size->n_sets * sizeof(struct ko_attend_set);
    bytes[3] = (size->n_rows + size->n_fork_rows) * sizeof(int32_t);
    bytes[4] = size->n_branches * sizeof(int32_t);
    bytes[5] = size->n_rows * sizeof(int32_t);
    bytes[6] = n_slots * sizeof(bool);
}

size_t ko_attend_tile_bytes(int32_t max_tokens, size_t numbers)
{
    const size_t panels = (size_t)ko_attend_parts(max_tokens, KO_ATTEND_PANEL);
    const size_t score = (size_t)KO_ATTEND_ROWS * KO_ATTEND_BLOCK;
    return ko_attend_aligned(panels * sizeof(struct ko_attend_panel)) +
           ko_attend_aligned((numbers * KO_ATTEND_QUERIES + score) * sizeof(float));
}

/* Panels of all long branches. A path of n >= 2 rows touches up to (n - 2) / KO_ATTEND_PANEL + 2, and no
   more than the longest prompt has. */
static size_t count_branch_panels(const struct ko_attention_load *load)
{
    if (load->longest_path <= KO_ATTEND_OWN) {
        return 0;
    }
    const int64_t n_rows = (int64_t)load->n_branch_rows + load->n_shared_rows; /* of their paths */
    const int64_t more = n_rows - load->n_branches; /* than one row each */
    const int64_t fit = more / KO_ATTEND_OWN;
    const int64_t n_long = fit < load->n_branches ? fit : load->n_branches;
    const int64_t touched = (more - n_long) / KO_ATTEND_PANEL + 2 * n_long;
    const int64_t most = n_long * ko_attend_parts(load->max_tokens, KO_ATTEND_PANEL);
    return (size_t)(touched < most ? touched : most);
}

/* The most rows on the paths of all short forks. Each fork shares at least one row with its stem. */
static size_t most_fork_rows(const struct ko_attention_load *load)
{
    const int32_t n_forks =
        load->n_shared_rows < load->n_branches ? load->n_shared_rows : load->n_branches;
    return (size_t)n_forks * KO_ATTEND_OWN;
}

size_t ko_cpu_attention_bytes(const struct ko_attention_load *load, int threads)
{
    const size_t n_threads = (size_t)threads, n_kv = (size_t)load->n_kv_heads;
    if (n_kv == 0 || load->n_prompts == 0) {
        return 0;
    }
    if (load->max_tokens < KO_CPU_TILED_FROM) {
        return n_threads * ko_cpu_attention_row_bytes(load->max_tokens);
    }
    const size_t numbers = (size_t)load->d_head + ko_attend_width(load->d_head);
    const size_t slot_floats = numbers * KO_ATTEND_PANEL, n_prompts = (size_t)load->n_prompts;
    const size_t of_branches = count_branch_panels(load);
    const size_t together = KO_CPU_PACKED_FLOATS / (slot_floats * n_kv);
    const size_t of_trunks =
        (size_t)ko_attend_parts(load->n_rows - load->n_branch_rows, KO_ATTEND_PANEL) + n_prompts;
    const size_t all = of_trunks + of_branches;
    const size_t one = (size_t)ko_attend_parts(load->max_tokens, KO_ATTEND_PANEL) +
                       (of_branches + n_prompts - 1) / n_prompts;
    const size_t most = one > together ? one : together;
    const struct ko_attend_sizes size = {.n_panels = all < most ? all : most,
                                         .n_kv_heads = n_kv,
                                         .slot_floats = slot_floats,
                                         .thread_bytes =
                                             ko_attend_tile_bytes(load->max_tokens, numbers),
                                         .threads = n_threads,
                                         .n_sets = 2 * n_prompts + (size_t)load->n_branches,
                                         .n_rows = (size_t)load->n_rows,
                                         .n_branches = (size_t)load->n_branches,
                                         .n_fork_rows = most_fork_rows(load)};
    size_t bytes[KO_ATTEND_PARTS], n = 0;
    ko_attend_list_parts(&size, bytes);
    for (size_t k = 0; k < KO_ATTEND_PARTS; k++) {
        n += ko_attend_aligned(bytes[k]);
    }
    return n;
}
