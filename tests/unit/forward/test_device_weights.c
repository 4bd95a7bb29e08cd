/* SPDX-License-Identifier: Apache-2.0 */
/* Weights in a backend's own memory: tests/support/far.h stands for a GPU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "kernels/split.h"
#include "src/base/memory.h"
#include "src/forward/device_weights.h"
#include "src/models/model_load.h"
#include "src/models/model_open.h"
#include "src/models/model_random.h"
#include "src/models/pass.h"
#include "src/models/weights.h"
#include "tests/support/checkpoint_edit.h"
#include "tests/support/far.h"
#include "tests/support/folder.h"
#include "tests/support/trunk.h"

#define DEMO(name)    KO_SOURCE_DIR "/jobs/models/" name
#define VARIANT(name) KO_SOURCE_DIR "/tests/data/variants/" name

/* A model, its weights in host memory and room for them in far memory. */
struct subject {
    struct ko_checkpoint *cp;
    struct ko_model *model;
    float *floats; /* loaded by ko_model_load */
    uint64_t *hash, *far_hash;
    struct ko_backend *be;
    struct ko_device_weights far;
};

static struct subject begin(const char *folder, const struct ko_kernels *k)
{
    const struct ko_backend_config config = {.threads = 1};
    struct ko_error err = {0};
    struct subject s = {0};
    if (ko_checkpoint_open(folder, "toy", &s.cp, &err) || ko_model_open(s.cp, &s.model, &err)) {
        fail_msg("%s", err.text);
    }
    s.floats = ko_new(ko_model_floats(s.model), sizeof *s.floats, &err);
    s.hash = ko_new(s.model->n_weights, sizeof *s.hash, &err);
    s.far_hash = ko_new(s.model->n_weights, sizeof *s.far_hash, &err);
    assert_true(s.floats && s.hash && s.far_hash);
    if (k->open(&config, &s.be, &err) ||
        ko_device_weights_new(s.model, k, s.be, KO_FLOAT32, &s.far, &err)) {
        fail_msg("%s", err.text);
    }
    return s;
}

static void load_host(struct subject *s)
{
    struct ko_error err = {0};
    if (ko_model_load(s->model, s->cp, &(struct ko_load_part){0, 1, 2}, s->floats, s->hash, &err)) {
        fail_msg("%s", err.text);
    }
}

static void end(struct subject *s)
{
    const struct ko_kernels *k = s->far.kernels;
    ko_device_weights_free(&s->far);
    if (k->own_memory) {
        assert_int_equal(test_far_bytes(), 0);
    }
    k->close(s->be);
    free(s->floats);
    free(s->hash);
    free(s->far_hash);
    ko_model_free(s->model);
    ko_checkpoint_close(s->cp);
}

static const unsigned char *far_matrix(const struct subject *s, const struct ko_weight *weight)
{
    const struct ko_arena *arena = &s->far.arena;
    return (const unsigned char *)arena->matrices + ko_weight_at(weight, arena->type);
}

static void weights_in_far_memory_equal_those_of_the_host(void **state)
{
    /* Stored as BF16, F16 and F32. */
    static const char *const folders[] = {DEMO("mamba-facts"),      DEMO("llama-facts"),
                                          VARIANT("mamba2-groups"), VARIANT("llama2"),
                                          VARIANT("gpt2-bare"),     VARIANT("mamba-odd")};
    (void)state;
    for (size_t f = 0; f < sizeof folders / sizeof folders[0]; f++) {
        struct ko_error err = {0};
        struct subject s = begin(folders[f], &test_far);
        const struct ko_model *model = s.model;
        size_t stored = 0;
        load_host(&s);
        assert_int_equal(ko_device_weights_load(&s.far, s.cp, 2, s.far_hash, &err), KO_OK);
        assert_memory_equal(s.hash, s.far_hash, model->n_weights * sizeof *s.hash);
        assert_int_equal(s.far.arena.type, KO_ELEMENT_F32);
        assert_true(test_far_has(s.far.arena.values, model->value_floats * sizeof(float)));
        assert_false(test_far_has(s.far.arena.host_values, 1));
        assert_memory_equal(s.floats, s.far.arena.values, model->value_floats * sizeof(float));
        assert_memory_equal(s.floats, s.far.arena.host_values, model->value_floats * sizeof(float));
        for (size_t w = 0; w < model->n_weights; w++) {
            const struct ko_weight *weight = &model->weights[w];
            if (!weight->matrix) {
                continue;
            }
            stored += ko_checkpoint_find(s.cp, weight->tensor)->data_bytes;
            assert_true(test_far_has(far_matrix(&s, weight), weight->n * sizeof(float)));
            assert_memory_equal(far_matrix(&s, weight), test_place(model, s.floats, weight),
                                weight->n * sizeof(float));
        }
        assert_int_equal(test_far_imported(), stored);
        end(&s);
    }
}

