/* SPDX-License-Identifier: Apache-2.0 */
/* How layers, windows and the mixers of layers are written for people. */
#ifndef KO_SHOW_LAYER_WORDS_H
#define KO_SHOW_LAYER_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/text.h"
#include "src/cube/read/read.h"

/* "3" or "3-5" into buffer, which is returned. */
const char *ko_layers_text(struct ko_layer_range layers, char buffer[32]);
/* The layers of a window of the cube, as "3-5" or "0-2,9-11" where some are left out. Cut with "..."
   where there are too many runs. size and start are values of the axes. */
enum { KO_WINDOW_LAYERS_TEXT = 48 };
const char *ko_window_layers_text(const struct ko_cube_axes *axes, int32_t model, int32_t size,
                                  int32_t start, char buffer[KO_WINDOW_LAYERS_TEXT]);
/* Adds what the windows of a size have in common: "window of 2 of 12 layers", or "window of 2 of 4
   layers with attention, of 52 in all". */
void ko_window_text(const struct ko_cube_axes *axes, int32_t model, int32_t size,
                    struct ko_text *out);

/* Whether the cube says that the model's layers have different mixers. */
bool ko_layers_differ(const struct ko_cube_axes *axes, int32_t model);
/* Adds each kind with its layers: "ssm 0-3, 5-7; attention 4; no mixer 8". A layer with two kinds is
   "attention+ssm". */
void ko_layer_mixers_text(const struct ko_cube_axes *axes, int32_t model, struct ko_text *out);
/* Adds "attention+ssm", or "no mixer". */
void ko_mixers_text(uint8_t mixers, struct ko_text *out);

#endif
