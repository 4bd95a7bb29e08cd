/* SPDX-License-Identifier: Apache-2.0 */
/* The files that a sweep spec names: prompt files, checkpoints, tokenizers. They are opened and
   checked before any file is created. */
#ifndef KO_RUN_INPUTS_H
#define KO_RUN_INPUTS_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/error.h"
#include "src/models/model.h"
#include "src/options/options.h"
#include "src/plan/plan.h"
#include "src/prompts/facts.h"
#include "src/spec/spec.h"
#include "src/tokenizer/tokenizer.h"

/* The token in front of a model's prompts. */
struct ko_front {
    int32_t bos_id;          /* for struct ko_audit; -1: the spec's `bos` needs no id */
    struct ko_strings notes; /* what the tokenizer's side files contradict or say in vain */
};

struct ko_inputs {
    struct ko_spec *spec;
    struct ko_facts *facts; /* [spec->prompt_files.n] */
    int32_t n_facts;        /* over all files */
    /* The files of prompts that are matrices, for the cube: a line for each with its path, length and
       header's hash. Empty: the spec names none. */
    struct ko_text embeddings;
    size_t *spec_model; /* [n_models] index into spec->model */
    struct ko_model **model;
    char **fingerprint; /* [n_models] of the checkpoint; "" without weights */
    struct ko_tokenizer **tokenizer;
    struct ko_front *front; /* [n_models] */
    uint8_t *used;          /* [n_models] whether a block of the spec uses it */
    int32_t n_models;
    uint8_t *streams;        /* [n_models] whether its weights stream; ko_dry_plan_check decides */
    uint8_t *slots;          /* [n_models] and if so, through how many slots (layer_layout.h) */
    int64_t row_budget;      /* option; 0: each model's default */
    bool gpu;                /* plans are for a GPU; the caller sets it before ko_inputs_plan */
    struct ko_strings notes; /* remarks on files that were read nevertheless */
    /* [n_blocks, models that blocks use, n_facts] the selection stored in the cube that is resumed;
       NULL: prompts are still to be selected; owned */
    uint8_t *selected;
};

enum ko_inputs_models {
    KO_MODELS_USED, /* those that a block of the spec uses */
    KO_MODELS_ALL   /* every one that the spec declares */
};

/* Reads the spec and opens the files that it names. with_weights: reads the headers of the weight
   files too, not only the configuration. Free with ko_inputs_close. */
KO_MUST_CHECK enum ko_code ko_inputs_open(const char *spec_file, struct ko_options *options,
                                          enum ko_inputs_models which, bool with_weights,
                                          struct ko_inputs *out, struct ko_error *err);
/* The same for a spec that has been read (taken on success). */
KO_MUST_CHECK enum ko_code ko_inputs_open_spec(struct ko_spec *spec, struct ko_options *options,
                                               enum ko_inputs_models which, bool with_weights,
                                               struct ko_inputs *out, struct ko_error *err);
void ko_inputs_close(struct ko_inputs *inputs); /* leaves {0} */

/* Index of the model of this name, or -1. */
int32_t ko_inputs_find(const struct ko_inputs *inputs, const char *name);

#endif
