/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the statuses of a cube, model by model, and counts them for each route. An evaluation cube
   has no routes, so its clean runs are counted for each model. */
#include "src/status/cell_counts.h"

#include <stdlib.h>

#include "src/base/memory.h"
#include "src/cube/read/planned.h"
#include "src/cube/read/slab.h"
#include "src/options/invocation.h"
#include "src/plan/plan.h"

static void add_status(struct ko_cell_counts *to, uint8_t status, int64_t n)
{
    if (status == KO_VACUOUS) {
        to->vacuous += n;
    } else if (status == KO_CELL_FAILED) {
        to->failed += n;
    } else if (status == KO_PENDING) {
        to->pending += n;
    }
}

/* Adds the planned cells of a status one by one: a done one may lack its value, and some may be
   vacuous. */
static void add_cells(const struct ko_cube_slab *slab, int64_t at, const uint8_t *planned,
                      struct ko_cell_counts *to)
{
    for (int32_t s = 0; s < slab->n_starts; s++) {
        const int64_t cell = at * slab->n_starts + s;
        if (!planned[s]) {
            continue;
        }
        if (ko_cube_slab_is_vacuous(slab, cell)) {
            to->vacuous++;
        } else if (slab->status[at] == KO_DONE) {
            *(ko_cube_slab_has(slab, cell) ? &to->done : &to->valueless) += 1;
        } else {
            add_status(to, slab->status[at], 1);
        }
    }
}

/* count: the counts of the part's routes. */
static void count_prompt(const struct ko_cube_slab *slab, int32_t p,
                         const struct ko_cube_starts *starts, int64_t n_statuses_a_route,
                         struct ko_cell_counts *count)
{
    for (int64_t k = 0; k < slab->n_statuses; k++) {
        const int64_t at = p * slab->n_statuses + k, place = ko_cube_planned_place(slab, k);
        struct ko_cell_counts *to = &count[k / n_statuses_a_route];
        if (slab->status[at] == KO_DONE || slab->vacuous) {
            add_cells(slab, at, starts->planned + place * slab->n_starts, to);
        } else {
            add_status(to, slab->status[at], starts->count[place]);
        }
    }
}

static enum ko_code count_part(struct ko_cube_view *view, bool heat,
                               struct ko_cube_planned *planned, struct ko_cube_counts *counts,
                               struct ko_error *err)
{
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    const int32_t first_row = heat ? (int32_t)axes->route.n : 0;
    const int64_t n_routes = (int64_t)(heat ? axes->heat_route.n : axes->route.n);
    struct ko_cube_slab slab = {0};
    enum ko_code code = ko_cube_slab_open(view, heat, &slab, err);
    for (int32_t m = 0; code == KO_OK && m < counts->n_models; m++) {
        for (int32_t first = 0; code == KO_OK && first < slab.n_prompts; first += slab.n) {
            code = ko_cube_slab_read(&slab, m, first, err);
            for (int32_t p = 0; code == KO_OK && p < slab.n; p++) {
                const struct ko_cube_starts starts =
                    ko_cube_planned_starts(planned, heat, m, first + p);
                count_prompt(&slab, p, &starts, slab.n_statuses / n_routes,
                             &counts->count[m * counts->n_rows + first_row]);
            }
        }
    }
    ko_cube_slab_close(&slab);
    return code;
}

static enum ko_code count_sweep(struct ko_cube_view *view, struct ko_cube_counts *counts,
                                struct ko_error *err)
{
    struct ko_cube_planned *planned = NULL;
    enum ko_code code = ko_cube_planned_open(view, &planned, err);
    for (int heat = 0; code == KO_OK && heat < 2; heat++) {
        code = count_part(view, heat, planned, counts, err);
    }
    ko_cube_planned_close(planned);
    return code;
}

static enum ko_code count_evaluation(struct ko_cube_view *view, struct ko_cube_counts *counts,
                                     struct ko_error *err)
{
    const size_t n = ko_cube_view_axes(view)->eval_prompt.n;
    uint8_t *status = ko_new(n, sizeof *status, err);
    int32_t *rank = ko_new(n, sizeof *rank, err);
    double *logprob = ko_new(n, sizeof *logprob, err);
    enum ko_code code = status && rank && logprob ? KO_OK : KO_E_MEMORY;
    for (int32_t m = 0; code == KO_OK && m < counts->n_models; m++) {
        code = ko_cube_view_read_uint8(view, "eval_status", m, status, (int64_t)n, err);
        if (code == KO_OK) {
            code = ko_cube_view_read_int(view, "eval_target_rank", m, rank, (int64_t)n, err);
        }
        if (code == KO_OK) {
            code = ko_cube_view_read_double(view, "eval_logprob", m, logprob, (int64_t)n, err);
        }
        for (size_t k = 0; code == KO_OK && k < n; k++) {
            const bool has = ko_cell_has_value((float)logprob[k], rank[k]);
            add_status(&counts->count[m], status[k], 1);
            counts->count[m].done += status[k] == KO_DONE && has;
            counts->count[m].valueless += status[k] == KO_DONE && !has;
            counts->n_skipped[m] += status[k] == KO_NOT_PLANNED;
        }
    }
    free(status);
    free(rank);
    free(logprob);
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
    if (code == KO_OK && evaluation) {
        code = count_evaluation(view, &counts, err);
    }
    if (code == KO_OK && !evaluation) {
        code = count_sweep(view, &counts, err);
    }
    if (code != KO_OK) {
        ko_cube_counts_free(&counts);
        return code;
    }
    for (size_t k = 0; k < n; k++) {
        counts.total.done += counts.count[k].done;
        counts.total.vacuous += counts.count[k].vacuous;
        counts.total.failed += counts.count[k].failed;
        counts.total.pending += counts.count[k].pending;
        counts.total.valueless += counts.count[k].valueless;
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
    if (counts->pending > 0 || counts->valueless > 0) {
        return KO_EXIT_INCOMPLETE;
    }
    return counts->failed > 0 ? KO_EXIT_FAILURES : 0;
}
