#include <math.h>

#include "src/forward/engine.h"

static enum ko_code check_stop(const struct ko_stop *stop, struct ko_error *err)
{
    if (ko_stop_is_wanted(stop))
        return ko_fail(err, KO_E_STOPPED, "batch dropped: a stop was asked for");
    return KO_OK;
}

/* Rows of the branches that leave here start as copies of their parents'. */
static enum ko_code leave(const struct ko_pass *pass, int32_t first, int32_t end,
                          struct ko_error *err)
{
    if (end == first)
        return KO_OK;
    const struct ko_branch_rows rows = {
        .x = pass->x, .d = pass->model->shape.d_model, .first = first, .n = end - first};
    return pass->k->branch_rows(pass->be, &rows, err);
}

/* Past the last mixer only last positions go on: x and the mixer's result are gathered into buffer
 * 0, which is free by then. */
static enum ko_code finish_last(struct ko_engine *engine, const struct ko_row_set *set, float **x,
                                struct ko_error *err)
{
    const struct ko_pass *pass = &engine->pass;
    const struct ko_model *model = pass->model;
    const int32_t d = model->shape.d_model, n = set->n_last;
    int32_t widths[KO_N_BUFFERS];
    ko_model_widths(model, widths);
    float *mixed = pass->buffer[0] + (size_t)engine->max_rows * (size_t)d;
    *x = pass->buffer[0];
    const struct ko_gather residual = {
        .from = pass->x, .ld_from = d, .index = set->last, .n = n, .d = d, .to = *x, .ld_to = d};
    const struct ko_gather mixer = {.from = pass->buffer[1],
                                    .ld_from = widths[1],
                                    .index = set->last,
                                    .n = n,
                                    .d = widths[1],
                                    .to = mixed,
                                    .ld_to = widths[1]};
    enum ko_code code = pass->k->gather(pass->be, &residual, err);
    if (code == KO_OK)
        code = pass->k->gather(pass->be, &mixer, err);
    if (code == KO_OK)
        code = model->family->finish(pass, model->shape.n_layers - 1, n, *x, mixed, widths[1], err);
    return code;
}

/* Work of layer l in FLOP: rows of the last layer go on alone behind its mixer. */
static double layer_flop(const struct ko_engine *engine, const struct ko_row_set *set, int32_t l)
{
    const struct ko_plan_model *model = &engine->plan->model[engine->plan_model];
    const double *flop = model->row_flop;
    const bool is_last = l + 1 == engine->pass.model->shape.n_layers;
    return set->rows.n_active[l] * (flop[0] + flop[1] + (is_last ? 0 : flop[2])) +
           (is_last
                ? set->n_last * (flop[2] + 2.0 * (double)model->vocabulary * (double)model->d_model)
                : 0);
}

/* Says that layers 0 ... l - 1 of the wave are done. */
static void tell_reached(const struct ko_engine *engine, const struct ko_row_set *set, int32_t l,
                         const struct ko_stop *stop)
{
    double done = 0, all = 0;
    if (!stop || !stop->reached) {
        return;
    }
    for (int32_t k = 0; k < engine->pass.model->shape.n_layers; k++) {
        all += layer_flop(engine, set, k);
        done = k < l ? all : done;
    }
    ko_stop_reached(stop,
                    engine->share_before + (all > 0 ? engine->share_of_wave * done / all : 0));
}

static enum ko_code run_layers(struct ko_engine *engine, const struct ko_row_set *set,
                               const struct ko_stop *stop, float **x_last, struct ko_error *err)
{
    const struct ko_pass *pass = &engine->pass;
    const struct ko_model *model = pass->model;
    const struct ko_rows *rows = &set->rows;
    const int32_t n_layers = model->shape.n_layers;
    int32_t widths[KO_N_BUFFERS];
    ko_model_widths(model, widths);
    enum ko_code code = model->family->embed(pass, err);
    if (code == KO_OK)
        code = leave(pass, rows->n_trunk_rows, rows->n_projected[0], err);
    for (int32_t l = 0; code == KO_OK && l < n_layers; l++) {
        tell_reached(engine, set, l, stop);
        code = check_stop(stop, err);
        if (code == KO_OK)
            code = leave(pass, rows->n_projected[l], rows->n_active[l], err);
        if (code == KO_OK)
            code = model->family->mix(pass, l, err);
        if (code == KO_OK && l + 1 < n_layers)
            code = model->family->finish(pass, l, rows->n_active[l], pass->x, pass->buffer[1],
                                         widths[1], err);
    }
    return code == KO_OK ? finish_last(engine, set, x_last, err) : code;
}

enum ko_code ko_engine_pass(struct ko_engine *engine, const struct ko_row_set *set,
                            const struct ko_stop *stop, struct ko_error *err)
{
    struct ko_pass *pass = &engine->pass;
    const struct ko_model *model = pass->model;
    if (set->rows.n_rows > engine->max_rows)
        return ko_fail(err, KO_E_FAILED, "%s: a wave of %d rows is beyond the workspace of %d rows",
                       model->name, set->rows.n_rows, engine->max_rows);
    pass->rows = &set->rows;
    float *x = NULL;
    enum ko_code code = pass->k->set_rows(pass->be, &set->rows, err);
    if (code == KO_OK)
        code = run_layers(engine, set, stop, &x, err);
    if (code == KO_OK)
        code = model->family->final_norm(pass, set->n_last, x, err);
    if (code == KO_OK)
        code = check_stop(stop, err);
    if (code == KO_OK) {
        const struct ko_unembed unembed = {.n = set->n_last,
                                           .x = x,
                                           .table = model->family->unembedding(model, &pass->arena),
                                           .clean = set->clean,
                                           .target = set->target,
                                           .foil = set->foil,
                                           .out = engine->metrics};
        code = pass->k->unembed(pass->be, &unembed, err);
    }
    pass->rows = NULL;
    return code;
}
