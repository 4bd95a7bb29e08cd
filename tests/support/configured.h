/* SPDX-License-Identifier: Apache-2.0 */
/* Models from a configuration alone, and tables of configurations that are refused. */
#ifndef TESTS_SUPPORT_CONFIGURED_H
#define TESTS_SUPPORT_CONFIGURED_H

#include <stddef.h>

#include "src/base/mixer.h"
#include "src/models/model.h"

/* The model "toy" of the JSON object `config`, with this model_type (NULL: as it is), or NULL with
   the error. Aborts where a code and what is handed out do not fit. */
struct ko_model *test_configured(const char *model_type, const char *config, struct ko_error *err);
/* The same for a configuration that must be accepted: aborts with the error if it is refused. */
struct ko_model *test_accepted(const char *model_type, const char *config);

struct test_refusal {
    const char *config, *text;
};
/* The number of rows that are not refused with exactly their text, each told on stderr. */
size_t test_refusals(const char *model_type, const struct test_refusal *rows, size_t n);

/* What a model's configuration says, in one place: the shape, and the sizes of its sublayers. */
struct test_sizes {
    int32_t n_layers, d_model, vocabulary, max_tokens, bos_id;
    int32_t d_inner, d_state, d_conv, dt_rank, n_groups, conv_channels, n_features;
    int32_t n_ssm_heads, d_ssm_head, n_heads, n_kv_heads, d_head, d_ff;
    int32_t reach; /* INT32_MAX without attention */
    float norm_eps;
};
struct test_sizes test_sizes_of(const struct ko_model *model);
/* The sliding window of the attention in this layer; INT32_MAX: none. */
int32_t test_reach(const struct ko_model *model, int32_t layer);
/* One letter for each mixer, in the order of the layers, ended with '\0': `letter` for this kind of
   mixer, 'a' for every other. */
void test_mixers_of(const struct ko_model *model, enum ko_mixer mixer, char letter, char *letters);
/* Whether the model has a weight of this tensor. */
bool test_has_weight(const struct ko_model *model, const char *tensor);

#endif
