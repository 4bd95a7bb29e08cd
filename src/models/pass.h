/* SPDX-License-Identifier: Apache-2.0 */
/* One forward pass over the rows of a wave: what a sublayer's computation needs, and the steps that
   all kinds share. */
#ifndef KO_MODELS_PASS_H
#define KO_MODELS_PASS_H

#include "src/models/model.h"
#include "src/plan/plan.h"

struct ko_pass;

/* Sees what sublayers add, in a pass over trunks alone. */
struct ko_noted {
    /* The component's output is `data` itself; or the difference between x after it was added and
       before. */
    enum ko_note { KO_NOTE_ITSELF, KO_NOTE_BEFORE, KO_NOTE_AFTER } note;
    int32_t sublayer;  /* its number */
    uint8_t component; /* one kind */
    bool heads;        /* the input of the output projection instead */
    const float *data; /* [n_rows, width] */
    int32_t width;
};
struct ko_recorder {
    enum ko_code (*note)(void *self, const struct ko_pass *pass, const struct ko_noted *noted,
                         struct ko_error *err);
    void *self;
};

/* Puts rows that are given, not looked up, into x after the embedding of the trunks, and adds others
   to the first n rows of x behind each of the first n_layers layers; buffer 0 is free by then. */
struct ko_given_source {
    enum ko_code (*put)(void *self, const struct ko_pass *pass, struct ko_error *err);
    enum ko_code (*add)(void *self, const struct ko_pass *pass, int32_t layer, int32_t n,
                        struct ko_error *err);
    void *self;
    int32_t n_layers;
};

struct ko_pass {
    const struct ko_model *model;
    struct ko_arena arena;
    const struct ko_kernels *kernels;
    struct ko_backend *be;
    const struct ko_rows *rows;
    const uint8_t *masks;        /* [n_masks, n_stages, n_features] backend memory; may be NULL */
    const uint8_t *conv_masks;   /* [n_masks, n_stages, conv_channels] */
    float *x;                    /* [n_rows, d_model] the residual stream */
    float *buffer[KO_N_BUFFERS]; /* [n_rows, width], see ko_model_widths */
    /* Only of a plan that takes out components (removal.h): [n_rows, d_model] each, rows as they were
       before a sublayer, what replaces its output, and the donors' rows as they were; host memory for
       three numbers a row. */
    float *removed, *values, *before;
    int32_t *list;
    /* [ko_plan_mean_values] backend memory; NULL: no class ~mean */
    const float *means;
    int32_t n_means;
    const struct ko_plan_model *plan_model; /* the places of the means */
    const struct ko_recorder *recorder;     /* NULL: nothing is recorded */
    const struct ko_given_source *source;   /* NULL: every row is a token's */
    bool only_last; /* behind the last mixers: of the rows only the scored ones are left */
    /* [n_prompts + n_branches] where those of each trunk, then of each branch, begin among them */
    const int32_t *first_last;
    int32_t n_last; /* all of them */
};

/* A weight among the values; NULL for KO_NO_WEIGHT. */
const float *ko_pass_weight(const struct ko_pass *pass, size_t weight);
/* A weight among the matrices; data NULL for KO_NO_WEIGHT. */
struct ko_matrix ko_model_matrix(const struct ko_model *model, const struct ko_arena *arena,
                                 size_t weight);

/* Steps of one sublayer, in order. Errors are sticky: after the first, `code` is set and the other
   steps do nothing. */
struct ko_steps {
    const struct ko_pass *pass;
    int32_t n; /* rows that the steps compute */
    struct ko_error *err;
    enum ko_code code;
};

/* ko_step_NAME: each operation of the backend as a step. */
#define X(name, args_type)                                                                         \
    static inline void ko_step_##name(struct ko_steps *steps, const struct args_type *args)        \
    {                                                                                              \
        const struct ko_pass *pass = steps->pass;                                                  \
        if (steps->code == KO_OK) {                                                                \
            steps->code = pass->kernels->name(pass->be, args, steps->err);                         \
        }                                                                                          \
    }
KO_OPERATIONS(X)
#undef X

/* y [n, n_out] (row distance ldy) = x [n, n_in] (ldx) W + bias. */
void ko_step_project(struct ko_steps *steps, struct ko_projection w, const float *x, int32_t ldx,
                     float *y, int32_t ldy);
/* y [n, d_model] += x [n, n_in] (ldx) W + bias. */
void ko_step_add(struct ko_steps *steps, struct ko_projection w, const float *x, int32_t ldx,
                 float *y);
/* y [n, d_model] = norm(x [n, d_model]); y may be x. Without a norm (KO_NO_NORM) y must be x. */
void ko_step_norm(struct ko_steps *steps, const struct ko_norm *norm, const float *x, float *y);
/* In place on x [n, width], with a distance of ld between rows. */
void ko_step_norm_of(struct ko_steps *steps, const struct ko_norm *norm, int32_t width, float *x,
                     int32_t ld);
/* The input of a sublayer's projections [n, d_model]: the normed x in `buffer`, or x itself where
   there is no norm. */
const float *ko_step_input(struct ko_steps *steps, const struct ko_norm *norm, const float *x,
                           float *buffer);

/* x [n, width] (row distance ld) times the factors of its columns, which begin at this offset among
   the arena's values. Nothing for KO_NO_WEIGHT. */
void ko_step_scale(struct ko_steps *steps, size_t offset, int32_t width, float *x, int32_t ld);

/* y [n, width] (row distance ldy) = x [n, width] */
void ko_step_copy(struct ko_steps *steps, int32_t width, const float *x, float *y, int32_t ldy);

/* Adds a sublayer's output to x [n, d_model]: x += out_scale post_norm(from W), with W of
   sublayer->out and from [n, n_in] (ldx). Then x = sum_norm(x). May use buffer 2, unless out_scale
   is 1 and there is no post_norm. */
void ko_step_output(struct ko_steps *steps, const struct ko_sublayer *sublayer, const float *from,
                    int32_t ldx, float *x);
/* The same for an output that is computed already: output [n, d_model], which the post-norm
   overwrites. */
void ko_step_add_output(struct ko_steps *steps, const struct ko_sublayer *sublayer, float *output,
                        float *x);

/* The `finish` of all kinds that mix: ko_step_output of the result of `mix`. */
KO_MUST_CHECK enum ko_code ko_pass_finish(const struct ko_pass *pass,
                                          const struct ko_sublayer *sublayer, int32_t n, float *x,
                                          const float *mixed, int32_t ld_mixed,
                                          struct ko_error *err);

/* The ends of a pass: the embedding of the trunk rows, or the rows of pass->source, into pass->x (and
   into KO_EMBEDDED_BUFFER, where the model keeps it), and from x [n, d_model] after the last sublayer
   the rows that the unembedding reads: the final norm in place, and the projection to the width of
   the embedding in buffer 2, where the model has one. */
KO_MUST_CHECK enum ko_code ko_pass_embed(const struct ko_pass *pass, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_pass_final(const struct ko_pass *pass, int32_t n, float *x,
                                         const float **out, struct ko_error *err);
/* The unembedding matrix. */
struct ko_matrix ko_model_unembedding(const struct ko_model *model, const struct ko_arena *arena);

#endif
