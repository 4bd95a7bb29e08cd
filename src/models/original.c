/* SPDX-License-Identifier: Apache-2.0 */
/* Translates a config.json of mamba_ssm into the Hugging Face layout, so that the families read
   only one layout. It refuses settings that are not supported, such as hybrids with attention. */
#include "src/models/original.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "src/base/text.h"
#include "src/formats/json.h"
#include "src/models/config.h"

/* What is done with a key of ssm_cfg. */
enum use {
    USE_SIZE,       /* a whole number, renamed */
    USE_BOOL,       /* renamed */
    USE_OWN,        /* read by its own function */
    USE_FALSE_ONLY, /* changes the result, so only this value is supported */
    USE_TRUE_ONLY,
    USE_NONE, /* ignored: about training or speed */
};

/* A key that the kind of layer does not have is refused, as mamba_ssm's constructors do. */
struct entry {
    const char *key, *hugging_face;
    enum use use;
    int32_t fallback;
};

static const struct entry mamba1_entries[] = {
    {"layer", NULL, USE_OWN, 0},
    {"d_state", "state_size", USE_SIZE, 16},
    {"d_conv", "conv_kernel", USE_SIZE, 4},
    {"expand", "expand", USE_OWN, 0},
    {"dt_rank", "time_step_rank", USE_OWN, 0},
    {"bias", "use_bias", USE_BOOL, false},
    {"conv_bias", "use_conv_bias", USE_BOOL, true},
    {"dt_min", NULL, USE_NONE, 0},
    {"dt_max", NULL, USE_NONE, 0},
    {"dt_init", NULL, USE_NONE, 0},
    {"dt_scale", NULL, USE_NONE, 0},
    {"dt_init_floor", NULL, USE_NONE, 0},
    {"use_fast_path", NULL, USE_NONE, 0},
};

static const struct entry mamba2_entries[] = {
    {"layer", NULL, USE_OWN, 0},
    {"d_state", "state_size", USE_SIZE, 128},
    {"d_conv", "conv_kernel", USE_SIZE, 4},
    {"expand", "expand", USE_OWN, 0},
    {"headdim", "head_dim", USE_SIZE, 64},
    {"ngroups", "n_groups", USE_SIZE, 1},
    {"d_ssm", NULL, USE_OWN, 0},
    {"dt_limit", "time_step_limit", USE_OWN, 0},
    {"bias", "use_bias", USE_BOOL, false},
    {"conv_bias", "use_conv_bias", USE_BOOL, true},
    {"D_has_hdim", NULL, USE_FALSE_ONLY, 0},
    {"norm_before_gate", NULL, USE_FALSE_ONLY, 0},
    {"rmsnorm", NULL, USE_TRUE_ONLY, 0},
    {"conv_init", NULL, USE_NONE, 0},
    {"A_init_range", NULL, USE_NONE, 0},
    {"dt_min", NULL, USE_NONE, 0},
    {"dt_max", NULL, USE_NONE, 0},
    {"dt_init_floor", NULL, USE_NONE, 0},
    {"chunk_size", NULL, USE_NONE, 0},
    {"use_mem_eff_path", NULL, USE_NONE, 0},
};

enum {
    N_MAMBA1 = sizeof mamba1_entries / sizeof mamba1_entries[0],
    N_MAMBA2 = sizeof mamba2_entries / sizeof mamba2_entries[0],
    N_ENTRIES = N_MAMBA2 > N_MAMBA1 ? N_MAMBA2 : N_MAMBA1,
};

/* An object of the file, and its name in errors. */
struct section {
    json_object *object; /* NULL: all keys take their default */
    char where[280];
};

/* Errors are sticky: after the first, `code` is set and values are the defaults. */
struct reader {
    struct section top, ssm; /* "NAME", "NAME: ssm_cfg" */
    json_object *to;
    const char *layer;         /* "Mamba1" or "Mamba2" */
    const struct entry *entry; /* [n] */
    size_t n;
    struct ko_error *err;
    enum ko_code code;
};

bool ko_config_is_original(json_object *config)
{
    return !ko_json_get(config, "model_type") && ko_json_get(config, "d_model") &&
           json_object_object_get_ex(config, "ssm_cfg", NULL);
}

static void put_int(struct reader *r, const char *key, int64_t value)
{
    json_object_object_add(r->to, key, json_object_new_int64(value));
}

static void put_bool(struct reader *r, const char *key, bool value)
{
    json_object_object_add(r->to, key, json_object_new_boolean(value));
}

static int64_t read_size(struct reader *r, const struct section *from, const char *key,
                         int64_t fallback, int64_t max)
{
    int64_t value = fallback;
    if (r->code == KO_OK) {
        r->code = ko_json_int(from->object, key, 1, max, &value, from->where, r->err);
    }
    return value;
}

