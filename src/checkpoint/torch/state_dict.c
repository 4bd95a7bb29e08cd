/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the unpickler on data.pkl and makes a list of tensors, sorted by name, from its
   dictionary. */
#include "src/checkpoint/torch/state_dict.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/checkpoint/torch/pickle.h"
#include "src/checkpoint/torch/pickle_machine.h"
#include "src/checkpoint/torch/pickle_torch.h"

static const char *kind_name(uint8_t kind)
{
    static const char *const names[] = {
        [KO_PICKLE_NOTHING] = "nothing",   [KO_PICKLE_NONE] = "None",
        [KO_PICKLE_BOOL] = "a bool",       [KO_PICKLE_INT] = "a whole number",
        [KO_PICKLE_FLOAT] = "a number",    [KO_PICKLE_TEXT] = "a text",
        [KO_PICKLE_LIST] = "a list",       [KO_PICKLE_TUPLE] = "a tuple",
        [KO_PICKLE_DICT] = "a dictionary", [KO_PICKLE_GLOBAL] = "a global",
        [KO_PICKLE_STORAGE] = "a storage", [KO_PICKLE_TENSOR] = "a tensor",
    };
    return names[kind];
}

static enum ko_code check_name(const struct ko_pickle *p, const struct ko_pickle_value *key,
                               struct ko_error *err)
{
    if (key->kind != KO_PICKLE_TEXT) {
        return ko_fail(err, KO_E_INPUT, "%s: a tensor's name is %s, not a text", p->where,
                       kind_name(key->kind));
    }
    if (key->n > KO_STATE_DICT_NAME) {
        return ko_fail(err, KO_E_INPUT, "%s: a tensor's name has %u bytes, more than %d", p->where,
                       key->n, KO_STATE_DICT_NAME);
    }
    for (uint32_t i = 0; i < key->n; i++) {
        if ((unsigned char)key->text[i] < 0x20) {
            return ko_fail(err, KO_E_INPUT, "%s: a control character in a tensor's name", p->where);
        }
    }
    return KO_OK;
}

static enum ko_code add_tensor(const struct ko_pickle *p, const struct ko_pickle_pair *pair,
                               struct ko_state_dict *dict, struct ko_error *err)
{
    enum ko_code code = check_name(p, &pair->key, err);
    if (code != KO_OK) {
        return code;
    }
    struct ko_state_tensor *grown =
        ko_grow(dict->tensors, &dict->capacity, dict->n + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    dict->tensors = grown;
    char *name = ko_copy_n(pair->key.text, pair->key.n, err);
    if (!name) {
        return KO_E_MEMORY;
    }
    struct ko_state_tensor *t = &dict->tensors[dict->n++];
    *t = (struct ko_state_tensor){.name = name};
    if (pair->value.kind != KO_PICKLE_TENSOR) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: '%s' is %s, not a tensor: only a state dict is read, save that alone",
                       p->where, name, kind_name(pair->value.kind));
    }
    const struct ko_pickle_tensor *from = &p->tensors[pair->value.at];
    const struct ko_pickle_storage *storage = &p->storages[from->storage];
    if (!ko_pickle_global_dtype(storage->type, &t->dtype)) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: tensor '%s' is in a %s: only Float, Half, BFloat16, Long, Int, Byte "
                       "and Bool are read",
                       p->where, name, ko_pickle_global_name(storage->type));
    }
    t->key = storage->key;
    t->n_key = storage->n_key;
    t->storage_n = storage->n;
    t->offset = from->offset;
    t->n_dims = from->n_dims;
    memcpy(t->shape, from->shape, sizeof t->shape);
    memcpy(t->stride, from->stride, sizeof t->stride);
    return KO_OK;
}

static int compare_names(const void *a, const void *b)
{
    const struct ko_state_tensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

enum ko_code ko_state_dict_read(const char *bytes, size_t n, const char *where,
                                struct ko_state_dict *dict, struct ko_error *err)
{
    struct ko_pickle p = {.bytes = bytes, .n_bytes = n, .where = where};
    *dict = (struct ko_state_dict){0};
    struct ko_pickle_value top = {0};
    enum ko_code code = ko_pickle_run(&p, &top, err);
    if (code == KO_OK && top.kind != KO_PICKLE_DICT) {
        code =
            ko_fail(err, KO_E_INPUT, "%s: holds %s, expected a state dict: a dictionary of tensors",
                    where, kind_name(top.kind));
    }
    for (size_t i = 0; code == KO_OK && i < p.dicts[top.at].n; i++) {
        code = add_tensor(&p, &p.dicts[top.at].pairs[i], dict, err);
    }
    ko_pickle_free(&p);
    if (code != KO_OK) {
        return code;
    }
    if (dict->n > 1) {
        qsort(dict->tensors, dict->n, sizeof dict->tensors[0], compare_names);
    }
    for (size_t i = 1; i < dict->n; i++) {
        if (strcmp(dict->tensors[i - 1].name, dict->tensors[i].name) == 0) {
            return ko_fail(err, KO_E_INPUT, "%s: tensor '%s' occurs twice", where,
                           dict->tensors[i].name);
        }
    }
    return KO_OK;
}

void ko_state_dict_free(struct ko_state_dict *dict)
{
    for (size_t i = 0; i < dict->n; i++) {
        free(dict->tensors[i].name);
    }
    free(dict->tensors);
    *dict = (struct ko_state_dict){0};
}
