/* SPDX-License-Identifier: Apache-2.0 */
/* Where the matrices lie when weights stream: a part that is always there, slots for one layer each,
   and, where the file's numbers have another type than the backend's, room for one converted layer:

     matrices = [ resident | slot 0 | slot 1 | ... | converted ]

   Two slots are enough: one layer is read while the other is computed. With more slots a few layers
   that are computed fast do not wait for the next ones.

   Resident are the embedding, the unembedding, the other weights outside the layers, and blocks that
   layers share. Everything else streams with its layer, all experts too. */
#ifndef KO_FORWARD_LAYER_LAYOUT_H
#define KO_FORWARD_LAYER_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "src/base/error.h"
#include "src/models/model.h"

/* Bytes. */
struct ko_layer_sizes {
    size_t resident, slot, converted;
    size_t streamed;  /* that a pass copies or converts into the slots, over all layers */
    int32_t n_layers; /* that stream */
};

enum ko_residence {
    KO_RESIDENT,
    KO_DIRECT,   /* operations read it in its slot */
    KO_CONVERTED /* from its slot into the converted layer */
};

struct ko_layer_place {
    enum ko_residence residence;
    enum ko_element raw; /* what lies in the slot */
    /* Bytes before the matrix that operations read: from the start of the matrices, or KO_DIRECT
       from the start of its slot. Its address modulo 256 is the same as without streaming, so that
       libraries choose the same algorithms. */
    size_t at;
    size_t raw_at; /* bytes before it in its slot; not of a resident matrix */
};

struct ko_layer_layout {
    const struct ko_model *model; /* borrowed */
    enum ko_element type;         /* of the arena */
    int32_t n_slots;              /* from KO_LAYER_LEAST_SLOTS to KO_COPIER_MOST_SLOTS */
    struct ko_layer_sizes size;
    struct ko_layer_place *place; /* [n_weights] */
    int32_t *layer;               /* [size.n_layers] the model's numbers, ascending */
    int32_t *number; /* [model->shape.n_layers] number among them; -1: nothing streams */
};

/* own_memory: the slots hold the file's numbers, else float32. */
void ko_layer_sizes_of(const struct ko_model *model, enum ko_element type, bool own_memory,
                       struct ko_layer_sizes *out);
enum { KO_LAYER_LEAST_SLOTS = 2 };
/* Bytes of all matrices in memory. */
static inline size_t ko_layer_bytes(const struct ko_layer_sizes *size, int32_t n_slots)
{
    return size->resident + (size_t)n_slots * size->slot + size->converted;
}

/* Free with ko_layer_layout_free. */
KO_MUST_CHECK enum ko_code ko_layer_layout_new(const struct ko_model *model, enum ko_element type,
                                               bool own_memory, int32_t n_slots,
                                               struct ko_layer_layout *out, struct ko_error *err);
void ko_layer_layout_free(struct ko_layer_layout *layout); /* leaves {0} */

#endif
