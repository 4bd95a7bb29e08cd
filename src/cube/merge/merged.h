/* SPDX-License-Identifier: Apache-2.0 */
/* What a merge found in its shards: counts, what is missing, warnings. */
#ifndef KO_CUBE_MERGE_MERGED_H
#define KO_CUBE_MERGE_MERGED_H

#include <stdint.h>

#include "src/base/text.h"

/* A pair is a model and a prompt. A prompt with routes and heatmaps makes two pairs. */
struct ko_cube_merged {
    int32_t n_shards;           /* of the sweep */
    int64_t n_pairs;            /* planned pairs */
    int64_t pending;            /* planned pairs that lack a result */
    int64_t failed;             /* planned pairs with a failed cell */
    struct ko_text missing;     /* one line: what is pending and where; "" where all is there */
    struct ko_strings warnings; /* differences that change no more than rounding, a line each */
};

/* Leaves {0}. */
static inline void ko_cube_merged_free(struct ko_cube_merged *merged)
{
    ko_text_free(&merged->missing);
    ko_strings_free(&merged->warnings);
    *merged = (struct ko_cube_merged){0};
}

#endif
