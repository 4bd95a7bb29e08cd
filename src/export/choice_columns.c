/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the columns of several right answers and options. */
#include "src/export/choice_columns.h"

#include <math.h>

#include "src/formats/csv_stream.h"

#define X(FIELD, name, ...) "," #name
const char ko_csv_choice_header[] = KO_CHOICE_METRICS(X, ) ",option_logprob";
#undef X

static void add_float(struct ko_text *text, float value)
{
    ko_text_add(text, ",");
    ko_csv_number(text, (double)value);
}

static void add_int(struct ko_text *text, int32_t value)
{
    ko_text_add(text, ",");
    if (value >= 0) {
        ko_text_add(text, "%d", value);
    }
}

#define ADD_FLOAT add_float
#define ADD_INT   add_int

void ko_csv_choice_add(struct ko_text *text, const struct ko_choice_metrics *choice,
                       const float *option_logprob, int32_t n_options)
{
#define X(FIELD, name, TYPE, ...) ADD_##TYPE(text, choice->name);
    KO_CHOICE_METRICS(X, )
#undef X
    ko_text_add(text, ",");
    for (int32_t k = 0; k < n_options && !isnan(option_logprob[k]); k++) {
        ko_text_add(text, "%s", k == 0 ? "" : " ");
        ko_csv_number(text, (double)option_logprob[k]);
    }
}
