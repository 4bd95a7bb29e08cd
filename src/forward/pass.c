/* SPDX-License-Identifier: Apache-2.0 */
/* Runs one wave through all sublayers of the model and computes the metrics of the last rows. It starts
   branches, reports progress and checks for a stop. Steps that sublayers share are in
   src/models/pass.c. */
#include <math.h>

#include "src/forward/engine.h"
#include "src/forward/given.h"
#include "src/forward/group.h"
#include "src/forward/layer_stream.h"

static enum ko_code check_stop(const struct ko_stop *stop, struct ko_error *err)
{
    if (ko_stop_is_wanted(stop)) {
        return ko_fail(err, KO_E_STOPPED, "batch dropped: a stop was asked for");
    }
    return KO_OK;
}

/* Rows of branches that leave here start as copies of their parents' rows, as does their embedding
   where the model keeps it. */
static enum ko_code start_branches(const struct ko_pass *pass, int32_t first, int32_t end,
                                   struct ko_error *err)
{
    struct ko_branch_rows rows = {
        .x = pass->x, .d = pass->model->shape.d_model, .first = first, .n = end - first};
    if (end == first) {
        return KO_OK;
    }
    const enum ko_code code = pass->kernels->branch_rows(pass->be, &rows, err);
    rows.x = pass->buffer[KO_EMBEDDED_BUFFER];
    return code == KO_OK && pass->model->ends.kept
               ? pass->kernels->branch_rows(pass->be, &rows, err)
               : code;
}

/* Gathers the last rows of `from` [rows, width] into `to` [n_last, width]. */
static enum ko_code gather_rows(const struct ko_pass *pass, const struct ko_row_set *set,
                                const float *from, int32_t width, float *to, struct ko_error *err)
{
    const struct ko_gather args = {.from = from,
                                   .ld_from = width,
                                   .index = set->last,
                                   .n = set->n_last,
                                   .d = width,
                                   .to = to,
                                   .ld_to = width};
    return pass->kernels->gather(pass->be, &args, err);
}

/* After the last mixer only last positions matter. Gathers their x and mixer results into buffer 0,
   which is free by then. */
static enum ko_code gather_last(const struct ko_engine *engine, const struct ko_row_set *set,
                                struct ko_stream *out, struct ko_error *err)
{
    const struct ko_pass *pass = &engine->pass;
    const int32_t d = pass->model->shape.d_model;
    float *to = pass->buffer[0];
    enum ko_code code = gather_rows(pass, set, pass->x, d, to, err);
    out->n = set->n_last;
    out->x = to;
    to += (size_t)engine->max_rows * (size_t)d;
    for (int32_t m = 0; code == KO_OK && m < out->n_mixed; m++) {
        struct ko_mixed *mixed = &out->mixed[m];
        code = gather_rows(pass, set, mixed->data, mixed->ld, to, err);
        mixed->data = to;
        to += (size_t)engine->max_rows * (size_t)mixed->ld;
    }
    return code;
}

/* Whether all rows are needed up to the end: a donor gives what the last sublayers add at any of its
   positions, and a recorder wants all rows. */
static bool keeps_rows(const struct ko_engine *engine, const struct ko_row_set *set)
{
    bool keeps = engine->pass.recorder != NULL;
    for (int32_t k = 0; k < set->rows.n_removals; k++) {
        keeps = keeps || set->rows.removals[k].donor >= 0;
    }
    return keeps;
}

/* FLOP of stage s. In the last stage only last rows go on after the mixing. */
static double stage_flop(const struct ko_engine *engine, const struct ko_row_set *set, int32_t s)
{
    const struct ko_plan_model *model = &engine->plan->model[engine->plan_model];
    const struct ko_plan_stage stage = ko_plan_stage_of(model, s);
    const bool is_last = s + 1 == set->rows.n_stages;
    return set->rows.n_active[s] * (stage.flop[0] + stage.flop[1] + (is_last ? 0 : stage.flop[2])) +
           (is_last ? set->n_last *
                          (stage.flop[2] + 2.0 * (double)model->vocabulary * (double)model->d_model)
                    : 0);
}

/* Reports that the stages 0 ... s - 1 of the wave are done. */
static void report_reached(const struct ko_engine *engine, const struct ko_row_set *set, int32_t s,
                           const struct ko_stop *stop)
{
    double done = 0, all = 0;
    if (!stop || !stop->reached) {
        return;
    }
    for (int32_t k = 0; k < set->rows.n_stages; k++) {
        all += stage_flop(engine, set, k);
        done = k < s ? all : done;
    }
    ko_stop_reached(stop,
                    engine->share_before + (all > 0 ? engine->share_of_wave * done / all : 0));
}

