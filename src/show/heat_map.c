/* SPDX-License-Identifier: Apache-2.0 */
/* Goes through all prompts, routes, classes and sizes that the filter lets through and writes one
   grid for each: window starts against source tokens, as text or CSV. */
#include "src/show/heat_map.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/formats/csv_stream.h"
#include "src/formats/table.h"
#include "src/plan/plan.h"
#include "src/show/curve_values.h"
#include "src/show/curves_print.h"
#include "src/show/layer_words.h"

enum { CELL_WIDTH = 8, LAYERS_WIDTH = 8 };

struct reader {
    struct ko_cube_part part;
    const struct ko_curve_filter *filter;
    enum ko_curve_metric metric;
    struct ko_strings piece; /* [model, heat_prompt, position] */
    int32_t *n_tokens;       /* [heat_prompt] of the current model */
    struct ko_curve_values values;
    struct ko_text *out;
    bool csv;
    int32_t n_maps;
};

/* One prompt's grid. */
struct map {
    int32_t model, route, class, size, prompt;
};

static double value_at(const struct reader *reader, const struct map *map, int32_t source,
                       int32_t start)
{
    const struct ko_cube_part *part = &reader->part;
    const int64_t at =
        ko_cube_part_status_at(part, map->prompt, map->route, map->class, source, map->size);
    if (reader->values.status[at] != KO_DONE) {
        return NAN;
    }
    return ko_curve_value(
        reader->metric, reader->values.clean ? reader->values.clean[map->prompt] : 0,
        reader->values.value[ko_curve_values_at(&reader->values, map->prompt, source) + start]);
}

static const char *token_piece(const struct reader *reader, const struct map *map, int32_t position)
{
    const struct ko_cube_axes *axes = reader->part.axes;
    const size_t prompt = (size_t)map->model * axes->heat_prompt.n + (size_t)map->prompt;
    return reader->piece.item[prompt * (size_t)axes->n_positions + (size_t)position];
}

static int32_t n_sources(const struct reader *reader, const struct map *map)
{
    const int32_t n = reader->n_tokens[map->prompt];
    return n < reader->part.n_sources ? n : reader->part.n_sources;
}

static bool has_result(const struct reader *reader, const struct map *map)
{
    for (int32_t k = 0; k < n_sources(reader, map); k++) {
        if (reader->values.status[ko_cube_part_status_at(&reader->part, map->prompt, map->route,
                                                         map->class, k, map->size)] == KO_DONE) {
            return true;
        }
    }
    return false;
}

/* Whether some source position has a value at this start. */
static bool has_start(const struct reader *reader, const struct map *map, int32_t start)
{
    for (int32_t k = 0; k < n_sources(reader, map); k++) {
        if (isfinite(value_at(reader, map, k, start))) {
            return true;
        }
    }
    return false;
}

/* ----------------------------------------------------------------------------------------------
   as text */

/* Adds a token's text, truncated to a cell without splitting a character. */
static void add_piece(struct ko_text *out, const char *text)
{
    struct ko_text cut = {0};
    for (const char *c = text; *c;) {
        size_t n = 1;
        while (((unsigned char)c[n] & 0xc0) == 0x80) {
            n++;
        }
        struct ko_text longer = {0};
        ko_text_add(&longer, "%s%.*s", ko_text_str(&cut), (int)n, c);
        const bool fits = ko_display_width(ko_text_str(&longer)) < CELL_WIDTH;
        ko_text_free(&longer);
        if (!fits) {
            break;
        }
        ko_text_add_bytes(&cut, c, n);
        c += n;
    }
    ko_pad(out, ko_text_str(&cut), CELL_WIDTH, true);
    out->failed = out->failed || cut.failed;
    ko_text_free(&cut);
}

static void print_columns(const struct reader *reader, const struct map *map, int32_t first,
                          int32_t last)
{
    const struct ko_cube_axes *axes = reader->part.axes;
    const int32_t size = axes->window_size[map->size];
    struct ko_text *out = reader->out;
    ko_text_add(out, "  %*s", LAYERS_WIDTH, "position");
    for (int32_t k = first; k < last; k++) {
        ko_text_add(out, "%*d", CELL_WIDTH, k);
    }
    ko_text_add(out, "\n  %*s", LAYERS_WIDTH, "layers");
    for (int32_t k = first; k < last; k++) {
        add_piece(out, token_piece(reader, map, k));
    }
    ko_text_add(out, "\n");
    for (int32_t w = 0; w < reader->part.n_starts; w++) {
        const int32_t start = axes->window_start[w];
        char layers[KO_WINDOW_LAYERS_TEXT], number[32];
        if (!has_start(reader, map, w)) {
            continue;
        }
        ko_text_add(out, "  %*s", LAYERS_WIDTH,
                    ko_window_layers_text(axes, map->model, size, start, layers));
        for (int32_t k = first; k < last; k++) {
            ko_text_add(out, "%*s", CELL_WIDTH,
                        ko_curve_number(reader->metric, value_at(reader, map, k, w), number));
        }
        ko_text_add(out, "\n");
    }
}

static void print_map(const struct reader *reader, const struct map *map)
{
    const struct ko_cube_axes *axes = reader->part.axes;
    const int32_t n = n_sources(reader, map);
    const int32_t columns = (KO_SCREEN_WIDTH - 2 - LAYERS_WIDTH) / CELL_WIDTH;
    ko_text_add(reader->out, "\n%s  prompt %s  %s  %s  ", axes->model.item[map->model],
                axes->heat_prompt.item[map->prompt], axes->heat_route.item[map->route],
                axes->feature_class.item[map->class]);
    ko_window_text(axes, map->model, axes->window_size[map->size], reader->out);
    ko_text_add(reader->out, "\n");
    for (int32_t first = 0; first < n; first += columns) {
        print_columns(reader, map, first, first + columns < n ? first + columns : n);
    }
}

