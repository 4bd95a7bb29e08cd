/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the arrays of types from the lists in the header. */
#include "src/tokenizer/component_list.h"

#define X(type) &type,

static const struct ko_component_type *const normalizers[] = {KO_NORMALIZERS(X)};
static const struct ko_component_type *const pre_tokenizers[] = {KO_PRE_TOKENIZERS(X)};
static const struct ko_component_type *const post_processors[] = {KO_POST_PROCESSORS(X)};
static const struct ko_subword_type *const subword_models[] = {KO_SUBWORD_MODELS(X)};

struct ko_component_types ko_normalizer_types(void)
{
    return (struct ko_component_types){normalizers, sizeof normalizers / sizeof normalizers[0]};
}

struct ko_component_types ko_pre_tokenizer_types(void)
{
    return (struct ko_component_types){pre_tokenizers,
                                       sizeof pre_tokenizers / sizeof pre_tokenizers[0]};
}

struct ko_component_types ko_post_processor_types(void)
{
    return (struct ko_component_types){post_processors,
                                       sizeof post_processors / sizeof post_processors[0]};
}

struct ko_subword_types ko_subword_types(void)
{
    return (struct ko_subword_types){subword_models,
                                     sizeof subword_models / sizeof subword_models[0]};
}
