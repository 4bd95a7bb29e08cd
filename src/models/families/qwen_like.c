/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the sliding windows of Qwen2 and Qwen3. */
#include "src/models/families/qwen_like.h"

#include "src/formats/json.h"
#include "src/models/config.h"

enum { DEFAULT_WINDOW = 4096, DEFAULT_WINDOW_LAYERS = 28 };

void ko_qwen_read_window(struct ko_builder *b, struct ko_llama_layer *layer)
{
    bool slides = false;
    int64_t first = DEFAULT_WINDOW_LAYERS;
    ko_config_bool(b, "use_sliding_window", &slides);
    if (slides) {
        ko_llama_window(b, DEFAULT_WINDOW, &layer->reach);
    }
    if (b->code == KO_OK) {
        b->code =
            ko_json_int(b->config, "max_window_layers", 0, INT32_MAX, &first, b->where, b->err);
    }
    ko_llama_layer_types(b, first, layer);
}
