/* SPDX-License-Identifier: Apache-2.0 */
/* Lays out the matrices for streaming, or only measures them. */
#include "src/forward/layer_layout.h"

#include <stdlib.h>

#include "src/base/memory.h"
#include "src/models/weights.h"

enum { LINE = 256 }; /* bytes; beyond them no library looks at an alignment */

/* What lays out: with place NULL it only measures. */
struct layouter {
    const struct ko_model *model;
    enum ko_element type;
    bool own_memory;
    struct ko_layer_place *place;
    struct ko_layer_sizes size;
};

static size_t round_up(size_t bytes)
{
    return (bytes + LINE - 1) / LINE * LINE;
}

/* The next place from `from` on where the weight's address has the remainder that it has without
   streaming. */
static size_t place_like(const struct layouter *l, const struct ko_weight *weight, size_t from)
{
    const size_t want = ko_weight_at(weight, l->type) % LINE;
    return from + (want + LINE - from % LINE) % LINE;
}

static enum ko_element raw_type(const struct layouter *l, const struct ko_weight *weight)
{
    return l->own_memory ? weight->stored : KO_ELEMENT_F32;
}

static bool has_own_type(const struct layouter *l, const struct ko_weight *weight)
{
    return raw_type(l, weight) == ko_weight_type(weight, l->type);
}

static bool is_streamed(const struct layouter *l, const struct ko_weight *weight)
{
    return weight->matrix && !weight->shared && weight->layer >= 0 &&
           weight->layer < l->model->shape.n_layers;
}

/* One operation reads the matrices of all experts, by their distance, so they lie in one place. */
static bool experts_have_own_type(const struct layouter *l, int32_t layer)
{
    for (size_t w = 0; w < l->model->n_weights; w++) {
        const struct ko_weight *weight = &l->model->weights[w];
        if (weight->layer == layer && is_streamed(l, weight) && ko_weight_is_of_experts(weight) &&
            !has_own_type(l, weight)) {
            return false;
        }
    }
    return true;
}

static size_t bytes_of(const struct ko_weight *weight, enum ko_element type)
{
    return ko_weight_room(weight->n) * ko_element_bytes(type);
}

static void set_place(const struct layouter *l, size_t w, struct ko_layer_place place)
{
    if (l->place) {
        l->place[w] = place;
    }
}

/* The weights of the layer, from the start of a slot and of the converted layer on. */
static bool lay_out_layer(struct layouter *l, int32_t layer)
{
    const bool experts = experts_have_own_type(l, layer);
    size_t slot = 0, converted = 0;
    bool any = false;
    for (size_t w = 0; w < l->model->n_weights; w++) {
        const struct ko_weight *weight = &l->model->weights[w];
        struct ko_layer_place place = {.raw = raw_type(l, weight)};
        if (weight->layer != layer || !is_streamed(l, weight)) {
            continue;
        }
        any = true;
        l->size.streamed += weight->n * ko_element_bytes(place.raw);
        if (has_own_type(l, weight) && (experts || !ko_weight_is_of_experts(weight))) {
            place.residence = KO_DIRECT;
            place.at = place.raw_at = place_like(l, weight, slot);
        } else {
            place.residence = KO_CONVERTED;
            place.at = place_like(l, weight, converted);
            place.raw_at = slot;
            converted = place.at + bytes_of(weight, ko_weight_type(weight, l->type));
        }
        slot = place.raw_at + bytes_of(weight, place.raw);
        set_place(l, w, place);
    }
    slot = round_up(slot);
    converted = round_up(converted);
    l->size.slot = slot > l->size.slot ? slot : l->size.slot;
    l->size.converted = converted > l->size.converted ? converted : l->size.converted;
    return any;
}

static void lay_out_resident(struct layouter *l)
{
    size_t end = 0;
    for (size_t w = 0; w < l->model->n_weights; w++) {
        const struct ko_weight *weight = &l->model->weights[w];
        const enum ko_element type = ko_weight_type(weight, l->type);
        if (weight->matrix && !is_streamed(l, weight)) {
            const size_t at = place_like(l, weight, end);
            set_place(l, w, (struct ko_layer_place){KO_RESIDENT, type, at, 0});
            end = at + bytes_of(weight, type);
        }
    }
    l->size.resident = round_up(end);
}

/* layers: their numbers as they are found, and which a layer has; NULL: they are only counted. */
static void lay_out(struct layouter *l, int32_t *layers, int32_t *number)
{
    lay_out_resident(l);
    for (int32_t layer = 0; layer < l->model->shape.n_layers; layer++) {
        const bool any = lay_out_layer(l, layer);
        if (number) {
            number[layer] = any ? l->size.n_layers : -1;
        }
        if (layers && any) {
            layers[l->size.n_layers] = layer;
        }
        l->size.n_layers += any;
    }
}

void ko_layer_sizes_of(const struct ko_model *model, enum ko_element type, bool own_memory,
                       struct ko_layer_sizes *out)
{
    struct layouter l = {.model = model, .type = type, .own_memory = own_memory};
    lay_out(&l, NULL, NULL);
    *out = l.size;
}

enum ko_code ko_layer_layout_new(const struct ko_model *model, enum ko_element type,
                                 bool own_memory, int32_t n_slots, struct ko_layer_layout *out,
                                 struct ko_error *err)
{
    struct ko_layer_layout layout = {.model = model, .type = type, .n_slots = n_slots};
    const size_t n = (size_t)model->shape.n_layers;
    layout.place = ko_new(model->n_weights, sizeof *layout.place, err);
    layout.layer = ko_new(n, sizeof *layout.layer, err);
    layout.number = ko_new(n, sizeof *layout.number, err);
    if (!layout.place || !layout.layer || !layout.number) {
        ko_layer_layout_free(&layout);
        return KO_E_MEMORY;
    }
    struct layouter l = {
        .model = model, .type = type, .own_memory = own_memory, .place = layout.place};
    lay_out(&l, layout.layer, layout.number);
    layout.size = l.size;
    const size_t before = l.size.resident + (size_t)n_slots * l.size.slot;
    for (size_t w = 0; w < model->n_weights; w++) {
        if (layout.place[w].residence == KO_CONVERTED) {
            layout.place[w].at += before;
        }
    }
    *out = layout;
    return KO_OK;
}

void ko_layer_layout_free(struct ko_layer_layout *layout)
{
    free(layout->place);
    free(layout->layer);
    free(layout->number);
    *layout = (struct ko_layer_layout){0};
}
