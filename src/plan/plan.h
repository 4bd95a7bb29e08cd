/* SPDX-License-Identifier: Apache-2.0 */
/* The plan: the axes of a sweep and which cells are computed. Rank 0 builds it and sends it to the
   other ranks (ko_plan_pack). Every rank derives the same batches and waves from it. */
#ifndef KO_PLAN_PLAN_H
#define KO_PLAN_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/prompts/edges.h"
#include "src/prompts/prompt.h"
#include "src/prompts/route.h"
#include "src/spec/feature_class.h"
#include "src/spec/spec.h"

/* A stage of a model: mixers that read the same rows (kernels/rows.h). */
struct ko_plan_stage {
    int32_t layer;  /* as the checkpoint counts */
    uint8_t mixers; /* the kinds of its mixers, bits of enum ko_mixer */
    /* The edge from position j to i exists in its attention or convolution if i - j < reach.
       INT32_MAX: all exist, as in an SSM. */
    int32_t reach;
    /* FLOP of a row's matrix products, as ko_sublayer_kind.row_flop, with those of the sublayers up
       to the next stage. */
    double flop[3];
};

/* A sublayer of a model: what it adds to the residual stream is a component. */
struct ko_plan_sublayer {
    int32_t layer; /* as the checkpoint counts */
    int32_t stage; /* of the mixer itself, or of the last mixer before it; -1: there is none */
    /* The kinds of its components (src/base/mixer.h). Zamba2's shared block has two. */
    uint8_t components;
    /* Numbers of the input of a mixer's output projection, if heads side by side make it up; else 0 */
    int32_t width;
};

/* The facts about a model that the plan needs. All strings are owned by the plan. */
struct ko_plan_model {
    char *name, *path, *tokenizer, *architecture, *fingerprint, *tokenizer_fingerprint;
    /* The unembedding counts as d_model wide in costs, also where the embedding is narrower. */
    int32_t n_layers, d_model, vocabulary, max_tokens;
    /* The stages, if the layers differ. NULL: every layer is one stage, and all have `mixers`,
       `reach` and `row_flop`. Set with ko_plan_model_set_stages; owned. */
    struct ko_plan_stage *stage;
    int32_t n_stages; /* 0 without a list */
    /* [n_counted] the layers that windows count, ascending. NULL: every layer. Set with
       ko_plan_count_layers; owned. */
    int32_t *counted;
    int32_t n_counted;                   /* 0 without a list */
    enum ko_style style;                 /* of the plan's windows */
    const struct ko_window_lists *lists; /* the plan's; borrowed */
    /* [n_sublayers] in the order of the model. Set with ko_plan_model_set_sublayers; owned */
    struct ko_plan_sublayer *sublayer;
    int32_t n_sublayers;
    uint8_t components;  /* the kinds of any sublayer */
    int32_t n_heads;     /* query heads of its attention; 0: no attention */
    int32_t n_ssm_heads; /* heads of its SSMs; 0: none */
    uint8_t mixers;      /* the kinds of any stage */
    int32_t reach;       /* the longest of any stage */
    int32_t n_features;  /* channels (Mamba-1) or heads (Mamba-2) that classes select; else 0 */
    int32_t d_conv;      /* taps of the SSMs' convolution; 0: none */
    int32_t row_budget;  /* the most rows of a wave, > 0 */
    double row_bytes;    /* workspace of one row */
    double weight_bytes; /* in memory */
    double row_flop[3];  /* FLOP of a row in a stage, on average; see struct ko_plan_stage */
};

/* A fact of the evaluation axis. */
struct ko_plan_fact {
    char *id, *text, *subject, *target, *foil, *relation; /* foil and relation may be NULL */
    /* The right answers and the options as JSON lists. NULL: there is one right answer, there are no
       options. */
    char *targets, *options;
};

struct ko_plan_route {
    struct ko_route route;
    int32_t axis; /* index on the route axis, or (each) on the heat_route axis */
    bool heat;
};

