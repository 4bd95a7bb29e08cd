/* SPDX-License-Identifier: Apache-2.0 */
/* An old cube and a new one that takes its cells, for the tests of that. */
#ifndef TESTS_UNIT_CUBE_REUSE_PAIR_H
#define TESTS_UNIT_CUBE_REUSE_PAIR_H

#include <math.h>
#include <mpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mpi/cube/commit.h"
#include "mpi/cube/cube.h"
#include "mpi/cube/reuse.h"
#include "src/base/memory.h"
#include "src/cube/create/create.h"
#include "src/cube/read/view_taken.h"
#include "tests/support/folder.h"
#include "tests/support/small_plan.h"

enum { MODELS = 2, FACTS = 5, CLEAN = 9999 };

static const char hash_of[MODELS][33] = {"00112233445566778899aabbccddeeff",
                                         "ffeeddccbbaa99887766554433221100"};
static struct ko_error err;
static char *folder, *old_path, *new_path;
static char remark[1024];
/* Called with each record of the old cube before it is written; NULL: nothing is changed. */
static void (*spoil)(struct ko_record *record);

static inline int make(void **state)
{
    (void)state;
    folder = test_folder_make();
    old_path = test_folder_path(folder, "old.h5");
    new_path = test_folder_path(folder, "new.h5");
    remark[0] = '\0';
    spoil = NULL;
    return 0;
}

static inline int clear(void **state)
{
    (void)state;
    free(old_path);
    free(new_path);
    test_folder_remove(folder);
    return 0;
}

static inline void good(enum ko_code code)
{
    if (code != KO_OK) {
        fail_msg("%s", err.text);
    }
}

/* reused: the cube says of each cell whether it was taken. */
static inline void create(const char *path, const struct ko_plan *plan, bool reused)
{
    static const struct ko_cube_attribute attributes[] = {{"backend", "cpu"},
                                                          {"precision", "float32"}};
    const struct ko_cube_content content = {
        .plan = plan, .attribute = attributes, .n_attributes = 2, .reused = reused};

    good(ko_cube_create(path, &content, &err));
}

/* Values that say where they belong. */
static inline struct ko_metrics metrics_of(int32_t model, int32_t fact, int64_t slot)
{
    const float x = (float)(1000 * model + 100 * fact) + (float)slot;

    return (struct ko_metrics){.logprob = -x / 512,
                               .foil_logprob = -x / 256,
                               .kl = x,
                               .target_rank = (int32_t)(1 + slot),
                               .top1_id = (int32_t)(7 * slot) + fact};
}

/* A cube in which all is done but what `leave` says of (model, fact). */
static inline void make_old(const struct ko_plan *plan, int32_t leave_model, int32_t leave_fact)
{
    struct ko_record record[MODELS * FACTS] = {0};
    struct ko_cube *cube = NULL;
    int32_t n = 0;

    create(old_path, plan, false);
    good(ko_cube_open(old_path, plan, MPI_COMM_SELF, &cube, &err));
    for (int32_t i = 0; i < MODELS * FACTS; i++) {
        const int32_t m = i / FACTS, f = i % FACTS;
        if (f == 0) {
            good(ko_cube_write_content_hash(cube, m, hash_of[m], &err));
        }
        if (ko_plan_prompt(plan, m, f)->reason != KO_RUNNABLE ||
            (m == leave_model && f == leave_fact)) {
            continue;
        }
        struct ko_record *r = &record[n++];
        good(ko_record_new(plan, m, f, r, &err));
        for (int64_t s = 0; s < r->n_statuses; s++) {
            for (int64_t k = 0; k < plan->n_starts && r->status[s] == KO_DONE; k++) {
                r->value[s * plan->n_starts + k] = metrics_of(m, f, s * plan->n_starts + k);
            }
        }
        r->clean = metrics_of(m, f, CLEAN);
        if (spoil) {
            spoil(r);
        }
    }
    good(ko_cube_commit(cube, record, n, &err));
    good(ko_cube_close(cube, &err));
    for (int32_t i = 0; i < n; i++) {
        ko_record_free(&record[i]);
    }
}

static inline void take_remark(void *context, const char *line)
{
    (void)context;
    (void)snprintf(remark, sizeof remark, "%s", line);
}

/* What a take gave: the request after it, and what the new cube says of it. */
static struct ko_cube_reuse given;

/* Makes the new cube, which says of each cell whether it was taken where `by_cell`, and takes what
   the old one has: of how many records. done may be NULL. */
static inline int take_from_old(const struct ko_plan *plan, const char (*known)[33],
                                const uint8_t *done, bool by_cell)
{
    static const uint8_t nothing[MODELS * FACTS];
    struct ko_cube_view *view = NULL;
    struct ko_taken *taken = NULL;

    create(new_path, plan, by_cell);
    if (by_cell) {
        good(ko_taken_new(plan, &taken, &err));
    }
    given = (struct ko_cube_reuse){.plan = plan,
                                   .path = new_path,
                                   .content_hash = known,
                                   .done = done ? done : nothing,
                                   .taken = taken,
                                   .remark = take_remark};
    good(ko_cube_view_open(old_path, &view, &err));
    good(ko_cube_reuse_take(view, &given, &err));
    ko_cube_view_close(view);
    ko_taken_free(taken);
    given.taken = NULL;
    return given.n_records;
}

static inline void replace(char **text, const char *by)
{
    free(*text);
    *text = ko_copy(by, &err);
    assert_non_null(*text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, clear)

#endif
