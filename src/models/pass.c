/* SPDX-License-Identifier: Apache-2.0 */
/* Has the steps that sublayers share: finding a weight, linear layers and norms. It also has both
   ends of a forward pass. The loop over the layers is in src/forward/pass.c. */
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

enum ko_code ko_pass_linear(const struct ko_pass *pass, int32_t n, const float *x, int32_t ldx,
                            struct ko_projection w, bool accumulate, float *y, int32_t ldy,
                            struct ko_error *err)
{
    const struct ko_linear args = {
        .n = n,
        .x = x,
        .ldx = ldx,
        .w = ko_model_matrix(pass->model, &pass->arena, w.weight),
        .bias = ko_pass_weight(pass, w.bias),
        .accumulate = accumulate,
        .y = y,
        .ldy = ldy,
    };
    return pass->kernels->linear(pass->be, &args, err);
}

enum ko_code ko_pass_norm(const struct ko_pass *pass, const struct ko_norm *norm, int32_t n,
                          const float *x, float *y, struct ko_error *err)
{
    const int32_t d = pass->model->shape.d_model;
    if (norm->kind == KO_LAYER_NORM) {
        const struct ko_layer_norm args = {
            .n = n,
            .d = d,
            .x = x,
            .ldx = d,
            .weight = ko_pass_weight(pass, norm->weight),
            .bias = ko_pass_weight(pass, norm->bias),
            .eps = norm->eps,
            .y = y,
            .ldy = d,
        };
        return pass->kernels->layer_norm(pass->be, &args, err);
    }
    const struct ko_rms_norm args = {
        .n = n,
        .d = d,
        .x = x,
        .ldx = d,
        .weight = ko_pass_weight(pass, norm->weight),
        .eps = norm->eps,
        .y = y,
        .ldy = d,
    };
    return pass->kernels->rms_norm(pass->be, &args, err);
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
    return ko_pass_norm(pass, &pass->model->ends.final_norm, n, x, x, err);
}

struct ko_matrix ko_model_unembedding(const struct ko_model *model, const struct ko_arena *arena)
{
    return ko_model_matrix(model, arena, model->ends.head);
}