/* ----------------------------------------------------------------------------------------------
   as CSV */

static void csv_map(const struct reader *reader, const struct map *map)
{
    const struct ko_cube_axes *axes = reader->part.axes;
    const char *const words[] = {axes->model.item[map->model], axes->heat_prompt.item[map->prompt],
                                 axes->heat_route.item[map->route],
                                 axes->feature_class.item[map->class]};
    const int32_t size = axes->window_size[map->size];
    for (int32_t w = 0; w < reader->part.n_starts; w++) {
        const struct ko_layer_range layers =
            ko_cube_window(axes, map->model, size, axes->window_start[w]);
        for (int32_t k = 0; k < n_sources(reader, map); k++) {
            const double value = value_at(reader, map, k, w);
            if (!isfinite(value)) {
                continue;
            }
            for (size_t c = 0; c < sizeof words / sizeof words[0]; c++) {
                ko_csv_text(reader->out, words[c]);
                ko_text_add(reader->out, ",");
            }
            ko_text_add(reader->out, "%d,%d,", size, axes->window_start[w]);
            ko_csv_number(reader->out,
                          ko_cube_depth(axes, map->model, size, axes->window_start[w]));
            ko_text_add(reader->out, ",%d,", k);
            ko_csv_text(reader->out, token_piece(reader, map, k));
            ko_text_add(reader->out, ",%s,", ko_curve_metric_word(reader->metric));
            ko_csv_number(reader->out, value);
            ko_text_add(reader->out, ",%d,%d\n", layers.begin, layers.end - 1);
        }
    }
}

/* ----------------------------------------------------------------------------------------------
   both */

/* map: of any prompt. */
static enum ko_code walk_prompts(struct reader *reader, struct map map, struct ko_error *err)
{
    const struct ko_cube_slice slice = {map.route, map.class, map.size};
    bool printed = false;
    const enum ko_code code = ko_curve_values_load(&reader->values, &slice, err);
    if (code != KO_OK) {
        return code;
    }
    for (map.prompt = 0; map.prompt < reader->part.n_prompts; map.prompt++) {
        if (!has_result(reader, &map)) {
            continue;
        }
        reader->n_maps++;
        if (reader->csv) {
            csv_map(reader, &map);
        } else if (!printed) {
            print_map(reader, &map);
        }
        printed = true;
    }
    return KO_OK;
}

static enum ko_code walk_model(struct reader *reader, int32_t model, struct ko_error *err)
{
    const struct ko_curve_filter *filter = reader->filter;
    struct ko_cube_part *part = &reader->part;
    enum ko_code code =
        ko_curve_values_open(part, model, reader->metric, false, &reader->values, err);
    if (code == KO_OK) {
        code = ko_cube_view_read_int(part->view, "heat_n_tokens", model, reader->n_tokens,
                                     part->n_prompts, err);
    }
    for (int32_t r = 0; r < part->n_routes; r++) {
        for (int32_t f = 0; f < part->n_classes; f++) {
            for (int32_t s = 0; s < part->n_sizes; s++) {
                if (code == KO_OK && filter->heat_route[r] && filter->class[f] && filter->size[s]) {
                    code = walk_prompts(
                        reader, (struct map){.model = model, .route = r, .class = f, .size = s},
                        err);
                }
            }
        }
    }
    ko_curve_values_close(&reader->values);
    return code;
}

static enum ko_code walk_models(struct reader *reader, struct ko_cube_view *view, int32_t *n_maps,
                                struct ko_error *err)
{
    enum ko_code code = ko_cube_part_of(view, true, &reader->part, err);
    if (code != KO_OK || reader->part.n_routes == 0) {
        return code;
    }
    reader->n_tokens = ko_new((size_t)reader->part.n_prompts, sizeof *reader->n_tokens, err);
    code = reader->n_tokens ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK) {
        code = ko_cube_view_read_strings(view, "heat_token_text", &reader->piece, err);
    }
    for (size_t m = 0; code == KO_OK && m < reader->part.axes->model.n; m++) {
        if (reader->filter->model[m]) {
            code = walk_model(reader, (int32_t)m, err);
        }
    }
    *n_maps = reader->n_maps;
    ko_strings_free(&reader->piece);
    free(reader->n_tokens);
    return code;
}

enum ko_code ko_heat_maps_print(struct ko_cube_view *view, const struct ko_curve_filter *filter,
                                enum ko_curve_metric metric, struct ko_text *out, int32_t *n_maps,
                                struct ko_error *err)
{
    struct reader reader = {.filter = filter, .metric = metric, .out = out};
    ko_text_add(
        out,
        "%s (%s) of the first prompt, a line for each window, a column for each source position\n",
        ko_curve_metric_word(metric), ko_curve_metric_unit(metric));
    return walk_models(&reader, view, n_maps, err);
}

enum ko_code ko_heat_maps_csv(struct ko_cube_view *view, const struct ko_curve_filter *filter,
                              enum ko_curve_metric metric, struct ko_text *out, int32_t *n_maps,
                              struct ko_error *err)
{
    struct reader reader = {.filter = filter, .metric = metric, .out = out, .csv = true};
    ko_text_add(out, "model,prompt,route,feature_class,window_size,window_start,depth,"
                     "source_position,token,metric,value,first_layer,last_layer\n");
    return walk_models(&reader, view, n_maps, err);
}
