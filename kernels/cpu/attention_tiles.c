/* SPDX-License-Identifier: Apache-2.0 */
/* Attention of long prompts on the CPU. Keys and values of each path are packed once for each key
   head. The threads then share tiles of queries: rows of one path, with all query heads of the key
   head; or the rows of all short branches of a prompt, which share the trunk's keys and have a few
   of their own. The arithmetic of a tile is in isa/attend_tile.c. */
#include <omp.h>

#include "kernels/cpu/attention.h"

/* A number of whole prompts that are computed together, and the memory for it. */
struct group {
    const struct ko_backend *be;
    const struct ko_attention *args;
    int32_t stage_rows; /* active rows */
    int32_t heads;      /* query heads of a key head, at most */
    int32_t n_sets;
    int32_t n_slots;           /* packed panels, of each key head */
    int32_t n_tiles;           /* of each key head */
    int32_t n_gathered;        /* rows of short branches */
    struct ko_attend_set *set; /* [n_sets] */
    /* [active rows] the row that holds the row's projections; behind them the same for the paths of
       short forks, whose rows may not follow each other */
    int32_t *source;
    int32_t *own;           /* [active branches] where in `source` a short branch's path begins */
    int32_t *gathered;      /* [active branch rows] */
    bool *finite;           /* [n_slots, n_kv_heads] */
    float *packed;          /* [n_slots, n_kv_heads, slot_floats] */
    unsigned char *scratch; /* [threads, thread_bytes] */
    size_t slot_floats, thread_bytes;
};

/* Whether the path has more rows behind the trunk than a query may have own keys. */
static bool is_long(const struct ko_branch *branch)
{
    return ko_branch_path(branch) > KO_ATTEND_OWN;
}

static bool is_short_fork(const struct ko_branch *branch)
{
    return branch->n_shared > 0 && !is_long(branch);
}

/* The panels on a branch's path from its start on. */
static int32_t first_panel_of(const struct ko_branch *branch)
{
    return ko_branch_start(branch) / KO_ATTEND_PANEL;
}

static int32_t end_panel_of(const struct ko_branch *branch)
{
    return ko_attend_parts(ko_branch_end(branch), KO_ATTEND_PANEL);
}

/* Panels that are packed for a prompt, of each key head. */
static int32_t count_panels(const struct ko_backend *be, const struct ko_attention *args,
                            int32_t prompt)
{
    const struct ko_rows *rows = &be->rows;
    int32_t n = ko_attend_parts(rows->n_tokens[prompt], KO_ATTEND_PANEL);
    for (int32_t at = be->tree.first[prompt]; at < be->tree.first[prompt + 1]; at++) {
        const struct ko_branch *branch = &rows->branches[be->tree.by_start[at]];
        if (branch->first_row < rows->n_active[args->stage] && is_long(branch)) {
            n += end_panel_of(branch) - first_panel_of(branch);
        }
    }
    return n;
}

/* The end of the prompts that are computed together from `first` on, and the panels packed for
   them. */
static int32_t end_of_group(const struct group *group, int32_t first, int32_t *n_panels)
{
    const struct ko_rows *rows = &group->be->rows;
    const size_t floats = group->slot_floats * (size_t)group->args->n_kv_heads;
    *n_panels = 0;
    int32_t end = first;
    for (; end < rows->n_prompts; end++) {
        if (!ko_cpu_attention_is_tiled(group->be, group->args, end)) {
            continue;
        }
        const int32_t more = count_panels(group->be, group->args, end);
        if (*n_panels > 0 && (size_t)(*n_panels + more) * floats > group->be->packed_floats) {
            break;
        }
        *n_panels += more;
    }
    return end;
}

static void add_set(struct group *group, struct ko_attend_set set)
{
    set.slot = group->n_slots;
    set.first_tile = group->n_tiles;
    group->n_slots += set.n_panels - set.first_panel;
    group->n_tiles += ko_attend_parts(set.n_rows * group->heads, KO_ATTEND_QUERIES);
    group->set[group->n_sets++] = set;
}

