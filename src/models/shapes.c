#include <string.h>

#include "src/models/model.h"

#define MAMBA(d_model, n_layer, vocab)                                                             \
    "{\"model_type\": \"mamba\", \"hidden_size\": " #d_model ", \"num_hidden_layers\": " #n_layer  \
    ", \"vocab_size\": " #vocab                                                                    \
    ", \"expand\": 2, \"state_size\": 16, \"conv_kernel\": 4, \"time_step_rank\": \"auto\", "      \
    "\"tie_word_embeddings\": true}"
#define GPT2(d_model, n_layer, n_heads)                                                            \
    "{\"model_type\": \"gpt2\", \"n_embd\": " #d_model ", \"n_layer\": " #n_layer                  \
    ", \"n_head\": " #n_heads                                                                      \
    ", \"n_positions\": 1024, \"vocab_size\": 50257, \"tie_word_embeddings\": true}"

/* As the published checkpoints' config.json. */
static const char *const names[] = {
    "mamba-130m", "mamba-1.4b", "mamba-2.8b", "mamba-7b-rw", "gpt2-medium", "gpt2-large", "gpt2-xl",
};
static const char *const configs[] = {
    MAMBA(768, 24, 50280), MAMBA(2048, 48, 50280), MAMBA(2560, 64, 50280), MAMBA(4096, 64, 50432),
    GPT2(1024, 24, 16),    GPT2(1280, 36, 20),     GPT2(1600, 48, 25),
};
enum { N_SHAPES = sizeof names / sizeof names[0] };
_Static_assert(sizeof configs == sizeof names, "one configuration a name");

const char *ko_shape_config(const char *shape_name)
{
    for (size_t i = 0; i < N_SHAPES; i++)
        if (strcmp(names[i], shape_name) == 0)
            return configs[i];
    return NULL;
}

const char *const *ko_shape_names(size_t *n)
{
    *n = N_SHAPES;
    return names;
}
