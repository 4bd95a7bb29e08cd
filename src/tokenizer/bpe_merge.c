/* SPDX-License-Identifier: Apache-2.0 */
/* `merge_all` of tokenizers/src/models/bpe/word.rs: a heap of candidate merges, the lowest rank
   first, then the leftmost. */
#include "src/base/memory.h"
#include "src/tokenizer/bpe.h"

static bool merges_before(const struct ko_candidate *a, const struct ko_candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static enum ko_code push_candidate(struct ko_bpe *bpe, int32_t at, int32_t right,
                                   struct ko_error *err)
{
    const struct ko_merge *m = ko_bpe_find_merge(bpe, bpe->symbol[at].id, bpe->symbol[right].id);
    if (!m) {
        return KO_OK;
    }
    struct ko_candidate *grown =
        ko_grow(bpe->heap, &bpe->heap_capacity, bpe->n_heap + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    bpe->heap = grown;
    struct ko_candidate new = {at, m->rank, m->merged};
    size_t i = bpe->n_heap++;
    for (; i > 0 && merges_before(&new, &grown[(i - 1) / 2]); i = (i - 1) / 2) {
        grown[i] = grown[(i - 1) / 2];
    }
    grown[i] = new;
    return KO_OK;
}

static struct ko_candidate pop_candidate(struct ko_bpe *bpe)
{
    struct ko_candidate top = bpe->heap[0], last = bpe->heap[--bpe->n_heap];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= bpe->n_heap) {
            break;
        }
        if (child + 1 < bpe->n_heap && merges_before(&bpe->heap[child + 1], &bpe->heap[child])) {
            child++;
        }
        if (!merges_before(&bpe->heap[child], &last)) {
            break;
        }
        bpe->heap[i] = bpe->heap[child];
        i = child;
    }
    bpe->heap[i] = last;
    return top;
}

/* Whether the candidate's symbols are still unmerged neighbors. */
static bool is_current(const struct ko_bpe *bpe, const struct ko_candidate *c)
{
    const struct ko_symbol *left = &bpe->symbol[c->at];
    if (left->length == 0 || left->next < 0) {
        return false;
    }
    const struct ko_merge *m = ko_bpe_find_merge(bpe, left->id, bpe->symbol[left->next].id);
    return m && m->merged == c->merged;
}

enum ko_code ko_bpe_merge(struct ko_bpe *bpe, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    bpe->n_heap = 0;
    for (size_t i = 0; code == KO_OK && i + 1 < bpe->n_symbols; i++) {
        code = push_candidate(bpe, (int32_t)i, (int32_t)i + 1, err);
    }
    while (code == KO_OK && bpe->n_heap > 0) {
        struct ko_candidate top = pop_candidate(bpe);
        if (!is_current(bpe, &top)) {
            continue;
        }
        struct ko_symbol *left = &bpe->symbol[top.at], *right = &bpe->symbol[left->next];
        left->id = top.merged;
        left->length += right->length;
        left->next = right->next;
        right->length = 0;
        if (left->next >= 0) {
            bpe->symbol[left->next].previous = top.at;
        }
        if (left->previous >= 0) {
            code = push_candidate(bpe, left->previous, top.at, err);
        }
        if (code == KO_OK && left->next >= 0) {
            code = push_candidate(bpe, top.at, left->next, err);
        }
    }
    return code;
}
