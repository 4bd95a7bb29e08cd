/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that sublayers share, and both ends of a forward pass. The loop over the layers is in
   src/forward/pass.c. */
#include "src/models/pass.h"

const float *ko_pass_weight(const struct ko_pass *pass, size_t weight)
{
    return weight == KO_NO_WEIGHT ? NULL : pass->arena.values + pass->model->weights[weight].offset;
}

struct ko_matrix ko_model_matrix(const struct ko_model *model, const struct ko_arena *arena,
                                 size_t weight)
{
    if (weight == KO_NO_WEIGHT) {
        return (struct ko_matrix){.data = NULL};
    }
    const struct ko_weight *w = &model->weights[weight];
    const size_t at = arena->at ? arena->at[weight] : ko_weight_at(w, arena->type);
    struct ko_matrix matrix = {
        .data = (const unsigned char *)arena->matrices + at,
        .in_first = w->in_first,
        .type = ko_weight_type(w, arena->type),
    };
    ko_weight_sides(w, &matrix.n_out, &matrix.n_in);
    return matrix;
}

static void run_linear(struct ko_steps *steps, struct ko_projection w, struct ko_linear *args)
{
    args->n = steps->n;
    args->w = ko_model_matrix(steps->pass->model, &steps->pass->arena, w.weight);
    args->bias = ko_pass_weight(steps->pass, w.bias);
    ko_step_linear(steps, args);
}

void ko_step_project(struct ko_steps *steps, struct ko_projection w, const float *x, int32_t ldx,
                     float *y, int32_t ldy)
{
    run_linear(steps, w, &(struct ko_linear){.x = x, .ldx = ldx, .y = y, .ldy = ldy});
}

void ko_step_add(struct ko_steps *steps, struct ko_projection w, const float *x, int32_t ldx,
                 float *y)
{
    const int32_t d = steps->pass->model->shape.d_model;
    run_linear(steps, w,
               &(struct ko_linear){.accumulate = true, .x = x, .ldx = ldx, .y = y, .ldy = d});
}

/* y [n, width] (row distance ld) = norm(x [n, width] (ld)); y may be x. */
static void run_norm(struct ko_steps *steps, const struct ko_norm *norm, int32_t width,
                     const float *x, float *y, int32_t ld)
{
    if (norm->kind == KO_NO_NORM) {
        return;
    }
    const float *weight = ko_pass_weight(steps->pass, norm->weight);
    if (norm->kind == KO_RMS_NORM) {
        ko_step_rms_norm(steps, &(const struct ko_rms_norm){.n = steps->n,
                                                            .d = width,
                                                            .x = x,
                                                            .ldx = ld,
                                                            .weight = weight,
                                                            .eps = norm->eps,
                                                            .y = y,
                                                            .ldy = ld});
    } else {
        ko_step_layer_norm(
            steps, &(const struct ko_layer_norm){.n = steps->n,
                                                 .d = width,
                                                 .x = x,
                                                 .ldx = ld,
                                                 .weight = weight,
                                                 .bias = ko_pass_weight(steps->pass, norm->bias),
                                                 .eps = norm->eps,
                                                 .y = y,
                                                 .ldy = ld});
    }
}

void ko_step_norm(struct ko_steps *steps, const struct ko_norm *norm, const float *x, float *y)
{
    const int32_t d = steps->pass->model->shape.d_model;
    run_norm(steps, norm, d, x, y, d);
}

void ko_step_norm_of(struct ko_steps *steps, const struct ko_norm *norm, int32_t width, float *x,
                     int32_t ld)
{
    run_norm(steps, norm, width, x, x, ld);
}

const float *ko_step_input(struct ko_steps *steps, const struct ko_norm *norm, const float *x,
                           float *buffer)
{
    if (norm->kind == KO_NO_NORM) {
        return x;
    }
    ko_step_norm(steps, norm, x, buffer);
    return buffer;
}

void ko_step_scale(struct ko_steps *steps, size_t offset, int32_t width, float *x, int32_t ld)
{
    if (offset != KO_NO_WEIGHT) {
        ko_step_scale_columns(
            steps, &(const struct ko_scale_columns){.n = steps->n,
                                                    .d = width,
                                                    .scale = steps->pass->arena.values + offset,
                                                    .x = x,
                                                    .ld = ld});
    }
}

void ko_step_copy(struct ko_steps *steps, int32_t width, const float *x, float *y, int32_t ldy)
{
    ko_step_copy_heads(steps, &(const struct ko_copy_heads){.n = steps->n,
                                                            .n_heads = 1,
                                                            .d = width,
                                                            .from = x,
                                                            .ld_from = width,
                                                            .to = y,
                                                            .ld_to = ldy});
}

