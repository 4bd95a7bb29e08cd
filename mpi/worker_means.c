/* SPDX-License-Identifier: Apache-2.0 */
/* Shares the groups of clean runs among the workers and adds their sums in the order of the groups, so
   that the means are the same for any number of workers. */
#include "mpi/worker_means.h"

#include <stdlib.h>
#include <string.h>

#include "mpi/world/agree.h"
#include "mpi/world/check.h"
#include "src/base/clock.h"
#include "src/base/memory.h"

struct sharing {
    struct ko_worker *worker;
    int32_t model;
    struct ko_mean_groups groups;
    size_t n_sums;
    double *sums;  /* [n_sums] of all groups */
    double *group; /* [n_sums] of one */
    float *means;
};

static void free_sharing(struct sharing *s)
{
    ko_mean_groups_free(&s->groups);
    free(s->sums);
    free(s->group);
    free(s->means);
}

static enum ko_code make_sharing(struct sharing *s, struct ko_error *err)
{
    const struct ko_plan *plan = s->worker->job->plan;
    s->n_sums = ko_mean_sums(plan, s->model);
    s->sums = ko_new(s->n_sums, sizeof *s->sums, err);
    s->group = ko_new(s->n_sums, sizeof *s->group, err);
    s->means = ko_new(s->n_sums, sizeof *s->means, err);
    return s->sums && s->group && s->means ? ko_mean_groups_make(plan, s->model, &s->groups, err)
                                           : KO_E_MEMORY;
}

/* Computes one group on the worker whose turn it is, and gives its sums to all. */
static enum ko_code share_group(struct sharing *s, int32_t group, struct ko_error *err)
{
    const struct ko_world *world = s->worker->world;
    const int owner = group % world->n_workers;
    enum ko_code code = KO_OK;
    memset(s->group, 0, s->n_sums * sizeof *s->group);
    if (world->worker == owner) {
        code = ko_compute_sum_means(s->worker->compute, &s->groups, group, s->group, err);
    }
    code = ko_agree(world->workers, code, err);
    if (code == KO_OK) {
        code = ko_mpi_check(MPI_Bcast(s->group, (int)s->n_sums, MPI_DOUBLE, owner, world->workers),
                            "MPI_Bcast", err);
    }
    for (size_t k = 0; code == KO_OK && k < s->n_sums; k++) {
        s->sums[k] += s->group[k];
    }
    return code;
}

static enum ko_code compute_means(struct sharing *s, struct ko_error *err)
{
    struct ko_worker *worker = s->worker;
    enum ko_code code = KO_OK;
    for (int32_t g = 0; code == KO_OK && g < s->groups.n; g++) {
        code = share_group(s, g, err);
    }
    if (code != KO_OK) {
        return code;
    }
    ko_means_divide(worker->job->plan, s->model, s->sums, s->means);
    code = ko_cube_write_means(worker->cube, s->model, worker->world->worker == 0 ? s->means : NULL,
                               err);
    worker->world->broken = worker->world->broken || code != KO_OK;
    return code;
}

enum ko_code ko_worker_load_means(struct ko_worker *worker, int32_t model, struct ko_error *err)
{
    struct sharing s = {.worker = worker, .model = model};
    const double begin = ko_now();
    bool stored = false;
    if (ko_plan_n_means(worker->job->plan) == 0) {
        return KO_OK;
    }
    enum ko_code code = ko_agree(worker->world->workers, make_sharing(&s, err), err);
    if (code == KO_OK) {
        code = ko_agree(worker->world->workers,
                        ko_cube_read_means(worker->cube, model, s.means, &stored, err), err);
    }
    if (code == KO_OK && !stored) {
        code = compute_means(&s, err);
    }
    if (code == KO_OK) {
        code = ko_agree(worker->world->workers, ko_compute_set_means(worker->compute, s.means, err),
                        err);
    }
    free_sharing(&s);
    worker->spent.load += ko_now() - begin;
    return code;
}
