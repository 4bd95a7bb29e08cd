/* SPDX-License-Identifier: Apache-2.0 */
/* Writes windows by their layers, and lists the layers of a model by their mixers. */
#include "src/show/layer_words.h"

#include <stdio.h>
#include <string.h>

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

const char *ko_window_layers_text(const struct ko_cube_axes *axes, int32_t model, int32_t size,
                                  int32_t start, char buffer[KO_WINDOW_LAYERS_TEXT])
{
    const struct ko_layer_range window = ko_cube_window(axes, model, size, start);
    size_t used = 0;
    buffer[0] = '\0';
    for (int32_t l = window.begin, end; l < window.end; l = end) {
        char run[32], more[40];
        end = l + 1;
        if (!ko_cube_window_has(axes, model, size, start, l)) {
            continue;
        }
        while (end < window.end && ko_cube_window_has(axes, model, size, start, end)) {
            end++;
        }
        (void)snprintf(more, sizeof more, "%s%s", used > 0 ? "," : "",
                       ko_layers_text((struct ko_layer_range){l, end}, run));
        if (used + strlen(more) + strlen(",...") >= KO_WINDOW_LAYERS_TEXT) {
            (void)snprintf(buffer + used, KO_WINDOW_LAYERS_TEXT - used, ",...");
            break;
        }
        used += (size_t)snprintf(buffer + used, KO_WINDOW_LAYERS_TEXT - used, "%s", more);
    }
    return buffer;
}

void ko_window_text(const struct ko_cube_axes *axes, int32_t model, int32_t size,
                    struct ko_text *out)
{
    const int32_t n = ko_cube_n_counted(axes, model);
    const char *what = ko_over_what[axes->over];
    switch (axes->style) {
    case KO_STYLE_CENTRED:
        ko_text_add(out, "centred window of %d of %d %s", size, n, what);
        break;
    case KO_STYLE_FROM:
        ko_text_add(out, "window up to the last of %d %s", n, what);
        break;
    case KO_STYLE_UNTIL:
        ko_text_add(out, "window from the first of %d %s on", n, what);
        break;
    case KO_STYLE_OUTSIDE:
        ko_text_add(out, "window without %d of %d %s", size, n, what);
        break;
    case KO_STYLE_OUTSIDE_CENTRED:
        ko_text_add(out, "window without %d of %d %s around a centre", size, n, what);
        break;
    case KO_STYLE_LISTED:
        ko_text_add(out, "listed windows of %d %s", n, what);
        break;
    default:
        ko_text_add(out, "window of %d of %d %s", size, n, what);
    }
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
