/* Models from a configuration alone, and tables of configurations that are refused. */
#ifndef TESTS_SUPPORT_CONFIGURED_H
#define TESTS_SUPPORT_CONFIGURED_H

#include <stddef.h>

#include "src/models/model.h"

/* The model "toy" of the JSON object `config`, with this model_type (NULL: as it is), or NULL with
   the error. Aborts where a code and what is handed out do not fit. */
struct ko_model *test_configured(const char *model_type, const char *config, struct ko_error *err);

struct test_refusal {
    const char *config, *text;
};
/* The number of rows that are not refused with exactly their text, each told on stderr. */
size_t test_refusals(const char *model_type, const struct test_refusal *rows, size_t n);

#endif
