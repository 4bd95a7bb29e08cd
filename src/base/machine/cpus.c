/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the affinity mask and quota, and chooses the number of threads from them, the option and
   OMP_NUM_THREADS. */
#define _GNU_SOURCE
#include "src/base/machine/cpus.h"

#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/text.h"

enum ko_code ko_cpus_look(struct ko_cpus *out, struct ko_error *err)
{
    struct ko_cpus cpus = {.quota = {.cpus = INFINITY}};
    if (sched_getaffinity(0, sizeof cpus.mask, (cpu_set_t *)(void *)cpus.mask) != 0) {
        return ko_fail(err, KO_E_FAILED, "threads: the affinity mask cannot be read");
    }
    ko_cgroup_quota_read("", &cpus.quota);
    *out = cpus;
    return KO_OK;
}

static int count_cpus(const uint64_t *mask)
{
    int n = 0;
    for (int w = 0; w < KO_CPU_WORDS; w++) {
        n += __builtin_popcountll(mask[w]);
    }
    return n;
}

/* One process's part, rounded down, of a quota that n processes share. */
static int quota_part(const struct ko_cgroup_quota *quota, int n)
{
    const double part = floor(quota->cpus / n * (1 + 1e-9));
    return part < 1 ? 1 : part < INT_MAX ? (int)part : INT_MAX;
}

static int at_least_one(int n)
{
    return n > 1 ? n : 1;
}

int ko_cpus_usable(const struct ko_cpus *cpus, const char **from)
{
    const int n = at_least_one(count_cpus(cpus->mask)), part = quota_part(&cpus->quota, 1);
    if (from) {
        *from = part < n ? "cgroup quota" : "affinity mask";
    }
    return part < n ? part : n;
}

/* Writes the union of the masks to an empty mask. Returns whether they are disjoint. */
static bool unite_masks(const struct ko_cpus *all, int n, uint64_t *mask)
{
    bool disjoint = true;
    for (int k = 0; k < n; k++) {
        for (int w = 0; w < KO_CPU_WORDS; w++) {
            disjoint = disjoint && (mask[w] & all[k].mask[w]) == 0;
            mask[w] |= all[k].mask[w];
        }
    }
    return disjoint;
}

static int n_sharers(const struct ko_cpus *all, int n, int own)
{
    int sharers = 0;
    for (int k = 0; k < n; k++) {
        sharers += all[k].quota.group == all[own].quota.group;
    }
    return sharers;
}

int ko_cpus_share(const struct ko_cpus *all, int n, int own, const char **from)
{
    uint64_t mask[KO_CPU_WORDS] = {0};
    const bool disjoint = unite_masks(all, n, mask);
    const int share = at_least_one(disjoint ? count_cpus(all[own].mask) : count_cpus(mask) / n);
    const int part = quota_part(&all[own].quota, n_sharers(all, n, own));
    *from = part < share ? "cgroup quota" : disjoint ? "affinity mask" : "equal share";
    return part < share ? part : share;
}

int ko_cpus_together(const struct ko_cpus *all, int n)
{
    uint64_t mask[KO_CPU_WORDS] = {0};
    double quota = 0;
    (void)unite_masks(all, n, mask);
    for (int k = 0; k < n; k++) {
        quota += all[k].quota.cpus / n_sharers(all, n, k);
    }
    const int n_cpus = at_least_one(count_cpus(mask));
    return quota < n_cpus ? quota_part(&(struct ko_cgroup_quota){.cpus = quota}, 1) : n_cpus;
}

/* ----------------------------------------------------------------------------------------------
   the number of threads */

static const char *skip_space(const char *text)
{
    return text + strspn(text, " \t\n");
}

/* Reads the first of a comma-separated list of whole numbers from 1; `one`: the list may have only
   one. White space may surround each. A number too large for an int counts as INT_MAX. */
