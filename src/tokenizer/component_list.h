/* SPDX-License-Identifier: Apache-2.0 */
/* The list of all component types. A new type is a file that defines it and a line here. */
#ifndef KO_TOKENIZER_COMPONENT_LIST_H
#define KO_TOKENIZER_COMPONENT_LIST_H

#include "src/tokenizer/component.h"

#define KO_NORMALIZERS(X)                                                                          \
    X(ko_nfc_normalizer)                                                                           \
    X(ko_nfd_normalizer)                                                                           \
    X(ko_nfkc_normalizer)                                                                          \
    X(ko_nfkd_normalizer)                                                                          \
    X(ko_lowercase_normalizer)                                                                     \
    X(ko_prepend_normalizer)                                                                       \
    X(ko_replace_normalizer)                                                                       \
    X(ko_strip_normalizer)                                                                         \
    X(ko_sequence_normalizer)

#define KO_PRE_TOKENIZERS(X)                                                                       \
    X(ko_byte_level_pre_tokenizer)                                                                 \
    X(ko_digits_pre_tokenizer)                                                                     \
    X(ko_metaspace_pre_tokenizer)                                                                  \
    X(ko_punctuation_pre_tokenizer)                                                                \
    X(ko_split_pre_tokenizer)                                                                      \
    X(ko_whitespace_pre_tokenizer)                                                                 \
    X(ko_whitespace_split_pre_tokenizer)                                                           \
    X(ko_sequence_pre_tokenizer)

#define KO_POST_PROCESSORS(X)                                                                      \
    X(ko_byte_level_post_processor)                                                                \
    X(ko_template_post_processor)                                                                  \
    X(ko_sequence_post_processor)

#define KO_SUBWORD_MODELS(X) X(ko_bpe_model)

#define X(type) extern const struct ko_component_type type;
KO_NORMALIZERS(X)
KO_PRE_TOKENIZERS(X)
KO_POST_PROCESSORS(X)
#undef X
#define X(type) extern const struct ko_subword_type type;
KO_SUBWORD_MODELS(X)
#undef X

struct ko_component_types ko_normalizer_types(void);
struct ko_component_types ko_pre_tokenizer_types(void);
struct ko_component_types ko_post_processor_types(void);
struct ko_subword_types ko_subword_types(void);

#endif
