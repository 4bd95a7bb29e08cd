/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a cube, in one process without MPI. Everything in the file is checked before use. */
#ifndef KO_CUBE_READ_READ_H
#define KO_CUBE_READ_READ_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/plan/plan.h"
#include "src/plan/stored_metrics.h"

struct ko_cube_view;

/* Opens read-only. KO_E_INPUT where the file is not a cube, has a newer cube_format, or fails a
   check of format/check.h. With a guard (guard.h) a child process reads the file first. Free with
   ko_cube_view_close. */
KO_MUST_CHECK enum ko_code ko_cube_view_open(const char *path, struct ko_cube_view **out,
                                             struct ko_error *err);
/* The same without a lock on the file, to look at it while a run writes it. */
KO_MUST_CHECK enum ko_code ko_cube_view_look(const char *path, struct ko_cube_view **out,
                                             struct ko_error *err);
void ko_cube_view_close(struct ko_cube_view *view);
/* Opens the file, reads what HDF5 keeps outside the datasets (attributes, strings, the outline of a
   shard) and closes it. The guard's reader calls this (guard.h). */
KO_MUST_CHECK enum ko_code ko_cube_view_read_all(const char *path, struct ko_error *err);

/* Whether an HDF5 file may be replaced. Any cube may be, however damaged. KO_E_INPUT where the HDF5
   file is not a cube, or is one of a newer format. */
KO_MUST_CHECK enum ko_code ko_cube_check_replaced(const char *path, struct ko_error *err);

bool ko_cube_view_is_evaluation(const struct ko_cube_view *view);
/* A root attribute's text, NULL where there is none. Borrowed. */
const char *ko_cube_view_attribute(const struct ko_cube_view *view, const char *name);

/* Axes; labels borrowed. Absent axes have n = 0. */
struct ko_cube_axes {
    struct ko_strings model, prompt, heat_prompt, eval_prompt, route, heat_route, feature_class;
    int32_t *window_size, *window_start; /* counted layers */
    int32_t n_sizes, n_starts, n_positions, n_source_positions, n_blocks;
    int32_t n_answer_tokens; /* 0: answers are not scored as a whole */
    bool several;            /* a prompt has several right answers or options */
    int32_t n_options;       /* the most options of a prompt */
    int32_t *n_layers;       /* [model] */
    int32_t n_layer_axis;    /* layers of the largest model; 0 in cubes that lack the axis */
    uint8_t *mixers;         /* [model, n_layer_axis] bits of enum ko_mixer; NULL: not stored */
    enum ko_over over;       /* which layers windows count */
    int32_t *counted;        /* [model, n_layer_axis] these layers, then -1; NULL: every layer */
    enum ko_style style;     /* of the windows */
    /* Of styles other than `whole`, else NULL: [model, size, start, n_layer_axis] 1: the window has
       the layer; and [model, size, start] the windows' depths */
    uint8_t *window_layer;
    double *depth;
    struct ko_strings architecture, fingerprint, tokenizer_fingerprint,
        checkpoint_path; /* [model] */
};
const struct ko_cube_axes *ko_cube_view_axes(const struct ko_cube_view *view);

/* The number of a model's layers that windows count. */
int32_t ko_cube_n_counted(const struct ko_cube_axes *axes, int32_t model);
/* The layers of a window, as ko_plan_window and ko_plan_depth; size and start are values of the
   axes. */
struct ko_layer_range ko_cube_window(const struct ko_cube_axes *axes, int32_t model, int32_t size,
                                     int32_t start);
double ko_cube_depth(const struct ko_cube_axes *axes, int32_t model, int32_t size, int32_t start);
/* Whether a window has a layer that lies in the range of ko_cube_window. */
bool ko_cube_window_has(const struct ko_cube_axes *axes, int32_t model, int32_t size, int32_t start,
                        int32_t layer);

/* Reads one model's values of a dataset whose first axis is `model`, converted to double / int32 /
   uint8. n is the product of the other axes (checked); out [n]. */
