/* SPDX-License-Identifier: Apache-2.0 */
/* Runs groups of sublayers: a sublayer, and those parallel to it that follow (sublayer.h). */
#ifndef KO_FORWARD_GROUP_H
#define KO_FORWARD_GROUP_H

#include "src/models/pass.h"

/* The rows that sublayers finish: the residual stream and the results of the group's mixers. */
struct ko_stream {
    int32_t n;
    float *x; /* [n, d_model] */
    int32_t n_mixed;
    struct ko_mixed {
        float *data; /* [n, ld] */
        int32_t ld;  /* its width */
    } mixed[KO_GROUP_MIXERS];
};
/* Runs the mixers of the group that begins with sublayer i for all active rows, and lets the stream
   point to their results, whose widths may differ between layers. Nothing for a sublayer that does
   not mix. */
KO_MUST_CHECK enum ko_code ko_pass_mix(const struct ko_pass *pass, size_t i,
                                       struct ko_stream *stream, struct ko_error *err);
/* Finishes the group that begins with sublayer i, whose mixers have run. Finishes i last, so that
   all of them read the same x. *next: the number of the sublayer after the group. */
KO_MUST_CHECK enum ko_code ko_pass_finish_from(const struct ko_pass *pass, size_t i,
                                               const struct ko_stream *stream, size_t *next,
                                               struct ko_error *err);

#endif
