/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the progress of a run: a line that is redrawn on a terminal, plain lines elsewhere, or
   JSON. It also estimates the time that is left. */
#include "mpi/progress.h"

#include <math.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/base/machine/terminal.h"
#include "src/base/text.h"

enum ko_code ko_progress_mode_parse(const char *text, FILE *stream, enum ko_progress_mode *out,
                                    struct ko_error *err)
{
    static const char *const words[] = {"none", "line", "plain", "json", "auto"};
    for (size_t k = 0; k < 4; k++) {
        if (strcmp(text, words[k]) == 0) {
            *out = (enum ko_progress_mode)k;
            return KO_OK;
        }
    }
    if (strcmp(text, "auto") == 0) {
        *out = ko_is_terminal(stream) ? KO_PROGRESS_LINE : KO_PROGRESS_PLAIN;
        return KO_OK;
    }
    const char *near = ko_nearest(text, words, 5);
    return ko_fail(err, KO_E_INPUT,
                   "--progress: unknown mode '%s'%s%s%s, choose auto, line, plain, json or none",
                   text, near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* FLOP done, unfinished batches included. */
static double work_done(const struct ko_progress *p)
{
    return fmin(p->work_done + p->work_partial, p->work_total);
}

int64_t ko_progress_ppm(const struct ko_progress *progress)
{
    return progress->work_total > 0 ? (int64_t)(1e6 * work_done(progress) / progress->work_total)
                                    : 1000000;
}

void ko_progress_begin(struct ko_progress *progress, const char *title)
{
    progress->title = title;
    progress->begin = ko_now();
    progress->last = progress->begin;
    progress->n_printed = 0;
    progress->cells_shown = 0;
}

static double time_left(const struct ko_progress *p, double elapsed)
{
    const double done = work_done(p);
    return done > 0 ? elapsed * (p->work_total - done) / done : -1;
}

/* Cells to print: never fewer than before, and the last cell only when all are done. */
static double cells_shown(const struct ko_progress *p)
{
    const double finished = (double)(p->cells_before + p->cells_done);
    const double total = (double)p->cells_total;
    if (finished >= total) {
        return total;
    }
    return fmax(p->cells_shown, fmin(finished + p->cells_partial, total - 1));
}

/* In steps of 0.1, below 100 until everything is done. */
static double percent_shown(const struct ko_progress *p)
{
    const double total = (double)p->cells_total;
    if (!(p->cells_shown < total)) {
        return 100;
    }
    return fmin(floor(1000 * p->cells_shown / total) / 10, 99.9);
}

enum { TITLE, PERCENT, CELLS, RATE, LEFT, BUSY, MODEL, N_PARTS };

/* The parts of a line that fit into `width` columns; `dropped` lists the least important first. */
static void add_parts(const struct ko_text part[N_PARTS], size_t width, struct ko_text *out)
{
    static const int dropped[] = {BUSY, MODEL, RATE, CELLS, TITLE, LEFT};
    bool kept[N_PARTS];
    size_t total = 0;
    for (int k = 0; k < N_PARTS; k++) {
        kept[k] = part[k].n > 0;
        total += kept[k] ? ko_display_width(ko_text_str(&part[k])) + 2 : 0;
    }
    for (size_t k = 0; k < sizeof dropped / sizeof dropped[0] && total > width + 2; k++) {
        if (kept[dropped[k]]) {
            kept[dropped[k]] = false;
            total -= ko_display_width(ko_text_str(&part[dropped[k]])) + 2;
        }
    }
    struct ko_text line = {0};
    for (int k = 0; k < N_PARTS; k++) {
        if (kept[k]) {
            ko_text_add(&line, "%s%s", line.n > 0 ? "  " : "", ko_text_str(&part[k]));
        }
    }
    ko_display_add(out, ko_text_str(&line), width);
    out->failed = out->failed || line.failed;
    ko_text_free(&line);
}

static void add_line(const struct ko_progress *p, double elapsed, size_t width, struct ko_text *out)
{
    char done[32], total[32], rate[32], left[32];
    struct ko_text part[N_PARTS] = {0};
    const double seconds = time_left(p, elapsed);
    const double computed = fmax(0, p->cells_shown - (double)p->cells_before);
    ko_text_add(&part[TITLE], "%-8s", p->title);
    ko_text_add(&part[PERCENT], "%5.1f %%", percent_shown(p));
    ko_text_add(&part[CELLS], "%s of %s cells", ko_grouped((int64_t)p->cells_shown, done),
                ko_grouped(p->cells_total, total));
    ko_text_add(&part[RATE], "%s cells/s",
                ko_grouped((int64_t)(elapsed > 0 ? round(computed / elapsed) : 0), rate));
    if (!(p->cells_shown < (double)p->cells_total)) {
        ko_text_add(&part[LEFT], "took %s", ko_seconds_human(elapsed, left));
    } else {
        ko_text_add(&part[LEFT], "left %s",
                    seconds < 0   ? "?"
                    : seconds < 1 ? "<1 s"
                                  : ko_seconds_human(seconds, left));
    }
    ko_text_add(&part[BUSY], "workers busy %d/%d", p->n_busy, p->n_workers);
    if (p->model) {
        ko_display_add(&part[MODEL], p->model, SIZE_MAX);
    }
    add_parts(part, width, out);
    for (int k = 0; k < N_PARTS; k++) {
        out->failed = out->failed || part[k].failed;
        ko_text_free(&part[k]);
    }
}

/* A redrawn line leaves the terminal's last column free: a cursor behind it may wrap. */
static void print_text(struct ko_progress *p, double elapsed)
{
    const bool redrawn = p->mode == KO_PROGRESS_LINE;
    struct ko_text line = {0};
    const size_t columns = redrawn ? ko_terminal_width(p->stream) : SIZE_MAX;
    add_line(p, elapsed, redrawn ? columns - 1 : columns, &line);
    if (!line.failed) {
        fprintf(p->stream, redrawn ? "\r%s\033[K" : "%s\n", ko_text_str(&line));
        fflush(p->stream);
        p->open_line = redrawn;
    }
    ko_text_free(&line);
}

static void print_json(const struct ko_progress *p, double elapsed)
{
    const double left = time_left(p, elapsed);
    fprintf(p->stream,
            "{\"phase\":\"%s\",\"cells_done\":%lld,\"cells_total\":%lld,\"cells_per_second\":%.1f,"
            "\"percent\":%.1f,\"seconds\":%.3f,\"seconds_left\":%.3f,\"workers_busy\":%d,"
            "\"workers\":%d}\n",
            p->title, (long long)(p->cells_before + p->cells_done), (long long)p->cells_total,
            elapsed > 0 ? (double)p->cells_done / elapsed : 0.0, percent_shown(p), elapsed, left,
            p->n_busy, p->n_workers);
    fflush(p->stream);
}

void ko_progress_print(struct ko_progress *progress)
{
    const double now = ko_now();
    progress->cells_shown = cells_shown(progress);
    if (progress->mode == KO_PROGRESS_JSON) {
        print_json(progress, now - progress->begin);
    } else if (progress->mode != KO_PROGRESS_NONE) {
        print_text(progress, now - progress->begin);
    }
    progress->last = now;
    progress->n_printed++;
}

/* Seconds after the last print at which the next plain line is due: 10, 30, 60 from the start, then
   every minute. */
static double plain_gap(int n_printed)
{
    static const double gaps[] = {10, 20, 30};
    return n_printed < 3 ? gaps[n_printed] : 60;
}

bool ko_progress_is_due(const struct ko_progress *progress)
{
    const double gap = progress->mode == KO_PROGRESS_LINE   ? 0.2
                       : progress->mode == KO_PROGRESS_JSON ? 1.0
                                                            : plain_gap(progress->n_printed);
    return progress->mode != KO_PROGRESS_NONE && ko_now() - progress->last >= gap;
}

void ko_progress_end(struct ko_progress *progress)
{
    if (progress->mode == KO_PROGRESS_PLAIN && progress->n_printed == 0) {
        return;
    }
    /* No worker computes any more: a stop has dropped the unfinished batches. */
    progress->cells_partial = progress->work_partial = progress->cells_shown = 0;
    progress->n_busy = 0;
    ko_progress_print(progress);
    ko_progress_break(progress);
}

void ko_progress_break(struct ko_progress *progress)
{
    if (progress->open_line) {
        fputc('\n', progress->stream);
    }
    progress->open_line = false;
}
