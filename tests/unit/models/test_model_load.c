/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/models/model_load.h"
#include "src/models/model_open.h"
#include "src/models/model_random.h"
#include "tests/support/checkpoint_edit.h"
#include "tests/support/folder.h"
#include "tests/support/trunk.h"

#define MAMBA       KO_SOURCE_DIR "/tests/data/variants/mamba-odd"
#define GPT2        KO_SOURCE_DIR "/tests/data/variants/gpt2-bare"
#define MAMBA2      KO_SOURCE_DIR "/tests/data/variants/mamba2-groups"
#define LLAMA       KO_SOURCE_DIR "/tests/data/variants/llama3-scaled"
#define MAMBA_FACTS KO_SOURCE_DIR "/jobs/models/mamba-facts"

struct loaded {
    struct ko_checkpoint *cp;
    struct ko_model *model;
    float *arena;
    uint64_t *hash;
};

static struct loaded opened(const char *folder)
{
    struct ko_error err = {0};
    struct loaded m = {0};
    if (ko_checkpoint_open(folder, "toy", &m.cp, &err) || ko_model_open(m.cp, &m.model, &err)) {
        fail_msg("%s", err.text);
    }
    m.arena = ko_new(ko_model_floats(m.model), sizeof *m.arena, &err);
    m.hash = ko_new(m.model->n_weights, sizeof *m.hash, &err);
    assert_non_null(m.arena);
    assert_non_null(m.hash);
    return m;
}

static struct loaded loaded_by(const char *folder, int32_t n_parts, int n_threads)
{
    struct ko_error err = {0};
    struct loaded m = opened(folder);
    for (int32_t part = 0; part < n_parts; part++) {
        const struct ko_load_part which = {part, n_parts, n_threads};
        if (ko_model_load(m.model, m.cp, &which, m.arena, m.hash, &err)) {
            fail_msg("%s", err.text);
        }
    }
    return m;
}

static struct loaded loaded(const char *folder, int32_t n_parts)
{
    return loaded_by(folder, n_parts, 1);
}

static void unload(struct loaded *m)
{
    free(m->arena);
    free(m->hash);
    ko_model_free(m->model);
    ko_checkpoint_close(m->cp);
}

static void loading_in_parts_equals_loading_in_one(void **state)
{
    static const char *const folders[] = {MAMBA, GPT2, MAMBA_FACTS, MAMBA2, LLAMA};
    static const int32_t parts[] = {2, 3, 7, 1000};
    (void)state;
    for (size_t f = 0; f < sizeof folders / sizeof folders[0]; f++) {
        struct loaded one = loaded(folders[f], 1);
        for (size_t p = 0; p < 4; p++) {
            struct loaded many = loaded(folders[f], parts[p]);
            assert_memory_equal(one.arena, many.arena, ko_model_floats(one.model) * sizeof(float));
            assert_memory_equal(one.hash, many.hash, one.model->n_weights * sizeof(uint64_t));
            unload(&many);
        }
        unload(&one);
    }
}

static void any_number_of_threads_loads_the_same(void **state)
{
    static const char *const folders[] = {MAMBA, GPT2, MAMBA_FACTS, MAMBA2, LLAMA};
    static const int threads[] = {0, 2, 5, 100};
    (void)state;
    for (size_t f = 0; f < sizeof folders / sizeof folders[0]; f++) {
        struct loaded one = loaded_by(folders[f], 1, 1);
        for (size_t t = 0; t < 4; t++) {
            struct loaded many = loaded_by(folders[f], 2, threads[t]);
            assert_memory_equal(one.arena, many.arena, ko_model_floats(one.model) * sizeof(float));
            assert_memory_equal(one.hash, many.hash, one.model->n_weights * sizeof(uint64_t));
            unload(&many);
        }
        unload(&one);
    }
}

