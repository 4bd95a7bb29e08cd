/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at every wave of a plan and at its rows. */
#ifndef TESTS_SUPPORT_EVERY_WAVE_H
#define TESTS_SUPPORT_EVERY_WAVE_H

#include <stdint.h>

#include "src/forward/rows.h"
#include "src/plan/plan.h"
#include "src/tree/waves/wave.h"

struct wave_of {
    const struct ko_plan *plan;
    const struct ko_wave *wave;
    const struct ko_row_set *set;
};

typedef void check_wave(const struct wave_of *w);

/* Composes the plan's batches and calls check on every wave. Returns how many there were. Fails where
   a wave has other rows than its arrays or more than the row budget, or the waves of a batch have other
   rows than the batch. */
int32_t check_every_wave(const struct ko_plan *plan, check_wave *check);
/* The prompt of a wave with this index. Borrowed. */
const struct ko_prompt *prompt_of_wave(const struct wave_of *w, int32_t prompt);

#endif