void ko_step_add_output(struct ko_steps *steps, const struct ko_sublayer *sublayer, float *output,
                        float *x)
{
    const int32_t d = steps->pass->model->shape.d_model;
    ko_step_norm(steps, &sublayer->post_norm, output, output);
    ko_step_add_scaled(steps, &(const struct ko_add_scaled){.n = steps->n,
                                                            .d = d,
                                                            .x = output,
                                                            .ldx = d,
                                                            .scale = sublayer->out_scale,
                                                            .y = x,
                                                            .ldy = d});
    ko_step_norm(steps, &sublayer->sum_norm, x, x);
}

void ko_step_output(struct ko_steps *steps, const struct ko_sublayer *sublayer, const float *from,
                    int32_t ldx, float *x)
{
    float *output = steps->pass->buffer[KO_OUTPUT_BUFFER];
    if (ko_sublayer_adds_directly(sublayer)) {
        ko_step_add(steps, sublayer->out, from, ldx, x);
        ko_step_norm(steps, &sublayer->sum_norm, x, x);
        return;
    }
    ko_step_project(steps, sublayer->out, from, ldx, output, steps->pass->model->shape.d_model);
    ko_step_add_output(steps, sublayer, output, x);
}

enum ko_code ko_pass_finish(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                            int32_t n, float *x, const float *mixed, int32_t ld_mixed,
                            struct ko_error *err)
{
    struct ko_steps steps = {pass, n, err, KO_OK};
    ko_step_output(&steps, sublayer, mixed, ld_mixed, x);
    return steps.code;
}

/* The embedding is narrower than x: x begins as the positions, then takes the projected tokens. */
static void embed_narrow(struct ko_steps *steps, struct ko_embed *args)
{
    const struct ko_pass *pass = steps->pass;
    const struct ko_ends *ends = &pass->model->ends;
    const int32_t d = pass->model->shape.d_model;
    float *tokens = pass->buffer[KO_OUTPUT_BUFFER];
    const struct ko_embed positions = {
        .positions = args->positions, .first_position = args->first_position, .x = pass->x};
    args->positions = (struct ko_matrix){.data = NULL};
    args->x = tokens;
    ko_step_embed(steps, args);
    if (positions.positions.data) {
        ko_step_embed(steps, &positions);
        ko_step_add(steps, ends->project_in, tokens, ends->embedding_width, pass->x);
    } else {
        ko_step_project(steps, ends->project_in, tokens, ends->embedding_width, pass->x, d);
    }
}

enum ko_code ko_pass_embed(const struct ko_pass *pass, struct ko_error *err)
{
    const struct ko_ends *ends = &pass->model->ends;
    struct ko_steps steps = {pass, pass->rows->n_embedded, err, KO_OK};
    struct ko_embed args = {
        .tokens = ko_model_matrix(pass->model, &pass->arena, ends->embedding),
        .scale = ends->embedding_scale,
        .positions = ko_model_matrix(pass->model, &pass->arena, ends->positions),
        .first_position = ends->first_position,
        .x = pass->x,
    };
    if (ends->project_in.weight != KO_NO_WEIGHT) {
        embed_narrow(&steps, &args);
    } else {
        ko_step_embed(&steps, &args);
    }
    if (steps.code == KO_OK && pass->source) {
        steps.code = pass->source->put(pass->source->self, pass, err);
    }
    if (ends->kept) {
        ko_step_copy(&steps, pass->model->shape.d_model, pass->x, pass->buffer[KO_EMBEDDED_BUFFER],
                     pass->model->shape.d_model);
    }
    return steps.code;
}

enum ko_code ko_pass_final(const struct ko_pass *pass, int32_t n, float *x, const float **out,
                           struct ko_error *err)
{
    const struct ko_ends *ends = &pass->model->ends;
    struct ko_steps steps = {pass, n, err, KO_OK};
    ko_step_norm(&steps, &ends->final_norm, x, x);
    *out = x;
    if (ends->project_out.weight != KO_NO_WEIGHT) {
        float *narrow = pass->buffer[KO_OUTPUT_BUFFER];
        ko_step_project(&steps, ends->project_out, x, pass->model->shape.d_model, narrow,
                        ends->embedding_width);
        *out = narrow;
    }
    return steps.code;
}

struct ko_matrix ko_model_unembedding(const struct ko_model *model, const struct ko_arena *arena)
{
    return ko_model_matrix(model, arena, model->ends.head);
}
