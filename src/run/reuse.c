/* SPDX-License-Identifier: Apache-2.0 */
/* Opens each old cube of --reuse, checks that it fits this run, and copies its finished cells into
   the new cube. Logs how many cells came from which cube. */
#include "src/run/reuse.h"
#include "src/cube/read/done.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mpi/cube/cube.h"
#include "mpi/cube/reuse.h"
#include "src/base/clock.h"
#include "src/base/memory.h"
#include "src/cube/read/view_taken.h"
#include "src/run/stop.h"

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Opens one of the cubes and checks it. */
static enum ko_code open_old(const struct ko_options *options, const char *path,
                             const char *backend, struct ko_cube_view **view, struct ko_error *err)
{
    enum ko_code code = ko_cube_view_open(path, view, err);
    if (code == KO_OK) {
        code =
            ko_cube_reuse_check(*view, backend, ko_option_string(options, KO_OPT_PRECISION), err);
    }
    if (code == KO_OK) {
        return KO_OK;
    }
    if (*view) {
        (void)ko_fail_in(err, "%s", path);
    }
    ko_cube_view_close(*view);
    *view = NULL;
    return ko_fail_in(err, "--reuse");
}

enum ko_code ko_reuse_check(const struct ko_options *options, const char *backend,
                            const char *output, struct ko_error *err)
{
    const struct ko_strings *cubes = &options->value[KO_OPT_REUSE].list;
    enum ko_code code = KO_OK;
    for (size_t k = 0; k < cubes->n && code == KO_OK; k++) {
        struct ko_cube_view *view = NULL;
        if (same_file(cubes->item[k], output)) {
            return ko_fail(err, KO_E_INPUT,
                           "--reuse: %s: is the output itself, use --resume to continue it",
                           cubes->item[k]);
        }
        code = open_old(options, cubes->item[k], backend, &view, err);
        ko_cube_view_close(view);
    }
    return code;
}

struct speaker {
    const struct ko_session *session;
    const char *path;
};

static void warn(void *context, const char *line)
{
    const struct speaker *speaker = context;
    ko_log_write(&speaker->session->log, KO_LOG_WARN, "reuse cube=\"%s\" %s", speaker->path, line);
}

/* A line in the new cube's log: where cells come from that no run of it computed. */
static void note(const struct ko_session *session, const char *cube, const char *old, double start,
                 const struct ko_cube_reuse *reuse)
{
    struct ko_text text = {0};
    struct ko_error err = {0};
    const char *job = getenv("SLURM_JOB_ID");
    ko_text_add(&text, "reuse cube=\"%s\" cells=%lld prompts=%d\n", old, (long long)reuse->n_cells,
                reuse->n_records);
    const struct ko_cube_run run = {.start_epoch = start,
                                    .wall_seconds = ko_wall_clock() - start,
                                    .ranks = session->world.n_ranks,
                                    .host = session->world.host,
                                    .job = job ? job : "",
                                    .log = ko_text_str(&text)};
    if (ko_cube_log_run(cube, &run, &err) != KO_OK) {
        ko_log_warn(&session->log, "run_table", "%s", err.text);
    }
    ko_text_free(&text);
}

/* What the old cube gave, and why not more; nothing at all is a warning. */
static void report(const struct ko_session *session, const char *path,
                   const struct ko_cube_reuse *reuse)
{
    const int64_t left = ko_reuse_n_missing(reuse->missing);
    char taken_text[32], left_text[32];
    struct ko_text why = {0};
    ko_reuse_missing_add(reuse->missing, &why);
    ko_grouped(reuse->n_cells, taken_text);
    ko_grouped(left, left_text);
    if (session->log.for_people && reuse->n_cells == 0 && left > 0) {
        ko_log_warn(&session->log, "reuse", "%s: nothing is taken, %s cells are computed: %s", path,
                    left_text, ko_text_str(&why));
    } else if (reuse->n_cells == 0 && left > 0) {
        ko_log_write(&session->log, KO_LOG_WARN,
                     "reuse cube=\"%s\" nothing is taken, %s cells are computed: %s", path,
                     left_text, ko_text_str(&why));
    } else {
        ko_log_write(&session->log, KO_LOG_INFO,
                     "reuse cube=\"%s\" cells=%s prompts=%d to_compute=%s%s%s%s", path, taken_text,
                     reuse->n_records, left_text, left ? " why=\"" : "", ko_text_str(&why),
                     left ? "\"" : "");
    }
    if (reuse->n_cells > 0) {
        ko_log_say(&session->log, "%s: %s cells taken from it, %s are computed", path, taken_text,
                   left_text);
    }
    ko_text_free(&why);
}

/* Values of one device differ from another's in rounding: not refused, and said. */
static void compare_devices(const struct ko_session *session, const char *path,
                            const struct ko_cube_view *old)
{
    const char *stored = ko_cube_view_attribute(old, "device");
    if (stored && strcmp(stored, session->device) != 0) {
        ko_log_write(&session->log, KO_LOG_INFO,
                     "reuse cube=\"%s\" device=\"%s\" here=\"%s\": cells of both agree to rounding",
                     path, stored, session->device);
    }
}

