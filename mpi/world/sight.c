/* SPDX-License-Identifier: Apache-2.0 */
/* Gathers the GPUs and threads that each worker has. From these it chooses the backend, refuses two
   workers on one GPU, and writes the lines that describe the machines. */
#include "mpi/world/sight.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/world/agree.h"
#include "mpi/world/check.h"
#include "src/base/machine/machine_memory.h"
#include "src/base/memory.h"
#include "src/base/text.h"

void ko_sight_look(const char *host, int node_worker, struct ko_sight *out)
{
    struct ko_error error = {0};
    *out = (struct ko_sight){.node_worker = node_worker, .n_visible = ko_gpus_visible()};
    snprintf(out->host, sizeof out->host, "%s", host);
    out->host_memory = ko_machine_memory("");
    out->gpu.device = -1;
    const int device = out->n_visible == 1 ? 0 : node_worker;
    if (device < out->n_visible && ko_gpu_identify(device, &out->gpu, &error) != KO_OK) {
        snprintf(out->problem, sizeof out->problem, "%.255s", error.text);
    }
}

enum ko_code ko_sights_gather(struct ko_world *world, int wanted, struct ko_sight **out,
                              struct ko_error *err)
{
    struct ko_sight mine = {.gpu.device = -1};
    struct ko_sight *all = NULL;
    enum ko_code code = KO_OK;
    if (world->worker >= 0) {
        ko_sight_look(world->host, world->node_worker, &mine);
        code = ko_world_threads(world, wanted, &mine.threads, err);
        world->gpu = mine.gpu;
        world->threads = mine.threads;
    }
    mine.rank = world->rank;
    if (code == KO_OK && world->root) {
        all = ko_new((size_t)world->n_ranks, sizeof *all, err);
        code = all ? KO_OK : KO_E_MEMORY;
    }
    code = ko_agree(world->all, code, err);
    int slice = mine.gpu.slice;
    if (code == KO_OK) {
        code = ko_mpi_check(MPI_Allreduce(MPI_IN_PLACE, &slice, 1, MPI_INT, MPI_MAX, world->all),
                            "MPI_Allreduce", err);
        world->broken = world->broken || code != KO_OK;
        world->reads_alone = slice != 0;
    }
    if (code == KO_OK) {
        code = ko_mpi_check(MPI_Gather(&mine, (int)sizeof mine, MPI_BYTE, all, (int)sizeof mine,
                                       MPI_BYTE, 0, world->all),
                            "MPI_Gather", err);
        world->broken = world->broken || code != KO_OK;
    }
    if (code != KO_OK) {
        free(all);
        return code;
    }
    if (all && !world->alone) {
        memmove(all, all + 1, (size_t)world->n_workers * sizeof *all);
    }
    *out = all;
    return KO_OK;
}

/* "node1 (ranks 1, 2), node2 (rank 4)": the workers for which `which` returns true. A single worker
   is listed by its host. */
static void add_hosts(struct ko_text *text, const struct ko_sight *sight, int n,
                      bool (*which)(const struct ko_sight *))
{
    bool any = false;
    if (n == 1 && which(sight)) {
        ko_text_add(text, "%s", sight->host);
        return;
    }
    for (int w = 0; w < n; w++) {
        bool seen = !which(&sight[w]);
        for (int k = 0; k < w && !seen; k++) {
            seen = which(&sight[k]) && strcmp(sight[k].host, sight[w].host) == 0;
        }
        if (seen) {
            continue;
        }
        int n_here = 0;
        for (int k = w; k < n; k++) {
            n_here += which(&sight[k]) && strcmp(sight[k].host, sight[w].host) == 0;
        }
        ko_text_add(text, "%s%s (rank%s ", any ? ", " : "", sight[w].host, n_here > 1 ? "s" : "");
        any = true;
        const char *comma = "";
        for (int k = w; k < n; k++) {
            if (which(&sight[k]) && strcmp(sight[k].host, sight[w].host) == 0) {
                ko_text_add(text, "%s%d", comma, sight[k].rank);
                comma = ", ";
            }
        }
        ko_text_add(text, ")");
    }
}

static bool sees_none(const struct ko_sight *sight)
{
    return sight->n_visible == 0;
}

