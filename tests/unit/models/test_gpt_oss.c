/* SPDX-License-Identifier: Apache-2.0 */
/* gpt-oss with its experts in MXFP4, against the same numbers in float32. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/models/model_load.h"
#include "src/models/model_open.h"
#include "tests/support/configured.h"
#include "tests/support/folder.h"
#include "tests/support/trunk.h"

enum { D = 64, FF = 32, EXPERTS = 3, TOKENS = 6 };

#define CONFIG                                                                                     \
    "\"model_type\": \"gpt_oss\", \"hidden_size\": 64, \"intermediate_size\": 32, "                \
    "\"num_local_experts\": 3, \"num_experts_per_tok\": 2, \"num_hidden_layers\": 2, "             \
    "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"head_dim\": 8, "                    \
    "\"vocab_size\": 20, \"sliding_window\": 3, \"swiglu_limit\": 1.5, "                           \
    "\"max_position_embeddings\": 64"
#define QUANTIZED ", \"quantization_config\": {\"quant_method\": \"mxfp4\"}"

/* A checkpoint that is written tensor by tensor. */
struct writing {
    struct ko_text header;
    unsigned char *data;
    size_t n, capacity;
};

static void add_tensor(struct writing *w, const char *name, const char *dtype, const char *shape,
                       const void *data, size_t n)
{
    struct ko_error err = {0};
    unsigned char *grown = ko_grow(w->data, &w->capacity, w->n + n, 1, &err);
    assert_non_null(grown);
    w->data = grown;
    memcpy(w->data + w->n, data, n);
    ko_text_add(&w->header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                w->n > 0 ? "," : "{", name, dtype, shape, w->n, w->n + n);
    w->n += n;
}

static void write_checkpoint(struct writing *w, const char *folder, const char *config)
{
    ko_text_add(&w->header, "}");
    test_folder_write_text(folder, "config.json", config);
    test_folder_write_safetensors(folder, "model.safetensors", ko_text_str(&w->header), w->data,
                                  w->n);
    ko_text_free(&w->header);
    free(w->data);
    *w = (struct writing){.n = 0};
}

/* A small number that depends on k alone. */
static uint32_t mixed(size_t k)
{
    uint64_t z = (uint64_t)k * 0x9E3779B97F4A7C15U + 0x632BE59BD9B4E019U;
    z = (z ^ (z >> 29)) * 0xBF58476D1CE4E5B9U;
    return (uint32_t)(z >> 33);
}

/* The blocks and scales of one matrix [EXPERTS, n_out, n_in], and its numbers by the definition of
   the format, as the other layout has them [EXPERTS, n_in, n_out]. */
struct packed {
    unsigned char *blocks, *scales;
    float *numbers;
    size_t n_blocks;
};

static struct packed make_packed(size_t seed, size_t n_out, size_t n_in)
{
    const size_t n = EXPERTS * n_out * n_in;
    struct packed p = {.n_blocks = n / 32};
    p.blocks = malloc(n / 2);
    p.scales = malloc(n / 32);
    p.numbers = malloc(n * sizeof *p.numbers);
    assert_true(p.blocks && p.scales && p.numbers);
    for (size_t k = 0; k < n; k++) {
        const unsigned nibble = mixed(seed + k) & 15U, scale = 122 + mixed(seed + n + k / 32) % 4;
        const int exponent = (int)(nibble >> 1 & 3U), mantissa = (int)(nibble & 1U);
        const double size =
            exponent == 0 ? 0.5 * mantissa : ldexp(1 + 0.5 * mantissa, exponent - 1);
        const double value = ldexp(nibble & 8U ? -size : size, (int)scale - 127);
        const size_t expert = k / (n_out * n_in), out = k / n_in % n_out, in = k % n_in;
        unsigned char *byte = &p.blocks[k / 2];
        *byte = (unsigned char)(k % 2 == 0 ? nibble : *byte | nibble << 4);
        p.scales[k / 32] = (unsigned char)scale;
        p.numbers[(expert * n_in + in) * n_out + out] = (float)value;
    }
    return p;
}

static void free_packed(struct packed *p)
{
    free(p->blocks), free(p->scales), free(p->numbers);
}

/* What is wrong with the checkpoint, if anything. */
struct flaw {
    const char *scales_name, *scales_dtype, *blocks_shape;
    int scale; /* of the first block of layer 0's first matrix; -1: as it is */
    const char *text;
};

