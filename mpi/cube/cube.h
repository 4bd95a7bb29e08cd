/* SPDX-License-Identifier: Apache-2.0 */
/* The cube: one HDF5 file that is also valid netCDF-4. Created serially and whole, then written raw
   and collectively by the workers; no metadata changes after creation, so a kill at any moment
   leaves a file that opens, in which every flagged cell is right. */
#ifndef KO_MPI_CUBE_CUBE_H
#define KO_MPI_CUBE_CUBE_H

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

#include "src/base/consent.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/forward/record.h"
#include "src/plan/plan.h"
#include "src/tokenizer/tokenizer.h"

/* ------------------------------------------------------------------------------------------------
   creation (one process) */

struct ko_cube_attribute {
    const char *name, *value; /* UTF-8 */
};

/* The clean runs of an evaluation: [n_models * n_facts] by the axes of the plan that is created;
   NaN / -1 where not run. */
struct ko_cube_evaluation {
    const float *logprob;
    const int32_t *target_rank, *top1_id;
};

/* How a cube that is written whole gets its name. */
struct ko_cube_placing {
    const struct ko_consent *consent; /* asked last before it does; NULL; borrowed */
    bool keeps; /* what has the name then stays, and the new cube is refused */
};

struct ko_cube_content {
    const struct ko_plan *plan; /* sweep or evaluation */
    const struct ko_cube_attribute
        *attribute; /* root attributes besides plan_hash, cube_format, kind, title, Conventions; in
                       order; at most 60,000 bytes each, but `spec` may be of any length */
    size_t n_attributes;
    const struct ko_cube_evaluation *
        evaluation; /* sweep: eval_*; NULL for an evaluation, whose eval_* are written by commits */
    char (*content_hash)[33]; /* [n_models] of the weights that the evaluation ran, "": not known;
                                 NULL: of no model; borrowed */
    bool reused; /* cells may be taken from earlier cubes: the cube says of each whether it was */
    struct ko_tokenizer *const
        *tokenizer; /* [n_models] for token_text, which stays empty where NULL; borrowed */
    const struct ko_cube_content *whole; /* the plan is a shard's: plan, evaluation and tokenizer of
                                            the whole cube, which the file outlines; else NULL */
    const struct ko_cube_placing *placing; /* NULL: replaces what is there; borrowed */
};

/* Writes the whole file under a temporary name that begins with `path` and renames it into place.
   An existing `path` is replaced, or is KO_E_FAILED where content->placing keeps it. KO_E_INPUT
   where the folder cannot be written, KO_E_FAILED where the disk is full; nothing is left behind
   then. */
KO_MUST_CHECK enum ko_code ko_cube_create(const char *path, const struct ko_cube_content *content,
                                          struct ko_error *err);

/* ------------------------------------------------------------------------------------------------
   commits (collective) */

struct ko_cube;

/* Collective over comm (the workers'): opens an existing cube for raw writes. The plan is the one
   that it was created from (borrowed). Errors are agreed on. Free with ko_cube_close (collective).
 */
KO_MUST_CHECK enum ko_code ko_cube_open(const char *path, const struct ko_plan *plan, MPI_Comm comm,
                                        struct ko_cube **out, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cube_close(struct ko_cube *cube, struct ko_error *err);

/* Collective: writes the values of n records (0 where this rank has none; any order), flush, their
   done flags, flush. Records of equal (model, fact) must not be on two ranks. What the cube has
   taken from an earlier one stays as it is. A failure here may be this rank's alone: the caller
   ends the job. */
KO_MUST_CHECK enum ko_code ko_cube_commit(struct ko_cube *cube, const struct ko_record *records,
                                          int32_t n, struct ko_error *err);

/* The same for records with cells of an earlier cube (record->taken), by one process. The cube must
   have been created to say so of each cell, but for records that are whole. Cells that are not
   taken stay as they are in the cube; values, flush, marks, flush, done flags, flush. */
KO_MUST_CHECK enum ko_code ko_cube_take(struct ko_cube *cube, const struct ko_record *records,
                                        int32_t n, struct ko_error *err);
/* Whether the cube says of each cell if it was taken. */
bool ko_cube_has_reused(const struct ko_cube *cube);

/* Local: what the next commits write into the run's row, beside the time, for those who look while
   the run is under way; the first rank of the communicator is the one that matters. cells: computed
   in this run; work_share: of its floating-point operations, 0 to 1. */
void ko_cube_set_progress(struct ko_cube *cube, double cells, double work_share);

/* Collective: writes a model's content hash (32 hex digits; NULL on ranks that have nothing to
   write). */
KO_MUST_CHECK enum ko_code ko_cube_write_content_hash(struct ko_cube *cube, int32_t model,
                                                      const char *hash, struct ko_error *err);

/* ------------------------------------------------------------------------------------------------
   one process again */

/* The start of a run, written into the row that ko_cube_log_run fills at its end (run_ranks stays
   -1 until then). Raw, and no lock is taken. */
KO_MUST_CHECK enum ko_code ko_cube_begin_run(const char *path, double start_epoch, const char *host,
                                             const char *job, struct ko_error *err);

struct ko_cube_run {
    double start_epoch, wall_seconds, device_seconds;
    int32_t ranks;
    const char *host, *job; /* job may be "" */
    const char *log;        /* lines appended to run_log */
};
enum { KO_CUBE_BUSY_SECONDS = 5 };
/* Fills the next free row of the run table of an existing cube, raw: the last one where none is
   free. Of the log what fits. No lock is taken, so that somebody who reads the cube meanwhile does
   not fail a run. Where HDF5 is told to lock (HDF5_USE_FILE_LOCKING) and another program has the
   cube open it tries again for KO_CUBE_BUSY_SECONDS; then the log waits in CUBE.run_log for the next
   call of this function, and the error (KO_E_INPUT) says so. */
KO_MUST_CHECK enum ko_code ko_cube_log_run(const char *path, const struct ko_cube_run *run,
                                           struct ko_error *err);

/* A collective write and read-back of a small file beside `path`, removed again: whether the folder
   can be written from every rank. Collective over comm; the error is agreed on and names the host.
 */
KO_MUST_CHECK enum ko_code ko_cube_probe_folder(const char *path, MPI_Comm comm,
                                                struct ko_error *err);

#endif
