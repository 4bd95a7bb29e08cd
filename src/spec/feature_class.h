/* SPDX-License-Identifier: Apache-2.0 */
/* Feature classes: which mixers a knockout acts on, and which features (channels or heads) of an
   edge it removes there. */
#ifndef KO_SPEC_FEATURE_CLASS_H
#define KO_SPEC_FEATURE_CLASS_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/base/mixer.h"

enum ko_feature_kind {
    KO_FEATURE_ALL,
    KO_FEATURE_SLOW_THIRD,
    KO_FEATURE_FAST_THIRD,
    KO_FEATURE_NOT_SLOW_THIRD,
    KO_FEATURE_NOT_FAST_THIRD,
    KO_FEATURE_RANDOM_THIRD,
    KO_FEATURE_AFTER_SOFTMAX,
    KO_FEATURE_ATTENTION,
    KO_FEATURE_SSM,
    KO_FEATURE_CONV,
    KO_FEATURE_HEAD,    /* head:K, one query head of the attention */
    KO_FEATURE_SSM_HEAD /* ssm-head:K, one head of Mamba-2 or gated DeltaNet */
};

/* What a component route puts in the place of the component. */
enum ko_replacement {
    KO_REPLACE_ZERO,
    KO_REPLACE_MEAN,    /* ~mean: its mean over the prompts */
    KO_REPLACE_RESAMPLE /* ~resample:SEED: the same component of another prompt */
};

/* The head of `head:each` and `ssm-head:each`, which stand for every head of a model. Only a spec
   has them; a plan has a class for each head. */
enum { KO_HEAD_EACH = -1 };

struct ko_feature_class {
    enum ko_feature_kind kind;
    uint64_t seed; /* random-third:SEED */
    int32_t head;  /* head:K, ssm-head:K */
    bool conv;     /* +conv */
    enum ko_replacement replacement;
    uint64_t donor_seed; /* ~resample:SEED */
};

/* Parses a label: NAME[:NUMBER][+conv][~mean | ~resample:SEED]. context-dependent and
   context-independent are aliases of slow-third and fast-third (the paper's text). KO_E_INPUT naming
   the nearest known class. */
KO_MUST_CHECK enum ko_code ko_feature_class_parse(const char *text, struct ko_feature_class *out,
                                                  struct ko_error *err);
/* The canonical label into buffer: "random-third:7+conv", "head:3~mean". */
void ko_feature_class_label(const struct ko_feature_class *feature_class, char buffer[64]);

/* The kinds of mixers by the number of their bit, as classes are called: "attention". */
enum { KO_N_MIXERS = 3 };
extern const char *const ko_mixer_words[KO_N_MIXERS];

/* What a model offers to classes. */
struct ko_model_features {
    uint8_t mixers;      /* the kinds that it has, bits of enum ko_mixer */
    int32_t n_features;  /* F: channels (Mamba-1) or heads (Mamba-2); 0: no features to select */
    int32_t n_heads;     /* query heads of its attention */
    int32_t n_ssm_heads; /* heads of its SSMs; 0 where they have none (Mamba-1, RG-LRU) */
};
/* Whether the class is a single head. */
bool ko_feature_class_is_head(const struct ko_feature_class *feature_class);
/* The kinds of mixers that the class acts on, bits of enum ko_mixer. */
uint8_t ko_feature_class_mixers(const struct ko_feature_class *feature_class);
/* Whether a model has the class: it has a mixer of the class's kinds, and an SSM for `+conv`.
   Thirds also need F >= 3, their complements F >= 1. A head must be one of the model's. */
bool ko_feature_class_exists(const struct ko_feature_class *feature_class,
                             const struct ko_model_features *model);
/* Whether the class removes every feature of an SSM, so that no mask is needed. */
bool ko_feature_class_is_everything(const struct ko_feature_class *feature_class,
                                    int32_t n_features);

/* Sets mask[F] to 1 where the feature's edges are removed in this layer. norm[F]: the layer's decay
   norms, which only thirds read. For ssm-head:K the features are the heads. Ties keep the order of the features, as in the oracle's feature_mask. */
KO_MUST_CHECK enum ko_code ko_feature_mask(const struct ko_feature_class *feature_class,
                                           const double *norm, int32_t n_features, int32_t layer,
                                           uint8_t *mask, struct ko_error *err);

#endif