static bool has_problem(const struct ko_sight *sight)
{
    return sight->problem[0] != '\0';
}

static enum ko_code fail_blind(const char *wanted, const struct ko_sight *sight, int n,
                               struct ko_error *err)
{
    struct ko_text hosts = {0};
    add_hosts(&hosts, sight, n, sees_none);
    if (wanted) {
        (void)ko_fail(err, KO_E_INPUT,
                      "backend: cuda was asked for and no GPU is visible on %s, choose cpu or run "
                      "where every worker sees a GPU",
                      ko_text_str(&hosts));
    } else {
        (void)ko_fail(err, KO_E_INPUT,
                      "backend: no GPU is visible on %s, the other workers see one; choose "
                      "--backend cpu, or run where every worker sees a GPU",
                      ko_text_str(&hosts));
    }
    ko_text_free(&hosts);
    return KO_E_INPUT;
}

/* Refuses a node with more workers than GPUs. */
static enum ko_code check_enough(const struct ko_sight *sight, int n, struct ko_error *err)
{
    for (int w = 0; w < n; w++) {
        if (sight[w].gpu.device >= 0 || has_problem(&sight[w])) {
            continue;
        }
        struct ko_text ranks = {0}, uuids = {0};
        int n_here = 0;
        for (int k = 0; k < n; k++) {
            if (strcmp(sight[k].host, sight[w].host) != 0) {
                continue;
            }
            ko_text_add(&ranks, "%s%d", n_here++ ? ", " : "", sight[k].rank);
            if (sight[k].gpu.device >= 0) {
                ko_text_add(&uuids, "%s%s", uuids.n ? ", " : "", sight[k].gpu.uuid);
            }
        }
        (void)ko_fail(err, KO_E_INPUT,
                      "gpu: %s has %d workers (ranks %s) and rank %d sees %d GPUs (%s), start one "
                      "worker a GPU",
                      sight[w].host, n_here, ko_text_str(&ranks), sight[w].rank, sight[w].n_visible,
                      ko_text_str(&uuids));
        ko_text_free(&ranks);
        ko_text_free(&uuids);
        return KO_E_INPUT;
    }
    return KO_OK;
}

/* Refuses two workers on one GPU of a host. */
static enum ko_code check_shared(const struct ko_sight *sight, int n, struct ko_error *err)
{
    for (int w = 0; w < n; w++) {
        for (int k = 0; k < w; k++) {
            if (strcmp(sight[k].host, sight[w].host) == 0 &&
                strcmp(sight[k].gpu.uuid, sight[w].gpu.uuid) == 0) {
                return ko_fail(err, KO_E_INPUT,
                               "gpu: ranks %d and %d on %s have the same GPU (%s, %s), start one "
                               "worker a GPU or let each see its own (CUDA_VISIBLE_DEVICES)",
                               sight[k].rank, sight[w].rank, sight[w].host, sight[w].gpu.uuid,
                               sight[w].gpu.name);
            }
        }
    }
    return KO_OK;
}

static enum ko_code check_gpus(const char *wanted, const struct ko_sight *sight, int n,
                               struct ko_error *err)
{
    for (int w = 0; w < n; w++) {
        if (sees_none(&sight[w])) {
            return fail_blind(wanted, sight, n, err);
        }
    }
    for (int w = 0; w < n; w++) {
        if (has_problem(&sight[w])) {
            return ko_fail(err, KO_E_INPUT, "gpu: rank %d on %s: %s", sight[w].rank, sight[w].host,
                           sight[w].problem);
        }
    }
    const enum ko_code code = check_enough(sight, n, err);
    return code == KO_OK ? check_shared(sight, n, err) : code;
}

enum ko_code ko_backend_choose(const char *wanted, bool build_has_cuda,
                               const struct ko_sight *sight, int n, const char **out,
                               struct ko_error *err)
{
    const char *name = wanted && wanted[0] != '\0' ? wanted : NULL;
    if (name && strcmp(name, "cpu") != 0 && (strcmp(name, "cuda") != 0 || !build_has_cuda)) {
        return ko_fail(err, KO_E_INPUT, "backend: this build has no backend '%s', choose %s", name,
                       build_has_cuda              ? "cpu or cuda"
                       : strcmp(name, "cuda") == 0 ? "cpu or build with the preset cuda"
                                                   : "cpu");
    }
    bool any = false;
    for (int w = 0; w < n; w++) {
        any = any || !sees_none(&sight[w]);
    }
    if (name ? strcmp(name, "cpu") == 0 : !any || !build_has_cuda) {
        *out = "cpu";
        return KO_OK;
    }
    const enum ko_code code = check_gpus(name, sight, n, err);
    if (code == KO_OK) {
        *out = "cuda";
    }
    return code;
}