static enum ko_code parse_list(const char *text, bool one, const char *name, int *out,
                               struct ko_error *err)
{
    int first = 0;
    for (const char *at = text; at;) {
        char *end = NULL;
        at = skip_space(at);
        const long value = isdigit((unsigned char)*at) ? strtol(at, &end, 10) : 0;
        if (value >= 1 && first == 0) {
            first = value < INT_MAX ? (int)value : INT_MAX;
        }
        at = value >= 1 ? skip_space(end) : at;
        if (value < 1 || (*at != '\0' && (one || *at != ','))) {
            return ko_fail(err, KO_E_INPUT, "%s: expected a whole number from 1%s, got '%s'", name,
                           one ? "" : ", or several with commas", text);
        }
        at = *at == ',' ? at + 1 : NULL;
    }
    *out = first;
    return KO_OK;
}

static bool is_set(const char *text)
{
    return text && text[0] != '\0';
}

static void set_threads(struct ko_threads *threads, int n, const char *from)
{
    threads->n = n;
    snprintf(threads->from, sizeof threads->from, "%s", from);
}

/* "2 processors (affinity mask)" */
static const char *name_processors(const struct ko_thread_wish *wish, char text[64])
{
    snprintf(text, 64, "%d processor%s (%s)", wish->usable, wish->usable == 1 ? "" : "s",
             wish->usable_from);
    return text;
}

static enum ko_code choose_wanted(const struct ko_thread_wish *wish, struct ko_threads *out,
                                  struct ko_error *err)
{
    char text[64];
    int wanted = 0;
    if (wish->option > 0) {
        set_threads(out, wish->option, "--threads");
        if (wish->option > wish->usable) {
            snprintf(out->warning, sizeof out->warning,
                     "--threads %d: this process may use %s; more threads than processors are "
                     "slower",
                     wish->option, name_processors(wish, text));
        }
        return KO_OK;
    }
    if (!is_set(wish->omp_num_threads)) {
        set_threads(out, wish->share, wish->share_from);
        return KO_OK;
    }
    const enum ko_code code =
        parse_list(wish->omp_num_threads, false, "OMP_NUM_THREADS", &wanted, err);
    if (code != KO_OK) {
        return code;
    }
    set_threads(out, wanted < wish->usable ? wanted : wish->usable, "OMP_NUM_THREADS");
    if (wanted > wish->usable) {
        snprintf(out->warning, sizeof out->warning,
                 "OMP_NUM_THREADS=%.40s: this process may use %s, so it takes %d thread%s; "
                 "--threads takes any number",
                 wish->omp_num_threads, name_processors(wish, text), out->n,
                 out->n == 1 ? "" : "s");
    }
    return KO_OK;
}

enum ko_code ko_threads_choose(const struct ko_thread_wish *wish, struct ko_threads *out,
                               struct ko_error *err)
{
    struct ko_threads threads = {0};
    int limit = INT_MAX;
    enum ko_code code = choose_wanted(wish, &threads, err);
    if (code == KO_OK && is_set(wish->omp_thread_limit)) {
        code = parse_list(wish->omp_thread_limit, true, "OMP_THREAD_LIMIT", &limit, err);
    }
    if (code != KO_OK) {
        return code;
    }
    if (limit < threads.n) {
        if (wish->option > 0 || is_set(wish->omp_num_threads)) {
            snprintf(threads.warning, sizeof threads.warning,
                     "OMP_THREAD_LIMIT=%d limits the %d threads of %s", limit, threads.n,
                     threads.from);
        }
        set_threads(&threads, limit, "OMP_THREAD_LIMIT");
    }
    *out = threads;
    return KO_OK;
}

enum ko_code ko_threads_here(int option, struct ko_threads *out, struct ko_error *err)
{
    struct ko_cpus cpus = {.quota = {.cpus = INFINITY}};
    struct ko_thread_wish wish = {.option = option,
                                  .omp_num_threads = getenv("OMP_NUM_THREADS"),
                                  .omp_thread_limit = getenv("OMP_THREAD_LIMIT")};
    const enum ko_code code = ko_cpus_look(&cpus, err);
    if (code != KO_OK) {
        return code;
    }
    wish.usable = ko_cpus_usable(&cpus, &wish.usable_from);
    wish.share = ko_cpus_share(&cpus, 1, 0, &wish.share_from);
    return ko_threads_choose(&wish, out, err);
}
