#include "src/cli/cell_counts.h"

#include <stdlib.h>

#include "src/base/memory.h"
#include "src/cli/cli.h"
#include "src/cli/cube_block.h"
#include "src/plan/plan.h"

/* One model's part of a block. */
struct part {
    const struct ko_cube_block *block;
    int32_t model;
    uint8_t *status;
    int32_t *rank;
};

static int32_t count_values(const struct part *part, int64_t status_at)
{
    const int32_t *rank = part->rank + ko_cube_block_value_at(part->block, status_at);
    int32_t n = 0;
    for (int32_t s = 0; s < part->block->n_starts; s++)
        n += rank[s] >= 1;
    return n;
}

static void add_status(struct ko_cell_counts *to, uint8_t status, int64_t n)
{
    if (status == KO_VACUOUS)
        to->vacuous += n;
    else if (status == KO_CELL_FAILED)
        to->failed += n;
    else if (status == KO_PENDING)
        to->pending += n;
}

/* Counts the done cells and returns the most values that a done status has. */
static int32_t count_done(const struct part *part, int32_t route, int32_t feature, int32_t size,
                          struct ko_cell_counts *to)
{
    const struct ko_cube_block *block = part->block;
    int32_t n_starts = 0;
    for (int32_t p = 0; p < block->n_prompts; p++)
        for (int32_t k = 0; k < block->n_sources; k++) {
            const int64_t at = ko_cube_block_status_at(block, p, route, feature, k, size);
            if (part->status[at] != KO_DONE)
                continue;
            const int32_t n = count_values(part, at);
            to->done += n;
            n_starts = n > n_starts ? n : n_starts;
        }
    return n_starts;
}

static void count_others(const struct part *part, int32_t route, int32_t feature, int32_t size,
                         int32_t n_starts, struct ko_cell_counts *to)
{
    const struct ko_cube_block *block = part->block;
    for (int32_t p = 0; p < block->n_prompts; p++)
        for (int32_t k = 0; k < block->n_sources; k++)
            add_status(to, part->status[ko_cube_block_status_at(block, p, route, feature, k, size)],
                       n_starts);
}

/* One class and size over all routes: counts [n_routes], n_starts [n_routes] to work in. */
static void count_routes(const struct part *part, int32_t feature, int32_t size, int32_t *n_starts,
                         struct ko_cell_counts *counts)
{
    const int32_t n_routes = part->block->n_routes;
    int32_t most = 0;
    for (int32_t r = 0; r < n_routes; r++) {
        n_starts[r] = count_done(part, r, feature, size, &counts[r]);
        most = n_starts[r] > most ? n_starts[r] : most;
    }
    if (most == 0)
        most = ko_cube_block_fitting(part->block, part->model, size);
    for (int32_t r = 0; r < n_routes; r++)
        count_others(part, r, feature, size, n_starts[r] > 0 ? n_starts[r] : most, &counts[r]);
}

static enum ko_code count_block(struct ko_cube_view *view, bool heat, struct ko_cube_counts *counts,
                                int32_t first_row, struct ko_error *err)
{
    struct ko_cube_block block = {0};
    enum ko_code code = ko_cube_block_of(view, heat, &block, err);
    if (code != KO_OK || block.n_routes == 0)
        return code;
    int32_t *n_starts = ko_new((size_t)block.n_routes, sizeof *n_starts, err);
    code = n_starts ? KO_OK : KO_E_MEMORY;
    for (int32_t m = 0; code == KO_OK && m < counts->n_models; m++) {
        struct part part = {.block = &block, .model = m};
        code = ko_cube_block_statuses(&block, m, &part.status, err);
        if (code == KO_OK)
            code = ko_cube_block_ints(&block, "target_rank", m, &part.rank, err);
        for (int32_t f = 0; code == KO_OK && f < block.n_features; f++)
            for (int32_t s = 0; s < block.n_sizes; s++)
                count_routes(&part, f, s, n_starts, &counts->count[m * counts->n_rows + first_row]);
        free(part.status);
        free(part.rank);
    }
    free(n_starts);
    return code;
}

static enum ko_code count_evaluation(struct ko_cube_view *view, struct ko_cube_counts *counts,
                                     struct ko_error *err)
{
    const size_t n = ko_cube_view_axes(view)->eval_prompt.n;
    uint8_t *status = ko_new(n, sizeof *status, err);
    enum ko_code code = status ? KO_OK : KO_E_MEMORY;
    for (int32_t m = 0; code == KO_OK && m < counts->n_models; m++) {
        code = ko_cube_view_read_uint8(view, "eval_status", m, status, (int64_t)n, err);
        for (size_t k = 0; code == KO_OK && k < n; k++) {
            add_status(&counts->count[m], status[k], 1);
            counts->count[m].done += status[k] == KO_DONE;
            counts->n_skipped[m] += status[k] == KO_NOT_PLANNED;
        }
    }
    free(status);
    return code;
}

enum ko_code ko_cube_count(struct ko_cube_view *view, struct ko_cube_counts *out,
                           struct ko_error *err)
{
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    const bool evaluation = ko_cube_view_is_evaluation(view);
    struct ko_cube_counts counts = {
        .n_models = (int32_t)axes->model.n,
        .n_rows = evaluation ? 1 : (int32_t)(axes->route.n + axes->heat_route.n)};
    const size_t n = axes->model.n * (size_t)counts.n_rows;
    counts.count = ko_new(n, sizeof *counts.count, err);
    counts.n_skipped = ko_new(axes->model.n, sizeof *counts.n_skipped, err);
    enum ko_code code = counts.count && counts.n_skipped ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK && evaluation)
        code = count_evaluation(view, &counts, err);
    if (code == KO_OK && !evaluation)
        code = count_block(view, false, &counts, 0, err);
    if (code == KO_OK && !evaluation)
        code = count_block(view, true, &counts, (int32_t)axes->route.n, err);
    if (code != KO_OK) {
        ko_cube_counts_free(&counts);
        return code;
    }
    for (size_t k = 0; k < n; k++) {
        counts.total.done += counts.count[k].done;
        counts.total.vacuous += counts.count[k].vacuous;
        counts.total.failed += counts.count[k].failed;
        counts.total.pending += counts.count[k].pending;
    }
    *out = counts;
    return KO_OK;
}

void ko_cube_counts_free(struct ko_cube_counts *counts)
{
    free(counts->count);
    free(counts->n_skipped);
    *counts = (struct ko_cube_counts){0};
}

int ko_cell_counts_status(const struct ko_cell_counts *counts)
{
    if (counts->pending > 0)
        return KO_EXIT_INCOMPLETE;
    return counts->failed > 0 ? KO_EXIT_FAILURES : 0;
}