/* A block of the spec: the places on the axes that it selects. All arrays are 0 or 1. */
struct ko_plan_block {
    uint8_t *selected; /* [n_models * n_facts] */
    uint8_t *route;    /* [n_routes] */
    uint8_t *class;    /* [n_classes] */
    uint8_t *size;     /* [n_models * n_sizes] */
    uint8_t *start;    /* [n_starts] */
};

/* Where a shard's plan lies in the whole plan. */
struct ko_plan_shard {
    int32_t number, of; /* number from 1; of is 0 for a whole plan */
    char plan_hash[33]; /* of the whole plan */
    /* [n_models], [n_prompts], [n_heat_prompts] indices on the whole plan's axes, ascending */
    int32_t *model, *prompt, *heat_prompt;
};

enum ko_plan_kind { KO_PLAN_EVALUATION /* clean runs of every fact, no routes */, KO_PLAN_SWEEP };

struct ko_plan {
    enum ko_plan_kind kind;
    struct ko_plan_model *model; /* [n_models] */
    int32_t n_models;
    /* [n_facts] the eval_prompt axis: the facts of all prompt files, in file order */
    struct ko_plan_fact *fact;
    int32_t n_facts;
    struct ko_prompt *prompt;     /* [n_models * n_facts] audited */
    struct ko_strings embeddings; /* paths of the files of prompts that are matrices; owned */
    bool has_foils;
    enum ko_score score; /* the rule that the prompts were audited by */
    /* With `whole-answer`: what the answers' rows are in a sweep, and the most scored tokens of any
       prompt that can be run (of a shard: of the whole plan). Otherwise 0. */
    enum ko_answer_rows answer_rows;
    int32_t n_answer_tokens;
    /* The most choices of any fact, 0: no fact has several right answers or options; and the most
       options, 0: no fact has options (of a shard: of the whole plan). */
    int32_t n_choices, n_options;

    /* [n_routes] in order of first use. The axes route and heat_route hold its two kinds. */
    struct ko_plan_route *route;
    int32_t n_routes, n_mean_routes, n_heat_routes;
    struct ko_feature_class *class; /* [n_classes] in order of first use */
    int32_t n_classes;
    /* Sizes and starts count these layers of each model: start k is its k-th such layer, from 0. */
    enum ko_over over;
    enum ko_style style;          /* which layers a window has; set with ko_plan_set_style */
    struct ko_window_lists lists; /* of KO_STYLE_LISTED; owned */
    /* [n_sizes] counted layers, ascending; {0} in styles without sizes */
    int32_t *size;
    int32_t n_sizes;
    /* [n_starts] counted layers, ascending; of KO_STYLE_LISTED numbers of lists */
    int32_t *start;
    int32_t n_starts;
    /* [n_prompts] the prompt axis: facts with a planned cell on a mean route, ascending */
    int32_t *prompt_fact;
    int32_t n_prompts;
    int32_t *heat_fact; /* [n_heat_prompts] likewise for heat routes */
    int32_t n_heat_prompts;
    /* the largest T of the prompts on both prompt axes (evaluation: of all facts) */
    int32_t n_positions;
    int32_t n_source_positions; /* the largest T on the heat_prompt axis */

    struct ko_plan_block *block; /* [n_blocks] */
    int32_t n_blocks;
    /* [n_models, n_routes, n_facts] 1: on the component route, ~mean and ~resample take values from
       the prompt's clean run. These are all prompts that a block plans with such a class on the
       route; a shard's plan has those of the whole plan. NULL: no class of the plan takes any. */
    uint8_t *reference;

    struct ko_plan_shard shard; /* of a shard's plan; not packed, because workers do not need it */
};

