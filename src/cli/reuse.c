#include "src/cli/reuse.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mpi/cube/cube.h"
#include "mpi/cube/cube_reuse.h"
#include "src/base/clock.h"
#include "src/base/memory.h"
#include "src/cli/stop.h"

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
    if (code == KO_OK)
        code =
            ko_cube_reuse_check(*view, backend, ko_option_string(options, KO_OPT_PRECISION), err);
    if (code == KO_OK)
        return KO_OK;
    if (*view)
        (void)ko_fail_in(err, "%s", path);
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
        if (same_file(cubes->item[k], output))
            return ko_fail(err, KO_E_INPUT,
                           "--reuse: %s: is the output itself, use --resume to continue it",
                           cubes->item[k]);
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
    if (ko_cube_log_run(cube, &run, &err) != KO_OK)
        ko_log_write(&session->log, KO_LOG_WARN, "run_table %s", err.text);
    ko_text_free(&text);
}

static enum ko_code take_from(struct ko_session *session, const struct ko_reuse_request *request,
                              const char *path, uint8_t *done, int64_t *n_taken,
                              struct ko_error *err)
{
    struct speaker speaker = {session, path};
    struct ko_cube_reuse reuse = {.plan = request->plan,
                                  .path = request->path,
                                  .content_hash = request->content_hash,
                                  .done = done,
                                  .stop_wanted = ko_stop_wanted,
                                  .remark = warn,
                                  .context = &speaker,
                                  .consent = &session->consent};
    struct ko_cube_view *view = NULL;
    const double start = ko_wall_clock();
    char cells[32];
    enum ko_code code = open_old(session->cli->options, path, session->backend, &view, err);
    if (code == KO_OK)
        code = ko_cube_reuse(view, &reuse, err);
    ko_cube_view_close(view);
    if (code == KO_OK)
        ko_log_write(&session->log, KO_LOG_INFO, "reuse cube=\"%s\" cells=%s prompts=%d", path,
                     ko_grouped(reuse.n_cells, cells), reuse.n_records);
    if (code == KO_OK && reuse.n_records > 0)
        code = ko_consent_ask(&session->consent, err);
    if (code == KO_OK && reuse.n_records > 0)
        note(session, request->path, path, start, &reuse);
    *n_taken += reuse.n_records;
    return code;
}

/* Flags what the new cube has by now: an earlier cube of the list has given it. */
static enum ko_code look_again(const struct ko_reuse_request *request, uint8_t *done,
                               struct ko_error *err)
{
    struct ko_cube_view *view = NULL;
    enum ko_code code = ko_cube_view_open(request->path, &view, err);
    if (code == KO_OK)
        code = ko_cube_view_done(view, request->plan, done, err);
    ko_cube_view_close(view);
    return code;
}

enum ko_code ko_reuse_cells(struct ko_session *session, const struct ko_reuse_request *request,
                            int64_t *n_taken, struct ko_error *err)
{
    const struct ko_strings *cubes = &session->cli->options->value[KO_OPT_REUSE].list;
    const size_t n = (size_t)request->plan->n_models * (size_t)request->plan->n_facts;
    uint8_t *done = ko_new(n, 1, err);
    enum ko_code code = done ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK)
        memcpy(done, request->done, n);
    *n_taken = 0;
    for (size_t k = 0; k < cubes->n && code == KO_OK; k++) {
        const int64_t before = *n_taken;
        code = take_from(session, request, cubes->item[k], done, n_taken, err);
        if (code == KO_OK && *n_taken > before && k + 1 < cubes->n)
            code = look_again(request, done, err);
    }
    free(done);
    return code;
}
