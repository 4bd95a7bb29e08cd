/* SPDX-License-Identifier: Apache-2.0 */
/* Which cells of a sweep need not be computed, because an earlier cube gave them. */
#ifndef KO_TREE_TAKEN_H
#define KO_TREE_TAKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/plan/plan.h"

/* Prompts mostly have the same cells taken, so each set of slots is kept once. */
struct ko_taken {
    size_t n_pairs;  /* models x facts of the plan */
    size_t n_slots;  /* values of a record */
    size_t n_bytes;  /* of one set of slots: a bit each */
    size_t n_facts;  /* of the plan */
    int32_t *set_of; /* [n_pairs] index of the pair's set, -1: nothing is taken; owned */
    uint8_t *bits;   /* [n_sets, n_bytes]; owned */
    uint64_t *hash;  /* [n_sets]; owned */
    size_t n_sets, bits_capacity, hash_capacity;
};

/* Nothing is taken yet. Free with ko_taken_free. */
KO_MUST_CHECK enum ko_code ko_taken_new(const struct ko_plan *plan, struct ko_taken **out,
                                        struct ko_error *err);
void ko_taken_free(struct ko_taken *taken);

/* The slots that are taken of a record, for ko_taken_has; NULL where there is none. Borrowed until
   the next ko_taken_add. */
const uint8_t *ko_taken_of(const struct ko_taken *taken, int32_t model, int32_t fact);
static inline bool ko_taken_has(const uint8_t *bits, int64_t slot)
{
    return bits && (bits[slot / 8] >> (slot % 8) & 1);
}
/* Whether any cell of the model is taken. */
bool ko_taken_of_model(const struct ko_taken *taken, int32_t model);

/* Adds those of the slots first ... first + n - 1 of a record that are 1 in marks [n]. */
KO_MUST_CHECK enum ko_code ko_taken_add(struct ko_taken *taken, int32_t model, int32_t fact,
                                        const uint8_t *marks, int64_t first, int64_t n,
                                        struct ko_error *err);

/* For the message to the workers; taken may be NULL. */
void ko_taken_pack(const struct ko_taken *taken, struct ko_bytes *to);
/* *out is NULL where NULL was packed. A stream that is cut short sets from->broken. */
KO_MUST_CHECK enum ko_code ko_taken_unpack(struct ko_bytes *from, const struct ko_plan *plan,
                                           struct ko_taken **out, struct ko_error *err);

#endif
