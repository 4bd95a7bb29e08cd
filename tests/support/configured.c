/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/configured.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/models/model_open.h"

static void need(int true_here, const char *what)
{
    if (true_here) {
        return;
    }
    fprintf(stderr, "%s\n", what);
    abort();
}

struct ko_model *test_configured(const char *model_type, const char *config, struct ko_error *err)
{
    struct ko_model *model = NULL;
    json_object *root = json_tokener_parse(config);
    need(root != NULL, config);
    if (model_type) {
        json_object_object_add(root, "model_type", json_object_new_string(model_type));
    }
    enum ko_code code = ko_model_from_config("toy", root, &model, err);
    json_object_put(root);
    need(code == KO_OK ? model != NULL : code == KO_E_INPUT && !model, config);
    return model;
}

struct ko_model *test_accepted(const char *model_type, const char *config)
{
    struct ko_error err = {0};
    struct ko_model *model = test_configured(model_type, config, &err);
    if (!model) {
        fprintf(stderr, "%s %s: %s\n", model_type, config, err.text);
        abort();
    }
    return model;
}

size_t test_refusals(const char *model_type, const struct test_refusal *rows, size_t n)
{
    size_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured(model_type, rows[i].config, &err);
        ko_model_free(model);
        if (!model && strcmp(err.text, rows[i].text) == 0) {
            continue;
        }
        fprintf(stderr, "%s: '%s' is not '%s'\n", rows[i].config, err.text, rows[i].text);
        bad++;
    }
    return bad;
}

struct test_sizes test_sizes_of(const struct ko_model *model)
{
    const struct ko_shape *shape = &model->shape;
    const struct ko_sizes all = ko_model_sizes(model);
    return (struct test_sizes){
        .n_layers = shape->n_layers,
        .d_model = shape->d_model,
        .vocabulary = shape->vocabulary,
        .max_tokens = shape->max_tokens,
        .bos_id = shape->bos_id,
        .d_inner = all.d_inner,
        .d_state = all.d_state,
        .d_conv = all.d_conv,
        .dt_rank = all.dt_rank,
        .n_groups = all.n_groups,
        .conv_channels = all.conv_channels,
        .n_features = all.n_features,
        .n_ssm_heads = all.n_ssm_heads,
        .d_ssm_head = all.d_ssm_head,
        .n_heads = all.n_heads,
        .n_kv_heads = all.n_kv_heads,
        .d_head = all.d_head,
        .d_ff = all.d_ff,
        .reach = all.reach > 0 ? all.reach : INT32_MAX,
        .norm_eps = model->ends.final_norm.eps,
    };
}

int32_t test_reach(const struct ko_model *model, int32_t layer)
{
    for (size_t i = 0; i < model->n_sublayers; i++) {
        if (model->sublayer[i].layer == layer && model->sublayer[i].size.reach > 0) {
            return model->sublayer[i].size.reach;
        }
    }
    need(0, "no attention in this layer");
    return 0;
}

bool test_has_weight(const struct ko_model *model, const char *tensor)
{
    for (size_t w = 0; w < model->n_weights; w++) {
        if (strcmp(model->weights[w].tensor, tensor) == 0) {
            return true;
        }
    }
    return false;
}

void test_mixers_of(const struct ko_model *model, enum ko_mixer mixer, char letter, char *letters)
{
    for (size_t i = 0; i < model->n_sublayers; i++) {
        const struct ko_sublayer *sublayer = &model->sublayer[i];
        if (sublayer->kind->mixer) {
            *letters++ = sublayer->kind->mixer == mixer ? letter : 'a';
        }
    }
    *letters = '\0';
}
