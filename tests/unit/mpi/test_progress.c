/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mpi/progress.h"
#include "src/base/clock.h"
#include "src/base/machine/terminal.h"

/* What a progress printed, line by line: of redrawn lines what stands between the carriage return
   and the end of the line. */
struct screen {
    FILE *stream;
    char *data;
    size_t n;
};

static void open_screen(struct screen *screen, struct ko_progress *progress)
{
    screen->stream = open_memstream(&screen->data, &screen->n);
    assert_non_null(screen->stream);
    progress->stream = screen->stream;
}

static void close_screen(struct screen *screen)
{
    (void)fclose(screen->stream);
    free(screen->data);
}

/* Draws at once, whenever the last time was, and returns the line that is then on the screen. */
static const char *draw(struct screen *screen, struct ko_progress *progress)
{
    static char line[4096];
    progress->last = 0;
    ko_progress_print(progress);
    (void)fflush(screen->stream);
    const char *begin = memrchr(screen->data, '\r', screen->n);
    assert_non_null(begin);
    const char *end = strstr(begin, "\033[K");
    assert_non_null(end);
    (void)snprintf(line, sizeof line, "%.*s", (int)(end - begin - 1), begin + 1);
    return line;
}

static void a_line_fits_the_terminal_and_loses_first_what_matters_least(void **state)
{
    (void)state;
    const struct {
        const char *columns, *line;
    } cases[] = {
        {"120", "sweep      33.3 %  1,000 of 3,000 cells  10 cells/s  left 3m 20s  workers busy "
                "2/2  mamba-2.8b"},
        {"94", "sweep      33.3 %  1,000 of 3,000 cells  10 cells/s  left 3m 20s  mamba-2.8b"},
        {"77", "sweep      33.3 %  1,000 of 3,000 cells  10 cells/s  left 3m 20s  mamba-2.8b"},
        {"76", "sweep      33.3 %  1,000 of 3,000 cells  10 cells/s  left 3m 20s"},
        {"60", "sweep      33.3 %  1,000 of 3,000 cells  left 3m 20s"},
        {"40", "sweep      33.3 %  left 3m 20s"},
        {"25", " 33.3 %  left 3m 20s"},
        {"12", " 33.3 %"},
        {"5", " 33."},
        {"1", ""},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct screen screen;
        struct ko_progress progress = {.mode = KO_PROGRESS_LINE,
                                       .cells_total = 3000,
                                       .work_total = 3e9,
                                       .n_workers = 2,
                                       .n_busy = 2,
                                       .model = "mamba-2.8b"};
        setenv("COLUMNS", cases[k].columns, 1);
        open_screen(&screen, &progress);
        ko_progress_begin(&progress, "sweep");
        progress.begin = ko_now() - 100.01;
        progress.cells_done = 1000;
        progress.work_done = 1e9;
        const char *line = draw(&screen, &progress);
        assert_string_equal(line, cases[k].line);
        assert_true(ko_display_width(line) < strtoul(cases[k].columns, NULL, 10));
        close_screen(&screen);
    }
    unsetenv("COLUMNS");
}

static void a_model_s_name_is_measured_in_columns_and_cannot_steer_the_terminal(void **state)
{
    (void)state;
    struct screen screen;
    struct ko_progress progress = {.mode = KO_PROGRESS_LINE,
                                   .cells_total = 3,
                                   .work_total = 3,
                                   .n_workers = 1,
                                   .model = "模型模型模型模型模型模型\033[2J"};
    open_screen(&screen, &progress);
    ko_progress_begin(&progress, "sweep");
    setenv("COLUMNS", "150", 1);
    const char *line = draw(&screen, &progress);
    assert_non_null(strstr(line, "模型模型模型模型模型模型?[2J"));
    const size_t width = ko_display_width(line);
    char columns[32];
    (void)snprintf(columns, sizeof columns, "%zu", width); /* one too few: the last stays free */
    setenv("COLUMNS", columns, 1);
    assert_null(strstr(draw(&screen, &progress), "workers busy"));
    unsetenv("COLUMNS");
    close_screen(&screen);
}

