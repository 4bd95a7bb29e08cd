/* SPDX-License-Identifier: Apache-2.0 */
/* Translates a config.json of mamba_ssm into the Hugging Face layout, so that the families read
   only one layout. It refuses settings that are not supported, such as hybrids with attention. */
#include "src/models/original.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "src/base/text.h"
#include "src/formats/json.h"
#include "src/models/config.h"

/* What a key of ssm_cfg is for. */
enum use {
    USE_SIZE,       /* a whole number, renamed */
    USE_BOOL,       /* renamed */
    USE_OWN,        /* read by a function of its own */
    USE_FALSE_ONLY, /* changes the result */
    USE_TRUE_ONLY,
    USE_NONE, /* of training, or of how fast it is */
};

/* Fields that a kind of layer does not have are refused, as mamba_ssm's constructors do. */
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

struct reader {
    char top[256], inner[280]; /* "NAME", "NAME: ssm_cfg" */
    const char *layer;         /* "Mamba1" or "Mamba2" */
    const struct entry *entry; /* [n] */
    size_t n;
    json_object *from, *ssm, *to; /* ssm may be NULL: all defaults */
    int64_t d_model;
    struct ko_error *err;
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

static enum ko_code copy_size(struct reader *r, bool inner, const char *key, const char *to,
                              int64_t fallback, int64_t max, int64_t *out)
{
    *out = fallback;
    enum ko_code code =
        ko_json_int(inner ? r->ssm : r->from, key, 1, max, out, inner ? r->inner : r->top, r->err);
    if (code == KO_OK && to) {
        put_int(r, to, *out);
    }
    return code;
}

static enum ko_code copy_bool(struct reader *r, bool inner, const char *key, const char *to,
                              bool fallback, bool *out)
{
    *out = fallback;
    enum ko_code code =
        ko_json_bool(inner ? r->ssm : r->from, key, out, inner ? r->inner : r->top, r->err);
    if (code == KO_OK && to) {
        json_object_object_add(r->to, to, json_object_new_boolean(*out));
    }
    return code;
}

static enum ko_code only(struct reader *r, bool inner, const char *key, bool supported)
{
    bool value = supported;
    enum ko_code code = copy_bool(r, inner, key, NULL, supported, &value);
    if (code == KO_OK && value != supported) {
        code = ko_fail(r->err, KO_E_INPUT, "%s: %s: %s is not supported, only %s",
                       inner ? r->inner : r->top, key, value ? "true" : "false",
                       supported ? "true" : "false");
    }
    return code;
}

/* ---- ssm_cfg. */

static enum ko_code choose_layer(struct reader *r)
{
    r->layer = "Mamba1";
    enum ko_code code = ko_json_string(r->ssm, "layer", &r->layer, r->inner, r->err);
    if (code != KO_OK) {
        return code;
    }
    bool second = strcmp(r->layer, "Mamba2") == 0;
    if (!second && strcmp(r->layer, "Mamba1") != 0) {
        return ko_fail(r->err, KO_E_INPUT,
                       "%s: layer: '%s' is not supported, only Mamba1 or Mamba2", r->inner,
                       r->layer);
    }
    r->entry = second ? mamba2_entries : mamba1_entries;
    r->n = second ? N_MAMBA2 : N_MAMBA1;
    json_object_object_add(r->to, "model_type",
                           json_object_new_string(second ? "mamba2" : "mamba"));
    return KO_OK;
}

static enum ko_code refuse_unknown(struct reader *r)
{
    const char *known[N_ENTRIES];
    for (size_t i = 0; i < r->n; i++) {
        known[i] = r->entry[i].key;
    }
    if (!r->ssm) {
        return KO_OK;
    }
    json_object_object_foreach(r->ssm, key, value)
    {
        bool found = false;
        for (size_t i = 0; i < r->n && !found; i++) {
            found = strcmp(known[i], key) == 0;
        }
        const char *nearest = found ? NULL : ko_nearest(key, known, r->n);
        (void)value;
        if (!found) {
            return ko_fail(r->err, KO_E_INPUT, "%s: %s: is no key of %s%s%s%s", r->inner, key,
                           r->layer, nearest ? ", did you mean '" : "", nearest ? nearest : "",
                           nearest ? "'?" : "");
        }
    }
    return KO_OK;
}

static enum ko_code copy_entries(struct reader *r)
{
    enum ko_code code = KO_OK;
    for (size_t i = 0; i < r->n && code == KO_OK; i++) {
        const struct entry *e = &r->entry[i];
        int64_t size = 0;
        bool truth = false;
        if (e->use == USE_SIZE) {
            code = copy_size(r, true, e->key, e->hugging_face, e->fallback, KO_MAX_WIDTH, &size);
        } else if (e->use == USE_BOOL) {
            code = copy_bool(r, true, e->key, e->hugging_face, e->fallback != 0, &truth);
        } else if (e->use == USE_FALSE_ONLY || e->use == USE_TRUE_ONLY) {
            code = only(r, true, e->key, e->use == USE_TRUE_ONLY);
        }
    }
    return code;
}

/* The inner width, the whole part of expand * d_model. */
static enum ko_code copy_expand(struct reader *r, int64_t *inner)
{
    double expand = 2;
    enum ko_code code = ko_json_double(r->ssm, "expand", &expand, r->inner, r->err);
    double width = floor(expand * (double)r->d_model);
    if (code == KO_OK && !(width >= 1 && width <= KO_MAX_WIDTH)) {
        code = ko_fail(r->err, KO_E_INPUT, "%s: expand: %g times d_model is no width from 1 to %d",
                       r->inner, expand, KO_MAX_WIDTH);
    }
    if (code != KO_OK) {
        return code;
    }
    *inner = (int64_t)width;
    put_int(r, "intermediate_size", *inner);
    return KO_OK;
}

/* A number, or "auto". */
static enum ko_code copy_rank(struct reader *r)
{
    int64_t rank = (r->d_model + 15) / 16;
    json_object *value = ko_json_get(r->ssm, "dt_rank");
    if (json_object_is_type(value, json_type_string) &&
        strcmp(json_object_get_string(value), "auto") == 0) {
        put_int(r, "time_step_rank", rank);
        return KO_OK;
    }
    return copy_size(r, true, "dt_rank", "time_step_rank", rank, KO_MAX_WIDTH, &rank);
}

/* As many heads as fit the inner width, all of which the state space must have. */
static enum ko_code copy_heads(struct reader *r, int64_t inner)
{
    int64_t width = 64, d_ssm = inner;
    enum ko_code code = copy_size(r, true, "headdim", NULL, width, KO_MAX_WIDTH, &width);
    if (code == KO_OK && inner % width != 0) {
        code = ko_fail(r->err, KO_E_INPUT, "%s: headdim: %lld does not divide the inner width %lld",
                       r->inner, (long long)width, (long long)inner);
    }
    if (code == KO_OK) {
        code = ko_json_int(r->ssm, "d_ssm", 1, KO_MAX_WIDTH, &d_ssm, r->inner, r->err);
    }
    if (code == KO_OK && d_ssm != inner) {
        code = ko_fail(r->err, KO_E_INPUT,
                       "%s: d_ssm: %lld is not supported, only the inner width %lld", r->inner,
                       (long long)d_ssm, (long long)inner);
    }
    if (code == KO_OK) {
        put_int(r, "num_heads", inner / width);
    }
    return code;
}

static enum ko_code copy_limit(struct reader *r)
{
    double limit[2] = {0, INFINITY};
    enum ko_code code = ko_config_range(r->inner, r->ssm, "dt_limit", limit, r->err);
    if (code != KO_OK) {
        return code;
    }
    json_object *list = json_object_new_array();
    json_object_array_add(list, json_object_new_double(limit[0]));
    json_object_array_add(list, json_object_new_double(limit[1]));
    json_object_object_add(r->to, "time_step_limit", list);
    return KO_OK;
}

static enum ko_code translate_ssm(struct reader *r)
{
    int64_t inner = 0;
    enum ko_code code = choose_layer(r);
    if (code == KO_OK) {
        code = refuse_unknown(r);
    }
    if (code == KO_OK) {
        code = copy_entries(r);
    }
    if (code == KO_OK) {
        code = copy_expand(r, &inner);
    }
    if (code == KO_OK && r->n == N_MAMBA1) {
        return copy_rank(r);
    }
    if (code == KO_OK) {
        code = copy_heads(r, inner);
    }
    if (code == KO_OK) {
        code = copy_limit(r);
    }
    return code;
}

/* ---- The rest. */

/* Attention layers and MLPs between the mixers: mamba_ssm's hybrids. */
static enum ko_code refuse_hybrids(struct reader *r)
{
    json_object *layers = ko_json_get(r->from, "attn_layer_idx");
    int64_t d_intermediate = 0;
    if (layers &&
        !(json_object_is_type(layers, json_type_array) && json_object_array_length(layers) == 0)) {
        return ko_fail(r->err, KO_E_INPUT,
                       "%s: attn_layer_idx: attention layers are not supported, only an empty "
                       "list, got %s",
                       r->top,
                       json_object_to_json_string_ext(layers, JSON_C_TO_STRING_NOSLASHESCAPE));
    }
    enum ko_code code =
        ko_json_int(r->from, "d_intermediate", 0, INT32_MAX, &d_intermediate, r->top, r->err);
    if (code == KO_OK && d_intermediate > 0) {
        code = ko_fail(r->err, KO_E_INPUT,
                       "%s: d_intermediate: MLPs are not supported, only 0, got %lld", r->top,
                       (long long)d_intermediate);
    }
    if (code == KO_OK) {
        code = only(r, false, "rms_norm", true);
    }
    return code;
}

/* The embedding has a row for each token and up to a multiple of pad_vocab_size_multiple. */
static enum ko_code copy_vocabulary(struct reader *r)
{
    int64_t words = 0, multiple = 0;
    enum ko_code code = copy_size(r, false, "vocab_size", NULL, 50277, KO_MAX_VOCABULARY, &words);
    if (code == KO_OK) {
        code =
            copy_size(r, false, "pad_vocab_size_multiple", NULL, 8, KO_MAX_VOCABULARY, &multiple);
    }
    if (code != KO_OK) {
        return code;
    }
    int64_t padded = (words + multiple - 1) / multiple * multiple;
    if (padded > KO_MAX_VOCABULARY) {
        return ko_fail(r->err, KO_E_INPUT,
                       "%s: pad_vocab_size_multiple: %lld makes a vocabulary of %lld, beyond %d",
                       r->top, (long long)multiple, (long long)padded, KO_MAX_VOCABULARY);
    }
    put_int(r, "vocab_size", padded);
    return KO_OK;
}

static enum ko_code translate(struct reader *r)
{
    int64_t layers = 0;
    double eps = 1e-5;
    bool tied = true;
    enum ko_code code = refuse_hybrids(r);
    if (code == KO_OK) {
        code = copy_size(r, false, "d_model", "hidden_size", 2560, KO_MAX_WIDTH, &r->d_model);
    }
    if (code == KO_OK) {
        code = copy_size(r, false, "n_layer", "num_hidden_layers", 64, KO_MAX_LAYERS, &layers);
    }
    if (code == KO_OK) {
        code = copy_vocabulary(r);
    }
    if (code == KO_OK) {
        code = copy_bool(r, false, "tie_embeddings", "tie_word_embeddings", true, &tied);
    }
    if (code == KO_OK) {
        code = ko_json_double(r->from, "norm_epsilon", &eps, r->top, r->err);
    }
    if (code == KO_OK) {
        code = translate_ssm(r);
    }
    if (code != KO_OK) {
        return code;
    }
    json_object_object_add(r->to, "layer_norm_epsilon", json_object_new_double(eps));
    /* No BOS unless the file names one. */
    json_object_object_add(r->to, "bos_token_id",
                           json_object_get(ko_json_get(r->from, "bos_token_id")));
    return KO_OK;
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
    struct reader r = {.from = config, .ssm = ssm, .to = to, .err = err};
    snprintf(r.top, sizeof r.top, "%s", name);
    snprintf(r.inner, sizeof r.inner, "%s: ssm_cfg", r.top);
    enum ko_code code = translate(&r);
    if (code != KO_OK) {
        json_object_put(to);
    } else {
        *out = to;
    }
    return code;
}
