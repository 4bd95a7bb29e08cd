/* SPDX-License-Identifier: Apache-2.0 */
/* Simulates a run: gives each batch to the worker that is free first, and adds the time for writing
   results to the cube. */
#include "src/tree/makespan.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"

static const double staged_bytes = 64.0 * 1024 * 1024; /* that make a round come early */

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

/* Seconds of all commit rounds of a run of `seconds`. *last: of the last round, which no batch
   hides. */
static double time_commits(const struct ko_plan *plan, const struct ko_batches *batches,
                           double seconds, double every, double *last)
{
    const double record_bytes =
        (double)ko_plan_n_values(plan) * 24.0 + (double)ko_plan_n_statuses(plan);
    double bytes = 0.0;
    for (int32_t b = 0; b < batches->n; b++) {
        bytes += record_bytes * batches->batch[b].n_facts;
    }
    const double n = 1.0 + fmax(floor(seconds / every), floor(bytes / staged_bytes));
    *last = KO_ROUND_SECONDS + bytes / n / KO_ROUND_BYTES_RATE;
    return n * *last;
}

enum ko_code ko_plan_predict(const struct ko_plan *plan, const struct ko_batches *batches,
                             int32_t n_workers, const struct ko_pace *pace,
                             struct ko_prediction *out, struct ko_error *err)
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
    if (batches->n > 0) {
        double last = 0.0;
        p.commit_seconds = time_commits(plan, batches, p.seconds, pace->commit_seconds, &last);
        p.seconds += last;
    }
    p.efficiency = p.work_seconds / (p.seconds * (double)n_workers);
    if (!valid) {
        p = (struct ko_prediction){NAN, NAN, NAN, NAN, NAN};
    }
    *out = p;
    return KO_OK;
}
