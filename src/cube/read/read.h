/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a cube, one process, no MPI: what is in it is checked before use. */
#ifndef KO_CUBE_READ_READ_H
#define KO_CUBE_READ_READ_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/plan/plan.h"

/* The metrics of a sweep's cells by name of their dataset ("logprob", "kl", ...). */
struct ko_cube_view;

/* Opens read-only. KO_E_INPUT where it is no cube, of a newer cube_format, or does not pass what
   cube_check.h asks of it. Where there is a guard (cube_guard.h) a process of its own reads the
   file first. Free with ko_cube_view_close. */
KO_MUST_CHECK enum ko_code ko_cube_view_open(const char *path, struct ko_cube_view **out,
                                             struct ko_error *err);
/* The same without any lock on the file, for one who looks while a run writes it. */
KO_MUST_CHECK enum ko_code ko_cube_view_look(const char *path, struct ko_cube_view **out,
                                             struct ko_error *err);
void ko_cube_view_close(struct ko_cube_view *view);
/* Opens it, reads all that HDF5 keeps elsewhere than in the datasets themselves (attributes,
   strings, the outline of a shard) and closes it: what a reader of cube_guard.h does with a file.
 */
KO_MUST_CHECK enum ko_code ko_cube_view_read_all(const char *path, struct ko_error *err);

/* Whether a file that begins as HDF5 files do may be replaced: a cube of ours, however damaged it
   is. KO_E_INPUT where it is an HDF5 file of something else, or a cube of a newer format. */
KO_MUST_CHECK enum ko_code ko_cube_check_replaced(const char *path, struct ko_error *err);

bool ko_cube_view_is_evaluation(const struct ko_cube_view *view);
/* A root attribute's text, NULL where there is none. Borrowed. */
const char *ko_cube_view_attribute(const struct ko_cube_view *view, const char *name);

/* Axes; labels borrowed. Absent axes have n = 0. */
struct ko_cube_axes {
    struct ko_strings model, prompt, heat_prompt, eval_prompt, route, heat_route, feature_class;
    int32_t *window_size, *window_start; /* layers */
    int32_t n_sizes, n_starts, n_positions, n_source_positions, n_blocks;
    int32_t *n_layers; /* [model] */
    struct ko_strings architecture, fingerprint, tokenizer_fingerprint,
        checkpoint_path; /* [model] */
};
const struct ko_cube_axes *ko_cube_view_axes(const struct ko_cube_view *view);

/* Reads one model's part of a dataset whose first axis is `model`, converted to double / int32 /
   uint8, into out [product of the other axes]; n must be that product (checked). */
KO_MUST_CHECK enum ko_code ko_cube_view_read_double(struct ko_cube_view *view, const char *dataset,
                                                    int32_t model, double *out, int64_t n,
                                                    struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cube_view_read_int(struct ko_cube_view *view, const char *dataset,
                                                 int32_t model, int32_t *out, int64_t n,
                                                 struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cube_view_read_uint8(struct ko_cube_view *view, const char *dataset,
                                                   int32_t model, uint8_t *out, int64_t n,
                                                   struct ko_error *err);
/* Some prompts of one model: `n` of them from `first` on, of a dataset whose first axes are `model`
   and a prompt axis; whole in its further axes. n_values is what `out` has room for, which must be
   all of it (checked). */
struct ko_cube_rows {
    const char *dataset;
    int32_t model, first, n;
    int64_t n_values;
};
KO_MUST_CHECK enum ko_code ko_cube_view_rows_float(struct ko_cube_view *view,
                                                   const struct ko_cube_rows *rows, float *out,
                                                   struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cube_view_rows_int(struct ko_cube_view *view,
                                                 const struct ko_cube_rows *rows, int32_t *out,
                                                 struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cube_view_rows_uint8(struct ko_cube_view *view,
                                                   const struct ko_cube_rows *rows, uint8_t *out,
                                                   struct ko_error *err);
/* A list of strings along an axis (prompt_text, eval_prompt_text, ...). Free with ko_strings_free.
 */
KO_MUST_CHECK enum ko_code ko_cube_view_read_strings(struct ko_cube_view *view, const char *dataset,
                                                     struct ko_strings *out, struct ko_error *err);
/* A model's content hash, 32 hex digits; "" where none has been written yet. */
KO_MUST_CHECK enum ko_code ko_cube_view_content_hash(struct ko_cube_view *view, int32_t model,
                                                     char hash[33], struct ko_error *err);
bool ko_cube_view_has(const struct ko_cube_view *view, const char *dataset);

/* The selection that a sweep was created with, [n_blocks, n_models, n_eval_prompts] 0/1: KO_E_INPUT
   where the cube has none ("selected"). */
KO_MUST_CHECK enum ko_code ko_cube_view_selected(struct ko_cube_view *view, uint8_t *out,
                                                 struct ko_error *err);
/* The run log, NUL-terminated. free(). */
KO_MUST_CHECK enum ko_code ko_cube_view_run_log(struct ko_cube_view *view, char **out,
                                                struct ko_error *err);

/* The row of the run table that a run has begun and not ended. */
struct ko_cube_live {
    bool begun;               /* whether there is one; all below is zero otherwise */
    double started, updated;  /* seconds since 1970; updated: its last sign of life */
    double cells;             /* computed by then */
    double work_share;        /* of its floating-point operations, 0 to 1 */
    char host[256], job[256]; /* UTF-8, cut off where longer */
};
KO_MUST_CHECK enum ko_code ko_cube_view_live(struct ko_cube_view *view, struct ko_cube_live *out,
                                             struct ko_error *err);

/* Whether the cube at path was created from this plan, backend and precision: plan_hash,
   fingerprints of checkpoints and tokenizers, backend, precision. KO_E_INPUT naming the first
   difference with both values. */
KO_MUST_CHECK enum ko_code ko_cube_view_matches(const struct ko_cube_view *view,
                                                const struct ko_plan *plan, const char *backend,
                                                const char *precision, struct ko_error *err);

/* Whether a cell or a clean run with these numbers has a value. */
static inline bool ko_cell_has_value(float logprob, int32_t rank)
{
    return !isnan(logprob) && rank >= 1;
}

/* The ranks of an evaluation cube (or of a sweep's eval_*): target_rank, top1_id, logprob,
   reason_code each [n_models * n_facts] by the cube's own axes; any may be NULL. A clean run of an
   evaluation that is not flagged done, or lacks a value, is NaN, -1, -1. */
KO_MUST_CHECK enum ko_code ko_cube_view_evaluation(struct ko_cube_view *view, float *logprob,
                                                   int32_t *target_rank, int32_t *top1_id,
                                                   uint8_t *reason, struct ko_error *err);

#endif