struct ko_plan_input {
    enum ko_plan_kind kind;
    const struct ko_spec *spec;
    const size_t *spec_model;    /* [n_models] index of each model in spec->model */
    struct ko_plan_model *model; /* [n_models]; the plan takes it on success */
    int32_t n_models;
    struct ko_facts
        *facts; /* [spec->prompt_files.n] borrowed; ids are unique over all (checked here) */
    /* [n_models * n_facts], the facts of all files in order; the plan takes it on success */
    struct ko_prompt *prompt;
    /* [n_ranked_models * n_facts] the largest rank of the answer's scored tokens in the evaluation,
       -1: not run. NULL: not known; then every runnable prompt counts as correct, an upper bound. */
    const int32_t *rank;
    const struct ko_strings *ranked_models; /* names of the models of the evaluation */
    /* [n_blocks, n_models, n_facts] 0 or 1: a selection made before, which is used unchanged. NULL:
       the selection is made here. Borrowed. */
    const uint8_t *selected;
    struct ko_strings *warnings; /* one line each, as sizes left out for a model; caller frees */
};

/* Builds the plan. KO_E_INPUT for windows that fit no model ("...: window size 99 is larger than
   the largest model (mamba-facts, 12 layers)"), an empty selection (with the count at each step),
   an unknown model in a selection (with the nearest name), unknown token sets, classes that no
   model has, duplicate ids. */
KO_MUST_CHECK enum ko_code ko_plan_build(struct ko_plan_input *input, struct ko_plan **out,
                                         struct ko_error *err);
void ko_plan_free(struct ko_plan *plan);
/* Frees the contents of models and prompts, not the two arrays. */
void ko_plan_free_models(struct ko_plan *plan);
/* Frees models [n_models] and prompts [n_models * n_facts] that no plan has taken, and the arrays.
   Either may be NULL. */
void ko_plan_free_untaken(struct ko_plan_model *model, int32_t n_models, struct ko_prompt *prompt,
                          int32_t n_facts);

static inline const struct ko_prompt *ko_plan_prompt(const struct ko_plan *plan, int32_t model,
                                                     int32_t fact)
{
    return &plan->prompt[(size_t)model * (size_t)plan->n_facts + (size_t)fact];
}

/* A cell by its places on the plan's axes. */
struct ko_cell {
    int32_t model, fact;
    int32_t route;           /* index of plan->route */
    int32_t class;           /* index of plan->class */
    int32_t source_position; /* of a heat route; ignored otherwise */
    int32_t size, start;     /* indices of plan->size and plan->start */
};

/* Sets stage, mixers, reach and row_flop from the model's stages [n], layers ascending. The list is
   copied if the layers differ. Reads n_layers. */
KO_MUST_CHECK enum ko_code ko_plan_model_set_stages(struct ko_plan_model *model,
                                                    const struct ko_plan_stage *stage, int32_t n,
                                                    struct ko_error *err);
/* Sets sublayer and components from the model's sublayers [n], layers and stages ascending. The list
   is copied. */
KO_MUST_CHECK enum ko_code ko_plan_model_set_sublayers(struct ko_plan_model *model,
                                                       const struct ko_plan_sublayer *sublayer,
                                                       int32_t n, struct ko_error *err);
int32_t ko_plan_n_stages(const struct ko_plan_model *model);
struct ko_plan_stage ko_plan_stage_of(const struct ko_plan_model *model, int32_t stage);
/* Sets plan->over, and lists the layers that windows count in each model. Reads the stages. */
KO_MUST_CHECK enum ko_code ko_plan_count_layers(struct ko_plan *plan, enum ko_over over,
                                                struct ko_error *err);
/* Sets the style of the plan's windows in the plan and its models. The lists are copied. */
KO_MUST_CHECK enum ko_code ko_plan_set_style(struct ko_plan *plan, enum ko_style style,
                                             const struct ko_window_lists *lists,
                                             struct ko_error *err);
