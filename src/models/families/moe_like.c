/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the numbers of experts, and lists models whose MLPs are mixtures of experts. */
#include "src/models/families/moe_like.h"

#include <string.h>

#include "src/models/config.h"
#include "src/models/declare.h"

/* Of all layers, where each has three tensors: a checkpoint may have 262,144 tensors. */
enum { MOST_EXPERTS = 1 << 16 };

void ko_moe_read(struct ko_builder *b, const char *key, int32_t n_experts, int32_t n_chosen,
                 struct ko_moe_spec *out)
{
    static const char chosen_key[] = "num_experts_per_tok";
    static const char *const keys[] = {"num_experts", "num_local_experts"};
    const char *alias = keys[strcmp(key, keys[0]) == 0];
    const struct ko_size_row sizes[] = {
        {key, alias, n_experts, KO_MAX_EXPERTS, &out->n_experts},
        {chosen_key, NULL, n_chosen, KO_MAX_EXPERTS, &out->n_chosen},
    };
    ko_config_sizes(b, sizes, 2);
    if (out->n_chosen > out->n_experts) {
        ko_config_fail(b, chosen_key, "%d experts of %d cannot be chosen", out->n_chosen,
                       out->n_experts);
        out->n_chosen = out->n_experts;
    }
}

void ko_moe_read_groups(struct ko_builder *b, const char *key, const char *chosen_key,
                        struct ko_moe_spec *out)
{
    int32_t n = 1, chosen = 1;
    ko_config_size(b, &(const struct ko_size_row){key, NULL, 1, KO_MAX_EXPERT_GROUPS, &n});
    ko_config_size(b, &(const struct ko_size_row){chosen_key, NULL, 1, n, &chosen});
    if (out->n_experts % n != 0 || (n > 1 && out->n_experts / n < 2)) {
        ko_config_fail(b, key, "%d experts cannot be divided into %d groups of two or more",
                       out->n_experts, n);
        return;
    }
    const int32_t size = out->n_experts / n;
    if (size * chosen < out->n_chosen) {
        ko_config_fail(b, chosen_key, "%d groups of %d experts are fewer than the %d to choose",
                       chosen, size, out->n_chosen);
    }
    out->n_groups = chosen < n ? n : 0; /* all groups: no choice */
    out->n_chosen_groups = chosen;
}

void ko_moe_check(struct ko_builder *b, const struct ko_moe_spec *spec)
{
    const int64_t n_experts = (int64_t)b->model->shape.n_layers * spec->n_experts;
    if (spec->layout == KO_MOE_LISTED && n_experts > MOST_EXPERTS) {
        ko_config_fail(b, "num_hidden_layers", "%d layers of %d experts have more than %d experts",
                       b->model->shape.n_layers, spec->n_experts, MOST_EXPERTS);
    }
}

void ko_moe_read_dense(struct ko_builder *b, uint8_t *dense)
{
    int32_t step = 1;
    ko_config_size(
        b, &(const struct ko_size_row){"decoder_sparse_step", NULL, 1, KO_MAX_LAYERS, &step});
    for (int32_t l = 0; l < b->model->shape.n_layers; l++) {
        dense[l] = (l + 1) % step != 0;
    }
    ko_config_layer_list(b, "mlp_only_layers", 0, dense);
}

void ko_moe_list(struct ko_builder *b, const struct ko_llama_layer *layer,
                 const struct ko_moe_layers *layers)
{
    struct ko_attention_spec attention = layers->attention;
    ko_moe_check(b, &layers->moe);
    ko_llama_begin(b);
    ko_declare_rope(b, &layer->rope, &attention.rope);
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        attention.reach = layer->sliding[l] ? layer->reach : INT32_MAX;
        ko_declare_layer(b, "layers", l);
        ko_attention_add(b, &attention);
        if (layers->dense && layers->dense[l]) {
            ko_mlp_add(b, &layers->mlp);
        } else {
            ko_moe_add(b, &layers->moe);
        }
    }
    ko_llama_end(b, layer->norm_eps);
}