/* The first name after `after` in the order of bytes; NULL if there is none. after NULL: the first. */
static const char *next_name(const struct ko_sight *sight, int n, const char *after)
{
    const char *next = NULL;
    for (int w = 0; w < n; w++) {
        const char *name = sight[w].gpu.name;
        if ((!after || strcmp(name, after) > 0) && (!next || strcmp(name, next) < 0)) {
            next = name;
        }
    }
    return next;
}

void ko_sights_device(const struct ko_sight *sight, int n, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (const char *name = next_name(sight, n, NULL); name && used < size;
         name = next_name(sight, n, name)) {
        used += (size_t)snprintf(text + used, size - used, "%s%s", used ? " + " : "", name);
    }
}

/* The first worker with the fewest threads above `more_than`; -1 if there is no such worker. */
static int next_by_threads(const struct ko_sight *sight, int n, int more_than)
{
    int best = -1;
    for (int w = 0; w < n; w++) {
        if (sight[w].threads.n > more_than &&
            (best < 0 || sight[w].threads.n < sight[best].threads.n)) {
            best = w;
        }
    }
    return best;
}

enum ko_code ko_sights_describe_host(const struct ko_sight *sight, int n,
                                     const struct ko_kernels *kernels, char *text, size_t size,
                                     struct ko_error *err)
{
    enum ko_code code = KO_OK;
    size_t used = 0;
    text[0] = '\0';
    for (int w = next_by_threads(sight, n, 0); code == KO_OK && w >= 0 && used < size;
         w = next_by_threads(sight, n, sight[w].threads.n)) {
        const struct ko_backend_config config = {.threads = sight[w].threads.n,
                                                 .precision = KO_FLOAT32};
        struct ko_backend *be = NULL;
        char one[256];
        code = kernels->open(&config, &be, err);
        if (code != KO_OK) {
            break;
        }
        kernels->describe(be, one, sizeof one);
        kernels->close(be);
        used += (size_t)snprintf(text + used, size - used, "%s%s", used ? " + " : "", one);
    }
    return code;
}

const char *ko_sights_threads(const struct ko_sight *sight, int n, char text[32])
{
    int least = 0, most = 0;
    for (int w = 0; w < n; w++) {
        least = w == 0 || sight[w].threads.n < least ? sight[w].threads.n : least;
        most = sight[w].threads.n > most ? sight[w].threads.n : most;
    }
    if (least == most) {
        snprintf(text, 32, "%d", least);
    } else {
        snprintf(text, 32, "%d..%d", least, most);
    }
    return text;
}

void ko_sights_warn(const struct ko_sight *sight, int n, const struct ko_log *log)
{
    for (int w = 0; w < n; w++) {
        const char *text = sight[w].threads.warning;
        bool printed = text[0] == '\0';
        for (int k = 0; k < w && !printed; k++) {
            printed = strcmp(sight[k].threads.warning, text) == 0 &&
                      strcmp(sight[k].host, sight[w].host) == 0;
        }
        if (!printed && log->for_people) {
            ko_log_warn(log, "threads", "%s: %s", sight[w].host, text);
        } else if (!printed) {
            ko_log_write(log, KO_LOG_WARN, "threads host=\"%s\" %s", sight[w].host, text);
        }
    }
}

void ko_sights_log(const struct ko_sight *sight, int n, const struct ko_log *log)
{
    char memory[32];
    for (int w = 0; w < n; w++) {
        ko_log_write(log, KO_LOG_INFO,
                     "gpu worker_rank=%d host=\"%s\" device=%d name=\"%s\" uuid=%s memory=\"%s\"",
                     sight[w].rank, sight[w].host, sight[w].gpu.device, sight[w].gpu.name,
                     sight[w].gpu.uuid, ko_bytes_human(sight[w].gpu.memory_bytes, memory));
    }
}