static void a_weight_is_in_one_part_and_parts_are_about_equal(void **state)
{
    enum { N_PARTS = 3 };
    (void)state;
    struct ko_error err = {0};
    struct loaded m = opened(MAMBA);
    size_t floats[N_PARTS] = {0}, largest = 0, all = 0;
    uint64_t *hash = ko_new(m.model->n_weights, sizeof *hash, &err);
    int *seen = ko_new(m.model->n_weights, sizeof *seen, &err);
    assert_non_null(hash);
    assert_non_null(seen);
    for (int32_t part = 0; part < N_PARTS; part++) {
        memset(hash, 0, m.model->n_weights * sizeof *hash);
        assert_int_equal(ko_model_load(m.model, m.cp, &(struct ko_load_part){part, N_PARTS, 2},
                                       m.arena, hash, &err),
                         KO_OK);
        for (size_t w = 0; w < m.model->n_weights; w++) {
            seen[w] += hash[w] != 0;
            floats[part] += hash[w] ? m.model->weights[w].n : 0;
        }
    }
    for (size_t w = 0; w < m.model->n_weights; w++) {
        assert_int_equal(seen[w], 1);
        all += m.model->weights[w].n;
        if (m.model->weights[w].n > largest) {
            largest = m.model->weights[w].n;
        }
    }
    for (int part = 0; part < N_PARTS; part++) {
        assert_true(floats[part] <= all / N_PARTS + largest);
    }
    free(seen);
    free(hash);
    unload(&m);
}

static void weights_are_transformed_as_declared(void **state)
{
    (void)state;
    struct loaded m = loaded(MAMBA, 1);
    const struct ko_tensor *a_log = ko_checkpoint_find(m.cp, "backbone.layers.3.mixer.A_log");
    const struct ko_tensor *conv =
        ko_checkpoint_find(m.cp, "backbone.layers.3.mixer.conv1d.weight");
    const struct ko_tensor *embedding = ko_checkpoint_find(m.cp, "backbone.embeddings.weight");
    const float *a = test_weight(m.model, m.arena, "backbone.layers.3.mixer.A_log");
    const float *taps = test_weight(m.model, m.arena, "backbone.layers.3.mixer.conv1d.weight");
    for (int64_t c = 0; c < 80; c++) {
        float row[16];
        ko_tensor_to_float(a_log, c * 16, 16, row);
        for (int64_t n = 0; n < 16; n++) {
            assert_true(a[n * 80 + c] == (float)-exp((double)row[n]));
        }
        ko_tensor_to_float(conv, c * 4, 4, row);
        for (int64_t k = 0; k < 4; k++) {
            assert_true(taps[k * 80 + c] == row[k]);
        }
    }
    assert_memory_equal(test_weight(m.model, m.arena, "backbone.embeddings.weight"),
                        embedding->data, embedding->data_bytes);
    unload(&m);
}

/* Expected: numpy, np.exp(-np.exp(A_log.astype(np.float64))).sum(-1); of
   Mamba-2 without the sum. */
static void decay_norms_agree_with_double_precision(void **state)
{
    static const struct {
        const char *folder;
        size_t layer, channel;
        double norm;
    } rows[] = {
        {MAMBA_FACTS, 0, 0, 0.5998578320172863}, {MAMBA_FACTS, 0, 191, 0.5810150996562472},
        {MAMBA_FACTS, 5, 7, 0.6090284748843022}, {MAMBA_FACTS, 11, 100, 0.6604211445692102},
        {MAMBA, 0, 0, 1.9925674844906913},       {MAMBA, 2, 41, 1.0694346468607145},
        {MAMBA, 4, 79, 1.2659475089177552},      {MAMBA2, 0, 0, 0.00032857530212671606},
        {MAMBA2, 4, 5, 0.06305258418727429},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct loaded m = loaded(rows[i].folder, 1);
        size_t n = (size_t)ko_model_sizes(m.model).n_features;
        double *norm = ko_new((size_t)m.model->shape.n_layers * n, sizeof *norm, &err);
        assert_non_null(norm);
        ko_model_decay_norms(m.model, m.arena, norm);
        /* Observed: at most 2.2e-16. */
        if (!(fabs(norm[rows[i].layer * n + rows[i].channel] - rows[i].norm) <= 1e-15)) {
            fail_msg("row %zu: %.17g", i, norm[rows[i].layer * n + rows[i].channel]);
        }
        free(norm);
        unload(&m);
    }
}

