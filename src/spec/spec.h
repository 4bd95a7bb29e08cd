/* SPDX-License-Identifier: Apache-2.0 */
/* The sweep spec: what the user asks for, checked as far as the file alone allows. */
#ifndef KO_SPEC_SPEC_H
#define KO_SPEC_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/base/mixer.h"
#include "src/base/text.h"
#include "src/options/options.h"
#include "src/prompts/prompt.h"

struct ko_spec_model {
    char *name;      /* unique; by default ko_model_name_of_folder */
    char *path;      /* folder, relative paths resolved against the spec's folder */
    char *tokenizer; /* path of a tokenizer.json; by default that of the folder */
    enum ko_bos bos;
    char *missing;   /* why path or tokenizer was not found; NULL: it was found */
    char *bos_token; /* of KO_BOS_TOKEN: the token's text; NULL: bos_id is its id */
    int32_t bos_id;
    char *where; /* FILE:LINE:COLUMN */
};

/* A selection of prompts. `correct` and `rank-at-most` make it depend on the model. */
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
    double value; /* layers, or percent of depth; 0 in styles without sizes */
    char *where;
};

enum ko_starts { KO_STARTS_ALL, KO_STARTS_LIST, KO_STARTS_EVERY };

/* The layers that windows count: X(NAME, "word", "what they are", mixers that such a layer has one
   of; 0: any layer). */
#define KO_OVERS(X)                                                                                \
    X(LAYERS, "layers", "layers", 0)                                                               \
    X(MIXERS, "mixers", "layers with a mixer", KO_MIXER_EVERY)                                     \
    X(ATTENTION, "attention", "layers with attention", KO_MIXER_ATTENTION)                         \
    X(SSM, "ssm", "layers with an SSM", KO_MIXER_SSM)

enum ko_over {
#define X(NAME, word, what, mixers) KO_OVER_##NAME,
    KO_OVERS(X)
#undef X
        KO_N_OVERS
};
extern const char *const ko_over_words[KO_N_OVERS]; /* as the spec writes them */
extern const char *const ko_over_what[KO_N_OVERS];  /* in a sentence: "layers with attention" */
/* Whether windows count a layer with these mixers, bits of enum ko_mixer. */
bool ko_over_counts(enum ko_over over, uint8_t mixers);

/* Which layers a window of size s has whose place on the axis of starts is k, and n layers are
   counted: X(NAME, "word", whether it has a size, what it is).
   whole: k ... k + s - 1; centred: k - s/2 (down) ... k + s/2 (up) - 1, cut at both ends (Geva et al.
   2023); from: k ... n - 1; until: 0 ... k; outside: all but those of whole or centred; listed: the
   k-th list of `windows.layers`. */
#define KO_STYLES(X)                                                                               \
    X(WHOLE, "whole", true, "first layer of a window")                                             \
    X(CENTRED, "centred", true, "centre of a window")                                              \
    X(FROM, "from", false, "first layer of a window that reaches to the last layer")               \
    X(UNTIL, "until", false, "last layer of a window that begins with layer 0")                    \
    X(OUTSIDE, "outside", true, "first layer of a run that a window leaves out")                   \
    X(OUTSIDE_CENTRED, "outside-centred", true, "centre of a run that a window leaves out")        \
    X(LISTED, "listed", false, "number of a list of windows.layers")

enum ko_style {
#define X(NAME, word, sized, start) KO_STYLE_##NAME,
    KO_STYLES(X)
#undef X
        KO_N_STYLES
};
extern const char *const ko_style_words[KO_N_STYLES];
extern const char *const ko_style_starts[KO_N_STYLES]; /* what a start is */
bool ko_style_has_sizes(enum ko_style style);

/* The lists of `windows.layers`: list k is layer[first[k]] ... layer[first[k + 1] - 1], ascending. */
struct ko_window_lists {
    int32_t *layer;
    int32_t *first; /* [n + 1] */
    int32_t n;
};
KO_MUST_CHECK enum ko_code ko_window_lists_copy(const struct ko_window_lists *from,
                                                struct ko_window_lists *out, struct ko_error *err);
bool ko_window_lists_equal(const struct ko_window_lists *a, const struct ko_window_lists *b);
void ko_window_lists_free(struct ko_window_lists *lists); /* leaves {0} */

/* One block of `sweeps`, with the top-level keys inherited. A spec without `sweeps` is one block. */
struct ko_spec_block {
    char *name;    /* unique; NULL: the block has no name */
    size_t *model; /* [n_models] indices into ko_spec.models */
    size_t n_models;
    size_t file; /* index into ko_spec.prompt_files */
    struct ko_select *select;
    int64_t sample_n; /* -1: no sample */
    uint64_t sample_seed;
    struct ko_strings routes, features; /* the labels of the cube: no blanks, no aliases */
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
    struct ko_strings prompt_files;  /* paths; in order of first use */
    struct ko_strings embeddings;    /* paths of the files of matrices, of all blocks */
    enum ko_score score;             /* which tokens of an answer are scored, for all prompts */
    enum ko_answer_rows answer_rows; /* of whole answers, for all prompts */
    enum ko_over over;               /* which layers the windows of all blocks count */
    enum ko_style style;             /* of the windows of all blocks */
    struct ko_window_lists lists;    /* KO_STYLE_LISTED: the windows; else {0} */
    struct ko_spec_block *block;
    size_t n_blocks;
    char *evaluation; /* path or NULL */
    char *resolved; /* the spec as YAML, with defaults, includes and --set applied: for the cube */
};

/* Reads a spec. `--set KEY=VALUE` of the options (NULL: no options) overrides top-level keys;
   precision, row-budget and backend are set in the options (ko_options_from_spec). Checks everything
   that needs neither prompts nor checkpoints: keys, types, ranges, duplicate model names, feature
   classes, the form of routes. ${VAR} is expanded in paths only; an unset variable is an error.
   KO_E_INPUT "FILE:LINE:COLUMN: ...". Free with ko_spec_free. */
KO_MUST_CHECK enum ko_code ko_spec_read(const char *file, struct ko_options *options,
                                        struct ko_spec **out, struct ko_error *err);
/* The same for a resolved spec in memory, as a cube stores it. name: the file in errors. Reads and
   sets no options. */
KO_MUST_CHECK enum ko_code ko_spec_parse(const char *text, const char *name, struct ko_spec **out,
                                         struct ko_error *err);
void ko_spec_free(struct ko_spec *spec);

/* The size in layers (0 in styles without sizes), for a model in which windows count n_layers. A
   percentage is rounded to the nearest whole number, halves up, and is at least 1. */
int32_t ko_size_layers(const struct ko_size *size, int32_t n_layers);
/* Whether the spec lets windows of the block start at this counted layer. */
bool ko_spec_starts_at(const struct ko_spec_block *block, int32_t layer);

/* Whether a selection needs the ranks of an evaluation. */
bool ko_select_needs_ranks(const struct ko_select *select);

#endif
