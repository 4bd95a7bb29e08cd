/* SPDX-License-Identifier: Apache-2.0 */
/* Feature classes: which features (channels or heads) of an edge are removed. */
#ifndef KO_SPEC_FEATURE_CLASS_H
#define KO_SPEC_FEATURE_CLASS_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"

enum ko_feature_kind {
    KO_FEATURE_ALL,
    KO_FEATURE_SLOW_THIRD,
    KO_FEATURE_FAST_THIRD,
    KO_FEATURE_NOT_SLOW_THIRD,
    KO_FEATURE_NOT_FAST_THIRD,
    KO_FEATURE_RANDOM_THIRD,
    KO_FEATURE_AFTER_SOFTMAX
};

struct ko_feature_class {
    enum ko_feature_kind kind;
    uint64_t seed; /* random-third:SEED */
    bool conv;     /* +conv */
};

/* Parses a label; context-dependent and context-independent are aliases of slow-third and
   fast-third (the paper's text). KO_E_INPUT naming the nearest known class. */
KO_MUST_CHECK enum ko_code ko_feature_class_parse(const char *text, struct ko_feature_class *out,
                                                  struct ko_error *err);
/* The canonical label into buffer: "random-third:7+conv". */
void ko_feature_class_label(const struct ko_feature_class *feature_class, char buffer[64]);

/* Whether a model has the class. n_features is F, or 0 for attention. Attention has `all` and
   `after-softmax`. SSMs have every class but after-softmax; thirds need F >= 3, their complements
   F >= 1. */
bool ko_feature_class_exists(const struct ko_feature_class *feature_class, int32_t n_features);
/* Whether the class removes every feature, so that no mask is needed. */
bool ko_feature_class_is_everything(const struct ko_feature_class *feature_class,
                                    int32_t n_features);

/* Sets mask[F] to 1 where the feature's edges are removed in this layer. norm[F]: the layer's decay
   norms. Ties keep the order of the features, as in the oracle's feature_mask. */
KO_MUST_CHECK enum ko_code ko_feature_mask(const struct ko_feature_class *feature_class,
                                           const double *norm, int32_t n_features, int32_t layer,
                                           uint8_t *mask, struct ko_error *err);

#endif