static void bfloat16_stays_what_is_in_the_file(void **state)
{
    (void)state;
    struct ko_error err = {0};
    struct subject s = begin(DEMO("gpt2-facts"), &test_far_narrow);
    assert_int_equal(ko_device_weights_load(&s.far, s.cp, 2, s.far_hash, &err), KO_OK);
    assert_int_equal(s.far.arena.type, KO_ELEMENT_BF16);
    for (size_t w = 0; w < s.model->n_weights; w++) {
        const struct ko_weight *weight = &s.model->weights[w];
        const struct ko_tensor *tensor = ko_checkpoint_find(s.cp, weight->tensor);
        assert_int_equal(tensor->dtype, KO_BF16);
        if (weight->matrix) {
            assert_memory_equal(far_matrix(&s, weight), tensor->data, tensor->data_bytes);
        }
    }
    end(&s);
}

/* The parts of number k of a matrix whose runs are this long. */
static struct ko_split parts_at(const unsigned char *matrix, size_t run, size_t k)
{
    const unsigned char *high = matrix + 2 * (k + k / run * run);
    struct ko_split s;
    memcpy(&s.high, high, sizeof s.high);
    memcpy(&s.low, high + 2 * run, sizeof s.low);
    return s;
}

/* Matrices that the file stores as bfloat16 keep their bits, the others are in two parts, and none
   lies on another. Loaded in parts, as by so many workers. */
static void split_weights_are_where_products_read_them(void **state)
{
    static const struct {
        const char *folder;
        bool exact, in_first;
    } rows[] = {{DEMO("mamba-facts"), true, false},      {DEMO("gpt2-facts"), true, true},
                {VARIANT("gpt2-bare"), false, true},     {VARIANT("llama2"), false, false},
                {VARIANT("mamba-odd"), false, false},    {VARIANT("gpt-oss"), true, true},
                {VARIANT("recurrent-gemma"), true, true}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct subject s = begin(rows[i].folder, &test_far_split);
        const struct ko_model *model = s.model;
        size_t end_of_last = 0, n_in_first = 0, begins[4];
        load_host(&s);
        ko_model_parts(model, 3, begins);
        for (int32_t p = 0; p < 3; p++) {
            assert_int_equal(ko_device_weights_load_part(
                                 &s.far, s.cp, &(struct ko_load_part){p, 3, 2}, s.far_hash, &err),
                             KO_OK);
        }
        assert_int_equal(s.far.arena.type, KO_ELEMENT_BF16X2);
        assert_true(ko_model_exact_share(model) == (rows[i].exact ? 1 : 0));
        assert_int_equal(ko_model_matrix_bytes(model, KO_ELEMENT_BF16X2, model->matrix_elements),
                         model->matrix_elements * (rows[i].exact ? 2 : 4));
        for (size_t w = 0; w < model->n_weights; w++) {
            const struct ko_weight *weight = &model->weights[w];
            if (!weight->matrix) {
                continue;
            }
            const struct ko_matrix m = ko_model_matrix(model, &s.far.arena, w);
            const float *own = test_place(model, s.floats, weight);
            const size_t run = ko_matrix_run(m.n_out, m.n_in, m.in_first);
            const size_t at = ko_weight_at(weight, KO_ELEMENT_BF16X2);
            assert_int_equal(m.type, rows[i].exact ? KO_ELEMENT_BF16 : KO_ELEMENT_BF16X2);
            assert_ptr_equal(m.data, far_matrix(&s, weight));
            assert_int_equal(at, ko_model_matrix_bytes(model, KO_ELEMENT_BF16X2, weight->offset));
            assert_true(at >= end_of_last);
            end_of_last = at + weight->n * ko_element_bytes(m.type);
            n_in_first += m.in_first;
            for (size_t k = 0; k < weight->n; k++) {
                const struct ko_split want = ko_split_of(own[k]);
                struct ko_split got = {0};
                if (rows[i].exact) {
                    memcpy(&got.high, (const unsigned char *)m.data + 2 * k, sizeof got.high);
                } else {
                    got = parts_at(m.data, run, k);
                }
                assert_int_equal(got.high, want.high);
                assert_int_equal(got.low, want.low);
            }
        }
        assert_true((n_in_first > 0) == rows[i].in_first);
        end(&s);
    }
}

