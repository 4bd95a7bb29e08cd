/* SPDX-License-Identifier: Apache-2.0 */
/* Which backend follows from what the workers see, and which placements on GPUs are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mpi/world/sight.h"

enum { MAX_WORKERS = 4 };

/* "n1/2:A" is a worker on n1 that sees two GPUs and takes A; "n1/0:" one that sees none, "n1/2:"
   one that sees two and gets none. */
static int read_sights(const char *text, struct ko_sight sight[MAX_WORKERS])
{
    char words[200], *rest = NULL;
    int n = 0;
    snprintf(words, sizeof words, "%s", text);
    for (char *w = strtok_r(words, " ", &rest); w; w = strtok_r(NULL, " ", &rest), n++) {
        char *const slash = strchr(w, '/'), *const colon = strchr(w, ':');
        *slash = *colon = '\0';
        sight[n] = (struct ko_sight){.rank = n + 1, .n_visible = slash[1] - '0'};
        snprintf(sight[n].host, sizeof sight[n].host, "%s", w);
        snprintf(sight[n].gpu.uuid, sizeof sight[n].gpu.uuid, "%s", colon + 1);
        snprintf(sight[n].gpu.name, sizeof sight[n].gpu.name, "Card %s", colon + 1);
        sight[n].gpu.device = colon[1] ? 0 : -1;
    }
    return n;
}

static void the_backend_follows_from_what_all_see(void **state)
{
    static const struct {
        const char *wanted, *sights;
        bool built;
        const char *chosen, *error;
    } row[] = {
        {NULL, "n1/0: n2/0:", true, "cpu", NULL},
        {"", "n1/2:A n1/2:B n2/1:C", true, "cuda", NULL},
        {"cpu", "n1/2:A n1/2:B", true, "cpu", NULL},
        {"cpu", "n1/1:A n1/1:A", true, "cpu", NULL},
        {"cuda", "n1/1:A", true, "cuda", NULL},
        {NULL, "n1/0: n2/0:", false, "cpu", NULL},
        /* Same UUID on another host: a virtual machine's copy. */
        {NULL, "n1/1:A n2/1:A", true, "cuda", NULL},
        /* Two MIG slices of one GPU, each the only one that its process sees. */
        {NULL, "n1/1:MIG-a n1/1:MIG-b", true, "cuda", NULL},
        {NULL, "n1/1:MIG-a n1/1:MIG-b n1/1:MIG-a", true, NULL,
         "gpu: ranks 1 and 3 on n1 have the same GPU (MIG-a, Card MIG-a), start one worker a GPU "
         "or "
         "let each see its own (CUDA_VISIBLE_DEVICES)"},
        {NULL, "n1/1:A n2/0: n3/0: n2/0:", true, NULL,
         "no GPU is visible on n2 (ranks 2, 4), n3 (rank 3), the other workers see one; choose "
         "--backend cpu"},
        {"cuda", "n1/0:", true, NULL,
         "backend: cuda was asked for and no GPU is visible on n1, choose cpu"},
        {"cuda", "n1/1:A n2/0:", true, NULL, "no GPU is visible on n2 (rank 2)"},
        {"cuda", "n1/0:", false, NULL,
         "backend: this build has no backend 'cuda', choose cpu or build with the preset cuda"},
        {"tpu", "n1/1:A", true, NULL,
         "backend: this build has no backend 'tpu', choose cpu or cuda"},
        {"tpu", "n1/0:", false, NULL, "backend: this build has no backend 'tpu', choose cpu"},
        {NULL, "n1/1:A n2/1:B n1/1:A", true, NULL,
         "gpu: ranks 1 and 3 on n1 have the same GPU (A, Card A), start one worker a GPU"},
        {NULL, "n1/2:A n1/2:B n1/2:", true, NULL,
         "gpu: n1 has 3 workers (ranks 1, 2, 3) and rank 3 sees 2 GPUs (A, B), start one worker a "
         "GPU"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct ko_sight sight[MAX_WORKERS];
        struct ko_error err = {0};
        const char *chosen = NULL;
        const int n = read_sights(row[i].sights, sight);
        const enum ko_code code =
            ko_backend_choose(row[i].wanted, row[i].built, sight, n, &chosen, &err);
        assert_int_equal(code, row[i].error ? KO_E_INPUT : KO_OK);
        if (row[i].error && !strstr(err.text, row[i].error)) {
            fail_msg("case %zu: '%s' lacks '%s'", i, err.text, row[i].error);
        }
        if (row[i].chosen) {
            assert_string_equal(chosen, row[i].chosen);
        } else {
            assert_null(chosen);
        }
    }
}

static void a_gpu_that_cannot_be_asked_is_named(void **state)
{
    struct ko_sight sight[MAX_WORKERS];
    struct ko_error err = {0};
    const char *chosen = NULL;
    const int n = read_sights("n1/1:A n2/1:", sight);
    (void)state;
    snprintf(sight[1].problem, sizeof sight[1].problem, "GPU 0: it is lost");
    assert_int_equal(ko_backend_choose(NULL, true, sight, n, &chosen, &err), KO_E_INPUT);
    assert_string_equal(err.text, "gpu: rank 2 on n2: GPU 0: it is lost");
    assert_int_equal(ko_backend_choose("cpu", true, sight, n, &chosen, &err), KO_OK);
}

static void the_device_is_the_same_for_any_order_of_equal_gpus(void **state)
{
    static const char *const sights[] = {"a/1:B b/1:A c/1:A", "a/1:A b/1:A c/1:B", "a/1:A b/1:B"};
    struct ko_sight sight[MAX_WORKERS];
    char text[256], small[10];
    (void)state;
    for (size_t i = 0; i < sizeof sights / sizeof sights[0]; i++) {
        const int n = read_sights(sights[i], sight);
        ko_sights_device(sight, n, text, sizeof text);
        assert_string_equal(text, "Card A + Card B");
        ko_sights_device(sight, n, small, sizeof small);
        assert_string_equal(small, "Card A + ");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_backend_follows_from_what_all_see),
        cmocka_unit_test(a_gpu_that_cannot_be_asked_is_named),
        cmocka_unit_test(the_device_is_the_same_for_any_order_of_equal_gpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