/* The two matrices of a layer into both checkpoints. */
static void add_experts(struct writing out[2], int layer, const struct flaw *flaw)
{
    static const struct {
        const char *name, *blocks, *scales, *plain;
        size_t n_out, n_in;
    } rows[] = {{"gate_up_proj", "3,64,2,16", "3,64,2", "3,64,64", 2 * (size_t)FF, D},
                {"down_proj", "3,64,1,16", "3,64,1", "3,32,64", D, FF}};
    for (size_t k = 0; k < 2; k++) {
        struct packed p =
            make_packed(1000000 * (k + 2 * (size_t)layer), rows[k].n_out, rows[k].n_in);
        const bool flawed = flaw && layer == 0 && k == 0;
        char name[96];
        if (flawed && flaw->scale >= 0) {
            p.scales[0] = (unsigned char)flaw->scale;
        }
        snprintf(name, sizeof name, "model.layers.%d.mlp.experts.%s", layer, rows[k].name);
        add_tensor(&out[0], name, "F32", rows[k].plain, p.numbers, p.n_blocks * 32 * sizeof(float));
        snprintf(name, sizeof name, "model.layers.%d.mlp.experts.%s_blocks", layer, rows[k].name);
        add_tensor(&out[1], name, "U8",
                   flawed && flaw->blocks_shape ? flaw->blocks_shape : rows[k].blocks, p.blocks,
                   p.n_blocks * 16);
        snprintf(name, sizeof name, "model.layers.%d.mlp.experts.%s_%s", layer, rows[k].name,
                 flawed && flaw->scales_name ? flaw->scales_name : "scales");
        add_tensor(&out[1], name, flawed && flaw->scales_dtype ? flaw->scales_dtype : "U8",
                   rows[k].scales, p.scales, p.n_blocks);
        free_packed(&p);
    }
}

static bool is_matrix_of_experts(const struct ko_weight *weight)
{
    return strstr(weight->tensor, ".experts.") && weight->n_dims == 3;
}

/* Two folders, with the same model in float32 and in MXFP4. */
static void write_both(char *folders[2], const struct flaw *flaw)
{
    struct ko_error err = {0};
    struct writing out[2] = {{.n = 0}, {.n = 0}};
    struct ko_model *model = test_configured(NULL, "{" CONFIG "}", &err);
    assert_non_null(model);
    for (size_t w = 0; w < model->n_weights; w++) {
        const struct ko_weight *weight = &model->weights[w];
        char shape[48];
        float *numbers = ko_new(weight->n, sizeof *numbers, &err);
        assert_non_null(numbers);
        for (size_t k = 0; k < weight->n; k++) {
            numbers[k] = ((float)(mixed(97 * w + k) % 2001) - 1000.0F) / 2500.0F;
        }
        snprintf(shape, sizeof shape, weight->n_dims > 1 ? "%" PRId64 ",%" PRId64 : "%" PRId64,
                 weight->shape[0], weight->shape[1]);
        for (int k = 0; k < 2 && !is_matrix_of_experts(weight); k++) {
            add_tensor(&out[k], weight->tensor, "F32", shape, numbers, weight->n * sizeof *numbers);
        }
        free(numbers);
    }
    for (int layer = 0; layer < model->shape.n_layers; layer++) {
        add_experts(out, layer, flaw);
    }
    ko_model_free(model);
    folders[0] = test_folder_make();
    folders[1] = test_folder_make();
    write_checkpoint(&out[0], folders[0], "{" CONFIG "}");
    write_checkpoint(&out[1], folders[1], "{" CONFIG QUANTIZED "}");
}

struct opened {
    struct ko_checkpoint *cp;
    struct ko_model *model;
    float *floats;
    uint64_t *hash;
};

static enum ko_code open_folder(const char *folder, struct opened *out, struct ko_error *err)
{
    *out = (struct opened){.cp = NULL};
    enum ko_code code = ko_checkpoint_open(folder, "toy", &out->cp, err);
    if (code == KO_OK) {
        code = ko_model_open(out->cp, &out->model, err);
    }
    if (code != KO_OK) {
        return code;
    }
    out->floats = ko_new(ko_model_floats(out->model), sizeof *out->floats, err);
    out->hash = ko_new(out->model->n_weights, sizeof *out->hash, err);
    assert_true(out->floats && out->hash);
    return ko_model_load(out->model, out->cp, &(struct ko_load_part){0, 1, 2}, out->floats,
                         out->hash, err);
}

static void close_opened(struct opened *m)
{
    free(m->floats);
    free(m->hash);
    ko_model_free(m->model);
    ko_checkpoint_close(m->cp);
}

static void mxfp4_gives_what_the_same_numbers_give_in_float32(void **state)
{
    static const int32_t tokens[TOKENS] = {3, 19, 7, 0, 11, 7};
    char *folders[2];
    float x[2][TOKENS * D];
    double size = 0;
    (void)state;
    write_both(folders, NULL);
    for (int k = 0; k < 2; k++) {
        struct ko_error err = {0};
        struct opened m;
        if (open_folder(folders[k], &m, &err) != KO_OK) {
            fail_msg("%s", err.text);
        }
        test_run_trunk(m.model, m.floats, tokens, TOKENS, x[k]);
        close_opened(&m);
        test_folder_remove(folders[k]);
    }
    for (int k = 0; k < TOKENS * D; k++) { /* plain loops sum in the same order: no difference */
        assert_true(x[0][k] == x[1][k]);
        size += fabs((double)x[0][k]);
    }
    assert_true(size > TOKENS * D * 0.01);
}

