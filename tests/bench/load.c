/* SPDX-License-Identifier: Apache-2.0 */
/* How fast a checkpoint of 16-bit weights becomes float32 in memory, beside a plain loop that
   converts as many numbers from memory to memory.

   Usage: bench.load [GIGABYTES [F16|BF16 [SHAPE]]]      by default 1 BF16 mamba-2.8b

   The checkpoint has the shape's tensors, with as many layers as the size allows, and lies in
   $TMPDIR (/tmp) as a file without blocks. Loading is ko_model_load: hash, conversion, check for
   values that are not finite, transforms. Both are timed in turn and the fastest of each counts;
   the file's pages are in the system's cache from the first round on. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/bench/shapes.h"
#include "src/formats/json.h"
#include "src/models/model_load.h"
#include "src/models/model_open.h"

enum { ROUNDS = 7 };

struct bench {
    const char *shape;
    enum ko_dtype dtype;
    double wanted_bytes;
    char folder[4096], config_path[4128], weights_path[4128];
    json_object *config;
    int32_t n_layers;
    size_t n; /* numbers in the file */
};

static enum ko_code make_model(struct bench *b, int32_t n_layers, struct ko_model **model,
                               struct ko_error *err)
{
    const char *text = ko_shape_config(b->shape);
    if (!text) {
        return ko_fail(err, KO_E_INPUT, "'%s' is no shape, see knockout bench --help", b->shape);
    }
    json_object_put(b->config);
    b->config = NULL;
    enum ko_code code = ko_json_parse(text, strlen(text), b->shape, &b->config, err);
    if (code != KO_OK) {
        return code;
    }
    const char *key = ko_json_get(b->config, "n_layer") ? "n_layer" : "num_hidden_layers";
    if (n_layers > 0) {
        json_object_object_add(b->config, key, json_object_new_int(n_layers));
    }
    return ko_model_from_config(b->shape, b->config, model, err);
}

static size_t count(const struct ko_weight *weight)
{
    size_t n = 1;
    for (int32_t d = 0; d < weight->n_dims; d++) {
        n *= (size_t)weight->shape[d];
    }
    return n;
}

/* Whether an earlier weight comes from the same tensor. */
static bool is_repeated(const struct ko_model *model, size_t w)
{
    for (size_t i = 0; i < w; i++) {
        if (strcmp(model->weights[i].tensor, model->weights[w].tensor) == 0) {
            return true;
        }
    }
    return false;
}

/* The numbers in layers (layer: true) or outside them. */
static size_t numbers(const struct ko_model *model, bool in_layers)
{
    size_t n = 0;
    for (size_t w = 0; w < model->n_weights; w++) {
        if ((model->weights[w].layer >= 0) == in_layers && !is_repeated(model, w)) {
            n += count(&model->weights[w]);
        }
    }
    return n;
}

/* As many layers as the wanted size allows, at least one. */
static enum ko_code choose_layers(struct bench *b, struct ko_model **model, struct ko_error *err)
{
    struct ko_model *whole = NULL;
    enum ko_code code = make_model(b, 0, &whole, err);
    if (code != KO_OK) {
        return code;
    }
    int32_t all = whole->shape.n_layers;
    double outside = 2.0 * (double)numbers(whole, false);
    double layer = 2.0 * (double)numbers(whole, true) / all;
    double fits = (b->wanted_bytes - outside) / layer;
    b->n_layers = fits < 1 ? 1 : fits > all ? all : (int32_t)fits;
    ko_model_free(whole);
    code = make_model(b, b->n_layers, model, err);
    if (code == KO_OK) {
        b->n = numbers(*model, true) + numbers(*model, false);
    }
    return code;
}

static void describe_tensors(const struct bench *b, const struct ko_model *model,
                             struct ko_text *header)
{
    size_t at = 0;
    for (size_t w = 0; w < model->n_weights; w++) {
        const struct ko_weight *weight = &model->weights[w];
        if (is_repeated(model, w)) {
            continue;
        }
        ko_text_add(header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", at ? "," : "{",
                    weight->tensor, ko_dtype_name(b->dtype));
        for (int32_t d = 0; d < weight->n_dims; d++) {
            ko_text_add(header, "%s%" PRId64, d ? "," : "", weight->shape[d]);
        }
        ko_text_add(header, "],\"data_offsets\":[%zu,%zu]}", at, at + 2 * count(weight));
        at += 2 * count(weight);
    }
    ko_text_add(header, "}");
    while (header->n % 8) {
        ko_text_add(header, " ");
    }
}

static enum ko_code write_checkpoint(struct bench *b, const struct ko_model *model,
                                     struct ko_error *err)
{
    struct ko_text header = {0};
    describe_tensors(b, model, &header);
    enum ko_code code = ko_text_check(&header, err);
    uint64_t length = header.n;
    FILE *config = fopen(b->config_path, "wb"), *weights = fopen(b->weights_path, "wb");
    bool fine = code == KO_OK && config && weights &&
                fputs(json_object_to_json_string(b->config), config) >= 0 &&
                fwrite(&length, sizeof length, 1, weights) == 1 &&
                fwrite(ko_text_str(&header), 1, header.n, weights) == header.n &&
                fflush(weights) == 0 &&
                ftruncate(fileno(weights), (off_t)(8 + header.n + 2 * b->n)) == 0;
    if (config && fclose(config) != 0) {
        fine = false;
    }
    if (weights && fclose(weights) != 0) {
        fine = false;
    }
    ko_text_free(&header);
    return fine || code != KO_OK ? code
                                 : ko_fail(err, KO_E_FAILED, "%s: cannot be written", b->folder);
}

/* The plain loops: a number after the other. */
static void convert_bf16(const uint16_t *from, size_t n, float *to)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t)from[i] << 16;
        memcpy(&to[i], &bits, sizeof bits);
    }
}

