/* SPDX-License-Identifier: Apache-2.0 */
/* Sorts the branches of a wave by prompt, start and parent, and numbers the source sets of each
   prompt. The scan then finds them without searching. */
#include "kernels/cpu/tree.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"

static int32_t parent_of(const struct ko_rows *rows, int32_t b)
{
    const struct ko_branch *branch = &rows->branches[b];
    return branch->parent >= 0 ? branch->parent : rows->n_branches + branch->prompt;
}

typedef int32_t branch_key(const struct ko_rows *rows, int32_t b);

/* A stable counting sort of the branches, taken in `order` (NULL: 0, 1, ..), by key (0 .. n_keys -
   1). The branches with key k are items[first[k] .. first[k + 1]). */
static void sort_branches(const struct ko_rows *rows, branch_key *key, int32_t n_keys,
                          const int32_t *order, int32_t *first, int32_t *items)
{
    memset(first, 0, ((size_t)n_keys + 1) * sizeof *first);
    for (int32_t b = 0; b < rows->n_branches; b++) {
        first[key(rows, b) + 1]++;
    }
    for (int32_t k = 0; k < n_keys; k++) {
        first[k + 1] += first[k];
    }
    for (int32_t at = 0; at < rows->n_branches; at++) {
        int32_t b = order ? order[at] : at;
        items[first[key(rows, b)]++] = b;
    }
    memmove(first + 1, first, (size_t)n_keys * sizeof *first);
    first[0] = 0;
}

static int32_t prompt_of(const struct ko_rows *rows, int32_t b)
{
    return rows->branches[b].prompt;
}

static int32_t start_of(const struct ko_rows *rows, int32_t b)
{
    return ko_branch_start(&rows->branches[b]);
}

static int32_t first_source(const uint8_t *source, int32_t n_tokens)
{
    const uint8_t *found = memchr(source, 1, (size_t)n_tokens);
    return found ? (int32_t)(found - source) : n_tokens;
}

/* Numbers the sources of a part, which is of the prompt. end: of the prompt's sets so far. */
static void number_part(const struct ko_rows *rows, struct ko_cpu_tree *tree, int32_t prompt,
                        int32_t edges, int32_t *end)
{
    const int32_t begin = tree->first_set[prompt], n_tokens = rows->n_tokens[prompt];
    const uint8_t *source = rows->edges[edges].source;
    int32_t k = begin;
    while (k < *end && tree->set_edges[k] != edges &&
           memcmp(rows->edges[tree->set_edges[k]].source, source, (size_t)n_tokens) != 0) {
        k++;
    }
    if (k == *end) {
        tree->set_edges[k] = edges;
        tree->set_begin[k] = first_source(source, n_tokens);
        ++*end;
    }
    tree->source_set[edges] = k - begin;
}

/* Numbers the distinct source sets of one prompt's branches. */
static void number_sets(const struct ko_rows *rows, struct ko_cpu_tree *tree, int32_t prompt)
{
    const int32_t begin = tree->first_set[prompt];
    int32_t end = begin;
    for (int32_t at = tree->first[prompt]; at < tree->first[prompt + 1]; at++) {
        int32_t edges = rows->branches[tree->by_start[at]].edge_set;
        if (edges < 0) {
            continue;
        }
        do {
            number_part(rows, tree, prompt, edges, &end);
        } while (rows->edges[edges++].more);
    }
    tree->first_set[prompt + 1] = end;
    tree->max_sets = end - begin > tree->max_sets ? end - begin : tree->max_sets;
}

/* All arrays lie in one allocation. */
static enum ko_code allocate_tree(const struct ko_rows *rows, struct ko_cpu_tree *tree,
                                  struct ko_error *err)
{
    size_t n = (size_t)rows->n_branches, prompts = (size_t)rows->n_prompts;
    size_t sets = (size_t)rows->n_edge_sets;
    int32_t *at = ko_new(3 * n + 3 * sets + 3 * prompts + 3, sizeof *at, err);
    if (!at) {
        return KO_E_MEMORY;
    }
    *tree = (struct ko_cpu_tree){.memory = at};
    tree->by_start = at, at += n;
    tree->child = at, at += n;
    tree->source_set = at, at += sets;
    tree->set_edges = at, at += sets;
    tree->set_begin = at, at += sets;
    tree->first_child = at, at += n + prompts + 1;
    tree->first = at, at += prompts + 1;
    tree->first_set = at;
    return KO_OK;
}

enum ko_code ko_cpu_tree_build(const struct ko_rows *rows, struct ko_cpu_tree *tree,
                               struct ko_error *err)
{
    struct ko_cpu_tree made = {0};
    int32_t *first = ko_new((size_t)rows->max_tokens + 1, sizeof *first, err);
    int32_t *order = ko_new((size_t)rows->n_branches, sizeof *order, err);
    enum ko_code code = first && order ? allocate_tree(rows, &made, err) : KO_E_MEMORY;
    if (code == KO_OK) {
        sort_branches(rows, start_of, rows->max_tokens, NULL, first, order);
        sort_branches(rows, prompt_of, rows->n_prompts, order, made.first, made.by_start);
        sort_branches(rows, parent_of, rows->n_branches + rows->n_prompts, NULL, made.first_child,
                      made.child);
        for (int32_t p = 0; p < rows->n_prompts; p++) {
            number_sets(rows, &made, p);
        }
        ko_cpu_tree_free(tree);
        *tree = made;
    }
    free(first);
    free(order);
    return code;
}

void ko_cpu_tree_free(struct ko_cpu_tree *tree)
{
    free(tree->memory);
    *tree = (struct ko_cpu_tree){0};
}
