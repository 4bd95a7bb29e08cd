/* SPDX-License-Identifier: Apache-2.0 */
/* Runs one wave through all layers of the model and computes the metrics of the last rows. It starts
   branches, reports progress and checks for a stop. Steps that sublayers share are in
   src/models/pass.c. */
#include <math.h>

#include "src/forward/engine.h"

static enum ko_code check_stop(const struct ko_stop *stop, struct ko_error *err)
{
    if (ko_stop_is_wanted(stop)) {
        return ko_fail(err, KO_E_STOPPED, "batch dropped: a stop was asked for");
    }
    return KO_OK;
}

/* Rows of branches that leave here start as copies of their parents' rows. */
static enum ko_code start_branches(const struct ko_pass *pass, int32_t first, int32_t end,
                                   struct ko_error *err)
{
    if (end == first) {
        return KO_OK;
    }
    const struct ko_branch_rows rows = {
        .x = pass->x, .d = pass->model->shape.d_model, .first = first, .n = end - first};
    return pass->kernels->branch_rows(pass->be, &rows, err);
}

/* After the last mixer only last positions matter. Gathers their x and mixer results into buffer 0,
   which is free by then. */
static enum ko_code gather_last(const struct ko_engine *engine, const struct ko_row_set *set,
                                struct ko_stream *out, struct ko_error *err)
{
    const struct ko_pass *pass = &engine->pass;
    const int32_t d = pass->model->shape.d_model, n = set->n_last, width = out->ld_mixed;
    float *x = pass->buffer[0];
    float *mixed = pass->buffer[0] + (size_t)engine->max_rows * (size_t)d;
    const struct ko_gather residual = {
        .from = pass->x, .ld_from = d, .index = set->last, .n = n, .d = d, .to = x, .ld_to = d};
    const struct ko_gather mixer = {.from = pass->buffer[1],
                                    .ld_from = width,
                                    .index = set->last,
                                    .n = n,
                                    .d = width,
                                    .to = mixed,
                                    .ld_to = width};
    enum ko_code code = pass->kernels->gather(pass->be, &residual, err);
    if (code == KO_OK) {
        code = pass->kernels->gather(pass->be, &mixer, err);
    }
    *out = (struct ko_stream){n, x, mixed, width};
    return code;
}

/* FLOP of layer l. In the last layer only last rows go on after the mixer. */
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

/* Reports that layers 0 ... l - 1 of the wave are done. */
static void report_reached(const struct ko_engine *engine, const struct ko_row_set *set, int32_t l,
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

/* The index of the model's last sublayer that mixes positions. */
static size_t last_mixer(const struct ko_model *model)
{
    size_t last = model->n_sublayers - 1;
    while (last > 0 && !model->sublayer[last].kind->mix) {
        last--;
    }
    return last;
}

/* Before the first sublayer of a layer: reports progress, checks for a stop, starts branches. */
static enum ko_code enter_layer(const struct ko_engine *engine, const struct ko_row_set *set,
                                int32_t layer, const struct ko_stop *stop, struct ko_error *err)
{
    const struct ko_pass *pass = &engine->pass;
    const struct ko_rows *rows = pass->rows;
    report_reached(engine, set, layer, stop);
    const enum ko_code code = check_stop(stop, err);
    return code == KO_OK
               ? start_branches(pass, rows->n_projected[layer], rows->n_active[layer], err)
               : code;
}

/* Mixes the sublayer. After the last mixer, `out` becomes the last rows. */
static enum ko_code run_mixer(const struct ko_engine *engine, const struct ko_row_set *set,
                              const struct ko_sublayer *sublayer, bool is_last,
                              struct ko_stream *out, struct ko_error *err)
{
    const enum ko_code code = ko_pass_mix(&engine->pass, sublayer, out, err);
    return code == KO_OK && is_last ? gather_last(engine, set, out, err) : code;
}

static enum ko_code run_layers(struct ko_engine *engine, const struct ko_row_set *set,
                               const struct ko_stop *stop, float **x_last, struct ko_error *err)
{
    const struct ko_pass *pass = &engine->pass;
    const struct ko_model *model = pass->model;
    const size_t last = last_mixer(model);
    int32_t layer = -1;
    struct ko_stream stream = {0};
    enum ko_code code = ko_pass_embed(pass, err);
    if (code == KO_OK) {
        code = start_branches(pass, set->rows.n_trunk_rows, set->rows.n_projected[0], err);
    }
    for (size_t i = 0, next = 0; code == KO_OK && i < model->n_sublayers; i = next) {
        const struct ko_sublayer *sublayer = &model->sublayer[i];
        if (sublayer->layer != layer && i <= last) {
            layer = sublayer->layer;
            stream = (struct ko_stream){.n = set->rows.n_active[layer], .x = pass->x};
            code = enter_layer(engine, set, layer, stop, err);
        }
        if (code == KO_OK) {
            code = run_mixer(engine, set, sublayer, i == last, &stream, err);
        }
        if (code == KO_OK) {
            code = ko_pass_finish_from(pass, i, &stream, &next, err);
        }
    }
    *x_last = stream.x;
    return code;
}

/* x [n_last, width of the embedding]: what the unembedding reads. */
static enum ko_code compute_metrics(const struct ko_engine *engine, const struct ko_row_set *set,
                                    const float *x, struct ko_error *err)
{
    const struct ko_pass *pass = &engine->pass;
    const struct ko_ends *ends = &pass->model->ends;
    const struct ko_unembed unembed = {.n = set->n_last,
                                       .x = x,
                                       .table = ko_model_unembedding(pass->model, &pass->arena),
                                       .bias = ko_pass_weight(pass, ends->head_bias),
                                       .scale = ends->logit_scale,
                                       .cap = ends->logit_cap,
                                       .clean = set->clean,
                                       .target = set->target,
                                       .foil = set->foil,
                                       .out = engine->metrics};
    return pass->kernels->unembed(pass->be, &unembed, err);
}

enum ko_code ko_engine_pass(struct ko_engine *engine, const struct ko_row_set *set,
                            const struct ko_stop *stop, struct ko_error *err)
{
    struct ko_pass *pass = &engine->pass;
    const struct ko_model *model = pass->model;
    if (set->rows.n_rows > engine->max_rows) {
        return ko_fail(err, KO_E_FAILED, "%s: a wave of %d rows is beyond the workspace of %d rows",
                       model->name, set->rows.n_rows, engine->max_rows);
    }
    pass->rows = &set->rows;
    float *x = NULL;
    const float *final = NULL;
    enum ko_code code = pass->kernels->set_rows(pass->be, &set->rows, err);
    if (code == KO_OK) {
        code = run_layers(engine, set, stop, &x, err);
    }
    if (code == KO_OK) {
        code = ko_pass_final(pass, set->n_last, x, &final, err);
    }
    if (code == KO_OK) {
        code = check_stop(stop, err);
    }
    if (code == KO_OK) {
        code = compute_metrics(engine, set, final, err);
    }
    pass->rows = NULL;
    return code;
}
