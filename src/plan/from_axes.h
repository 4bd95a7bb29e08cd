/* SPDX-License-Identifier: Apache-2.0 */
/* A sweep's plan from its axes alone, without a spec, for `bench` and `verify`. */
#ifndef KO_PLAN_FROM_AXES_H
#define KO_PLAN_FROM_AXES_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/plan/plan.h"

/* Everything is borrowed, except model and prompt: the plan takes these two on success and sets
   them to NULL. */
struct ko_plan_axes {
    struct ko_plan_model *model; /* [n_models] */
    int32_t n_models;
    struct ko_prompt *prompt; /* [n_models * n_facts], the facts of all files in order */
    enum ko_score score;
    enum ko_answer_rows answer_rows;
    const struct ko_facts *facts; /* [n_files] */
    size_t n_files;
    const struct ko_strings *routes[2]; /* labels, each once: the second list follows the first */
    const struct ko_strings *classes;   /* labels, each once */
    enum ko_over over;                  /* the layers that sizes and starts count */
    enum ko_style style;                /* of the windows */
    struct ko_window_lists lists;       /* of KO_STYLE_LISTED */
    const int32_t *size;                /* [n_sizes] counted layers, ascending */
    const int32_t *start;               /* [n_starts] counted layers, ascending */
    int32_t n_sizes, n_starts;
};

/* Builds a plan of one block that selects everything: each runnable prompt of each model, each
   route, class and start, and each size that fits the model. The plan may have no cell, and the
   number of its cells is not limited, since no cube is made of it. KO_E_INPUT for a label that
   cannot be read, for a class that no model has and for duplicate ids. Free with ko_plan_free. */
KO_MUST_CHECK enum ko_code ko_plan_from_axes(struct ko_plan_axes *axes, struct ko_plan **out,
                                             struct ko_error *err);

#endif
