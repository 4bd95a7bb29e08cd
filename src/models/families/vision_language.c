/* SPDX-License-Identifier: Apache-2.0 */
/* The language parts of vision-language models, whose prompts are matrices of embeddings: LLaVA (Liu
   et al. 2023), Qwen2-VL, Qwen2.5-VL and Qwen3-VL (Wang et al. 2024, Bai et al. 2025); transformers'
   LlavaForConditionalGeneration and the like. The language part is one of the families Llama,
   Mistral, Qwen2 and Qwen3; text_config is its configuration. */
#include <string.h>

#include "src/formats/json.h"
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families.h"

/* model_type of the language part, and its family. Older files of Qwen2-VL and Qwen2.5-VL have no
   text_config; its keys are in the whole. */
static const struct {
    const char *model_type;
    const struct ko_family *family;
} parts[] = {
    {"llama", &ko_family_llama},         {"mistral", &ko_family_mistral},
    {"qwen2", &ko_family_qwen2},         {"qwen3", &ko_family_qwen3},
    {"qwen2_vl", &ko_family_qwen2},      {"qwen2_vl_text", &ko_family_qwen2},
    {"qwen2_5_vl", &ko_family_qwen2},    {"qwen2_5_vl_text", &ko_family_qwen2},
    {"qwen3_vl_text", &ko_family_qwen3},
};

/* Where files have the language part. */
static const struct {
    const char *embedding, *root, *head;
} layouts[] = {
    {"language_model.model.embed_tokens.weight", "language_model.model.",
     "language_model.lm_head.weight"},
    {"model.language_model.embed_tokens.weight", "model.language_model.", NULL},
};

static const struct ko_family *find_part(struct ko_builder *b, json_object *text)
{
    const char *model_type = "llama"; /* LlavaConfig's default */
    if (b->code == KO_OK) {
        b->code = ko_json_string(text, "model_type", &model_type, b->where, b->err);
    }
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (strcmp(parts[i].model_type, model_type) == 0) {
            return parts[i].family;
        }
    }
    ko_config_fail(
        b, "text_config",
        "model_type '%s' is not supported as a language part, only llama, mistral, qwen2 "
        "and qwen3",
        model_type);
    return NULL;
}

/* A copy of text_config, with the tie of the whole unless it has one of its own. json_object_put() it. */
static json_object *copy_text(struct ko_builder *b, json_object *text)
{
    static const char key[] = "tie_word_embeddings";
    json_object *copy = NULL, *tied = ko_json_get(b->config, key);
    if (json_object_deep_copy(text, &copy, NULL) != 0) {
        b->code = ko_fail(b->err, KO_E_MEMORY, "%s: out of memory for its text_config", b->where);
        return NULL;
    }
    if (tied && !ko_json_get(copy, key)) {
        json_object_object_add(copy, key, json_object_get(tied));
    }
    return copy;
}

static void build_vision_language(struct ko_builder *b)
{
    json_object *whole = b->config, *nested = ko_json_get(whole, "text_config");
    if (nested && !json_object_is_type(nested, json_type_object)) {
        ko_config_fail(b, "text_config", "expected an object");
        return;
    }
    json_object *text = copy_text(b, nested ? nested : whole);
    const struct ko_family *family = text ? find_part(b, text) : NULL;
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        if (ko_tensor_exists(b, layouts[i].embedding)) {
            b->language = layouts[i].root;
            b->head = layouts[i].head;
        }
    }
    if (family) {
        b->config = text;
        family->build(b);
        b->config = whole;
    }
    json_object_put(text);
}

const struct ko_family ko_family_vision_language = {
    .name = "vision-language",
    .title = "the language part of a vision-language model",
    .model_types = {"llava", "llava_next", "qwen2_vl", "qwen2_5_vl", "qwen3_vl"},
    .ignored_beginnings = {"vision_tower.", "multi_modal_projector.", "image_newline",
                           "model.vision_tower.", "model.multi_modal_projector.", "visual.",
                           "model.visual.", "model.image_newline"},
    .build = build_vision_language,
};
