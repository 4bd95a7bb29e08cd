/* SPDX-License-Identifier: Apache-2.0 */
/* Weights that stream give the same bits as weights that stay, for every demo model and every
   variant. $KO_BACKEND=cuda compares them on a GPU, at $KO_PRECISION. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <math.h>

#include "tests/golden/golden_check.h"
#include "tests/support/far.h"
#include "tests/support/gpu.h"

#define FACTS    KO_SOURCE_DIR "/jobs/facts.jsonl"
#define VARIANTS KO_SOURCE_DIR "/tests/data/variants"

enum { MOST = 80, PATH = 512 };

static struct variant {
    char name[128], checkpoint[PATH], golden[PATH];
} variants[MOST];
static size_t n_variants;

/* golden: folder and name of the golden file, around the model's name. */
static void add(const char *name, const char *checkpoint, const char *const golden[2])
{
    struct variant *v = &variants[n_variants++];
    (void)snprintf(v->name, sizeof v->name, "%s", name);
    (void)snprintf(v->checkpoint, sizeof v->checkpoint, "%s/%s", checkpoint, name);
    (void)snprintf(v->golden, sizeof v->golden, "%s/%s%s", golden[0], name, golden[1]);
}

static int list(void **state)
{
    static const char *const demos[] = {"mamba-facts", "falcon-mamba-facts", "mamba2-facts",
                                        "gpt2-facts", "llama-facts"};
    static const char *const of_demo[] = {KO_SOURCE_DIR "/tests/data/golden", ".h5"};
    static const char *const of_variant[] = {VARIANTS, "/golden.h5"};
    DIR *folder = opendir(VARIANTS);
    (void)state;
    for (size_t k = 0; k < sizeof demos / sizeof demos[0]; k++) {
        add(demos[k], KO_SOURCE_DIR "/jobs/models", of_demo);
    }
    if (!folder) {
        return -1;
    }
    for (const struct dirent *entry; (entry = readdir(folder)) && n_variants < MOST;) {
        if (entry->d_name[0] != '.') {
            add(entry->d_name, VARIANTS, of_variant);
        }
    }
    closedir(folder);
    return n_variants > 40 && n_variants < MOST ? 0 : -1;
}

/* One model of each way to lie in memory: one matrix for all experts or one for each, MXFP4, shared
   blocks, layers of several kinds, matrices stored [in, out], float32 and bfloat16. */
static bool is_chosen(const char *name)
{
    static const char *const names[] = {"gpt2-bare", "qwen2",        "mixtral",   "qwen3-moe",
                                        "gpt-oss",   "zamba2",       "falcon-h1", "mamba2-groups",
                                        "lfm2",      "jamba-experts"};
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        if (strcmp(name, names[k]) == 0) {
            return true;
        }
    }
    return false;
}

/* Compares the two ways on the backend. Many waves end and begin passes often. */
static int n_different(const struct ko_kernels *kernels, bool all, int32_t row_budget)
{
    int n = 0;
    for (size_t k = 0; k < n_variants; k++) {
        const struct variant *v = &variants[k];
        if (!all && !is_chosen(v->name)) {
            continue;
        }
        struct golden_case c = {v->name,  v->checkpoint, FACTS, v->golden, kernels,
                                INFINITY, row_budget,    1,     false,     1};
        struct golden_result resident = {0}, streamed = {0};
        struct ko_error err = {0};
        enum ko_code code = golden_compare(&c, test_precision(), &resident, &err);
        if (code == KO_OK) {
            c.streams = true;
            code = golden_compare(&c, test_precision(), &streamed, &err);
        }
        if (code != KO_OK || resident.n_cells == 0 || resident.n_cells != streamed.n_cells ||
            resident.bits != streamed.bits) {
            print_message("%s on %s: %s\n", v->name, kernels->name,
                          code != KO_OK ? err.text : "the bits differ");
            n++;
        }
    }
    return n;
}

static const struct ko_kernels *gpu; /* NULL: the CPU's backends */

static void every_model_has_the_same_bits(void **state)
{
    const struct ko_kernels *kernels = gpu ? gpu : *state;
    assert_int_equal(n_different(kernels, true, 0), 0);
}

static void chosen_models_have_the_same_bits(void **state)
{
    assert_int_equal(n_different(*state, false, 0), 0);
}

static void so_they_have_in_many_waves(void **state)
{
    const struct ko_kernels *kernels = gpu ? gpu : *state;
    assert_int_equal(n_different(kernels, gpu != NULL, 300), 0);
}

int main(void)
{
    const char *why = NULL;
    gpu = test_gpu_asked() ? test_gpu(&why) : NULL;
    if (test_gpu_asked() && !gpu) {
        printf("skipped: %s\n", why);
        return TEST_SKIPPED;
    }
#define ON(test, kernels)                                                                          \
    {                                                                                              \
#test ", " #kernels, test, NULL, NULL, (void *)(uintptr_t) & (kernels)                     \
    }
    const struct CMUnitTest on_host[] = {
        ON(every_model_has_the_same_bits, ko_kernels_cpu),
        ON(so_they_have_in_many_waves, ko_kernels_cpu),
        ON(chosen_models_have_the_same_bits, ko_kernels_plain),
        ON(chosen_models_have_the_same_bits, test_far),
        ON(chosen_models_have_the_same_bits, test_far_narrow),
        ON(chosen_models_have_the_same_bits, test_far_split),
    };
    const struct CMUnitTest on_gpu[] = {
        cmocka_unit_test(every_model_has_the_same_bits),
        cmocka_unit_test(so_they_have_in_many_waves),
    };
    return gpu ? cmocka_run_group_tests(on_gpu, list, NULL)
               : cmocka_run_group_tests(on_host, list, NULL);
}