static enum ko_code take_from(struct ko_session *session, const struct ko_reuse_request *request,
                              const char *path, const uint8_t *done, struct ko_taken *taken,
                              bool *changed, struct ko_error *err)
{
    struct speaker speaker = {session, path};
    struct ko_cube_reuse *reuse = ko_new(1, sizeof *reuse, err);
    struct ko_cube_view *view = NULL;
    const double start = ko_wall_clock();
    if (!reuse) {
        return KO_E_MEMORY;
    }
    *reuse = (struct ko_cube_reuse){.plan = request->plan,
                                    .path = request->path,
                                    .content_hash = request->content_hash,
                                    .done = done,
                                    .taken = taken,
                                    .stop_wanted = ko_stop_wanted,
                                    .remark = warn,
                                    .context = &speaker,
                                    .consent = &session->consent};
    enum ko_code code = open_old(session->cli->options, path, session->backend, &view, err);
    if (code == KO_OK) {
        compare_devices(session, path, view);
        code = ko_cube_reuse_take(view, reuse, err);
    }
    ko_cube_view_close(view);
    if (code == KO_OK) {
        report(session, path, reuse);
    }
    if (code == KO_OK && reuse->n_records > 0) {
        code = ko_consent_ask(&session->consent, err);
    }
    if (code == KO_OK && reuse->n_records > 0) {
        note(session, request->path, path, start, reuse);
    }
    *changed = *changed || reuse->n_records > 0 || reuse->n_whole > 0;
    free(reuse);
    return code;
}

/* What the new cube has by now: an earlier run, or an earlier cube of the list, has given it. */
static enum ko_code look_at(const struct ko_reuse_request *request, uint8_t *done,
                            struct ko_taken **taken, uint8_t *unsettled, struct ko_error *err)
{
    struct ko_cube_view *view = NULL;
    enum ko_code code = ko_cube_view_open(request->path, &view, err);
    if (code == KO_OK) {
        code = ko_cube_view_done(view, request->plan, done, err);
    }
    if (code == KO_OK && taken) {
        code = ko_cube_view_taken(view, request->plan, taken, unsettled, err);
    }
    ko_cube_view_close(view);
    return code;
}

/* A kill between marks and flags leaves sizes of which all is there and nothing says so. */
static enum ko_code settle(const struct ko_session *session, const struct ko_reuse_request *request,
                           struct ko_taken *taken, const uint8_t *unsettled, bool *changed,
                           struct ko_error *err)
{
    const size_t n = (size_t)request->plan->n_models * (size_t)request->plan->n_facts;
    const struct ko_cube_reuse reuse = {
        .plan = request->plan, .path = request->path, .taken = taken, .consent = &session->consent};
    if (!memchr(unsettled, 1, n)) {
        return KO_OK;
    }
    *changed = true;
    return ko_cube_reuse_settle(&reuse, unsettled, err);
}

static enum ko_code take_all(struct ko_session *session, const struct ko_reuse_request *request,
                             uint8_t *done, uint8_t *unsettled, struct ko_taken **taken,
                             bool *changed, struct ko_error *err)
{
    const struct ko_strings *cubes = &session->cli->options->value[KO_OPT_REUSE].list;
    enum ko_code code = look_at(request, done, taken, unsettled, err);
    if (code == KO_OK && *taken) {
        code = settle(session, request, *taken, unsettled, changed, err);
    }
    if (code == KO_OK && !*taken && cubes->n > 0) {
        ko_log_write(
            &session->log, KO_LOG_WARN,
            "reuse cube=\"%s\" was begun without --reuse and has no place for single cells: "
            "only prompts of which all cells are there are taken",
            request->path);
    }
    for (size_t k = 0; k < cubes->n && code == KO_OK; k++) {
        code = take_from(session, request, cubes->item[k], done, *taken, changed, err);
        if (code == KO_OK && *changed && k + 1 < cubes->n) {
            code = look_at(request, done, NULL, NULL, err);
        }
    }
    return code;
}

enum ko_code ko_reuse_cells(struct ko_session *session, const struct ko_reuse_request *request,
                            struct ko_taken **taken, bool *changed, struct ko_error *err)
{
    const size_t n = (size_t)request->plan->n_models * (size_t)request->plan->n_facts;
    uint8_t *done = ko_new(n, 1, err), *unsettled = ko_new(n, 1, err);
    enum ko_code code = done && unsettled ? KO_OK : KO_E_MEMORY;
    *taken = NULL;
    *changed = false;
    if (code == KO_OK) {
        code = take_all(session, request, done, unsettled, taken, changed, err);
    }
    free(done);
    free(unsettled);
    if (code != KO_OK) {
        ko_taken_free(*taken);
        *taken = NULL;
    }
    return code;
}