/* Finds the exact matrices as if the checkpoint stored one tensor as F32. */
static void find_without(struct subject *s, const char *tensor)
{
    struct ko_tensor *stored =
        (struct ko_tensor *)(uintptr_t)ko_checkpoint_find(s->cp, tensor); /* on the heap */
    assert_non_null(stored);
    assert_int_equal(stored->dtype, KO_BF16);
    stored->dtype = KO_F32;
    ko_model_find_exact(s->model, s->cp);
    stored->dtype = KO_BF16;
}

/* Only that matrix takes four bytes, but the experts of a layer are read by one operation. */
static void every_matrix_is_exact_or_not_on_its_own(void **state)
{
    static const struct {
        const char *tensor, *like; /* the others with this in their names are not exact either */
    } rows[] = {{"model.layers.1.self_attn.k_proj.weight", "layers.1.self_attn.k_proj"},
                {"model.layers.2.block_sparse_moe.experts.1.w3.weight",
                 "layers.2.block_sparse_moe.experts."},
                {"model.embed_tokens.weight", "embed_tokens"}};
    struct subject s = begin(VARIANT("mixtral"), &test_far_split);
    const struct ko_model *model = s.model;
    (void)state;
    assert_true(ko_model_exact_share(model) == 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t before = 0, n_others = 0;
        find_without(&s, rows[i].tensor);
        for (size_t w = 0; w < model->n_weights; w++) {
            const struct ko_weight *weight = &model->weights[w];
            const bool other = strstr(weight->tensor, rows[i].like) != NULL;
            assert_int_equal(weight->exact, weight->matrix && !other);
            assert_int_equal(weight->exact_before, before);
            before += weight->exact ? (weight->n + 15) / 16 * 16 : 0;
            n_others += other;
        }
        assert_true(n_others > 0);
        assert_int_equal(ko_model_matrix_bytes(model, KO_ELEMENT_BF16X2, model->matrix_elements),
                         4 * model->matrix_elements - 2 * before);
    }
    end(&s);
}

static void parts_are_runs_that_make_the_whole(void **state)
{
    static const int32_t counts[] = {1, 2, 3, 7, 400};
    (void)state;
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        const int32_t n = counts[c];
        struct ko_error err = {0};
        struct subject s = begin(DEMO("mamba2-facts"), &test_far);
        const struct ko_model *model = s.model;
        size_t *first = ko_new((size_t)n + 1, sizeof *first, &err), largest = 0, untouched = 0;
        assert_non_null(first);
        load_host(&s);
        for (size_t w = 0; w < model->n_weights; w++) {
            if (model->weights[w].matrix && model->weights[w].n > largest) {
                largest = model->weights[w].n;
            }
        }
        ko_model_parts(model, n, first);
        assert_int_equal(first[0], 0);
        assert_int_equal(first[n], model->matrix_elements);
        const float *got = s.far.arena.matrices;
        for (int32_t p = 0; p < n; p++) {
            assert_true(first[p] <= first[p + 1] && first[p] % 16 == 0);
            assert_true(first[p + 1] - first[p] <=
                        model->matrix_elements / (size_t)n + largest + 16);
            assert_int_equal(ko_device_weights_load_part(
                                 &s.far, s.cp, &(struct ko_load_part){p, n, 2}, s.far_hash, &err),
                             KO_OK);
            /* Far memory begins as NaN. */
            for (size_t i = first[p + 1]; i < model->matrix_elements; i++) {
                untouched += isnan(got[i]) != 0;
            }
            assert_int_equal(untouched, model->matrix_elements - first[p + 1]);
            untouched = 0;
        }
        for (size_t w = 0; w < model->n_weights; w++) {
            if (model->weights[w].matrix) {
                assert_memory_equal(far_matrix(&s, &model->weights[w]),
                                    test_place(model, s.floats, &model->weights[w]),
                                    model->weights[w].n * sizeof(float));
            }
        }
        assert_memory_equal(s.hash, s.far_hash, model->n_weights * sizeof *s.hash);
        free(first);
        end(&s);
    }
}

