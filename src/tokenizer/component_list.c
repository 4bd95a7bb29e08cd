/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the arrays of normalizers, pre-tokenizers and post-processors from the lists in the
   header. */
#include "src/tokenizer/component_list.h"

#define X(type) &type,

const struct ko_component_type *const *ko_normalizer_types(size_t *n)
{
    static const struct ko_component_type *const types[] = {KO_NORMALIZERS(X)};
    *n = sizeof types / sizeof types[0];
    return types;
}

const struct ko_component_type *const *ko_pre_tokenizer_types(size_t *n)
{
    static const struct ko_component_type *const types[] = {KO_PRE_TOKENIZERS(X)};
    *n = sizeof types / sizeof types[0];
    return types;
}

const struct ko_component_type *const *ko_post_processor_types(size_t *n)
{
    static const struct ko_component_type *const types[] = {KO_POST_PROCESSORS(X)};
    *n = sizeof types / sizeof types[0];
    return types;
}
