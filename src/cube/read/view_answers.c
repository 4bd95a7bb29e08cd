/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the tokens of whole answers, and what several right answers and options have; says by which rank
   a run is correct. */
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/cube/read/view.h"
#include "src/forward/record.h"

#define EVAL_NAME(name) "eval_answer_" #name

enum ko_code ko_cube_view_answers(struct ko_cube_view *view, struct ko_answer_metrics *out,
                                  struct ko_error *err)
{
    const hsize_t n_models = view->lengths.n[KO_AXIS_MODEL];
    size_t n = 0;
    enum ko_code code = ko_multiply((size_t)n_models, (size_t)view->lengths.n[KO_AXIS_EVAL_PROMPT],
                                    &n, "models x prompts", err);

    if (code == KO_OK) {
        code = ko_multiply(n, (size_t)view->lengths.n[KO_AXIS_ANSWER_TOKEN], &n,
                           "tokens of answers", err);
    }
#define X(FIELD, name, TYPE, ...)                                                                  \
    if (code == KO_OK) {                                                                           \
        KO_METRIC_C_##TYPE *values = ko_new(n, sizeof *values, err);                               \
        code = values ? ko_cube_view_read_stored(view, EVAL_NAME(name), 0, n_models, values, err)  \
                      : KO_E_MEMORY;                                                               \
        for (size_t k = 0; code == KO_OK && k < n; k++) {                                          \
            out[k].name = values[k];                                                               \
        }                                                                                          \
        free(values);                                                                              \
    }
    KO_ANSWER_METRICS(X, )
#undef X
    return code;
}

enum ko_code ko_cube_view_choices(struct ko_cube_view *view, struct ko_choice_metrics *choice,
                                  float *option_logprob, struct ko_error *err)
{
    const hsize_t n_models = view->lengths.n[KO_AXIS_MODEL];
    size_t n = 0;
    enum ko_code code = ko_multiply((size_t)n_models, (size_t)view->lengths.n[KO_AXIS_EVAL_PROMPT],
                                    &n, "models x prompts", err);

    for (size_t k = 0; code == KO_OK && k < n; k++) {
        choice[k] = ko_no_choice_metrics;
    }
#define X(FIELD, name, TYPE, ...)                                                                  \
    if (code == KO_OK && ko_cube_view_has(view, "eval_" #name)) {                                  \
        KO_METRIC_C_##TYPE *values = ko_new(n, sizeof *values, err);                               \
        code = values ? ko_cube_view_read_stored(view, "eval_" #name, 0, n_models, values, err)    \
                      : KO_E_MEMORY;                                                               \
        for (size_t k = 0; code == KO_OK && k < n; k++) {                                          \
            choice[k].name = values[k];                                                            \
        }                                                                                          \
        free(values);                                                                              \
    }
    KO_CHOICE_METRICS(X, )
#undef X
    if (code == KO_OK && view->lengths.n[KO_AXIS_OPTION] > 0) {
        code =
            ko_cube_view_read_stored(view, "eval_option_logprob", 0, n_models, option_logprob, err);
    }
    return code;
}

int32_t ko_choice_rank(const struct ko_choice_metrics *choice, int32_t of_best)
{
    if (choice->correct == 1) {
        return 1;
    }
    return choice->option_rank >= 1 ? choice->option_rank : of_best > 2 ? of_best : 2;
}

int32_t ko_answer_worst_rank(const struct ko_answer_metrics *answer, int32_t n)
{
    int32_t worst = -1;

    for (int32_t k = 0; k < n && answer[0].rank >= 1; k++) {
        worst = answer[k].rank > worst ? answer[k].rank : worst;
    }
    return worst;
}
