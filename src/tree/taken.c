/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps one bit per cell for every model and prompt. Prompts with the same bits share one copy,
   which saves memory. Also packs the bits to send them to other ranks. */
#include "src/tree/taken.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "src/base/memory.h"

enum ko_code ko_taken_new(const struct ko_plan *plan, struct ko_taken **out, struct ko_error *err)
{
    struct ko_taken *taken = ko_new(1, sizeof *taken, err);
    if (!taken) {
        return KO_E_MEMORY;
    }
    taken->n_facts = (size_t)plan->n_facts;
    taken->n_slots = (size_t)ko_plan_n_values(plan);
    taken->n_bytes = (taken->n_slots + 7) / 8;
    enum ko_code code = ko_multiply((size_t)plan->n_models, taken->n_facts, &taken->n_pairs,
                                    "prompts of a plan", err);
    if (code == KO_OK) {
        taken->set_of = ko_new(taken->n_pairs, sizeof *taken->set_of, err);
        code = !taken->set_of ? KO_E_MEMORY : KO_OK;
    }
    if (code != KO_OK) {
        ko_taken_free(taken);
        return code;
    }
    for (size_t i = 0; i < taken->n_pairs; i++) {
        taken->set_of[i] = -1;
    }
    *out = taken;
    return KO_OK;
}

void ko_taken_free(struct ko_taken *taken)
{
    if (!taken) {
        return;
    }
    free(taken->set_of);
    free(taken->bits);
    free(taken->hash);
    free(taken);
}

static size_t pair_of(const struct ko_taken *taken, int32_t model, int32_t fact)
{
    return (size_t)model * taken->n_facts + (size_t)fact;
}

const uint8_t *ko_taken_of(const struct ko_taken *taken, int32_t model, int32_t fact)
{
    const int32_t set = taken->set_of[pair_of(taken, model, fact)];
    return set < 0 ? NULL : taken->bits + (size_t)set * taken->n_bytes;
}

bool ko_taken_of_model(const struct ko_taken *taken, int32_t model)
{
    for (size_t f = 0; f < taken->n_facts; f++) {
        if (taken->set_of[pair_of(taken, model, (int32_t)f)] >= 0) {
            return true;
        }
    }
    return false;
}

/* Finds the set with these bits, or adds it. Searches the latest first: consecutive prompts mostly
   have the same set. */
static enum ko_code find_set(struct ko_taken *taken, const uint8_t *bits, int32_t *set,
                             struct ko_error *err)
{
    const size_t n = taken->n_sets, bytes = taken->n_bytes;
    const uint64_t hash = XXH3_64bits(bits, bytes);
    for (size_t k = !taken->bits ? 0 : n; k-- > 0;) {
        if (taken->hash[k] == hash && memcmp(taken->bits + k * bytes, bits, bytes) == 0) {
            *set = (int32_t)k;
            return KO_OK;
        }
    }
    if (n >= INT32_MAX) {
        return ko_fail(err, KO_E_FAILED, "cells that are taken: more than %d patterns", INT32_MAX);
    }
    uint8_t *grown = ko_grow(taken->bits, &taken->bits_capacity, (n + 1) * bytes, 1, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    taken->bits = grown;
    uint64_t *hashes = ko_grow(taken->hash, &taken->hash_capacity, n + 1, sizeof *hashes, err);
    if (!hashes) {
        return KO_E_MEMORY;
    }
    taken->hash = hashes;
    memcpy(taken->bits + n * bytes, bits, bytes);
    taken->hash[n] = hash;
    *set = (int32_t)n;
    taken->n_sets++;
    return KO_OK;
}

enum ko_code ko_taken_add(struct ko_taken *taken, int32_t model, int32_t fact, const uint8_t *marks,
                          int64_t first, int64_t n, struct ko_error *err)
{
    const uint8_t *known = ko_taken_of(taken, model, fact);
    bool any = known != NULL;
    uint8_t *bits = ko_new(taken->n_bytes, 1, err);
    if (!bits) {
        return KO_E_MEMORY;
    }
    if (known) {
        memcpy(bits, known, taken->n_bytes);
    }
    for (int64_t i = 0; i < n; i++) {
        if (marks[i] == 1) {
            bits[(first + i) / 8] |= (uint8_t)(1U << ((first + i) % 8));
            any = true;
        }
    }
    enum ko_code code = KO_OK;
    if (any) {
        code = find_set(taken, bits, &taken->set_of[pair_of(taken, model, fact)], err);
    }
    free(bits);
    return code;
}

void ko_taken_pack(const struct ko_taken *taken, struct ko_bytes *to)
{
    ko_put_int(to, taken != NULL);
    if (!taken) {
        return;
    }
    ko_put_int(to, (int64_t)taken->n_sets);
    ko_put_blob(to, taken->set_of, taken->n_pairs * sizeof *taken->set_of);
    ko_put_blob(to, taken->bits, taken->n_sets * taken->n_bytes);
    ko_put_blob(to, taken->hash, taken->n_sets * sizeof *taken->hash);
}

static enum ko_code get_sets(struct ko_bytes *from, struct ko_taken *taken, struct ko_error *err)
{
    const int64_t n = ko_get_int(from);
    if (n < 0 || (size_t)n > from->left / (taken->n_bytes + sizeof *taken->hash)) {
        from->broken = 1;
        return KO_OK;
    }
    ko_get_blob(from, taken->set_of, taken->n_pairs * sizeof *taken->set_of);
    taken->n_sets = (size_t)n;
    taken->bits_capacity = taken->n_sets * taken->n_bytes;
    taken->hash_capacity = taken->n_sets;
    taken->bits = ko_new(taken->bits_capacity, 1, err);
    taken->hash = ko_new(taken->hash_capacity, sizeof *taken->hash, err);
    if (!taken->bits || !taken->hash) {
        return KO_E_MEMORY;
    }
    ko_get_blob(from, taken->bits, taken->bits_capacity);
    ko_get_blob(from, taken->hash, taken->n_sets * sizeof *taken->hash);
    for (size_t i = 0; i < taken->n_pairs; i++) {
        from->broken |= taken->set_of[i] < -1 || taken->set_of[i] >= n;
    }
    return KO_OK;
}

enum ko_code ko_taken_unpack(struct ko_bytes *from, const struct ko_plan *plan,
                             struct ko_taken **out, struct ko_error *err)
{
    struct ko_taken *taken = NULL;
    *out = NULL;
    if (ko_get_int(from) == 0) {
        return KO_OK;
    }
    enum ko_code code = ko_taken_new(plan, &taken, err);
    if (code == KO_OK) {
        code = get_sets(from, taken, err);
    }
    if (code != KO_OK) {
        ko_taken_free(taken);
        return code;
    }
    *out = taken;
    return KO_OK;
}