/* The number of layers that windows count. */
int32_t ko_plan_n_counted(const struct ko_plan_model *model);
/* The k-th layer that windows count. */
int32_t ko_plan_counted_layer(const struct ko_plan_model *model, int32_t k);
/* The layers [begin, end) of a window, as the checkpoint counts: from the first to the last, which
   includes layers that windows do not count. In styles that leave layers out, some between them are
   not in the window (ko_plan_window_has). Empty: {0, 0}, if the window does not fit the model. */
struct ko_layer_range {
    int32_t begin, end;
};
struct ko_layer_range ko_plan_window(const struct ko_plan_model *model, int32_t size,
                                     int32_t start);
/* Whether a window that fits the model has the layer. */
bool ko_plan_window_has(const struct ko_plan_model *model, int32_t size, int32_t start,
                        int32_t layer);
/* Whether a window of the style may lack layers between its first and its last. */
static inline bool ko_style_has_gaps(enum ko_style style)
{
    return style == KO_STYLE_OUTSIDE || style == KO_STYLE_OUTSIDE_CENTRED ||
           style == KO_STYLE_LISTED;
}
/* The depth of whole windows, percent: 100 first / (n_layers - their number); 0 where they are the
   whole model. */
double ko_layers_depth(int32_t n_layers, struct ko_layer_range layers);
/* The depth of a window of any style, percent. Of styles other than `whole` it is where the start of
   the window lies: from the first counted layer (0) to the last where a window of this size may start
   (100). Of a list it is 100 first / (n_layers - 1) of its first layer. NAN: it does not fit. */
double ko_plan_depth(const struct ko_plan_model *model, int32_t size, int32_t start);
/* What the model offers to feature classes. */
struct ko_model_features ko_plan_model_features(const struct ko_plan_model *model);
/* Whether some starts of a window size may be vacuous while others are not: a class names mixers
   that some layers of a model lack, or the stages reach differently far and a prompt of the sweep is
   longer than the shortest. */
bool ko_plan_mixes_vacuous(const struct ko_plan *plan);

/* Whether the model has the feature class. */
bool ko_plan_model_has_class(const struct ko_plan *plan, int32_t model, int32_t class);
/* Whether the class has a meaning on the route in this model: the model has the class and the route's
   component. Edges are removed by classes without a suffix ~. A component is taken out whole (`all`)
   or one head of it: head:K of attention, ssm-head:K of ssm. Other pairs are not planned. */
bool ko_plan_has_pair(const struct ko_plan *plan, int32_t model, int32_t route, int32_t class);
/* Whether the block has a route and a class that have a meaning together in this model. */
bool ko_plan_block_has_pair(const struct ko_plan *plan, const struct ko_plan_block *block,
                            int32_t model);
/* Whether a route of the plan takes out components. */
bool ko_plan_has_components(const struct ko_plan *plan);
/* Arrays [n_rows, d_model] that a pass needs for components: rows as they were; if a class replaces
   something, also what replaces it, and the donors' rows. */
static inline int32_t ko_plan_component_arrays(const struct ko_plan *plan)
{
    return !ko_plan_has_components(plan) ? 0 : plan->reference ? 3 : 1;
}
/* Whether the block has this window for the model and the window fits its counted layers. */
bool ko_plan_block_has_window(const struct ko_plan *plan, const struct ko_plan_block *block,
                              int32_t model, int32_t size, int32_t start);
/* Whether it has any. */
bool ko_plan_block_has_any_window(const struct ko_plan *plan, const struct ko_plan_block *block,
                                  int32_t model);

/* Feature masks tell the kernels on which features a class removes edges. Classes that remove them
   on every feature need none. The masks of a model are numbered in the order of the class axis. */
int32_t ko_plan_n_masks(const struct ko_plan *plan, int32_t model);
/* The number of the class's mask; -1 where it needs none, or the model lacks the class. */
int32_t ko_plan_mask(const struct ko_plan *plan, int32_t model, int32_t class);

/* Whether a class of the plan puts something in the place of components. Only such a plan has
   `reference`, also in its packed bytes. */