static void values_that_are_not_finite_are_refused_with_their_place(void **state)
{
    static const struct {
        const char *from, *tensor;
        size_t element;
        uint32_t bits;
        const char *text;
    } rows[] = {
        {GPT2, "h.2.mlp.c_fc.weight", 17, 0x7fc00000,
         "toy: h.2.mlp.c_fc.weight: element 17 is not finite"},
        {GPT2, "wte.weight", 0, 0xff800000, "toy: wte.weight: element 0 is not finite"},
        {MAMBA, "backbone.layers.4.mixer.A_log", 1279, 0x7f800000,
         "toy: backbone.layers.4.mixer.A_log: element 1279 is not finite"},
        {MAMBA, "backbone.layers.4.mixer.A_log", 3, 0x42c80000,
         "toy: backbone.layers.4.mixer.A_log: element 3 is 100, whose exponential is not finite"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        char *folder = test_folder_make();
        test_checkpoint_edit(rows[i].from, folder, &(struct test_edit){0});
        struct ko_checkpoint *cp = NULL;
        assert_int_equal(ko_checkpoint_open(folder, "toy", &cp, &err), KO_OK);
        size_t data = 0, n_tensors = 0, n = 0;
        const struct ko_tensor *tensors = ko_checkpoint_tensors(cp, &n_tensors);
        const struct ko_tensor *tensor = ko_checkpoint_find(cp, rows[i].tensor);
        assert_non_null(tensor);
        for (size_t t = 0; t < n_tensors; t++) { /* all that lies at or behind it */
            if (tensors[t].data >= tensor->data) {
                data += tensors[t].data_bytes;
            }
        }
        ko_checkpoint_close(cp);
        char *path = test_folder_path(folder, "model.safetensors"), *bytes = test_read(path, &n);
        memcpy(bytes + n - data + 4 * rows[i].element, &rows[i].bits, 4);
        test_folder_write(folder, "model.safetensors", bytes, n);
        free(bytes);
        free(path);

        struct loaded m = opened(folder);
        assert_int_equal(
            ko_model_load(m.model, m.cp, &(struct ko_load_part){0, 1, 2}, m.arena, m.hash, &err),
            KO_E_INPUT);
        if (strcmp(err.text, rows[i].text) != 0) {
            fail_msg("row %zu: '%s' is not '%s'", i, err.text, rows[i].text);
        }
        unload(&m);
        test_folder_remove(folder);
    }
}

static void the_content_hash_changes_with_a_value_and_a_name(void **state)
{
    char first[33], again[33], value[33], name[33];
    (void)state;
    struct loaded m = loaded(GPT2, 1), same = loaded(GPT2, 3);
    ko_model_content_hash(m.model, m.hash, first);
    ko_model_content_hash(same.model, same.hash, again);
    same.hash[5] ^= 1;
    ko_model_content_hash(same.model, same.hash, value);
    m.model->weights[7].tensor[0] ^= 1;
    ko_model_content_hash(m.model, m.hash, name);
    assert_int_equal(strspn(first, "0123456789abcdef"), 32);
    assert_string_equal(first, again);
    assert_string_not_equal(first, value);
    assert_string_not_equal(first, name);
    unload(&m);
    unload(&same);
}

static void random_weights_are_reproducible_and_their_decays_spread(void **state)
{
    (void)state;
    struct ko_error err = {0};
    struct loaded m = opened(MAMBA), other = opened(MAMBA);
    ko_model_fill_random(m.model, 7, m.arena);
    ko_model_fill_random(other.model, 7, other.arena);
    size_t bytes = ko_model_floats(m.model) * sizeof(float);
    assert_memory_equal(m.arena, other.arena, bytes);
    ko_model_fill_random(other.model, 8, other.arena);
    assert_memory_not_equal(m.arena, other.arena, bytes);

    size_t n = (size_t)ko_model_sizes(m.model).n_features;
    double *norm = ko_new((size_t)m.model->shape.n_layers * n, sizeof *norm, &err);
    assert_non_null(norm);
    ko_model_decay_norms(m.model, m.arena, norm);
    const float *a = test_weight(m.model, m.arena, "backbone.layers.0.mixer.A_log");
    double least = INFINITY, most = 0;
    for (size_t c = 0; c < n; c++) {
        double sum = 0;
        for (size_t s = 0; s < 16; s++) {
            sum += exp((double)a[s * n + c]);
        }
        /* a is rounded to float32; observed: at most 4e-8. */
        assert_true(fabs(sum - norm[c]) <= 1e-6);
        least = fmin(least, norm[c]);
        most = fmax(most, norm[c]);
    }
    assert_true(most > 2 * least);
    free(norm);
    unload(&m);
    unload(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loading_in_parts_equals_loading_in_one),
        cmocka_unit_test(any_number_of_threads_loads_the_same),
        cmocka_unit_test(a_weight_is_in_one_part_and_parts_are_about_equal),
        cmocka_unit_test(weights_are_transformed_as_declared),
        cmocka_unit_test(decay_norms_agree_with_double_precision),
        cmocka_unit_test(values_that_are_not_finite_are_refused_with_their_place),
        cmocka_unit_test(the_content_hash_changes_with_a_value_and_a_name),
        cmocka_unit_test(random_weights_are_reproducible_and_their_decays_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
