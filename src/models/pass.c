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
    const int32_t first = (int32_t)w->shape[0], second = (int32_t)w->shape[1];
    return (struct ko_matrix){
        .data = (const unsigned char *)arena->matrices + w->offset * ko_element_bytes(arena->type),
        .n_out = w->in_first ? second : first,
        .n_in = w->in_first ? first : second,
        .in_first = w->in_first,
        .type = arena->type,
    };
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

void ko_step_norm(struct ko_steps *steps, const struct ko_norm *norm, const float *x, float *y)
{
    const int32_t d = steps->pass->model->shape.d_model;
    const float *weight = ko_pass_weight(steps->pass, norm->weight);
    if (norm->kind == KO_RMS_NORM) {
        ko_step_rms_norm(steps, &(const struct ko_rms_norm){.n = steps->n,
                                                            .d = d,
                                                            .x = x,
                                                            .ldx = d,
                                                            .weight = weight,
                                                            .eps = norm->eps,
                                                            .y = y,
                                                            .ldy = d});
    } else {
        ko_step_layer_norm(
            steps, &(const struct ko_layer_norm){.n = steps->n,
                                                 .d = d,
                                                 .x = x,
                                                 .ldx = d,
                                                 .weight = weight,
                                                 .bias = ko_pass_weight(steps->pass, norm->bias),
                                                 .eps = norm->eps,
                                                 .y = y,
                                                 .ldy = d});
    }
}

enum ko_code ko_pass_finish(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                            int32_t n, float *x, const float *mixed, int32_t ld_mixed,
                            struct ko_error *err)
{
    struct ko_steps steps = {pass, n, err, KO_OK};
    ko_step_add(&steps, sublayer->out, mixed, ld_mixed, x);
    return steps.code;
}

enum ko_code ko_pass_embed(const struct ko_pass *pass, struct ko_error *err)
{
    const struct ko_ends *ends = &pass->model->ends;
    const struct ko_embed args = {
        .tokens = ko_model_matrix(pass->model, &pass->arena, ends->embedding),
        .positions = ko_model_matrix(pass->model, &pass->arena, ends->positions),
        .x = pass->x,
    };
    return pass->kernels->embed(pass->be, &args, err);
}

enum ko_code ko_pass_final_norm(const struct ko_pass *pass, int32_t n, float *x,
                                struct ko_error *err)
{
    struct ko_steps steps = {pass, n, err, KO_OK};
    ko_step_norm(&steps, &pass->model->ends.final_norm, x, x);
    return steps.code;
}

struct ko_matrix ko_model_unembedding(const struct ko_model *model, const struct ko_arena *arena)
{
    return ko_model_matrix(model, arena, model->ends.head);
}
