/* SPDX-License-Identifier: Apache-2.0 */
/* Opens each old cube of --reuse, checks that it fits this run, and copies its finished cells into
   the new cube. Logs how many cells came from which cube. */
#include "src/run/reuse.h"
#include "src/cube/read/done.h"

#include <stdlib.h>
#include <string.h>

#include "mpi/cube/reuse.h"
#include "src/base/clock.h"
#include "src/base/machine/signals.h"
#include "src/base/memory.h"
#include "src/cube/read/view_taken.h"
#include "src/cube/run/run_table.h"
#include "src/run/output.h"
#include "src/run/session.h"

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
        if (ko_same_file(cubes->item[k], output)) {
            return ko_fail(err, KO_E_INPUT,
                           "--reuse: %s: is the output itself, use --resume to continue it",
                           cubes->item[k]);
        }
        code = open_old(options, cubes->item[k], backend, &view, err);
        ko_cube_view_close(view);
    }
    return code;
}

/* What ko_reuse_cells works on. */
struct reuse {
    const struct ko_session *session;
    const struct ko_reuse_request *request;
    uint8_t *done;          /* [n_models * n_facts] whole prompts in the new cube; owned */
    uint8_t *unsettled;     /* [n_models * n_facts] prompts whose flags are missing; owned */
    struct ko_taken *taken; /* single cells in the new cube; NULL: it does not record them */
    bool changed;           /* something was written */
    const char *old;        /* path of the current old cube */
};

static void warn_of_old(void *context, const char *line)
{
    const struct reuse *reuse = context;
    ko_log_write(&reuse->session->log, KO_LOG_WARN, "reuse cube=\"%s\" %s", reuse->old, line);
}

/* Adds a row to the new cube's run table, which names the old cube. */
static void log_row(const struct reuse *reuse, double start, const struct ko_cube_reuse *given)
{
    struct ko_text text = {0};
    ko_text_add(&text, "reuse cube=\"%s\" cells=%lld prompts=%d\n", reuse->old,
                (long long)given->n_cells, given->n_records);
    struct ko_cube_run run = {
        .start_epoch = start, .wall_seconds = ko_wall_clock() - start, .log = ko_text_str(&text)};
    ko_session_log_row(reuse->session, reuse->request->path, &run);
    ko_text_free(&text);
}

/* Logs how many cells the old cube gave, and why not more. Warns if it gave none. */
static void log_given(const struct ko_session *session, const char *path,
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

/* Values of another device are accepted, though they differ in rounding. This is logged. */
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

/* Takes what the current old cube has. */
static enum ko_code take_from_old(struct reuse *reuse, struct ko_error *err)
{
    const struct ko_session *session = reuse->session;
    const struct ko_reuse_request *request = reuse->request;
    struct ko_cube_reuse *given = ko_new(1, sizeof *given, err);
    struct ko_cube_view *view = NULL;
    const double start = ko_wall_clock();
    if (!given) {
        return KO_E_MEMORY;
    }
    *given = (struct ko_cube_reuse){.plan = request->plan,
                                    .path = request->path,
                                    .content_hash = request->content_hash,
                                    .done = reuse->done,
                                    .taken = reuse->taken,
                                    .stop_wanted = ko_stop_wanted,
                                    .remark = warn_of_old,
                                    .context = reuse,
                                    .consent = &session->consent};
    enum ko_code code = open_old(session->cli->options, reuse->old, session->backend, &view, err);
    if (code == KO_OK) {
        compare_devices(session, reuse->old, view);
        code = ko_cube_reuse_take(view, given, err);
    }
    ko_cube_view_close(view);
    if (code == KO_OK) {
        log_given(session, reuse->old, given);
    }
    if (code == KO_OK && given->n_records > 0) {
        code = ko_consent_ask(&session->consent, err);
        if (code == KO_OK) {
            log_row(reuse, start, given);
        }
    }
    reuse->changed = reuse->changed || given->n_records > 0 || given->n_whole > 0;
    free(given);
    return code;
}

/* Reads what the new cube has: whole prompts and, if `cells`, single cells. An earlier run or an
   earlier cube of the list has written them. */
static enum ko_code read_new(struct reuse *reuse, bool cells, struct ko_error *err)
{
    const struct ko_reuse_request *request = reuse->request;
    struct ko_cube_view *view = NULL;
    enum ko_code code = ko_cube_view_open(request->path, &view, err);
    if (code == KO_OK) {
        code = ko_cube_view_done(view, request->plan, reuse->done, err);
    }
    if (code == KO_OK && cells) {
        code = ko_cube_view_taken(view, request->plan, &reuse->taken, reuse->unsettled, err);
    }
    ko_cube_view_close(view);
    return code;
}

/* Writes flags that are missing: an earlier run was killed after it had written all values of a
   size and before it flagged them done. */
static enum ko_code settle_flags(struct reuse *reuse, struct ko_error *err)
{
    const struct ko_reuse_request *request = reuse->request;
    const size_t n = (size_t)request->plan->n_models * (size_t)request->plan->n_facts;
    const struct ko_cube_reuse settled = {.plan = request->plan,
                                          .path = request->path,
                                          .taken = reuse->taken,
                                          .consent = &reuse->session->consent};
    if (!memchr(reuse->unsettled, 1, n)) {
        return KO_OK;
    }
    reuse->changed = true;
    return ko_cube_reuse_settle(&settled, reuse->unsettled, err);
}

static enum ko_code take_from_all(struct reuse *reuse, struct ko_error *err)
{
    const struct ko_strings *cubes = &reuse->session->cli->options->value[KO_OPT_REUSE].list;
    enum ko_code code = read_new(reuse, true, err);
    if (code == KO_OK && reuse->taken) {
        code = settle_flags(reuse, err);
    }
    if (code == KO_OK && !reuse->taken && cubes->n > 0) {
        ko_log_write(
            &reuse->session->log, KO_LOG_WARN,
            "reuse cube=\"%s\" was begun without --reuse and has no place for single cells: "
            "only prompts of which all cells are there are taken",
            reuse->request->path);
    }
    for (size_t k = 0; k < cubes->n && code == KO_OK; k++) {
        reuse->old = cubes->item[k];
        code = take_from_old(reuse, err);
        if (code == KO_OK && reuse->changed && k + 1 < cubes->n) {
            code = read_new(reuse, false, err);
        }
    }
    return code;
}

enum ko_code ko_reuse_cells(const struct ko_session *session,
                            const struct ko_reuse_request *request, struct ko_taken **taken,
                            bool *changed, struct ko_error *err)
{
    const size_t n = (size_t)request->plan->n_models * (size_t)request->plan->n_facts;
    struct reuse reuse = {.session = session,
                          .request = request,
                          .done = ko_new(n, 1, err),
                          .unsettled = ko_new(n, 1, err)};
    const enum ko_code code =
        reuse.done && reuse.unsettled ? take_from_all(&reuse, err) : KO_E_MEMORY;
    free(reuse.done);
    free(reuse.unsettled);
    if (code != KO_OK) {
        ko_taken_free(reuse.taken);
        reuse.taken = NULL;
    }
    *taken = reuse.taken;
    *changed = reuse.changed;
    return code;
}