/* Adds the trunk, each long branch, and the rows of all short branches. */
static void add_prompt(struct group *group, int32_t prompt)
{
    const struct ko_backend *be = group->be;
    const struct ko_rows *rows = &be->rows;
    const int32_t n_panels = ko_attend_parts(rows->n_tokens[prompt], KO_ATTEND_PANEL);
    const int32_t trunk = group->n_sets, first = group->n_gathered;
    add_set(group, (struct ko_attend_set){.prompt = prompt,
                                          .branch = -1,
                                          .first_row = rows->trunk_first[prompt],
                                          .n_rows = rows->n_tokens[prompt],
                                          .n_panels = n_panels,
                                          .trunk = trunk});
    for (int32_t at = be->tree.first[prompt]; at < be->tree.first[prompt + 1]; at++) {
        const int32_t b = be->tree.by_start[at];
        const struct ko_branch *branch = &rows->branches[b];
        if (branch->first_row >= group->stage_rows) {
            continue;
        }
        if (is_long(branch)) {
            add_set(group, (struct ko_attend_set){.prompt = prompt,
                                                  .branch = b,
                                                  .first_row = branch->first_row,
                                                  .n_rows = branch->n_rows,
                                                  .first_panel = first_panel_of(branch),
                                                  .n_panels = end_panel_of(branch),
                                                  .trunk = trunk});
            continue;
        }
        for (int32_t k = 0; k < branch->n_rows; k++) {
            group->gathered[group->n_gathered++] = branch->first_row + k;
        }
    }
    if (group->n_gathered > first) {
        add_set(group, (struct ko_attend_set){.prompt = prompt,
                                              .branch = -1,
                                              .row = group->gathered + first,
                                              .n_rows = group->n_gathered - first,
                                              .first_panel = n_panels,
                                              .n_panels = n_panels,
                                              .trunk = trunk});
    }
}

/* The panel of a path for one key head. */
static struct ko_attend_panel panel_of(const struct group *group, const struct ko_attend_set *set,
                                       int32_t panel, int32_t kv_head)
{
    const struct ko_attend_set *owner = panel < set->first_panel ? &group->set[set->trunk] : set;
    const int32_t slot = owner->slot + panel - owner->first_panel;
    const size_t at = ko_at(slot, group->args->n_kv_heads, kv_head);
    float *keys = group->packed + at * group->slot_floats;
    return (struct ko_attend_panel){keys, keys + ko_at(group->args->d_head, KO_ATTEND_PANEL, 0),
                                    group->finite + at};
}

/* Packs panel number `slot` of all sets, for one key head. */
static void pack_panel(const struct group *group, const struct ko_attend_set *set, int32_t slot,
                       int32_t kv_head)
{
    const struct ko_attention *args = group->args;
    const struct ko_rows *rows = &group->be->rows;
    const struct ko_branch *branch = set->branch < 0 ? NULL : &rows->branches[set->branch];
    const int32_t panel = set->first_panel + slot - set->slot, first = panel * KO_ATTEND_PANEL;
    const int32_t end = branch ? ko_branch_end(branch) : rows->n_tokens[set->prompt];
    const int32_t left = end - first;
    const int32_t n = left < KO_ATTEND_PANEL ? left : KO_ATTEND_PANEL;
    int32_t row[KO_ATTEND_PANEL];
    for (int32_t k = 0; k < n; k++) {
        const int32_t j = first + k;
        const bool own = branch && j >= ko_branch_start(branch);
        row[k] = own ? group->source[ko_branch_row(branch, j)] : rows->trunk_first[set->prompt] + j;
    }
    const struct ko_attend_panel to = panel_of(group, set, panel, kv_head);
    const struct ko_attend_pack pack = {.n = n,
                                        .d_head = args->d_head,
                                        .d_value = args->d_value,
                                        .row = row,
                                        .k = args->k + ko_at(kv_head, args->stride, 0),
                                        .v = args->v + ko_at(kv_head, args->stride_v, 0),
                                        .ld = (size_t)args->ld,
                                        .ld_v = (size_t)args->ld_v,
                                        .panel = &to};
    group->be->isa->attend_pack(&pack);
}

/* The first of the query heads that have this key head. */
static int32_t first_head(const struct ko_attention *args, int32_t kv_head)
{
    const int64_t heads = (int64_t)kv_head * args->n_heads;
    return (int32_t)((heads + args->n_kv_heads - 1) / args->n_kv_heads);
}

