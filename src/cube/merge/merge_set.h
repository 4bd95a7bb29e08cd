/* SPDX-License-Identifier: Apache-2.0 */
/* The shards of a merge: whether they belong together, and which file has which prompts. */
#ifndef KO_CUBE_MERGE_MERGE_SET_H
#define KO_CUBE_MERGE_MERGE_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cube/merge/merged.h"
#include "src/cube/read/shard.h"

enum { KO_MERGE_PARTS = 2 }; /* cells of routes, of heatmaps */

/* The datasets that lie along one prompt axis. */
struct ko_merge_part {
    enum ko_cube_axis axis;
    const char *status, *logprob, *rank; /* datasets of the cells */
    const char *vacuous;                 /* marks, where the cube has any */
    const char *clean;                   /* the clean run's log-probability */
};
extern const struct ko_merge_part ko_merge_part[KO_MERGE_PARTS];

struct ko_merge_set {
    const struct ko_strings *path; /* of the files; borrowed */
    /* the first file, open until the end; the others are opened one by one */
    struct ko_cube_shard first;
    int32_t *file_of; /* [first.shard.of] by number - 1: file or -1; owned */
    /* [path->n] planned pairs of a file, and how many are incomplete; owned */
    int64_t *n_planned, *n_pending;
    int64_t *n_valueless; /* [path->n] cells of a file flagged done without a value; owned */
    /* [models * prompts] of the whole cube: the file that has the pair, or -1; owned; NULL where
       the cube has no such axis */
    int32_t *owner[KO_MERGE_PARTS];
    bool reused; /* whether any file marks cells that were taken from an earlier cube */
    char (*content_hash)[33]; /* [models] of the whole cube, "": not known; owned */
};

/* Opens and checks all files as ko_cube_merge says, and fills `merged`. Free with
   ko_merge_set_close, also after a failure. */
KO_MUST_CHECK enum ko_code ko_merge_set_open(const struct ko_strings *path,
                                             struct ko_merge_set *set,
                                             struct ko_cube_merged *merged, struct ko_error *err);
void ko_merge_set_close(struct ko_merge_set *set); /* leaves {0} */

/* Adds what is missing, by number and file, as one clause; adds nothing where nothing is
   missing. */
void ko_merge_set_missing(const struct ko_merge_set *set, struct ko_text *text);

/* Assigns the pairs of an open shard to file number `file` and counts them. */
KO_MUST_CHECK enum ko_code ko_merge_set_claim(struct ko_merge_set *set, struct ko_cube_shard *shard,
                                              int32_t file, struct ko_cube_merged *merged,
                                              struct ko_error *err);
/* Counts the pairs of the whole cube that no file has, in merged->pending and n_pairs. */
KO_MUST_CHECK enum ko_code ko_merge_set_count_rest(const struct ko_merge_set *set,
                                                   struct ko_cube_merged *merged,
                                                   struct ko_error *err);

#endif