/* The percent at the front of a line. */
static double percent_of(const char *line)
{
    return strtod(line + strlen("sweep   "), NULL);
}

static void percent_moves_within_a_batch_never_falls_and_reaches_100_at_the_end_alone(void **state)
{
    (void)state;
    /* Two batches of 500 cells: in hand, then finished, as a worker tells of them. */
    const struct {
        int64_t done;
        double in_hand, percent;
    } steps[] = {{0, 0, 0},      {0, 125, 12.5}, {0, 499.9, 49.9}, {0, 0, 49.9},   {500, 0, 50},
                 {500, 1, 50.1}, {500, 400, 90}, {500, 500, 99.9}, {500, 0, 99.9}, {1000, 0, 100}};
    struct screen screen;
    struct ko_progress progress = {
        .mode = KO_PROGRESS_LINE, .cells_total = 1000, .work_total = 1000};
    setenv("COLUMNS", "200", 1);
    open_screen(&screen, &progress);
    ko_progress_begin(&progress, "sweep");
    for (size_t k = 0; k < sizeof steps / sizeof steps[0]; k++) {
        progress.cells_done = steps[k].done;
        progress.work_done = (double)steps[k].done;
        progress.cells_partial = progress.work_partial = steps[k].in_hand;
        const double percent = percent_of(draw(&screen, &progress));
        if (!(percent > steps[k].percent - 0.05 && percent < steps[k].percent + 0.05)) {
            fail_msg("step %zu: expected %.1f, got %.1f", k, steps[k].percent, percent);
        }
    }
    unsetenv("COLUMNS");
    close_screen(&screen);
}

static void time_left_is_known_from_the_first_batch_on(void **state)
{
    (void)state;
    struct screen screen;
    struct ko_progress progress = {
        .mode = KO_PROGRESS_LINE, .cells_total = 1000, .work_total = 1000};
    open_screen(&screen, &progress);
    ko_progress_begin(&progress, "sweep");
    assert_non_null(strstr(draw(&screen, &progress), "left ?"));
    progress.begin = ko_now() - 10.01;
    progress.work_partial = 100;
    assert_non_null(strstr(draw(&screen, &progress), "left 1m 30s"));
    assert_int_equal(ko_progress_ppm(&progress), 100000);
    close_screen(&screen);
}

static void a_stop_ends_with_what_is_finished(void **state)
{
    (void)state;
    struct screen screen;
    struct ko_progress progress = {
        .mode = KO_PROGRESS_LINE, .cells_total = 1000, .work_total = 1000};
    open_screen(&screen, &progress);
    ko_progress_begin(&progress, "sweep");
    progress.cells_done = 100;
    progress.work_done = 100;
    progress.cells_partial = progress.work_partial = 300;
    assert_non_null(strstr(draw(&screen, &progress), "400 of 1,000 cells"));
    ko_progress_end(&progress);
    (void)fflush(screen.stream);
    assert_non_null(strstr(memrchr(screen.data, '\r', screen.n), " 10.0 %  100 of 1,000 cells"));
    assert_int_equal(screen.data[screen.n - 1], '\n');
    progress.cells_done = 1000;
    progress.begin = ko_now() - 61;
    assert_non_null(strstr(draw(&screen, &progress), "100.0 %  1,000 of 1,000 cells"));
    assert_non_null(strstr(draw(&screen, &progress), "took 1m 01s"));
    close_screen(&screen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_fits_the_terminal_and_loses_first_what_matters_least),
        cmocka_unit_test(a_model_s_name_is_measured_in_columns_and_cannot_steer_the_terminal),
        cmocka_unit_test(percent_moves_within_a_batch_never_falls_and_reaches_100_at_the_end_alone),
        cmocka_unit_test(time_left_is_known_from_the_first_batch_on),
        cmocka_unit_test(a_stop_ends_with_what_is_finished),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
