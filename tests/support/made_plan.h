/* SPDX-License-Identifier: Apache-2.0 */
/* Plans from the text of a sweep spec and prompts made by hand: no checkpoint, tokenizer or prompt
   file is needed. */
#ifndef TESTS_SUPPORT_MADE_PLAN_H
#define TESTS_SUPPORT_MADE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/plan/plan.h"

struct made_model {
    int32_t n_layers, n_features, d_conv;
    int32_t reach;      /* 0: INT32_MAX */
    int32_t row_budget; /* 0: enough for everything */
};

enum { MADE_MODELS = 8, MADE_FILES = 4 };

struct made_case {
    const char *spec; /* YAML; the n-th model that it declares has the shape model[n] */
    struct made_model model[MADE_MODELS];
    /* [n_layers] sliding windows of the n-th model's layers, in place of its reach; NULL: alike */
    const int32_t *layer_reach[MADE_MODELS];
    /* [n_layers] kinds of mixers (bits of enum ko_mixer) in the n-th model's layers; 0: the layer has
       none; NULL: an SSM where it has features, else attention */
    const uint8_t *layer_mixers[MADE_MODELS];
    /* Layers with attention, and layers without a mixer, have an MLP too. Attention has 3 heads, an
       SSM 2. */
    int32_t n_facts[MADE_FILES]; /* of the n-th prompt file; ids count through from 0, relations are
                                    R0, R1, R2 in turn */
    /* Changes a prompt of `model` as made by default: T = 4 + (3 fact + model) mod 7 tokens, one
       special token in front, subject [1 + fact mod 2, 3 + fact mod 2), no foil, runnable. NULL: no
       change. */
    void (*shape)(int32_t model, int32_t fact, struct ko_prompt *prompt);
    bool evaluation;                 /* a plan of clean runs */
    bool same_ids;                   /* ids of every file count from 0 */
    const int32_t *rank;             /* as ko_plan_input */
    const char *ranked[MADE_MODELS]; /* names of the models of the evaluation, NULL-terminated;
                                        none: not known */
};

/* Builds the plan of a case. warnings may be NULL. Aborts where the spec cannot be read or memory
   is short; errors of ko_plan_build are handed on. */
enum ko_code made_plan_build(const struct made_case *made, struct ko_plan **out,
                             struct ko_strings *warnings, struct ko_error *err);
/* The spec of a case, for comparison. Free with ko_spec_free. */
struct ko_spec *made_plan_spec(const struct made_case *made);

#endif
