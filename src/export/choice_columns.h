/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of several right answers and options in exported tables. */
#ifndef KO_EXPORT_CHOICE_COLUMNS_H
#define KO_EXPORT_CHOICE_COLUMNS_H

#include <stdint.h>

#include "src/base/text.h"
#include "src/plan/stored_metrics.h"

/* The names of the columns, each after a comma. */
extern const char ko_csv_choice_header[];
/* Adds the fields, each after a comma: those of KO_CHOICE_METRICS, and the options' log-probabilities
   [n_options] with blanks between them. Numbers that are not there leave a field empty. */
void ko_csv_choice_add(struct ko_text *text, const struct ko_choice_metrics *choice,
                       const float *option_logprob, int32_t n_options);

#endif
