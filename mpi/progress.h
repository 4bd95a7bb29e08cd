/* SPDX-License-Identifier: Apache-2.0 */
/* Live progress on stderr, printed by rank 0 only. */
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
    int64_t cells_total, cells_before;  /* before: done when the run began */
    int64_t cells_done;                 /* computed in this run */
    double work_total, work_done;       /* FLOP of this run, from which the time left follows */
    double cells_partial, work_partial; /* the computed share of unfinished batches */
    double cells_shown;                 /* the most that has been printed */
    int n_workers, n_busy;
    const char *model; /* being computed; borrowed */
    double begin, last;
    int n_printed;
    bool open_line;
};

/* auto: a line that redraws on a terminal, else plain. KO_E_INPUT for an unknown mode. */
KO_MUST_CHECK enum ko_code ko_progress_mode_parse(const char *text, FILE *stream,
                                                  enum ko_progress_mode *out, struct ko_error *err);
/* Share of this run's work that is done, in millionths; 1000000 if there is nothing to do. */
int64_t ko_progress_ppm(const struct ko_progress *progress);
void ko_progress_begin(struct ko_progress *progress, const char *title);
/* Whether it is time to print: a redrawn line five times a second, a plain line at 10, 30, 60 s and
   then every minute, JSON every second. */
bool ko_progress_is_due(const struct ko_progress *progress);
/* Prints. Unfinished batches count by their computed share. The printed number never falls, and
   stays below 100 % until all cells are computed. A redrawn line fits into the terminal: the least
   important parts are left out first. */
void ko_progress_print(struct ko_progress *progress);
/* Prints the last state (after a stop without dropped batches) and ends a redrawn line. */
void ko_progress_end(struct ko_progress *progress);
/* Ends an open redrawn line before other text is printed. */
void ko_progress_break(struct ko_progress *progress);

#endif
