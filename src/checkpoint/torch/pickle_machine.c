/* SPDX-License-Identifier: Apache-2.0 */
/* The stack, marks and memo, and the building of tuples, lists and dictionaries. Checks the limits
   on size and nesting. */
#include "src/checkpoint/torch/pickle_machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"

enum ko_code ko_pickle_fail(const struct ko_pickle *p, struct ko_error *err, const char *format,
                            ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return ko_fail(err, KO_E_INPUT, "%s: %s (byte %zu)", p->where, text, p->opcode_at);
}

enum ko_code ko_pickle_push(struct ko_pickle *p, struct ko_pickle_value value, struct ko_error *err)
{
    if (p->n_stack == KO_PICKLE_STACK) {
        return ko_pickle_fail(p, err, "more than %d values on the stack", KO_PICKLE_STACK);
    }
    struct ko_pickle_value *grown =
        ko_grow(p->stack, &p->stack_capacity, p->n_stack + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    p->stack = grown;
    p->stack[p->n_stack++] = value;
    return KO_OK;
}

/* Checks that at least n values are above the last mark. */
static enum ko_code need_values(const struct ko_pickle *p, size_t n, struct ko_error *err)
{
    size_t floor = p->n_marks ? p->marks[p->n_marks - 1] : 0;
    if (p->n_stack - floor < n) {
        return ko_pickle_fail(p, err, "the stack lacks a value: the pickle is damaged");
    }
    return KO_OK;
}

enum ko_code ko_pickle_pop(struct ko_pickle *p, struct ko_pickle_value *value, struct ko_error *err)
{
    enum ko_code code = need_values(p, 1, err);
    if (code == KO_OK) {
        *value = p->stack[--p->n_stack];
    }
    return code;
}

enum ko_code ko_pickle_top(struct ko_pickle *p, struct ko_pickle_value **value,
                           struct ko_error *err)
{
    enum ko_code code = need_values(p, 1, err);
    if (code == KO_OK) {
        *value = &p->stack[p->n_stack - 1];
    }
    return code;
}

enum ko_code ko_pickle_mark(struct ko_pickle *p, struct ko_error *err)
{
    if (p->n_marks == KO_PICKLE_MARKS) {
        return ko_pickle_fail(p, err, "more than %d values nested in one another", KO_PICKLE_MARKS);
    }
    p->marks[p->n_marks++] = p->n_stack;
    return KO_OK;
}

enum ko_code ko_pickle_unmark(struct ko_pickle *p, size_t *n, struct ko_error *err)
{
    if (p->n_marks == 0) {
        return ko_pickle_fail(p, err, "the stack lacks a mark: the pickle is damaged");
    }
    *n = p->n_stack - p->marks[--p->n_marks];
    return KO_OK;
}

enum ko_code ko_pickle_put(struct ko_pickle *p, uint32_t index, struct ko_error *err)
{
    struct ko_pickle_value *top;
    enum ko_code code = ko_pickle_top(p, &top, err);
    if (code != KO_OK) {
        return code;
    }
    if (index >= KO_PICKLE_MEMO) {
        return ko_pickle_fail(p, err, "memo entry %u is beyond the %d that are allowed", index,
                              KO_PICKLE_MEMO);
    }
    struct ko_pickle_value *grown =
        ko_grow(p->memo, &p->memo_capacity, (size_t)index + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    p->memo = grown;
    p->memo[index] = *top;
    if (p->n_memo <= index) {
        p->n_memo = (size_t)index + 1;
    }
    return KO_OK;
}

enum ko_code ko_pickle_get(struct ko_pickle *p, uint32_t index, struct ko_error *err)
{
    if (index >= p->n_memo || p->memo[index].kind == KO_PICKLE_NOTHING) {
        return ko_pickle_fail(p, err, "memo entry %u was never put: the pickle is damaged", index);
    }
    return ko_pickle_push(p, p->memo[index], err);
}

/* Raises *nesting to that of a container of the topmost n values. */
static enum ko_code nest_values(const struct ko_pickle *p, size_t n, uint8_t *nesting,
                                struct ko_error *err)
{
    for (size_t i = p->n_stack - n; i < p->n_stack; i++) {
        if (p->stack[i].nesting >= *nesting) {
            *nesting = (uint8_t)(p->stack[i].nesting + 1);
        }
    }
    if (*nesting > KO_PICKLE_NESTING) {
        return ko_pickle_fail(p, err, "more than %d values nested in one another",
                              KO_PICKLE_NESTING);
    }
    return KO_OK;
}

enum ko_code ko_pickle_tuple(struct ko_pickle *p, size_t n, struct ko_error *err)
{
    struct ko_pickle_value tuple = {
        .kind = KO_PICKLE_TUPLE, .nesting = 1, .n = (uint32_t)n, .at = p->n_items};
    enum ko_code code = need_values(p, n, err);
    if (code == KO_OK) {
        code = nest_values(p, n, &tuple.nesting, err);
    }
    if (code != KO_OK) {
        return code;
    }
    if (n > KO_PICKLE_VALUES - p->n_items) {
        return ko_pickle_fail(p, err, "more than %d values in tuples", KO_PICKLE_VALUES);
    }
    struct ko_pickle_value *grown =
        ko_grow(p->items, &p->items_capacity, p->n_items + n, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    p->items = grown;
    p->n_stack -= n;
    if (n > 0) {
        memcpy(p->items + p->n_items, p->stack + p->n_stack, n * sizeof *grown);
    }
    p->n_items += n;
    return ko_pickle_push(p, tuple, err);
}

enum ko_code ko_pickle_new_dict(struct ko_pickle *p, struct ko_error *err)
{
    if (p->n_dicts == KO_PICKLE_VALUES) {
        return ko_pickle_fail(p, err, "more than %d dictionaries", KO_PICKLE_VALUES);
    }
    struct ko_pickle_dict *grown =
        ko_grow(p->dicts, &p->dicts_capacity, p->n_dicts + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    p->dicts = grown;
    p->dicts[p->n_dicts] = (struct ko_pickle_dict){0};
    return ko_pickle_push(
        p, (struct ko_pickle_value){.kind = KO_PICKLE_DICT, .nesting = 1, .at = p->n_dicts++}, err);
}

/* Finds the container of `kind` below the topmost n values and updates its nesting. */
static enum ko_code container_below(struct ko_pickle *p, size_t n, enum ko_pickle_kind kind,
                                    const char *name, struct ko_pickle_value **container,
                                    struct ko_error *err)
{
    enum ko_code code = need_values(p, n + 1, err);
    if (code != KO_OK) {
        return code;
    }
    *container = &p->stack[p->n_stack - n - 1];
    if ((*container)->kind != kind) {
        return ko_pickle_fail(p, err, "an item is put into a value that is not a %s", name);
    }
    return nest_values(p, n, &(*container)->nesting, err);
}

enum ko_code ko_pickle_set_items(struct ko_pickle *p, size_t n, struct ko_error *err)
{
    struct ko_pickle_value *container;
    enum ko_code code = container_below(p, n, KO_PICKLE_DICT, "dictionary", &container, err);
    if (code != KO_OK) {
        return code;
    }
    if (n % 2) {
        return ko_pickle_fail(p, err, "a key without its value: the pickle is damaged");
    }
    if (n / 2 > KO_PICKLE_VALUES - p->n_pairs) {
        return ko_pickle_fail(p, err, "more than %d values in dictionaries", KO_PICKLE_VALUES);
    }
    struct ko_pickle_dict *dict = &p->dicts[container->at];
    struct ko_pickle_pair *grown =
        ko_grow(dict->pairs, &dict->capacity, dict->n + n / 2, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    dict->pairs = grown;
    for (size_t i = p->n_stack - n; i < p->n_stack; i += 2) {
        dict->pairs[dict->n++] = (struct ko_pickle_pair){p->stack[i], p->stack[i + 1]};
    }
    p->n_pairs += n / 2;
    p->n_stack -= n;
    return KO_OK;
}

enum ko_code ko_pickle_append(struct ko_pickle *p, size_t n, struct ko_error *err)
{
    struct ko_pickle_value *container;
    enum ko_code code = container_below(p, n, KO_PICKLE_LIST, "list", &container, err);
    if (code == KO_OK) {
        p->n_stack -= n;
    }
    return code;
}

void ko_pickle_free(struct ko_pickle *p)
{
    for (size_t i = 0; i < p->n_dicts; i++) {
        free(p->dicts[i].pairs);
    }
    free(p->stack);
    free(p->memo);
    free(p->items);
    free(p->dicts);
    free(p->storages);
    free(p->tensors);
    *p = (struct ko_pickle){0};
}
