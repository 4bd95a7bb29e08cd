/* SPDX-License-Identifier: Apache-2.0 */
/* Why cells of a plan were not taken from an earlier cube, counted. */
#ifndef KO_CUBE_REUSE_MISSING_H
#define KO_CUBE_REUSE_MISSING_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/text.h"

/* X(NAME, clause about the earlier cube, with a place for an example) */
#define KO_REUSE_REASONS(X)                                                                        \
    X(KO_REUSE_MODEL, "it lacks model %s")                                                         \
    X(KO_REUSE_CHECKPOINT, "model %s has another checkpoint there")                                \
    X(KO_REUSE_TOKENIZER, "model %s has another tokenizer there")                                  \
    X(KO_REUSE_UNLOADED, "model %s was never computed there")                                      \
    X(KO_REUSE_WEIGHTS, "model %s has other weights there")                                        \
    X(KO_REUSE_PROMPT, "it lacks prompt %s")                                                       \
    X(KO_REUSE_WORDS, "prompt %s has another text, subject or answer there")                       \
    X(KO_REUSE_TOKENS, "prompt %s has other tokens there")                                         \
    X(KO_REUSE_SUBJECT, "the subject of prompt %s has other positions there")                      \
    X(KO_REUSE_TARGET, "the answer of prompt %s has another first token there")                    \
    X(KO_REUSE_ANSWER, "the answer of prompt %s has other scored tokens there")                    \
    X(KO_REUSE_ROWS, "the rows of answers as that of prompt %s are other targets there")           \
    X(KO_REUSE_FOIL, "prompt %s has another foil there, or none")                                  \
    X(KO_REUSE_CLEAN, "prompt %s has no clean run there")                                          \
    X(KO_REUSE_SPAN, "route %s uses a named span, which cubes do not keep")                        \
    X(KO_REUSE_ROUTE, "it lacks route %s")                                                         \
    X(KO_REUSE_CLASS, "it lacks feature class %s")                                                 \
    X(KO_REUSE_STYLE, "its windows are not of style %s")                                           \
    X(KO_REUSE_OVER, "its windows do not count %s")                                                \
    X(KO_REUSE_SIZE, "it lacks window size %s")                                                    \
    X(KO_REUSE_START, "it lacks window start %s")                                                  \
    X(KO_REUSE_UNPLANNED, "it lacks cells of window size %s for some prompts, routes or starts")   \
    X(KO_REUSE_UNDONE, "cells of prompt %s are pending or failed there")                           \
    X(KO_REUSE_NO_VALUE, "cells of prompt %s are flagged done there and have no value")

enum ko_reuse_reason {
    KO_REUSE_TAKEN = -1, /* none */
#define X(name, sentence) name,
    KO_REUSE_REASONS(X)
#undef X
        KO_N_REUSE_REASONS
};

struct ko_reuse_missing {
    int64_t n_cells;
    char example[64]; /* the first example; UTF-8, truncated */
    bool others;      /* there were other examples */
};

/* Counts one more cell for the reason. missing [KO_N_REUSE_REASONS]. */
void ko_reuse_miss(struct ko_reuse_missing *missing, enum ko_reuse_reason reason,
                   const char *example);
int64_t ko_reuse_n_missing(const struct ko_reuse_missing *missing);
/* Adds all reasons with their cells, the most frequent first: "it lacks window size 7 (85,536
   cells); it lacks ..." */
void ko_reuse_missing_add(const struct ko_reuse_missing *missing, struct ko_text *text);

#endif