bool ko_plan_replaces(const struct ko_plan *plan);
/* Sets plan->reference from the blocks. */
KO_MUST_CHECK enum ko_code ko_plan_mark_references(struct ko_plan *plan, struct ko_error *err);
bool ko_plan_is_reference(const struct ko_plan *plan, int32_t model, int32_t route, int32_t fact);
/* The number of the route among the component routes, each of which has means of its own; -1: it is
   not one of them, or the plan has no class ~mean. */
int32_t ko_plan_mean(const struct ko_plan *plan, int32_t route);
/* How many there are. */
int32_t ko_plan_n_means(const struct ko_plan *plan);
/* The means of a model as one array. For each sublayer in turn: for each of its components (lowest bit
   first) [n_means, d_model], the mean of what it adds to the residual stream; then, if it has heads,
   [n_means, width], the mean of the input of its output projection. */
size_t ko_plan_mean_values(const struct ko_plan_model *model, int32_t n_means);
/* The largest of any model; 0: the plan has no means. */
size_t ko_plan_most_mean_values(const struct ko_plan *plan);
/* Where the part of a sublayer begins: of its component, or of its heads. */
size_t ko_plan_mean_place(const struct ko_plan_model *model, int32_t n_means, int32_t sublayer,
                          uint8_t component, bool heads);
/* Whether the prompt's clean run gives means: it is a reference of any route, and the plan has a class
   ~mean. */
bool ko_plan_gives_means(const struct ko_plan *plan, int32_t model, int32_t fact);
/* The tokens of all prompts whose clean runs give means; 0: the plan has no class ~mean. */
int64_t ko_plan_reference_rows(const struct ko_plan *plan, int32_t model);
/* The fact that ~resample:SEED takes values from: drawn from the route's references without the fact
   itself, in their order, in the stream of its id. -1: there is no other. */
int32_t ko_plan_donor(const struct ko_plan *plan, int32_t model, int32_t route, int32_t fact,
                      uint64_t seed);

/* Whether the cell is planned: some block has its prompt, route, class and window, the class has a
   meaning on the route in this model, and the window fits. The cell may still be vacuous. */
bool ko_plan_has(const struct ko_plan *plan, int32_t model, int32_t fact, int32_t route,
                 int32_t class, int32_t size, int32_t start);
/* Whether any start of that (route, feature, size) is planned. */
bool ko_plan_has_any_start(const struct ko_plan *plan, int32_t model, int32_t fact, int32_t route,
                           int32_t class, int32_t size);

/* The route at a place on the axis `route`, or `heat_route` where heat. -1: there is none. */
int32_t ko_plan_route_of(const struct ko_plan *plan, bool heat, int32_t axis);

/* The values of one model and fact are a record: first the mean routes' [n_mean_routes, n_classes,
   n_sizes, n_starts], then the heat routes' [n_heat_routes, n_classes, n_source_positions, n_sizes,
   n_starts]. Its statuses have the same axes without n_starts. */
int64_t ko_plan_n_values(const struct ko_plan *plan);   /* of a record */
int64_t ko_plan_n_statuses(const struct ko_plan *plan); /* of a record */
int64_t ko_plan_n_mean_values(const struct ko_plan *plan);
int64_t ko_plan_n_mean_statuses(const struct ko_plan *plan);
/* Slot in the record; source_position is ignored for mean routes. */
int64_t ko_plan_value_slot(const struct ko_plan *plan, int32_t route, int32_t class,
                           int32_t source_position, int32_t size, int32_t start);
int64_t ko_plan_status_slot(const struct ko_plan *plan, int32_t route, int32_t class,
                            int32_t source_position, int32_t size);

enum ko_cell_status {
    KO_NOT_PLANNED = 0,
    KO_PENDING = 1,
    KO_DONE = 2,
    KO_VACUOUS = 3,
    KO_CELL_FAILED = 4
};

#endif
