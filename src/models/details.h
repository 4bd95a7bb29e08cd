/* SPDX-License-Identifier: Apache-2.0 */
/* What is particular about a model beside its sizes, in words for a reader: norms of outputs, parallel
   sublayers, caps, factors, rotary scalings. */
#ifndef KO_MODELS_DETAILS_H
#define KO_MODELS_DETAILS_H

#include "src/base/text.h"
#include "src/models/model.h"

/* A list of phrases while it is made. Errors are sticky. */
struct ko_details {
    struct ko_strings *list;
    struct ko_error *err;
    enum ko_code code;
};
/* Adds a phrase, unless the list has it. */
void ko_details_add(struct ko_details *details, const char *format, ...) KO_PRINTF(2, 3);

/* Adds a phrase for each particular of the model, such as "scores capped at 50". A model of pre-norm
   layers with plain attention has none. */
KO_MUST_CHECK enum ko_code ko_model_details(const struct ko_model *model, struct ko_strings *list,
                                            struct ko_error *err);

#endif
