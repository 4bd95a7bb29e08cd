/* SPDX-License-Identifier: Apache-2.0 */
/* Writes windows by their layers, and lists the layers of a model by their mixers. */
#include "src/show/layer_words.h"

#include <stdio.h>

#include "src/spec/feature_class.h"

const char *ko_layers_text(struct ko_layer_range layers, char buffer[32])
{
    if (layers.end - layers.begin == 1) {
        (void)snprintf(buffer, 32, "%d", layers.begin);
    } else {
        (void)snprintf(buffer, 32, "%d-%d", layers.begin, layers.end - 1);
    }
    return buffer;
}

void ko_window_text(const struct ko_cube_axes *axes, int32_t model, int32_t size,
                    struct ko_text *out)
{
    ko_text_add(out, "window of %d of %d %s", size, ko_cube_n_counted(axes, model),
                ko_over_what[axes->over]);
    if (axes->over != KO_OVER_LAYERS) {
        ko_text_add(out, ", of %d in all", axes->n_layers[model]);
    }
}

static const uint8_t *mixers_of(const struct ko_cube_axes *axes, int32_t model)
{
    return axes->mixers + (size_t)model * (size_t)axes->n_layer_axis;
}

bool ko_layers_differ(const struct ko_cube_axes *axes, int32_t model)
{
    for (int32_t l = 1; axes->mixers && l < axes->n_layers[model]; l++) {
        if (mixers_of(axes, model)[l] != mixers_of(axes, model)[0]) {
            return true;
        }
    }
    return false;
}

void ko_mixers_text(uint8_t mixers, struct ko_text *out)
{
    const char *between = "";
    for (int k = 0; k < KO_N_MIXERS; k++) {
        if (mixers & (1 << k)) {
            ko_text_add(out, "%s%s", between, ko_mixer_words[k]);
            between = "+";
        }
    }
    if (mixers == 0) {
        ko_text_add(out, "no mixer");
    }
}

/* Adds the layers with exactly these mixers, as runs. */
static void add_runs(const uint8_t *mixers, int32_t n_layers, uint8_t wanted, struct ko_text *out)
{
    const char *between = " ";
    for (int32_t l = 0, end; l < n_layers; l = end) {
        char text[32];
        end = l + 1;
        if (mixers[l] != wanted) {
            continue;
        }
        while (end < n_layers && mixers[end] == wanted) {
            end++;
        }
        ko_text_add(out, "%s%s", between, ko_layers_text((struct ko_layer_range){l, end}, text));
        between = ", ";
    }
}

void ko_layer_mixers_text(const struct ko_cube_axes *axes, int32_t model, struct ko_text *out)
{
    const uint8_t *mixers = mixers_of(axes, model);
    uint8_t written[KO_MIXER_EVERY + 1] = {0};
    const char *between = "";
    for (int32_t l = 0; l < axes->n_layers[model]; l++) {
        if (!written[mixers[l]]) {
            written[mixers[l]] = 1;
            ko_text_add(out, "%s", between);
            ko_mixers_text(mixers[l], out);
            add_runs(mixers, axes->n_layers[model], mixers[l], out);
            between = "; ";
        }
    }
}