static struct ko_attend_query query_of(const struct group *group, const struct ko_attend_set *set,
                                       int32_t row, int32_t head)
{
    const struct ko_attention *args = group->args;
    const struct ko_rows *rows = &group->be->rows;
    const int32_t i = rows->position[row];
    const struct ko_branch *cut = ko_cpu_attention_cut(rows, args, row);
    struct ko_attend_query query = {
        .first = i >= args->reach ? i - args->reach + 1 : 0,
        .own = i + 1,
        .position = i,
        .q = args->q + ko_at(group->source[row], args->ld, head * args->stride),
        .sink = args->sinks ? &args->sinks[head] : NULL,
        .out = args->out + ko_at3(row, args->n_heads, head, args->d_value, 0)};
    if (set->row) {
        const int32_t b = rows->branch[row];
        query.own = ko_branch_start(&rows->branches[b]);
        query.own_row = group->source + group->own[b];
    }
    if (cut && ko_branch_cuts_head(cut, head)) {
        const struct ko_edge_set *edges = ko_edge_set_into(&rows->edges[cut->edge_set], i);
        query.removed = edges ? edges->source : NULL;
        query.keeps_itself = edges && edges->later;
        query.after_softmax = cut->after_softmax;
    }
    return query;
}

static void attend_tile(const struct group *group, const struct ko_attend_set *set, int32_t tile,
                        int32_t kv_head, unsigned char *scratch)
{
    const struct ko_attention *args = group->args;
    const int32_t head = first_head(args, kv_head);
    const int32_t heads = first_head(args, kv_head + 1) - head;
    const int32_t first = tile * KO_ATTEND_QUERIES, left = set->n_rows * heads - first;
    struct ko_attend_query query[KO_ATTEND_QUERIES];
    struct ko_attend_panel *panels = (void *)scratch;
    float *q = (void *)(scratch + ko_attend_aligned((size_t)set->n_panels * sizeof *panels));
    float *score = q + ko_at(args->d_head, KO_ATTEND_QUERIES, 0);
    const int32_t n = left < KO_ATTEND_QUERIES ? left : KO_ATTEND_QUERIES;
    for (int32_t k = 0; k < n; k++) {
        const int32_t at = (first + k) / heads;
        const int32_t row = set->row ? set->row[at] : set->first_row + at;
        query[k] = query_of(group, set, row, head + (first + k) % heads);
    }
    for (int32_t panel = 0; panel < set->n_panels; panel++) {
        panels[panel] = panel_of(group, set, panel, kv_head);
    }
    const struct ko_attend_tile work = {.n = n,
                                        .d_head = args->d_head,
                                        .d_value = args->d_value,
                                        .query = query,
                                        .panels = panels,
                                        .k = args->k + ko_at(kv_head, args->stride, 0),
                                        .v = args->v + ko_at(kv_head, args->stride_v, 0),
                                        .ld = (size_t)args->ld,
                                        .ld_v = (size_t)args->ld_v,
                                        .scale = args->scale,
                                        .cap = args->cap,
                                        .q = q,
                                        .score = score,
                                        .o = score + ko_at(KO_ATTEND_ROWS, KO_ATTEND_BLOCK, 0)};
    if (n > 0) {
        group->be->isa->attend_tile(&work);
    }
}

