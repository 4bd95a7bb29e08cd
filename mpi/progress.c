#include "mpi/progress.h"

#include <string.h>
#include <unistd.h>

#include "mpi/messages.h"
#include "src/base/text.h"

enum ko_code ko_progress_mode_parse(const char *text, FILE *stream, enum ko_progress_mode *out,
                                    struct ko_error *err)
{
    static const char *const words[] = {"none", "line", "plain", "json", "auto"};
    for (size_t k = 0; k < 4; k++)
        if (strcmp(text, words[k]) == 0) {
            *out = (enum ko_progress_mode)k;
            return KO_OK;
        }
    if (strcmp(text, "auto") == 0) {
        *out = isatty(fileno(stream)) ? KO_PROGRESS_LINE : KO_PROGRESS_PLAIN;
        return KO_OK;
    }
    const char *near = ko_nearest(text, words, 5);
    return ko_fail(err, KO_E_INPUT,
                   "--progress: unknown mode '%s'%s%s%s, choose auto, line, plain, json or none",
                   text, near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

int64_t ko_progress_ppm(const struct ko_progress *progress)
{
    return progress->work_total > 0 ? (int64_t)(1e6 * progress->work_done / progress->work_total)
                                    : 1000000;
}

void ko_progress_begin(struct ko_progress *progress, const char *title)
{
    progress->title = title;
    progress->begin = ko_now();
    progress->last = progress->begin;
    progress->n_printed = 0;
}

static double time_left(const struct ko_progress *p, double elapsed)
{
    return p->work_done > 0 ? elapsed * (p->work_total - p->work_done) / p->work_done : -1;
}

static void print_text(struct ko_progress *p, double elapsed)
{
    char done[32], total[32], rate[32], left[32];
    const int64_t now = p->cells_before + p->cells_done;
    const double seconds = time_left(p, elapsed);
    const double share = p->cells_total > 0 ? 100.0 * (double)now / (double)p->cells_total : 100.0;
    const double per_second = elapsed > 0 ? (double)p->cells_done / elapsed : 0;
    fprintf(p->stream,
            "%s%-8s %5.1f %%  %s of %s cells  %s cells/s  left %s  workers busy %d/%d%s%s%s",
            p->mode == KO_PROGRESS_LINE ? "\r" : "", p->title, share, ko_grouped(now, done),
            ko_grouped(p->cells_total, total), ko_grouped((int64_t)per_second, rate),
            seconds < 0   ? "?"
            : seconds < 1 ? "<1 s"
                          : ko_seconds_human(seconds, left),
            p->n_busy, p->n_workers, p->model ? "  " : "", p->model ? p->model : "",
            p->mode == KO_PROGRESS_LINE ? "\033[K" : "\n");
    fflush(p->stream);
    p->open_line = p->mode == KO_PROGRESS_LINE;
}

static void print_json(const struct ko_progress *p, double elapsed)
{
    const double left = time_left(p, elapsed);
    fprintf(p->stream,
            "{\"phase\":\"%s\",\"cells_done\":%lld,\"cells_total\":%lld,\"cells_per_second\":%.1f,"
            "\"seconds\":%.3f,\"seconds_left\":%.3f,\"workers_busy\":%d,\"workers\":%d}\n",
            p->title, (long long)(p->cells_before + p->cells_done), (long long)p->cells_total,
            elapsed > 0 ? (double)p->cells_done / elapsed : 0.0, elapsed, left, p->n_busy,
            p->n_workers);
    fflush(p->stream);
}

static void print(struct ko_progress *p)
{
    const double now = ko_now();
    if (p->mode == KO_PROGRESS_JSON)
        print_json(p, now - p->begin);
    else if (p->mode != KO_PROGRESS_NONE)
        print_text(p, now - p->begin);
    p->last = now;
    p->n_printed++;
}

/* Seconds after the last print at which the next plain line is due: 10, 30, 60 from the start, then
 * every minute. */
static double plain_gap(int n_printed)
{
    static const double gaps[] = {10, 20, 30};
    return n_printed < 3 ? gaps[n_printed] : 60;
}

void ko_progress_tick(struct ko_progress *progress)
{
    const double gap = progress->mode == KO_PROGRESS_LINE   ? 0.2
                       : progress->mode == KO_PROGRESS_JSON ? 1.0
                                                            : plain_gap(progress->n_printed);
    if (progress->mode != KO_PROGRESS_NONE && ko_now() - progress->last >= gap)
        print(progress);
}

void ko_progress_end(struct ko_progress *progress)
{
    if (progress->mode == KO_PROGRESS_PLAIN && progress->n_printed == 0)
        return;
    print(progress);
    ko_progress_break(progress);
}

void ko_progress_break(struct ko_progress *progress)
{
    if (progress->open_line)
        fputc('\n', progress->stream);
    progress->open_line = false;
}