/* Before a stage: reports progress, checks for a stop, starts branches. */
static enum ko_code enter_stage(const struct ko_engine *engine, const struct ko_row_set *set,
                                int32_t stage, const struct ko_stop *stop, struct ko_error *err)
{
    const struct ko_pass *pass = &engine->pass;
    const struct ko_rows *rows = pass->rows;
    report_reached(engine, set, stage, stop);
    const enum ko_code code = check_stop(stop, err);
    return code == KO_OK
               ? start_branches(pass, rows->n_projected[stage], rows->n_active[stage], err)
               : code;
}

/* Runs the mixers of the group that begins with sublayer i. After the last stage's, `out` becomes the
   last rows. */
static enum ko_code run_mixers(struct ko_engine *engine, const struct ko_row_set *set, size_t i,
                               struct ko_stream *out, struct ko_error *err)
{
    const struct ko_sublayer *sublayer = &engine->pass.model->sublayer[i];
    const bool is_last = sublayer->kind->mixer && sublayer->stage + 1 == set->rows.n_stages;
    const enum ko_code code = ko_pass_mix(&engine->pass, i, out, err);
    if (code != KO_OK || !is_last || keeps_rows(engine, set)) {
        return code;
    }
    engine->pass.only_last = true;
    return gather_last(engine, set, out, err);
}

/* Behind the last sublayer of a layer: adds rows that prompts bring for it. */
static enum ko_code leave_layer(const struct ko_pass *pass, int32_t layer, size_t next, int32_t n,
                                struct ko_error *err)
{
    const struct ko_model *model = pass->model;
    const struct ko_given_source *source = pass->source;
    const bool ends = next == model->n_sublayers || model->sublayer[next].layer != layer;
    return ends && source && layer < source->n_layers
               ? source->add(source->self, pass, layer, n, err)
               : KO_OK;
}

static enum ko_code run_sublayers(struct ko_engine *engine, const struct ko_row_set *set,
                                  const struct ko_stop *stop, float **x_last, struct ko_error *err)
{
    const struct ko_pass *pass = &engine->pass;
    const struct ko_model *model = pass->model;
    struct ko_stream stream = {.n = set->rows.n_projected[0], .x = pass->x};
    enum ko_code code = ko_pass_embed(pass, err);
    if (code == KO_OK) {
        code = start_branches(pass, set->rows.n_embedded, set->rows.n_projected[0], err);
    }
    for (size_t i = 0, next = 0; code == KO_OK && i < model->n_sublayers; i = next) {
        const struct ko_sublayer *sublayer = &model->sublayer[i];
        if (sublayer->kind->mixer) {
            stream.n = set->rows.n_active[sublayer->stage];
            code = enter_stage(engine, set, sublayer->stage, stop, err);
        }
        if (code == KO_OK) {
            code = ko_layer_stream_enter(pass->arena.stream, sublayer->layer, err);
        }
        if (code == KO_OK) {
            code = run_mixers(engine, set, i, &stream, err);
        }
        if (code == KO_OK) {
            code = ko_pass_finish_from(pass, i, &stream, &next, err);
        }
        if (code == KO_OK) {
            code = leave_layer(pass, sublayer->layer, next, stream.n, err);
        }
    }
    ko_layer_stream_leave(pass->arena.stream);
    if (code == KO_OK && !pass->only_last && !pass->recorder) {
        stream.n_mixed = 0;
        code = gather_last(engine, set, &stream, err);
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
    const struct ko_unembed unembed = {.n = set->n_scored,
                                       .row = set->source,
                                       .n_rows = set->n_last,
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

/* The metrics of the last rows x [n_last, d_model]. */
static enum ko_code score_last(const struct ko_engine *engine, const struct ko_row_set *set,
                               const struct ko_stop *stop, float *x, struct ko_error *err)
{
    const float *final = NULL;
    enum ko_code code = ko_pass_final(&engine->pass, set->n_last, x, &final, err);
    if (code == KO_OK) {
        code = check_stop(stop, err);
    }
    return code == KO_OK ? compute_metrics(engine, set, final, err) : code;
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
    pass->source = ko_given_source(engine->given, set);
    pass->only_last = false;
    pass->first_last = set->first_last;
    pass->n_last = set->n_last;
    float *x = NULL;
    enum ko_code code = pass->kernels->set_rows(pass->be, &set->rows, err);
    if (code == KO_OK) {
        code = run_sublayers(engine, set, stop, &x, err);
    }
    if (code == KO_OK && !pass->recorder) {
        code = score_last(engine, set, stop, x, err);
    }
    pass->rows = NULL;
    return code;
}
