/* SPDX-License-Identifier: Apache-2.0 */
/* Live progress on stderr, spoken by rank 0 alone. */
#ifndef KO_MPI_PROGRESS_H
#define KO_MPI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "src/base/error.h"

enum ko_progress_mode { KO_PROGRESS_NONE, KO_PROGRESS_LINE, KO_PROGRESS_PLAIN, KO_PROGRESS_JSON };

struct ko_progress {
    enum ko_progress_mode mode;
    FILE *stream;                       /* borrowed */
    const char *title;                  /* "evaluate", "sweep"; borrowed */
    int64_t cells_total, cells_before;  /* before: flagged already when the run began */
    int64_t cells_done;                 /* computed in this run */
    double work_total, work_done;       /* FLOP of this run: the time left goes by it */
    double cells_in_hand, work_in_hand; /* of batches that are not finished, as far as they are */
    double cells_shown;                 /* the most that has been printed */
    int n_workers, n_busy;
    const char *model; /* in hand; borrowed */
    double begin, last;
    int n_printed;
    bool open_line;
};

/* auto: a line that redraws on a terminal, else plain. KO_E_INPUT for an unknown word. */
KO_MUST_CHECK enum ko_code ko_progress_mode_parse(const char *text, FILE *stream,
                                                  enum ko_progress_mode *out, struct ko_error *err);
/* Work done of this run in millionths, that in hand included; all of it where there is none to do.
 */
int64_t ko_progress_ppm(const struct ko_progress *progress);
void ko_progress_begin(struct ko_progress *progress, const char *title);
/* Prints where it is time to: a redrawn line five times a second, a plain line at 10, 30, 60 s and
   then every minute, JSON every second. Cells of batches in hand count as far as these are; what is
   printed never falls, and is below 100 % until all cells are computed. A redrawn line is as wide
   as the terminal at most: what matters least is left out first. */
void ko_progress_tick(struct ko_progress *progress);
/* The last state (after a stop without what was in hand), and the end of a redrawn line. */
void ko_progress_end(struct ko_progress *progress);
/* Ends a redrawn line that is open, without another state: an error text follows. */
void ko_progress_break(struct ko_progress *progress);

#endif
