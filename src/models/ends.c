#include "src/models/ends.h"

#include <string.h>

#include "src/models/family.h"

enum ko_code ko_ends_declare_front(struct ko_model *model, const char *prefix,
                                   const char *embedding, struct ko_error *err)
{
    struct ko_ends *ends = model->bound;
    const struct ko_weight_row row = {embedding, &ends->embedding,
                                      false,     KO_AS_STORED,
                                      2,         {model->shape.vocabulary, model->shape.d_model}};
    return ko_model_add_rows(model, -1, prefix, &row, 1, err);
}

enum ko_code ko_ends_declare_back(struct ko_model *model, const char *prefix,
                                  const char *final_norm, struct ko_error *err)
{
    struct ko_ends *ends = model->bound;
    const int64_t d = model->shape.d_model, vocabulary = model->shape.vocabulary;
    const struct ko_weight_row norm = {final_norm, &ends->final_norm, false, KO_AS_STORED, 1, {d}};
    const struct ko_weight_row head = {"lm_head.weight", &ends->head, ends->tied,
                                       KO_AS_STORED,     2,           {vocabulary, d}};
    enum ko_code code = ko_model_add_rows(model, -1, prefix, &norm, 1, err);
    if (!code)
        code = ko_model_add_rows(model, -1, "", &head, 1, err);
    if (!code && ends->tied)
        ends->head = ends->embedding;
    return code;
}

bool ko_ends_ignores(const struct ko_model *model, const struct ko_checkpoint *checkpoint,
                     const struct ko_tensor *tensor)
{
    const struct ko_ends *ends = model->bound;
    if (!ends->tied || strcmp(tensor->name, "lm_head.weight") != 0)
        return false;
    const struct ko_tensor *embedding =
        ko_checkpoint_find(checkpoint, model->weights[ends->embedding].tensor);
    return embedding && ko_tensor_equals(tensor, embedding);
}

enum ko_code ko_ends_embed(const struct ko_pass *pass, struct ko_error *err)
{
    const struct ko_ends *ends = pass->model->bound;
    const struct ko_embed args = {
        .tokens = ko_model_matrix(pass->model, &pass->arena, ends->embedding),
        .x = pass->x,
    };
    return pass->k->embed(pass->be, &args, err);
}

enum ko_code ko_ends_final_norm(const struct ko_pass *pass, int32_t n, float *x,
                                struct ko_error *err)
{
    const struct ko_ends *ends = pass->model->bound;
    const int32_t d = pass->model->shape.d_model;
    const struct ko_rms_norm args = {
        .n = n,
        .d = d,
        .x = x,
        .ldx = d,
        .weight = ko_pass_weight(pass, ends->final_norm),
        .eps = pass->model->shape.norm_eps,
        .y = x,
        .ldy = d,
    };
    return pass->k->rms_norm(pass->be, &args, err);
}

struct ko_matrix ko_ends_unembedding(const struct ko_model *model, const struct ko_arena *arena)
{
    const struct ko_ends *ends = model->bound;
    return ko_model_matrix(model, arena, ends->head);
}