static void convert_f16(const uint16_t *from, size_t n, float *to)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t sign = (uint32_t)(from[i] & 0x8000u) << 16, rest = (from[i] & 0x7fffu) << 13;
        uint32_t special = (from[i] & 0x7c00u) == 0x7c00u ? 0x7f800000u : 0;
        float value;
        memcpy(&value, &rest, sizeof value);
        value *= 0x1p112f;
        memcpy(&rest, &value, sizeof rest);
        rest |= sign | special;
        memcpy(&to[i], &rest, sizeof rest);
    }
}

static enum ko_code measure(const struct bench *b, const struct ko_model *model, float *arena,
                            uint16_t *from, uint64_t *hash, double best[2], struct ko_error *err)
{
    struct ko_checkpoint *cp = NULL;
    enum ko_code code = ko_checkpoint_open(b->folder, b->shape, &cp, err);
    size_t n = b->n < ko_model_floats(model) ? b->n : ko_model_floats(model);
    for (int round = 0; round < ROUNDS && code == KO_OK; round++) {
        double start = ko_now();
        if (b->dtype == KO_BF16) {
            convert_bf16(from, n, arena);
        } else {
            convert_f16(from, n, arena);
        }
        double middle = ko_now();
        code = ko_model_load(model, cp, &(struct ko_load_part){0, 1, 1}, arena, hash, err);
        double end = ko_now();
        double plain = (middle - start) * (double)b->n / (double)n;
        if (round == 0 || plain < best[0]) {
            best[0] = plain;
        }
        if (round == 0 || end - middle < best[1]) {
            best[1] = end - middle;
        }
    }
    ko_checkpoint_close(cp);
    return code;
}

static enum ko_code run(struct bench *b, struct ko_error *err)
{
    double best[2] = {0}, gigabytes;
    struct ko_model *model = NULL;
    float *arena = NULL;
    uint16_t *from = NULL;
    uint64_t *hash = NULL;
    enum ko_code code = choose_layers(b, &model, err);
    if (code == KO_OK) {
        code = write_checkpoint(b, model, err);
    }
    if (code != KO_OK) {
        goto done;
    }
    code = KO_E_MEMORY;
    arena = ko_new(ko_model_floats(model), sizeof arena[0], err);
    from = ko_new(b->n, sizeof from[0], err);
    hash = ko_new(model->n_weights, sizeof hash[0], err);
    if (!arena || !from || !hash) {
        goto done;
    }
    code = measure(b, model, arena, from, hash, best, err);
    if (code != KO_OK) {
        goto done;
    }
    gigabytes = 2e-9 * (double)b->n;
    printf("checkpoint   %.2f GB of %s, %s with %" PRId32 " layers\n", gigabytes,
           ko_dtype_name(b->dtype), b->shape, b->n_layers);
    printf("plain loop   %.3f s, %.2f GB/s of 16-bit numbers\n", best[0], gigabytes / best[0]);
    printf("loading      %.3f s, %.2f GB/s\n", best[1], gigabytes / best[1]);
    printf("ratio        %.2f\n", best[0] / best[1]);
done:
    free(arena);
    free(from);
    free(hash);
    ko_model_free(model);
    return code;
}

int main(int argc, char **argv)
{
    struct ko_error err = {0};
    struct bench b = {.shape = argc > 3 ? argv[3] : "mamba-2.8b", .dtype = KO_BF16};
    const char *scratch = getenv("TMPDIR");
    double gigabytes = 1;
    enum ko_code code = KO_OK;
    if (argc > 1) {
        code = ko_parse_double(argv[1], &gigabytes, "GIGABYTES", &err);
    }
    if (code == KO_OK && argc > 2 && strcmp(argv[2], "BF16") != 0 && strcmp(argv[2], "F16") != 0) {
        code = ko_fail(&err, KO_E_INPUT, "expected F16 or BF16, got '%s'", argv[2]);
    }
    if (argc > 2 && strcmp(argv[2], "F16") == 0) {
        b.dtype = KO_F16;
    }
    b.wanted_bytes = 1e9 * gigabytes;
    snprintf(b.folder, sizeof b.folder, "%s/ko-load-XXXXXX", scratch ? scratch : "/tmp");
    if (code == KO_OK && !mkdtemp(b.folder)) {
        code = ko_fail(&err, KO_E_FAILED, "%s: cannot be created", b.folder);
    }
    if (code == KO_OK) {
        snprintf(b.config_path, sizeof b.config_path, "%s/config.json", b.folder);
        snprintf(b.weights_path, sizeof b.weights_path, "%s/model.safetensors", b.folder);
        code = run(&b, &err);
        unlink(b.config_path);
        unlink(b.weights_path);
        rmdir(b.folder);
    }
    json_object_put(b.config);
    if (code != KO_OK) {
        fprintf(stderr, "bench.load: %s\n", err.text);
    }
    return ko_exit_status(code);
}
