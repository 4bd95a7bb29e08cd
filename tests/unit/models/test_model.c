/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "src/models/model_open.h"
#include "tests/support/checkpoint_edit.h"
#include "tests/support/folder.h"

#define DEMO(name)    KO_SOURCE_DIR "/jobs/models/" name
#define VARIANT(name) KO_SOURCE_DIR "/tests/data/variants/" name
#define MAMBA         VARIANT("mamba-odd")
#define GPT2          VARIANT("gpt2-bare")

/* Opens an edited copy; KO_OK or the error. */
static enum ko_code open_edited(const char *from, const struct test_edit *edit,
                                struct ko_error *err)
{
    struct ko_checkpoint *cp = NULL;
    struct ko_model *model = NULL;
    char *folder = test_folder_make();
    test_checkpoint_edit(from, folder, edit);
    enum ko_code code = ko_checkpoint_open(folder, "toy", &cp, err);
    if (code == KO_OK) {
        code = ko_model_open(cp, &model, err);
    }
    if (code != KO_OK && model) {
        fail_msg("a model is handed out with the error '%s'", err->text);
    }
    ko_model_free(model);
    ko_checkpoint_close(cp);
    test_folder_remove(folder);
    return code;
}

static void every_checkpoint_of_the_repository_opens(void **state)
{
    static const struct {
        const char *folder, *family;
        size_t n_weights;
    } rows[] = {
        {DEMO("mamba-facts"), "mamba", 12 * 11 + 2},
        {DEMO("falcon-mamba-facts"), "falcon_mamba", 8 * 11 + 3},
        {DEMO("mamba2-facts"), "mamba2", 12 * 10 + 2},
        {DEMO("gpt2-facts"), "gpt2", 12 * 12 + 4},
        {DEMO("llama-facts"), "llama", 12 * 9 + 3},
        {VARIANT("mamba-odd"), "mamba", 5 * 11 + 2},
        {VARIANT("mamba-original"), "mamba", 4 * 11 + 2},
        {VARIANT("falcon-mamba-sharded"), "falcon_mamba", 4 * 11 + 3},
        {VARIANT("mamba2-original"), "mamba2", 4 * 10 + 2},
        {VARIANT("mamba2-groups"), "mamba2", 5 * 10 + 3},
        {VARIANT("gpt2-bare"), "gpt2", 5 * 12 + 4},
        {VARIANT("pythia"), "gpt_neox", 4 * 12 + 4},
        {VARIANT("neox-sequential"), "gpt_neox", 4 * 12 + 4},
        {VARIANT("gptj"), "gptj", 4 * 10 + 5},
        {VARIANT("phi2"), "phi", 4 * 14 + 5},
        {VARIANT("opt"), "opt", 4 * 16 + 4},
        {VARIANT("opt-projected"), "opt", 4 * 16 + 4},
        {VARIANT("llama2"), "llama", 4 * 9 + 3},
        {VARIANT("llama3-scaled"), "llama", 5 * 9 + 2},
        {VARIANT("mistral-window"), "mistral", 5 * 9 + 3},
        {VARIANT("qwen2"), "qwen2", 5 * 12 + 2},
        {VARIANT("qwen3"), "qwen3", 4 * 11 + 2},
        {VARIANT("gemma"), "gemma", 4 * 9 + 2},
        {VARIANT("gemma2"), "gemma2", 5 * 11 + 2},
        {VARIANT("gemma3"), "gemma3", 7 * 13 + 2},
        {VARIANT("olmo2"), "olmo2", 4 * 11 + 3},
        {VARIANT("olmo3"), "olmo3", 5 * 11 + 3},
        {VARIANT("phi3"), "phi3", 4 * 6 + 3},
        {VARIANT("phi4-mini"), "phi3", 4 * 6 + 2},
        {VARIANT("granite"), "granite", 4 * 9 + 2},
        {VARIANT("smollm3"), "smollm3", 5 * 9 + 2},
        {VARIANT("mixtral"), "mixtral", 4 * (7 + 3 * 4) + 3},
        {VARIANT("qwen3-moe"), "qwen3_moe", 4 * (9 + 3 * 6) + 3},
        {VARIANT("olmoe"), "olmoe", 4 * (9 + 3 * 6) + 3},
        {VARIANT("gpt-oss"), "gpt_oss", 4 * 17 + 3},
        {VARIANT("lfm2"), "lfm2", 4 * 8 + 2 * 11 + 2},
        {VARIANT("qwen3-next-dense"), "qwen3_next", 4 * 12 + 2 * 11 + 3},
        {VARIANT("qwen3-next-experts"), "qwen3_next", 3 * 8 + 7 + 4 * (6 + 3 * 5) + 3},
        {VARIANT("qwen3.5"), "qwen3_5", 6 * 14 + 2 * 11 + 2},
        {VARIANT("kimi-linear-dense"), "kimi_linear", 4 * 20 + 2 * 10 + 3},
        {VARIANT("kimi-linear-experts"), "kimi_linear", 20 + 2 * (22 + 3 * 6) + 12 + 3 * 6 + 3},
        {VARIANT("granite-h"), "granite_h", 4 * 13 + 2 * 8 + 2},
        {VARIANT("granite-micro"), "granite_h", 4 * 8 + 2},
        {VARIANT("bamba"), "bamba", 4 * 14 + 2 * 9 + 3},
        {VARIANT("jamba"), "jamba", 5 * 18 + 9 + 2},
        {VARIANT("jamba-experts"), "jamba", 18 + 22 + 18 + 31 + 3},
        {VARIANT("nemotron-h"), "nemotron_h", 4 * 10 + 4 * 3 + 2 * 5 + 3},
        {VARIANT("zamba2"), "zamba2", 7 * 10 + 3 * (1 + 8) + 8 + 2},
        {VARIANT("zamba2-two-blocks"), "zamba2", 7 * 10 + 4 * (1 + 2) + 2 * 8 + 2},
        {VARIANT("recurrent-gemma"), "recurrent_gemma", 4 * 21 + 2 * 13 + 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_checkpoint *cp = NULL;
        struct ko_model *model = NULL;
        if (ko_checkpoint_open(rows[i].folder, "toy", &cp, &err) ||
            ko_model_open(cp, &model, &err)) {
            fail_msg("%s", err.text);
        }
        assert_string_equal(model->family->name, rows[i].family);
        assert_string_equal(model->name, "toy");
        assert_int_equal(model->n_weights, rows[i].n_weights);
        size_t end[2] = {0}; /* of the values and of the matrices so far */
        for (size_t w = 0; w < model->n_weights; w++) {
            const struct ko_weight *weight = &model->weights[w];
            assert_int_equal(weight->matrix,
                             weight->n_dims >= 2 && weight->transform == KO_AS_STORED);
            assert_int_equal(weight->offset % 16, 0);
            assert_true(weight->offset >= end[weight->matrix]);
            end[weight->matrix] = weight->offset + weight->n;
        }
        assert_true(end[0] <= model->value_floats && end[1] <= model->matrix_elements);
        assert_int_equal(model->value_floats % 16, 0);
        assert_int_equal(model->matrix_elements % 16, 0);
        ko_model_free(model);
        ko_checkpoint_close(cp);
    }
}

static void tensors_that_do_not_fit_are_named_with_their_shapes(void **state)
{
    static const struct {
        const char *from;
        struct test_edit edit;
        const char *text;
    } rows[] = {
        {MAMBA,
         {.find = "3.mixer.A_log\":{\"dtype\":\"F32\",\"shape\":[80,16]",
          .replace = "3.mixer.A_log\":{\"dtype\":\"F32\",\"shape\":[16,80]"},
         "toy: backbone.layers.3.mixer.A_log: expected [80,16], file has [16,80]"},
        {MAMBA,
         {.find = "\"shape\":[80,1,4]", .replace = "\"shape\":[80,4]"},
         "toy: backbone.layers.0.mixer.conv1d.weight: expected [80,1,4], file has [80,4]"},
        {MAMBA,
         {.config = "{\"vocab_size\": 520}"},
         "toy: backbone.embeddings.weight: expected [520,40], file has [512,40]"},
        {MAMBA,
         {.config = "{\"intermediate_size\": \"absent\", \"expand\": 3}"},
         "toy: backbone.layers.0.mixer.in_proj.weight: expected [240,40], file has [160,40]"},
        {MAMBA,
         {.config = "{\"time_step_rank\": 4}"},
         "toy: backbone.layers.0.mixer.x_proj.weight: expected [36,80], file has [35,80]"},
        {MAMBA,
         {.find = "layers.2.mixer.D\"", .replace = "layers.2.mixer.E\""},
         "toy: backbone.layers.2.mixer.D: expected [80], file has no tensor of this name"},
        {MAMBA,
         {.config = "{\"num_hidden_layers\": 6}"},
         "toy: backbone.layers.5.norm.weight: expected [40], file has no tensor of this name"},
        {MAMBA,
         {.config = "{\"use_bias\": true}"},
         "toy: backbone.layers.0.mixer.in_proj.bias: expected [160], file has no tensor of this "
         "name"},
        {MAMBA,
         {.config = "{\"tie_word_embeddings\": false}"},
         "toy: lm_head.weight: expected [512,40], file has no tensor of this name"},
        {MAMBA,
         {.config = "{\"num_hidden_layers\": 4}"},
         "toy: backbone.layers.4.mixer.A_log: F32 [80,16] is not a weight of Mamba-1 as "
         "config.json "
         "describes it"},
        {MAMBA,
         {.config = "{\"use_conv_bias\": false}"},
         "toy: backbone.layers.0.mixer.conv1d.bias: F32 [80] is not a weight of Mamba-1 as "
         "config.json describes it"},
        {MAMBA,
         {.find = "3.mixer.D\":{\"dtype\":\"F32\"", .replace = "3.mixer.D\":{\"dtype\":\"I32\""},
         "toy: backbone.layers.3.mixer.D: expected F32, F16 or BF16, file has I32"},
        {GPT2,
         {.config = "{\"n_positions\": 64}"},
         "toy: wpe.weight: expected [64,48], file has [72,48]"},
        {GPT2,
         {.config = "{\"n_inner\": 200}"},
         "toy: h.0.mlp.c_fc.weight: expected [48,200], file has [48,192]"},
        {GPT2,
         {.find = "\"h.1.attn.bias\"", .replace = "\"h.1.attn.biases\""},
         "toy: h.1.attn.biases: F32 [1,1,72,72] is not a weight of GPT-2 as config.json describes "
         "it"},
        {GPT2,
         {.find = "\"wte.weight\"", .replace = "\"transformer.wte.weight\""},
         "toy: transformer.wpe.weight: expected [72,48], file has no tensor of this name"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        enum ko_code code = open_edited(rows[i].from, &rows[i].edit, &err);
        if (code != KO_E_INPUT || strcmp(err.text, rows[i].text) != 0) {
            fail_msg("row %zu: code %d, '%s' is not '%s'", i, (int)code, err.text, rows[i].text);
        }
    }
}

/* Copies a safetensors file with another beginning of every tensor's name. */
static void copy_prefixed(const char *from, const char *folder, const char *file,
                          const char *prefix)
{
    char *path = test_folder_path(from, file);
    size_t n = 0;
    char *bytes = test_read(path, &n);
    uint64_t length = 0;
    memcpy(&length, bytes, sizeof length);
    json_object *header = json_object_new_object();
    struct json_tokener *tokener = json_tokener_new();
    json_object *old = json_tokener_parse_ex(tokener, bytes + sizeof length, (int)length);
    assert_non_null(old);
    json_object_object_foreach(old, key, value)
    {
        char name[300];
        snprintf(name, sizeof name, "%s%s", strcmp(key, "__metadata__") ? prefix : "", key);
        json_object_object_add(header, name, json_object_get(value));
    }
    test_folder_write_safetensors(folder, file, json_object_to_json_string(header),
                                  bytes + sizeof length + length, n - sizeof length - length);
    json_object_put(old);
    json_object_put(header);
    json_tokener_free(tokener);
    free(bytes);
    free(path);
}

static void copy_file(const char *from, const char *folder, const char *file)
{
    char *path = test_folder_path(from, file);
    size_t n = 0;
    char *bytes = test_read(path, &n);
    test_folder_write(folder, file, bytes, n);
    free(bytes);
    free(path);
}

/* Opens a copy whose names begin with `prefix`; the weights are those of the original. */
static void check_prefixed(const char *from, const char *prefix)
{
    struct ko_checkpoint *cp = NULL, *whole = NULL;
    struct ko_model *model = NULL;
    struct ko_error err = {0};
    char *folder = test_folder_make();
    size_t n = 0;
    copy_file(from, folder, "config.json");
    copy_prefixed(from, folder, "model.safetensors", prefix);
    if (ko_checkpoint_open(folder, "toy", &cp, &err) || ko_model_open(cp, &model, &err) ||
        ko_checkpoint_open(from, "toy", &whole, &err)) {
        fail_msg("%s", err.text);
    }
    const char *stripped = ko_checkpoint_stripped(cp, &n);
    assert_int_equal(n, strlen(prefix));
    assert_int_equal(strncmp(stripped, prefix, n), 0);
    for (size_t w = 0; w < model->n_weights; w++) {
        const struct ko_tensor *a = ko_checkpoint_find(cp, model->weights[w].tensor);
        const struct ko_tensor *b = ko_checkpoint_find(whole, model->weights[w].tensor);
        assert_non_null(a);
        assert_non_null(b);
        assert_int_equal(a->data_bytes, b->data_bytes);
        assert_memory_equal(a->data, b->data, b->data_bytes);
    }
    ko_model_free(model);
    assert_int_equal(ko_model_open(cp, &model, &err), KO_OK); /* again, as it is left now */
    ko_model_free(model);
    ko_checkpoint_close(cp);
    ko_checkpoint_close(whole);
    test_folder_remove(folder);
}

static void a_common_beginning_of_names_is_left_out(void **state)
{
    static const char *const prefixes[] = {"module.", "_orig_mod.", "module._orig_mod.",
                                           "base_model.model.", "wrapped.net."};
    (void)state;
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        check_prefixed(MAMBA, prefixes[i]);
        check_prefixed(GPT2, prefixes[i]);
    }
    check_prefixed(VARIANT("qwen2"), "module."); /* tied: all names begin with "model." as well */
}

static void sharded_names_may_have_a_beginning_too(void **state)
{
    static const char from[] = VARIANT("falcon-mamba-sharded");
    struct ko_checkpoint *cp = NULL;
    struct ko_model *model = NULL;
    struct ko_error err = {0};
    char *folder = test_folder_make(),
         *path = test_folder_path(from, "model.safetensors.index.json");
    json_object *index = json_object_from_file(path), *map = json_object_new_object();
    (void)state;
    json_object_object_foreach(json_object_object_get(index, "weight_map"), key, value)
    {
        char name[300];
        snprintf(name, sizeof name, "_orig_mod.%s", key);
        json_object_object_add(map, name, json_object_get(value));
    }
    json_object_object_add(index, "weight_map", map);
    test_folder_write_text(folder, "model.safetensors.index.json",
                           json_object_to_json_string(index));
    json_object_put(index);
    copy_file(from, folder, "config.json");
    for (int i = 1; i <= 3; i++) {
        char file[64];
        snprintf(file, sizeof file, "model-%05d-of-00003.safetensors", i);
        copy_prefixed(from, folder, file, "_orig_mod.");
    }
    if (ko_checkpoint_open(folder, "toy", &cp, &err) || ko_model_open(cp, &model, &err)) {
        fail_msg("%s", err.text);
    }
    ko_model_free(model);
    ko_checkpoint_close(cp);
    free(path);
    test_folder_remove(folder);
}

/* The names would not fit either way: the error is that of the whole names. */
static void a_beginning_that_does_not_help_stays(void **state)
{
    static const struct {
        const char *prefix, *text;
    } rows[] = {
        {"module.", "toy: backbone.embeddings.weight: expected "},
        {"base_model.model.",
         "toy: all tensors' names begin with 'base_model.model.', so its adapter is not merged: "
         "merge it first"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_checkpoint *cp = NULL;
        struct ko_model *model = NULL;
        struct ko_error err = {0};
        char *folder = test_folder_make(), *path = test_folder_path(MAMBA, "config.json");
        json_object *config = json_object_from_file(path);
        size_t n = 0;
        json_object_object_add(config, "num_hidden_layers", json_object_new_int(6));
        test_folder_write_text(folder, "config.json", json_object_to_json_string(config));
        json_object_put(config);
        copy_prefixed(MAMBA, folder, "model.safetensors", rows[i].prefix);
        assert_int_equal(ko_checkpoint_open(folder, "toy", &cp, &err), KO_OK);
        assert_int_equal(ko_model_open(cp, &model, &err), KO_E_INPUT);
        if (strncmp(err.text, rows[i].text, strlen(rows[i].text)) != 0) {
            fail_msg("%s", err.text);
        }
        (void)ko_checkpoint_stripped(cp, &n);
        assert_int_equal(n, 0);
        ko_checkpoint_close(cp);
        free(path);
        test_folder_remove(folder);
    }
}

static void families_that_are_not_known_are_refused_with_the_nearest(void **state)
{
    static const struct {
        const char *config, *text;
    } rows[] = {
        {"{\"model_type\": \"mambo\"}",
         "toy: model_type: unknown 'mambo', did you mean 'mamba'? (known: mamba, falcon_mamba, "},
        {"{\"model_type\": \"GPT2\"}", "toy: model_type: unknown 'GPT2', did you mean 'gpt2'?"},
        {"{\"model_type\": \"lama\"}", "toy: model_type: unknown 'lama', did you mean 'llama'?"},
        {"{\"model_type\": \"gpt\"}", "toy: model_type: unknown 'gpt' (known: "},
        {"{\"model_type\": \"internlm2\"}", "toy: model_type: unknown 'internlm2' (known: "},
        {"{\"model_type\": \"gemma3\"}", "toy: model_type: unknown 'gemma3' (known: "},
        {"{\"model_type\": \"cohere2\"}", "toy: model_type: unknown 'cohere2' (known: "},
        {"{\"model_type\": \"zamba\"}", "toy: model_type: unknown 'zamba' (known: "},
        {"{\"model_type\": \"gpt_neo\"}", "toy: model_type: unknown 'gpt_neo' (known: "},
        {"{\"model_type\": \"bert-with-a-long-name\"}",
         "toy: model_type: unknown 'bert-with-a-long-name' (known: mamba, falcon_mamba, "},
        {"{\"model_type\": \"absent\", \"d_model\": \"absent\"}",
         "toy: model_type: missing from config.json"},
        {"{\"model_type\": null, \"ssm_cfg\": \"absent\"}",
         "toy: model_type: missing from config.json"},
        {"{\"model_type\": 3}", "toy: model_type: expected a string, got 3"},
        {"{\"quantization_config\": {\"bits\": 4}}", "toy: quantization_config: quantised weights"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        enum ko_code code = open_edited(MAMBA, &(struct test_edit){.config = rows[i].config}, &err);
        if (code != KO_E_INPUT || strncmp(err.text, rows[i].text, strlen(rows[i].text)) != 0) {
            fail_msg("row %zu: code %d, '%s' does not begin with '%s'", i, (int)code, err.text,
                     rows[i].text);
        }
    }
}

/* mamba-odd with one more tensor behind the others' data; `data` [n_bytes]. */
static enum ko_code open_with(const char *config, const char *name, const char *shape,
                              const void *data, size_t n_bytes, struct ko_error *err)
{
    size_t n = 0;
    uint64_t length;
    char *file = test_read(MAMBA "/model.safetensors", &n), entry[256];
    memcpy(&length, file, sizeof length);
    size_t end = n - sizeof length - length;
    snprintf(entry, sizeof entry,
             "{\"%s\":{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":[%zu,%zu]},\"__metadata__\"",
             name, shape, end, end + n_bytes);
    struct test_edit edit = {.config = config,
                             .find = "{\"__metadata__\"",
                             .replace = entry,
                             .more = data,
                             .n_more = n_bytes};
    free(file);
    return open_edited(MAMBA, &edit, err);
}

static void rotary_frequencies_are_ignored_and_other_leftovers_are_not(void **state)
{
    struct ko_error err = {0};
    (void)state;
    if (open_with(NULL, "layers.0.rotary_emb.inv_freq", "[1]", "abcd", 4, &err)) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(open_with(NULL, "layers.0.inv_freq", "[1]", "abcd", 4, &err), KO_E_INPUT);
    assert_string_equal(err.text, "toy: layers.0.inv_freq: F32 [1] is not a weight of Mamba-1 as "
                                  "config.json describes it");
}

static void a_head_is_ignored_only_where_it_repeats_the_tied_embedding(void **state)
{
    enum { HEAD = 512 * 40 * 4 }; /* mamba-odd's embedding comes first in its data */
    struct ko_error err = {0};
    size_t n = 0;
    uint64_t length;
    (void)state;
    char *file = test_read(MAMBA "/model.safetensors", &n);
    memcpy(&length, file, sizeof length);
    char *head = file + sizeof length + length;
    if (open_with(NULL, "lm_head.weight", "[512,40]", head, HEAD, &err)) {
        fail_msg("%s", err.text);
    }
    head[HEAD - 1] ^= 1;
    assert_int_equal(open_with(NULL, "lm_head.weight", "[512,40]", head, HEAD, &err), KO_E_INPUT);
    assert_string_equal(err.text,
                        "toy: lm_head.weight: F32 [512,40] does not repeat the embedding, although "
                        "tie_word_embeddings of config.json is true (given or by default): set it "
                        "to false");
    if (open_with("{\"tie_word_embeddings\": false}", "lm_head.weight", "[512,40]", head, HEAD,
                  &err)) {
        fail_msg("%s", err.text);
    }
    free(file);
}

/* The bytes of a tensor in a safetensors file. */
static char *find_data(char *file, const char *tensor, size_t *n)
{
    uint64_t length = 0;
    memcpy(&length, file, sizeof length);
    struct json_tokener *tokener = json_tokener_new();
    json_object *header = json_tokener_parse_ex(tokener, file + sizeof length, (int)length);
    json_object *entry = json_object_object_get(header, tensor);
    json_object *ends = json_object_object_get(entry, "data_offsets");
    assert_non_null(ends);
    const int64_t begin = json_object_get_int64(json_object_array_get_idx(ends, 0));
    *n = (size_t)(json_object_get_int64(json_object_array_get_idx(ends, 1)) - begin);
    json_object_put(header);
    json_tokener_free(tokener);
    return file + sizeof length + length + begin;
}

/* Opens Pythia's file, of n bytes, as a tied model. */
static enum ko_code open_tied(const char *file, size_t n, struct ko_error *err)
{
    static const char name[] = "model.safetensors";
    struct ko_checkpoint *cp = NULL;
    struct ko_model *model = NULL;
    char *folder = test_folder_make();
    test_checkpoint_reconfigure(VARIANT("pythia"), folder, "{\"tie_word_embeddings\": true}");
    test_folder_write(folder, name, file, n);
    enum ko_code code = ko_checkpoint_open(folder, "toy", &cp, err);
    if (code == KO_OK) {
        code = ko_model_open(cp, &model, err);
    }
    ko_model_free(model);
    ko_checkpoint_close(cp);
    test_folder_remove(folder);
    return code;
}

static void the_tied_head_has_its_familys_name(void **state)
{
    struct ko_error err = {0};
    size_t n = 0, n_head = 0, n_embedding = 0;
    char *file = test_read(VARIANT("pythia") "/model.safetensors", &n);
    char *head = find_data(file, "embed_out.weight", &n_head);
    const char *embedding = find_data(file, "gpt_neox.embed_in.weight", &n_embedding);
    (void)state;
    assert_int_equal(n_head, n_embedding);
    assert_int_equal(open_tied(file, n, &err), KO_E_INPUT);
    assert_string_equal(
        err.text, "toy: embed_out.weight: F16 [512,64] does not repeat the embedding, although "
                  "tie_word_embeddings of config.json is true (given or by default): set it "
                  "to false");
    memcpy(head, embedding, n_head);
    if (open_tied(file, n, &err)) {
        fail_msg("%s", err.text);
    }
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_checkpoint_of_the_repository_opens),
        cmocka_unit_test(tensors_that_do_not_fit_are_named_with_their_shapes),
        cmocka_unit_test(a_common_beginning_of_names_is_left_out),
        cmocka_unit_test(sharded_names_may_have_a_beginning_too),
        cmocka_unit_test(a_beginning_that_does_not_help_stays),
        cmocka_unit_test(families_that_are_not_known_are_refused_with_the_nearest),
        cmocka_unit_test(rotary_frequencies_are_ignored_and_other_leftovers_are_not),
        cmocka_unit_test(a_head_is_ignored_only_where_it_repeats_the_tied_embedding),
        cmocka_unit_test(the_tied_head_has_its_familys_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
