/* SPDX-License-Identifier: Apache-2.0 */
/* Simulates a run: gives each batch to the worker that is free first, and adds the time for writing
   results to the cube. */
#include "src/tree/makespan.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/tree/commit_rounds.h"

static size_t first_free(const double *busy, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++) {
        if (busy[i] < busy[best]) {
            best = i;
        }
    }
    return best;
}

/* Runs batches [begin, end) on n free workers. busy [n]: scratch. Returns the seconds until the last
   batch is done and adds the seconds of all batches to *work. stream_seconds: as in struct ko_pace,
   of the model. */
static double run_batches(const struct ko_batch *begin, const struct ko_batch *end, double flops,
                          double stream_seconds, double *busy, size_t n, double *work)
{
    double last = 0.0;
    for (size_t i = 0; i < n; i++) {
        busy[i] = 0.0;
    }
    for (const struct ko_batch *batch = begin; batch < end; batch++) {
        double *worker = &busy[first_free(busy, n)];
        const double seconds = fmax(batch->flop / flops, batch->n_waves * stream_seconds);
        *worker += seconds;
        *work += seconds;
        last = fmax(last, *worker);
    }
    return last;
}

/* What the rule of commit_rounds.h depends on, with workers that all finish batches at one rate. */
struct rhythm {
    double every;    /* seconds after which a round is due; it has a batch to write */
    double all, one; /* in which enough results wait on all workers together, on one worker */
    double rate;     /* bytes a second that all workers finish */
};

static struct rhythm rhythm_of(const struct ko_batches *batches, double bytes, double seconds,
                               int32_t n_workers, double every)
{
    const double rate = seconds > 0.0 ? bytes / seconds : 0.0;
    struct rhythm rhythm = {fmax(every, seconds / batches->n), INFINITY, INFINITY, rate};
    if (rate > 0.0) {
        const double a_batch = bytes / batches->n; /* its results wait as a whole */
        rhythm.all = a_batch * ceil(KO_STAGED_BYTES / a_batch) / rate;
        rhythm.one = n_workers * rhythm.all;
    }
    return rhythm;
}

/* The number of rounds that begin within so many seconds. *left: the seconds after the last of them
   began. */
static double count_rounds(const struct rhythm *rhythm, double seconds, double *left)
{
    double n = 0.0, wait = 0.0;
    *left = seconds;
    for (;;) {
        const double took =
            n > 0.0 ? KO_ROUND_SECONDS + rhythm->rate * wait / KO_ROUND_BYTES_RATE : 0.0;
        const double paused = (1 + KO_ROUND_PAUSE) * took;
        const double next = fmin(rhythm->every, fmin(rhythm->one, fmax(rhythm->all, paused)));
        if (!(next < *left)) {
            return n;
        }
        const bool steady = fabs(next - wait) <= 1e-6 * wait;
        const double more = steady ? ceil(*left / next) - 1.0 : 1.0;
        wait = next;
        *left -= more * next;
        n += more;
    }
}

/* Fills in the commit rounds of a run of p->seconds, and adds the last one to the seconds: no batch
   hides it. */
static void add_rounds(const struct ko_batches *batches, int32_t n_workers,
                       const struct ko_pace *pace, struct ko_prediction *p)
{
    double bytes = 0.0, left = 0.0;
    for (int32_t b = 0; b < batches->n; b++) {
        bytes += pace->record_bytes * batches->batch[b].n_facts;
    }
    const struct rhythm rhythm =
        rhythm_of(batches, bytes, p->seconds, n_workers, pace->commit_seconds);
    p->n_rounds = 1.0 + count_rounds(&rhythm, p->seconds, &left);
    p->commit_seconds = p->n_rounds * KO_ROUND_SECONDS + bytes / KO_ROUND_BYTES_RATE;
    p->seconds += KO_ROUND_SECONDS + rhythm.rate * left / KO_ROUND_BYTES_RATE;
}

enum ko_code ko_plan_predict(const struct ko_batches *batches, int32_t n_workers,
                             const struct ko_pace *pace, struct ko_prediction *out,
                             struct ko_error *err)
{
    struct ko_prediction p = {0};
    double before =
        0.0; /* compute seconds of the model before, which hide the next one's reading */
    bool valid = n_workers > 0 && pace->commit_seconds > 0.0;
    const size_t n = n_workers > 0 ? (size_t)n_workers : 1;
    double *busy = ko_new(n, sizeof *busy, err);
    if (!busy) {
        return KO_E_MEMORY;
    }
    for (int32_t b = 0; valid && b < batches->n;) {
        const int32_t model = batches->batch[b].model, begin = b;
        while (b < batches->n && batches->batch[b].model == model) {
            b++;
        }
        valid = pace->flops[model] > 0.0 && pace->load_seconds[model] >= 0.0;
        const double hidden = pace->reads_ahead ? before : 0.0;
        const double load = fmax(0.0, pace->load_seconds[model] - hidden);
        before = run_batches(&batches->batch[begin], &batches->batch[b], pace->flops[model],
                             pace->stream_seconds ? pace->stream_seconds[model] : 0, busy, n,
                             &p.work_seconds);
        p.load_seconds += load;
        p.seconds += load + before;
    }
    free(busy);
    if (valid && batches->n > 0) {
        add_rounds(batches, n_workers, pace, &p);
    }
    p.efficiency = p.work_seconds / (p.seconds * (double)n_workers);
    if (!valid) {
        p = (struct ko_prediction){NAN, NAN, NAN, NAN, NAN, NAN};
    }
    *out = p;
    return KO_OK;
}