static void values_that_are_not_finite_are_named_as_on_the_host(void **state)
{
    static const struct {
        const char *tensor;
        size_t element;
        const char *text;
    } rows[] = {
        {"wte.weight", 0, "toy: wte.weight: element 0 is not finite"},
        {"h.2.mlp.c_fc.weight", 17, "toy: h.2.mlp.c_fc.weight: element 17 is not finite"},
        {"h.2.ln_1.bias", 3, "toy: h.2.ln_1.bias: element 3 is not finite"},
    };
    static const uint32_t infinite = 0x7f800000;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *folder = test_folder_make();
        test_checkpoint_edit(VARIANT("gpt2-bare"), folder, &(struct test_edit){0});
        struct subject s = begin(folder, &test_far);
        size_t n_tensors = 0, behind = 0, n = 0;
        const struct ko_tensor *tensors = ko_checkpoint_tensors(s.cp, &n_tensors);
        const struct ko_tensor *tensor = ko_checkpoint_find(s.cp, rows[i].tensor);
        for (size_t t = 0; t < n_tensors; t++) {
            if (tensors[t].data >= tensor->data) {
                behind += tensors[t].data_bytes;
            }
        }
        end(&s);
        char *path = test_folder_path(folder, "model.safetensors"), *bytes = test_read(path, &n);
        memcpy(bytes + n - behind + 4 * rows[i].element, &infinite, 4);
        test_folder_write(folder, "model.safetensors", bytes, n);

        s = begin(folder, &test_far);
        for (int again = 0; again < 2; again++) { /* the count begins anew */
            struct ko_error err = {0};
            assert_int_equal(ko_device_weights_load(&s.far, s.cp, 2, s.far_hash, &err), KO_E_INPUT);
            assert_string_equal(err.text, rows[i].text);
        }
        end(&s);
        free(bytes);
        free(path);
        test_folder_remove(folder);
    }
}

static void random_weights_are_the_same_wherever_they_lie(void **state)
{
    static const struct ko_kernels *const kernels[] = {&test_far, &ko_kernels_cpu};
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct ko_error err = {0};
        struct subject s = begin(DEMO("llama-facts"), kernels[k]);
        ko_model_fill_random(s.model, 5, s.floats);
        assert_int_equal(ko_device_weights_fill_random(&s.far, 5, &err), KO_OK);
        assert_memory_equal(s.floats, s.far.arena.values, s.model->value_floats * sizeof(float));
        for (size_t w = 0; w < s.model->n_weights; w++) {
            if (s.model->weights[w].matrix) {
                assert_memory_equal(far_matrix(&s, &s.model->weights[w]),
                                    test_place(s.model, s.floats, &s.model->weights[w]),
                                    s.model->weights[w].n * sizeof(float));
            }
        }
        end(&s);
    }
}

/* Without this the other tests would show nothing. */
static void far_operations_refuse_host_memory(void **state)
{
    (void)state;
    struct ko_error err = {0};
    struct subject s = begin(DEMO("gpt2-facts"), &test_far);
    float *x = ko_new(4, sizeof *x, &err);
    assert_non_null(x);
    const struct ko_rms_norm args = {.n = 1,
                                     .d = 4,
                                     .x = x,
                                     .ldx = 4,
                                     .weight = s.far.arena.values,
                                     .eps = 1e-5F,
                                     .y = x,
                                     .ldy = 4};
    assert_int_equal(test_far.rms_norm(s.be, &args, &err), KO_E_FAILED);
    assert_string_equal(err.text, "far: rms_norm: pointer 0 is host memory");
    assert_int_equal(test_far.upload(s.be, x, s.floats, 4, &err), KO_E_FAILED);
    free(x);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_in_far_memory_equal_those_of_the_host),
        cmocka_unit_test(bfloat16_stays_what_is_in_the_file),
        cmocka_unit_test(split_weights_are_where_products_read_them),
        cmocka_unit_test(every_matrix_is_exact_or_not_on_its_own),
        cmocka_unit_test(parts_are_runs_that_make_the_whole),
        cmocka_unit_test(values_that_are_not_finite_are_named_as_on_the_host),
        cmocka_unit_test(random_weights_are_the_same_wherever_they_lie),
        cmocka_unit_test(far_operations_refuse_host_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
