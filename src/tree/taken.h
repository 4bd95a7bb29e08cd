/* SPDX-License-Identifier: Apache-2.0 */
/* Taken cells: cells of a sweep whose values come from an earlier cube and are not computed. */
#ifndef KO_TREE_TAKEN_H
#define KO_TREE_TAKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/plan/plan.h"

/* Most prompts have the same taken cells, so each distinct set of slots is stored once. */
struct ko_taken {
    size_t n_pairs;  /* models x facts of the plan */
    size_t n_slots;  /* values of a record */
    size_t n_bytes;  /* of one set of slots: a bit each */
    size_t n_facts;  /* of the plan */
    int32_t *set_of; /* [n_pairs] index of the pair's set; -1: no taken cell; owned */
    uint8_t *bits;   /* [n_sets, n_bytes]; owned */
    uint64_t *hash;  /* [n_sets]; owned */
    size_t n_sets, bits_capacity, hash_capacity;
};

/* Starts without taken cells. Free with ko_taken_free. */
KO_MUST_CHECK enum ko_code ko_taken_new(const struct ko_plan *plan, struct ko_taken **out,
                                        struct ko_error *err);
void ko_taken_free(struct ko_taken *taken);

/* The taken slots of a record, for ko_taken_has. NULL: the record has none. Borrowed until the next
   ko_taken_add. */
const uint8_t *ko_taken_of(const struct ko_taken *taken, int32_t model, int32_t fact);
static inline bool ko_taken_has(const uint8_t *bits, int64_t slot)
{
    return bits && (bits[slot / 8] >> (slot % 8) & 1);
}
/* Whether the model has a taken cell. */
bool ko_taken_of_model(const struct ko_taken *taken, int32_t model);

/* Adds the slots first + i of a record for all i < n with marks[i] == 1. */
KO_MUST_CHECK enum ko_code ko_taken_add(struct ko_taken *taken, int32_t model, int32_t fact,
                                        const uint8_t *marks, int64_t first, int64_t n,
                                        struct ko_error *err);

/* Packs for a message to the workers. taken may be NULL. */
void ko_taken_pack(const struct ko_taken *taken, struct ko_bytes *to);
/* *out is NULL where NULL was packed. Truncated bytes set from->broken. */
KO_MUST_CHECK enum ko_code ko_taken_unpack(struct ko_bytes *from, const struct ko_plan *plan,
                                           struct ko_taken **out, struct ko_error *err);

#endif