static double read_double(struct reader *r, const struct section *from, const char *key,
                          double fallback)
{
    double value = fallback;
    if (r->code == KO_OK) {
        r->code = ko_json_double(from->object, key, &value, from->where, r->err);
    }
    return value;
}

static bool read_bool(struct reader *r, const struct section *from, const char *key, bool fallback)
{
    bool value = fallback;
    if (r->code == KO_OK) {
        r->code = ko_json_bool(from->object, key, &value, from->where, r->err);
    }
    return value;
}

KO_PRINTF(4, 5)
static void fail_at(struct reader *r, const struct section *from, const char *key,
                    const char *format, ...)
{
    char text[KO_ERROR_TEXT];
    va_list args;
    if (r->code != KO_OK) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    r->code = ko_fail(r->err, KO_E_INPUT, "%s: %s: %s", from->where, key, text);
}

static void require_bool(struct reader *r, const struct section *from, const char *key,
                         bool supported)
{
    const bool value = read_bool(r, from, key, supported);
    if (value != supported) {
        fail_at(r, from, key, "%s is not supported, only %s", value ? "true" : "false",
                supported ? "true" : "false");
    }
}

/* ---- ssm_cfg. */

static void choose_layer(struct reader *r)
{
    r->layer = "Mamba1";
    if (r->code == KO_OK) {
        r->code = ko_json_string(r->ssm.object, "layer", &r->layer, r->ssm.where, r->err);
    }
    const bool second = strcmp(r->layer, "Mamba2") == 0;
    if (!second && strcmp(r->layer, "Mamba1") != 0) {
        fail_at(r, &r->ssm, "layer", "'%s' is not supported, only Mamba1 or Mamba2", r->layer);
    }
    r->entry = second ? mamba2_entries : mamba1_entries;
    r->n = second ? N_MAMBA2 : N_MAMBA1;
    json_object_object_add(r->to, "model_type",
                           json_object_new_string(second ? "mamba2" : "mamba"));
}

static void refuse_unknown(struct reader *r)
{
    const char *known[N_ENTRIES];
    for (size_t i = 0; i < r->n; i++) {
        known[i] = r->entry[i].key;
    }
    if (!r->ssm.object) {
        return;
    }
    json_object_object_foreach(r->ssm.object, key, value)
    {
        bool found = false;
        for (size_t i = 0; i < r->n && !found; i++) {
            found = strcmp(known[i], key) == 0;
        }
        const char *nearest = found ? NULL : ko_nearest(key, known, r->n);
        (void)value;
        if (!found) {
            fail_at(r, &r->ssm, key, "is not a key of %s%s%s%s", r->layer,
                    nearest ? ", did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
        }
    }
}

static void copy_entries(struct reader *r)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct entry *e = &r->entry[i];
        if (e->use == USE_SIZE) {
            put_int(r, e->hugging_face, read_size(r, &r->ssm, e->key, e->fallback, KO_MAX_WIDTH));
        } else if (e->use == USE_BOOL) {
            put_bool(r, e->hugging_face, read_bool(r, &r->ssm, e->key, e->fallback != 0));
        } else if (e->use == USE_FALSE_ONLY || e->use == USE_TRUE_ONLY) {
            require_bool(r, &r->ssm, e->key, e->use == USE_TRUE_ONLY);
        }
    }
}

/* The inner width, the whole part of expand * d_model. */
static int64_t copy_expand(struct reader *r, int64_t d_model)
{
    const double expand = read_double(r, &r->ssm, "expand", 2);
    const double width = floor(expand * (double)d_model);
    if (!(width >= 1 && width <= KO_MAX_WIDTH)) {
        fail_at(r, &r->ssm, "expand", "%g times d_model is not a width from 1 to %d", expand,
                KO_MAX_WIDTH);
        return 1;
    }
    put_int(r, "intermediate_size", (int64_t)width);
    return (int64_t)width;
}

/* A number, or "auto". */
static void copy_rank(struct reader *r, int64_t d_model)
{
    int64_t rank = (d_model + 15) / 16;
    json_object *value = ko_json_get(r->ssm.object, "dt_rank");
    if (!json_object_is_type(value, json_type_string) ||
        strcmp(json_object_get_string(value), "auto") != 0) {
        rank = read_size(r, &r->ssm, "dt_rank", rank, KO_MAX_WIDTH);
    }
    put_int(r, "time_step_rank", rank);
}

/* As many heads as fit the inner width. The state space must have all of them. */
static void copy_heads(struct reader *r, int64_t inner)
{
    const int64_t width = read_size(r, &r->ssm, "headdim", 64, KO_MAX_WIDTH);
    if (inner % width != 0) {
        fail_at(r, &r->ssm, "headdim", "%lld does not divide the inner width %lld",
                (long long)width, (long long)inner);
    }
    const int64_t d_ssm = read_size(r, &r->ssm, "d_ssm", inner, KO_MAX_WIDTH);
    if (d_ssm != inner) {
        fail_at(r, &r->ssm, "d_ssm", "%lld is not supported, only the inner width %lld",
                (long long)d_ssm, (long long)inner);
    }
    put_int(r, "num_heads", inner / width);
}