/* The last set whose first slot, or first tile, is not beyond n. */
static const struct ko_attend_set *set_with(const struct group *group, int32_t n, bool tiles)
{
    int32_t low = 0, high = group->n_sets;
    while (high - low > 1) {
        const int32_t middle = low + (high - low) / 2;
        const struct ko_attend_set *set = &group->set[middle];
        if ((tiles ? set->first_tile : set->slot) <= n) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return &group->set[low];
}

static void compute_group(const struct group *group)
{
    const int32_t n_kv = group->args->n_kv_heads;
    const int64_t n_packs = (int64_t)group->n_slots * n_kv;
    const int64_t n_tiles = (int64_t)group->n_tiles * n_kv;
#pragma omp parallel num_threads(group->be->threads)
    {
        unsigned char *mine = group->scratch + group->thread_bytes * (size_t)omp_get_thread_num();
#pragma omp for schedule(dynamic, 4)
        for (int64_t k = 0; k < n_packs; k++) {
            const int32_t slot = (int32_t)(k / n_kv);
            pack_panel(group, set_with(group, slot, false), slot, (int32_t)(k % n_kv));
        }
#pragma omp for schedule(dynamic, 1)
        for (int64_t k = 0; k < n_tiles; k++) {
            const int32_t tile = (int32_t)(k % group->n_tiles);
            const struct ko_attend_set *set = set_with(group, tile, true);
            attend_tile(group, set, tile - set->first_tile, (int32_t)(k / group->n_tiles), mine);
        }
    }
}

/* The rows of the paths of all short forks behind the trunk. */
static size_t count_fork_rows(const struct group *group)
{
    const struct ko_rows *rows = &group->be->rows;
    size_t n = 0;
    for (int32_t b = 0; b < rows->n_branches_active[group->args->stage]; b++) {
        const struct ko_branch *branch = &rows->branches[b];
        n += is_short_fork(branch) ? (size_t)ko_branch_path(branch) : 0;
    }
    return n;
}

/* Divides memory for the group that needs most; with `memory` NULL only adds up its bytes. */
static size_t lay_out(struct group *group, int32_t n_panels, unsigned char *memory)
{
    const struct ko_rows *rows = &group->be->rows;
    const struct ko_attention *args = group->args;
    const size_t n_branches = (size_t)rows->n_branches_active[args->stage];
    const struct ko_attend_sizes size = {.n_panels = (size_t)n_panels,
                                         .n_kv_heads = (size_t)args->n_kv_heads,
                                         .slot_floats = group->slot_floats,
                                         .thread_bytes = group->thread_bytes,
                                         .threads = (size_t)group->be->threads,
                                         .n_sets = 2 * (size_t)rows->n_prompts + n_branches,
                                         .n_rows = (size_t)group->stage_rows,
                                         .n_branches = n_branches,
                                         .n_fork_rows = count_fork_rows(group)};
    size_t bytes[KO_ATTEND_PARTS], at[KO_ATTEND_PARTS], n = 0;
    ko_attend_list_parts(&size, bytes);
    for (size_t k = 0; k < KO_ATTEND_PARTS; k++) {
        at[k] = n;
        n += ko_attend_aligned(bytes[k]);
    }
    if (memory) {
        group->packed = (void *)(memory + at[0]);
        group->scratch = memory + at[1];
        group->set = (void *)(memory + at[2]);
        group->source = (void *)(memory + at[3]);
        group->own = (void *)(memory + at[4]);
        group->gathered = (void *)(memory + at[5]);
        group->finite = (void *)(memory + at[6]);
    }
    return n;
}

/* The most panels that are packed together. */
static int32_t most_panels(const struct group *group)
{
    int32_t most = 0;
    for (int32_t p = 0, n = 0; p < group->be->rows.n_prompts;) {
        p = end_of_group(group, p, &n);
        most = n > most ? n : most;
    }
    return most;
}

/* Fills `source` and `own`. */
static void list_sources(struct group *group)
{
    const struct ko_rows *rows = &group->be->rows;
    int32_t n = group->stage_rows;
    for (int32_t r = 0; r < n; r++) {
        group->source[r] = ko_rows_source(rows, r, group->args->stage);
    }
    for (int32_t b = 0; b < rows->n_branches_active[group->args->stage]; b++) {
        const struct ko_branch *branch = &rows->branches[b];
        const bool is_listed = is_short_fork(branch);
        group->own[b] = is_listed ? n : branch->first_row;
        for (int32_t j = ko_branch_start(branch); is_listed && j < ko_branch_end(branch); j++) {
            group->source[n++] = group->source[ko_branch_row(branch, j)];
        }
    }
}

enum ko_code ko_cpu_attention_tiles(struct ko_backend *be, const struct ko_attention *args,
                                    struct ko_error *err)
{
    const struct ko_rows *rows = &be->rows;
    const size_t numbers = (size_t)args->d_head + ko_attend_width(args->d_value);
    struct group group = {.be = be,
                          .args = args,
                          .stage_rows = rows->n_active[args->stage],
                          .heads = ko_attend_parts(args->n_heads, args->n_kv_heads),
                          .slot_floats = numbers * KO_ATTEND_PANEL,
                          .thread_bytes = ko_attend_tile_bytes(rows->max_tokens, numbers)};
    const int32_t most = most_panels(&group);
    unsigned char *memory = ko_cpu_scratch(be, lay_out(&group, most, NULL), err);
    if (!memory) {
        return KO_E_MEMORY;
    }
    (void)lay_out(&group, most, memory);
    list_sources(&group);
    for (int32_t p = 0, n_panels = 0; p < rows->n_prompts;) {
        const int32_t end = end_of_group(&group, p, &n_panels);
        group.n_sets = group.n_slots = group.n_tiles = group.n_gathered = 0;
        for (; p < end; p++) {
            if (ko_cpu_attention_is_tiled(be, args, p)) {
                add_prompt(&group, p);
            }
        }
        compute_group(&group);
    }
    return KO_OK;
}
