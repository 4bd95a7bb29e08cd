/* SPDX-License-Identifier: Apache-2.0 */
/* The sweep spec: what the user asked for, read and checked as far as the file alone allows. */
#ifndef KO_SPEC_SPEC_H
#define KO_SPEC_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/options/options.h"
#include "src/prompts/prompt.h"

struct ko_spec_model {
    char *name; /* unique; default: the folder's last component; models--ORG--NAME/snapshots/HASH is
                   ORG/NAME */
    char *path; /* folder, relative paths resolved against the spec's folder */
    char *tokenizer; /* tokenizer.json's path (a folder in the spec: its tokenizer.json); path's own
                        by default */
    enum ko_bos bos;
    char *missing; /* why path or tokenizer leads nowhere, a name of the hub without a place in its
                      cache for example; NULL: it is there */
    char *bos_token; /* KO_BOS_TOKEN: its text, or NULL and its id */
    int32_t bos_id;
    char *where; /* FILE:LINE:COLUMN */
};

/* A selection of prompts; which depends on the model where it contains `correct` or `rank-at-most`.
 */
enum ko_select_kind {
    KO_SELECT_ALL,
    KO_SELECT_CORRECT,        /* this model ranks the answer first */
    KO_SELECT_CORRECT_BY_ALL, /* every model of the evaluation does */
    KO_SELECT_CORRECT_BY,     /* the named models do */
    KO_SELECT_RANK_AT_MOST,   /* this model ranks the answer k-th or better */
    KO_SELECT_RELATION,
    KO_SELECT_ID,
    KO_SELECT_ALL_OF,
    KO_SELECT_ANY_OF,
    KO_SELECT_NOT
};
struct ko_select {
    enum ko_select_kind kind;
    struct ko_strings names; /* models, relations or ids */
    int64_t k;
    struct ko_select **part; /* owned */
    size_t n_parts;
    char *where; /* FILE:LINE:COLUMN; owned */
};

struct ko_size {
    bool percent;
    double value; /* layers, or percent of depth */
    char *where;
};

enum ko_starts { KO_STARTS_ALL, KO_STARTS_LIST, KO_STARTS_EVERY };

/* One block of `sweeps`, top-level keys filled in (a spec without `sweeps` is one block). */
struct ko_spec_block {
    char *name;    /* what people call it, unique; NULL: it has none */
    size_t *model; /* [n_models] indices into ko_spec.models */
    size_t n_models;
    size_t file; /* index into ko_spec.prompt_files */
    struct ko_select *select;
    int64_t sample_n; /* -1: no sample */
    uint64_t sample_seed;
    struct ko_strings routes,
        features; /* without blanks, aliases as their definition, as the labels of the cube */
    struct ko_strings routes_where, features_where;
    struct ko_size *size;
    size_t n_sizes;
    enum ko_starts starts;
    int32_t *start; /* [n_starts] list */
    size_t n_starts;
    int32_t every;
    char *where;
};

struct ko_spec {
    char *file;
    struct ko_spec_model *model; /* every model that the spec declares, in order */
    size_t n_models;
    struct ko_strings prompt_files; /* paths; in order of first use */
    enum ko_score score;            /* which token of an answer is scored, for all prompts */
    struct ko_spec_block *block;
    size_t n_blocks;
    char *evaluation; /* path or NULL */
    char *resolved;   /* the resolved spec as YAML (defaults, includes and --set applied), for the
                         cube */
};

/* Reads a spec. `--set KEY=VALUE` (options may be NULL) overrides top-level keys; precision,
   row-budget and backend go into options (ko_options_from_spec). Everything is checked that needs
   neither prompts nor checkpoints: keys, types, ranges, duplicate model names, feature classes
   (nearest known one named), the form of routes. ${VAR} is expanded in paths only; an unset one is
   an error. KO_E_INPUT "FILE:LINE:COLUMN: ...". Free with ko_spec_free. */
KO_MUST_CHECK enum ko_code ko_spec_read(const char *file, struct ko_options *options,
                                        struct ko_spec **out, struct ko_error *err);
/* The same of a resolved spec in memory, as a cube stores it. `name` stands for the file in errors;
   no option is read or set. */
KO_MUST_CHECK enum ko_code ko_spec_parse(const char *text, const char *name, struct ko_spec **out,
                                         struct ko_error *err);
void ko_spec_free(struct ko_spec *spec);

/* Layers of a size in a model of n_layers: shares of depth to the nearest whole number, halves up,
   at least 1. */
int32_t ko_size_layers(const struct ko_size *size, int32_t n_layers);
/* Whether windows of the block may start at this layer, as far as the spec says. */
bool ko_spec_starts_at(const struct ko_spec_block *block, int32_t layer);

/* Whether a selection needs the ranks of an evaluation. */
bool ko_select_needs_ranks(const struct ko_select *select);

#endif