/* Collects the pieces of matrices. */
struct collected {
    float *matrices;
    atomic_int n_pieces, n_wrong; /* of another type */
};

static enum ko_code take_piece(void *context, const struct ko_matrix_piece *piece,
                               struct ko_error *err)
{
    struct collected *c = context;
    const size_t offset = (size_t)ko_matrix_piece_number(piece);
    (void)err;
    atomic_fetch_add(&c->n_wrong, piece->type != KO_ELEMENT_F32);
    memcpy(c->matrices + offset, piece->data, piece->n * sizeof c->matrices[0]);
    atomic_fetch_add(&c->n_pieces, 1);
    return KO_OK;
}

static enum ko_code end_pieces(void *context, int64_t *bad, struct ko_error *err)
{
    (void)context;
    (void)err;
    *bad = -1;
    return KO_OK;
}

static void a_sink_takes_mxfp4_as_float32(void **state)
{
    char *folders[2];
    struct ko_error err = {0};
    struct opened m;
    (void)state;
    write_both(folders, NULL);
    assert_int_equal(open_folder(folders[1], &m, &err), KO_OK);
    struct collected c = {.matrices = ko_new(m.model->matrix_elements, sizeof(float), &err)};
    const struct ko_matrix_sink sink = {.take = take_piece, .end = end_pieces, .context = &c};
    float *values = ko_new(m.model->value_floats, sizeof *values, &err);
    uint64_t *hash = ko_new(m.model->n_weights, sizeof *hash, &err);
    assert_true(c.matrices && values && hash);
    assert_int_equal(ko_model_load_apart(m.model, m.cp, &(struct ko_load_part){0, 1, 2}, values,
                                         &sink, hash, &err),
                     KO_OK);
    assert_memory_equal(c.matrices, m.floats + m.model->value_floats,
                        m.model->matrix_elements * sizeof(float));
    assert_memory_equal(values, m.floats, m.model->value_floats * sizeof(float));
    assert_memory_equal(hash, m.hash, m.model->n_weights * sizeof *hash);
    assert_true(atomic_load(&c.n_pieces) > 0);
    assert_int_equal(atomic_load(&c.n_wrong), 0);
    free(c.matrices), free(values), free(hash);
    close_opened(&m);
    test_folder_remove(folders[0]);
    test_folder_remove(folders[1]);
}

/* A scale is part of the weights. */
static void the_hash_covers_the_scales(void **state)
{
    static const struct flaw other = {.scale = 121};
    uint64_t sums[2] = {0};
    (void)state;
    for (int k = 0; k < 2; k++) {
        char *folders[2];
        struct ko_error err = {0};
        struct opened m;
        write_both(folders, k == 0 ? NULL : &other);
        assert_int_equal(open_folder(folders[1], &m, &err), KO_OK);
        for (size_t w = 0; w < m.model->n_weights; w++) {
            sums[k] += m.hash[w];
        }
        close_opened(&m);
        test_folder_remove(folders[0]);
        test_folder_remove(folders[1]);
    }
    assert_true(sums[0] != sums[1]);
}

#define GATE_UP "toy: model.layers.0.mlp.experts.gate_up_proj"

static void broken_mxfp4_is_refused_in_one_line(void **state)
{
    static const struct flaw rows[] = {
        {.scale = 255, .text = GATE_UP "_blocks: element 0 is not finite"},
        {.scale = -1,
         .scales_name = "scale",
         .text = GATE_UP "_scales: expected [3,64,2], file has no tensor of this name"},
        {.scale = -1,
         .scales_dtype = "BOOL",
         .text = GATE_UP "_scales: expected U8, file has BOOL"},
        {.scale = -1,
         .blocks_shape = "3,64,4,8",
         .text = GATE_UP "_blocks: expected [3,64,2,16], file has [3,64,4,8]"},
    };
    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        char *folders[2];
        struct ko_error err = {0};
        struct opened m;
        write_both(folders, &rows[k]);
        if (open_folder(folders[1], &m, &err) != KO_E_INPUT ||
            strcmp(err.text, rows[k].text) != 0) {
            fail_msg("row %zu: '%s' is not '%s'", k, err.text, rows[k].text);
        }
        close_opened(&m);
        test_folder_remove(folders[0]);
        test_folder_remove(folders[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mxfp4_gives_what_the_same_numbers_give_in_float32),
        cmocka_unit_test(a_sink_takes_mxfp4_as_float32),
        cmocka_unit_test(the_hash_covers_the_scales),
        cmocka_unit_test(broken_mxfp4_is_refused_in_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