static void copy_limit(struct reader *r)
{
    double limit[2] = {0, INFINITY};
    if (r->code == KO_OK) {
        r->code = ko_config_range(r->ssm.where, r->ssm.object, "dt_limit", limit, r->err);
    }
    json_object *list = json_object_new_array();
    json_object_array_add(list, json_object_new_double(limit[0]));
    json_object_array_add(list, json_object_new_double(limit[1]));
    json_object_object_add(r->to, "time_step_limit", list);
}

static void translate_ssm(struct reader *r, int64_t d_model)
{
    choose_layer(r);
    refuse_unknown(r);
    copy_entries(r);
    const int64_t inner = copy_expand(r, d_model);
    if (r->entry == mamba1_entries) {
        copy_rank(r, d_model);
    } else {
        copy_heads(r, inner);
        copy_limit(r);
    }
}

/* ---- The rest. */

/* Refuses mamba_ssm's hybrids, which have attention layers or MLPs between the mixers. */
static void refuse_hybrids(struct reader *r)
{
    json_object *layers = ko_json_get(r->top.object, "attn_layer_idx");
    int64_t d_intermediate = 0;
    if (layers &&
        !(json_object_is_type(layers, json_type_array) && json_object_array_length(layers) == 0)) {
        fail_at(r, &r->top, "attn_layer_idx",
                "attention layers are not supported, only an empty list, got %s",
                json_object_to_json_string_ext(layers, JSON_C_TO_STRING_NOSLASHESCAPE));
    }
    if (r->code == KO_OK) {
        r->code = ko_json_int(r->top.object, "d_intermediate", 0, INT32_MAX, &d_intermediate,
                              r->top.where, r->err);
    }
    if (d_intermediate > 0) {
        fail_at(r, &r->top, "d_intermediate", "MLPs are not supported, only 0, got %lld",
                (long long)d_intermediate);
    }
    require_bool(r, &r->top, "rms_norm", true);
}

/* The embedding has a row for each token, padded to a multiple of pad_vocab_size_multiple. */
static void copy_vocabulary(struct reader *r)
{
    static const char pad_key[] = "pad_vocab_size_multiple";
    const int64_t words = read_size(r, &r->top, "vocab_size", 50277, KO_MAX_VOCABULARY);
    const int64_t multiple = read_size(r, &r->top, pad_key, 8, KO_MAX_VOCABULARY);
    const int64_t padded = (words + multiple - 1) / multiple * multiple;
    if (padded > KO_MAX_VOCABULARY) {
        fail_at(r, &r->top, pad_key, "%lld makes a vocabulary of %lld, beyond %d",
                (long long)multiple, (long long)padded, KO_MAX_VOCABULARY);
    }
    put_int(r, "vocab_size", padded);
}

static void translate_config(struct reader *r)
{
    refuse_hybrids(r);
    const int64_t d_model = read_size(r, &r->top, "d_model", 2560, KO_MAX_WIDTH);
    put_int(r, "hidden_size", d_model);
    put_int(r, "num_hidden_layers", read_size(r, &r->top, "n_layer", 64, KO_MAX_LAYERS));
    copy_vocabulary(r);
    put_bool(r, "tie_word_embeddings", read_bool(r, &r->top, "tie_embeddings", true));
    json_object_object_add(r->to, "layer_norm_epsilon",
                           json_object_new_double(read_double(r, &r->top, "norm_epsilon", 1e-5)));
    translate_ssm(r, d_model);
    /* Without a BOS token unless the file names one. */
    json_object_object_add(r->to, "bos_token_id",
                           json_object_get(ko_json_get(r->top.object, "bos_token_id")));
}

enum ko_code ko_config_from_original(const char *name, json_object *config, json_object **out,
                                     struct ko_error *err)
{
    json_object *ssm = ko_json_get(config, "ssm_cfg");
    if (ssm && !json_object_is_type(ssm, json_type_object)) {
        return ko_fail(err, KO_E_INPUT, "%s: ssm_cfg: expected an object, got %s", name,
                       json_object_to_json_string_ext(ssm, JSON_C_TO_STRING_NOSLASHESCAPE));
    }
    json_object *to = json_object_new_object();
    if (!to) {
        return ko_fail(err, KO_E_MEMORY, "%s: out of memory for its configuration", name);
    }
    struct reader r = {.top = {.object = config}, .ssm = {.object = ssm}, .to = to, .err = err};
    snprintf(r.top.where, sizeof r.top.where, "%.255s", name);
    snprintf(r.ssm.where, sizeof r.ssm.where, "%.255s: ssm_cfg", name);
    translate_config(&r);
    if (r.code != KO_OK) {
        json_object_put(to);
    } else {
        *out = to;
    }
    return r.code;
}
