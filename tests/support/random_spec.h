/* SPDX-License-Identifier: Apache-2.0 */
/* Random sweep specs of three models, with routes of edges and of components, heads, and classes that
   take values from other prompts. Some have no cell. */
#ifndef TESTS_SUPPORT_RANDOM_SPEC_H
#define TESTS_SUPPORT_RANDOM_SPEC_H

#include <stdint.h>

#include "src/base/text.h"
#include "tests/support/made_plan.h"

enum { RANDOM_MODELS = 3 };

struct random_spec {
    struct made_case made; /* borrows the text */
    struct ko_text text;   /* owned */
    uint64_t state;        /* of random_pick; begins with the number */
};

/* The number-th spec: the same for each number. In every second one the layers of the model with
   attention have different sliding windows. In every third one the first model is a hybrid: layers
   with an SSM, with attention, with both side by side, and with no mixer; in every sixth one layers
   without a mixer come first and follow each other. In three of four windows count only layers with
   some kind of mixer. Free with random_spec_free. */
struct random_spec random_spec_make(int32_t number);
void random_spec_free(struct random_spec *spec);

/* One of 0 ... n - 1. */
int32_t random_pick(uint64_t *state, int32_t n);

#endif