KO_MUST_CHECK enum ko_code ko_cube_view_read_double(struct ko_cube_view *view, const char *dataset,
                                                    int32_t model, double *out, int64_t n,
                                                    struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cube_view_read_int(struct ko_cube_view *view, const char *dataset,
                                                 int32_t model, int32_t *out, int64_t n,
                                                 struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cube_view_read_uint8(struct ko_cube_view *view, const char *dataset,
                                                   int32_t model, uint8_t *out, int64_t n,
                                                   struct ko_error *err);
/* The cells of one route, class and window size, by their indices on the axes. */
struct ko_cube_slice {
    int32_t route, class, size;
};
/* `n` prompts of one model, from `first` on, of a dataset [model, prompts, ...]. n_values is the
   number of elements they have (checked); `out` has room for them. */
struct ko_cube_rows {
    const char *dataset;
    int32_t model, first, n;
    int64_t n_values;
    const struct ko_cube_slice *slice; /* of each prompt only these cells; NULL: all; borrowed */
};
KO_MUST_CHECK enum ko_code ko_cube_view_rows_double(struct ko_cube_view *view,
                                                    const struct ko_cube_rows *rows, double *out,
                                                    struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cube_view_rows_float(struct ko_cube_view *view,
                                                   const struct ko_cube_rows *rows, float *out,
                                                   struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cube_view_rows_int(struct ko_cube_view *view,
                                                 const struct ko_cube_rows *rows, int32_t *out,
                                                 struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cube_view_rows_uint8(struct ko_cube_view *view,
                                                   const struct ko_cube_rows *rows, uint8_t *out,
                                                   struct ko_error *err);
/* A list of strings along an axis (prompt_text, eval_prompt_text, ...). Free with
 ko_strings_free. */
KO_MUST_CHECK enum ko_code ko_cube_view_read_strings(struct ko_cube_view *view, const char *dataset,
                                                     struct ko_strings *out, struct ko_error *err);
/* The means of components of a model [n], n at most the length of the axis mean_value. */
KO_MUST_CHECK enum ko_code ko_cube_view_means(struct ko_cube_view *view, int32_t model, size_t n,
                                              float *out, struct ko_error *err);
/* A model's content hash, 32 hex digits; "" where no run has written it yet. */
KO_MUST_CHECK enum ko_code ko_cube_view_content_hash(struct ko_cube_view *view, int32_t model,
                                                     char hash[33], struct ko_error *err);
bool ko_cube_view_has(const struct ko_cube_view *view, const char *dataset);

/* The selection that a sweep was created with, [n_blocks, n_models, n_eval_prompts] 0/1. KO_E_INPUT
   where the cube has no dataset "selected". */
KO_MUST_CHECK enum ko_code ko_cube_view_selected(struct ko_cube_view *view, uint8_t *out,
                                                 struct ko_error *err);
/* The run log, NUL-terminated. free(). */
KO_MUST_CHECK enum ko_code ko_cube_view_run_log(struct ko_cube_view *view, char **out,
                                                struct ko_error *err);

/* The run table's row of a run that has begun and not ended. */
struct ko_cube_live {
    bool begun;               /* whether there is such a run; otherwise all members are zero */
    double started, updated;  /* seconds since 1970; updated: the last heartbeat */
    double cells;             /* computed at the last heartbeat */
    double work_share;        /* share of the run's floating-point operations, 0 to 1 */
    char host[256], job[256]; /* UTF-8, truncated */
};
KO_MUST_CHECK enum ko_code ko_cube_view_live(struct ko_cube_view *view, struct ko_cube_live *out,
                                             struct ko_error *err);

/* Checks that the cube was created from this plan, backend and precision: plan_hash, fingerprints
   of checkpoints and tokenizers, backend, precision. KO_E_INPUT names the first difference with
   both values. */
KO_MUST_CHECK enum ko_code ko_cube_view_matches(const struct ko_cube_view *view,
                                                const struct ko_plan *plan, const char *backend,
                                                const char *precision, struct ko_error *err);

/* Whether a cell or a clean run with these numbers has a value. */
static inline bool ko_cell_has_value(float logprob, int32_t rank)
{
    return !isnan(logprob) && rank >= 1;
}

/* The clean runs of an evaluation (or a sweep's eval_*): arrays [n_models * n_facts] on the cube's
   own axes; any may be NULL. An evaluation's clean run that is not flagged done, or lacks a value,
   is NaN, -1, -1. */
KO_MUST_CHECK enum ko_code ko_cube_view_evaluation(struct ko_cube_view *view, float *logprob,
                                                   int32_t *target_rank, int32_t *top1_id,
                                                   uint8_t *reason, struct ko_error *err);

/* The tokens of whole answers of the same clean runs, [n_models * n_facts, n_answer_tokens]; NaN and
   -1 past an answer's last token and where not run. KO_E_INPUT where the cube has no whole
   answers. */
KO_MUST_CHECK enum ko_code ko_cube_view_answers(struct ko_cube_view *view,
                                                struct ko_answer_metrics *out,
                                                struct ko_error *err);
/* Several right answers and options of the same clean runs: choice [n_models * n_facts] and
   option_logprob [n_models * n_facts, n_options]; NaN and -1 where not run. KO_E_INPUT where the cube
   has no such prompt. */
KO_MUST_CHECK enum ko_code ko_cube_view_choices(struct ko_cube_view *view,
                                                struct ko_choice_metrics *choice,
                                                float *option_logprob, struct ko_error *err);
/* The rank by which a run is correct that has several right answers or options: 1 where a right one is
   given, else at least 2: the right option's among the options, or that of the most probable right
   answer, of_best. Only for runs that have values. */
int32_t ko_choice_rank(const struct ko_choice_metrics *choice, int32_t of_best);
/* The largest rank of an answer's tokens [n]: 1 where greedy decoding gives the answer, -1 where it
   was not run. */
int32_t ko_answer_worst_rank(const struct ko_answer_metrics *answer, int32_t n);

#endif
