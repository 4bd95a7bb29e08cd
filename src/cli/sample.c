#include "src/cli/sample.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/plan/plan.h"
#include "src/prompts/token_set.h"

/* The datasets of one kind of routes and the extents of a model's part: [a prompt, a route, a
 * class, a position, a size]. */
struct part {
    const char *status, *logprob, *kl, *rank;
    bool heat;
    int32_t n_prompts, n_routes, n_classes, n_positions, n_sizes, n_starts;
};

static int64_t part_size(const struct part *part)
{
    return (int64_t)part->n_prompts * part->n_routes * part->n_classes * part->n_positions *
           part->n_sizes;
}

static void describe_parts(const struct ko_cube_axes *axes, struct part part[2])
{
    const int32_t n_classes = (int32_t)axes->feature_class.n;
    part[0] = (struct part){"status",
                            "logprob",
                            "kl",
                            "target_rank",
                            false,
                            (int32_t)axes->prompt.n,
                            (int32_t)axes->route.n,
                            n_classes,
                            1,
                            axes->n_sizes,
                            axes->n_starts};
    part[1] = (struct part){"heat_status",
                            "heat_logprob",
                            "heat_kl",
                            "heat_target_rank",
                            true,
                            (int32_t)axes->heat_prompt.n,
                            (int32_t)axes->heat_route.n,
                            n_classes,
                            axes->n_source_positions,
                            axes->n_sizes,
                            axes->n_starts};
}

/* Where a drawn status entry lies. */
struct candidates {
    int64_t *code; /* ((model * 2 + heat) << 40) + entry */
    size_t n, capacity;
};
enum { ENTRY_BITS = 40 };

static enum ko_code add_done(struct ko_cube_view *view, int32_t model, const struct part *part,
                             struct candidates *all, struct ko_error *err)
{
    const int64_t n = part_size(part);
    if (n == 0)
        return KO_OK;
    uint8_t *status = ko_new((size_t)n, 1, err);
    enum ko_code code = status ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK)
        code = ko_cube_view_read_uint8(view, part->status, model, status, n, err);
    for (int64_t k = 0; code == KO_OK && k < n; k++) {
        if (status[k] != KO_DONE)
            continue;
        int64_t *grown = ko_grow(all->code, &all->capacity, all->n + 1, sizeof *grown, err);
        if (!grown) {
            code = KO_E_MEMORY;
            break;
        }
        all->code = grown;
        all->code[all->n++] = ((int64_t)(model * 2 + part->heat) << ENTRY_BITS) + k;
    }
    free(status);
    return code;
}

/* Fills in one cell of a status entry: one of its starts that has a value. */
static void choose_start(const struct part *part, const double *logprob, const double *kl,
                         const int32_t *rank, int64_t entry, uint64_t seed, int32_t model,
                         struct ko_sampled *out)
{
    int64_t start[4096], n = 0;
    const int64_t first = entry * part->n_starts;
    for (int32_t s = 0; s < part->n_starts && n < 4096; s++)
        if (!isnan(logprob[first + s]))
            start[n++] = s;
    *out = (struct ko_sampled){.model = -1};
    if (n == 0)
        return;
    ko_draw(start, (size_t)n, 1, seed, (uint64_t)entry);
    int64_t rest = entry;
    out->size = (int32_t)(rest % part->n_sizes);
    rest /= part->n_sizes;
    out->source_position = (int32_t)(rest % part->n_positions);
    rest /= part->n_positions;
    out->feature = (int32_t)(rest % part->n_classes);
    rest /= part->n_classes;
    out->route = (int32_t)(rest % part->n_routes);
    out->prompt = (int32_t)(rest / part->n_routes);
    out->model = model;
    out->heat = part->heat;
    out->start = (int32_t)start[0];
    out->logprob = logprob[first + start[0]];
    out->kl = kl[first + start[0]];
    out->target_rank = rank[first + start[0]];
}

/* Reads the values of one model and kind once, and fills in the drawn cells that lie there. */
static enum ko_code read_values(struct ko_cube_view *view, int32_t model, const struct part *part,
                                const struct candidates *drawn, uint64_t seed,
                                struct ko_sampled *out, struct ko_error *err)
{
    const int64_t tag = (int64_t)model * 2 + part->heat;
    int64_t n_here = 0;
    for (size_t k = 0; k < drawn->n; k++)
        n_here += drawn->code[k] >> ENTRY_BITS == tag;
    if (n_here == 0)
        return KO_OK;
    const int64_t n = part_size(part) * part->n_starts;
    double *logprob = ko_new((size_t)n, sizeof *logprob, err);
    double *kl = ko_new((size_t)n, sizeof *kl, err);
    int32_t *rank = ko_new((size_t)n, sizeof *rank, err);
    enum ko_code code = logprob && kl && rank ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK)
        code = ko_cube_view_read_double(view, part->logprob, model, logprob, n, err);
    if (code == KO_OK)
        code = ko_cube_view_read_double(view, part->kl, model, kl, n, err);
    if (code == KO_OK)
        code = ko_cube_view_read_int(view, part->rank, model, rank, n, err);
    for (size_t k = 0; code == KO_OK && k < drawn->n; k++)
        if (drawn->code[k] >> ENTRY_BITS == tag)
            choose_start(part, logprob, kl, rank, drawn->code[k] & (((int64_t)1 << ENTRY_BITS) - 1),
                         seed, model, &out[k]);
    free(logprob);
    free(kl);
    free(rank);
    return code;
}

static int compare_codes(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

enum ko_code ko_sample_cells(struct ko_cube_view *view, const struct ko_strings *models, int64_t n,
                             uint64_t seed, struct ko_sampled **out, int64_t *n_out,
                             struct ko_error *err)
{
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    struct part part[2];
    struct candidates all = {0};
    enum ko_code code = KO_OK;
    describe_parts(axes, part);
    for (size_t m = 0; code == KO_OK && m < axes->model.n; m++) {
        if (models->n > 0 && ko_strings_find(models, axes->model.item[m]) < 0)
            continue;
        for (int h = 0; code == KO_OK && h < 2; h++)
            code = add_done(view, (int32_t)m, &part[h], &all, err);
    }
    if (code == KO_OK && all.n == 0)
        code = ko_fail(err, KO_E_INPUT, "no cell is done, run the sweep first");
    struct ko_sampled *cells = NULL;
    if (code == KO_OK) {
        const size_t k = (size_t)n < all.n ? (size_t)n : all.n;
        ko_draw(all.code, all.n, k, seed, 0);
        all.n = k;
        qsort(all.code, k, sizeof *all.code, compare_codes);
        cells = ko_new(k, sizeof *cells, err);
        code = cells ? KO_OK : KO_E_MEMORY;
    }
    for (size_t m = 0; code == KO_OK && m < axes->model.n; m++)
        for (int h = 0; code == KO_OK && h < 2; h++)
            code = read_values(view, (int32_t)m, &part[h], &all, seed, cells, err);
    int64_t kept = 0;
    for (size_t k = 0; code == KO_OK && k < all.n; k++)
        if (cells[k].model >= 0)
            cells[kept++] = cells[k];
    free(all.code);
    if (code != KO_OK) {
        free(cells);
        return code;
    }
    *out = cells;
    *n_out = kept;
    return KO_OK;
}
