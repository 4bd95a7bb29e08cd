/* SPDX-License-Identifier: Apache-2.0 */
/* The list of Python names that a state dict may use. Builds tensors, parameters and storages from
   their arguments. Never calls Python. */
#include "src/checkpoint/torch/pickle_torch.h"

#include <stdbool.h>
#include <string.h>

#include "src/base/memory.h"

enum { UNREAD = -1, GLOBAL_TEXT = 160 };

enum role { ORDERED_DICT, TENSOR, PARAMETER, PARAMETER_WITH_STATE, STORAGE };

struct ko_pickle_global {
    const char *name;
    enum role role;
    int dtype; /* of storages: enum ko_dtype or UNREAD */
};

static const struct ko_pickle_global globals[] = {
    {"collections.OrderedDict", ORDERED_DICT, UNREAD},
    {"torch._utils._rebuild_tensor_v2", TENSOR, UNREAD},
    {"torch._utils._rebuild_parameter", PARAMETER, UNREAD},
    {"torch._utils._rebuild_parameter_with_state", PARAMETER_WITH_STATE, UNREAD},
    {"torch.FloatStorage", STORAGE, KO_F32},
    {"torch.HalfStorage", STORAGE, KO_F16},
    {"torch.BFloat16Storage", STORAGE, KO_BF16},
    {"torch.LongStorage", STORAGE, KO_I64},
    {"torch.IntStorage", STORAGE, KO_I32},
    {"torch.ByteStorage", STORAGE, KO_U8},
    {"torch.BoolStorage", STORAGE, KO_BOOL},
    {"torch.UntypedStorage", STORAGE, KO_U8},
    {"torch.storage.UntypedStorage", STORAGE, KO_U8},
    {"torch.storage._UntypedStorage", STORAGE, KO_U8},
    {"torch.DoubleStorage", STORAGE, UNREAD},
    {"torch.ShortStorage", STORAGE, UNREAD},
    {"torch.CharStorage", STORAGE, UNREAD},
    {"torch.ComplexFloatStorage", STORAGE, UNREAD},
    {"torch.ComplexDoubleStorage", STORAGE, UNREAD},
    {"torch.QInt8Storage", STORAGE, UNREAD},
    {"torch.QUInt8Storage", STORAGE, UNREAD},
    {"torch.QInt32Storage", STORAGE, UNREAD},
};

const char *ko_pickle_global_name(const struct ko_pickle_global *global)
{
    return global->name;
}

bool ko_pickle_global_dtype(const struct ko_pickle_global *global, enum ko_dtype *dtype)
{
    if (global->dtype == UNREAD) {
        return false;
    }
    *dtype = (enum ko_dtype)global->dtype;
    return true;
}

/* Writes "module.name" as printable ASCII. */
static void print_name(const char *module, size_t n_module, const char *name, size_t n_name,
                       char text[GLOBAL_TEXT])
{
    size_t n = 0;
    for (size_t i = 0; i < n_module + 1 + n_name && n < GLOBAL_TEXT - 1; i++) {
        char c = i < n_module ? module[i] : i == n_module ? '.' : name[i - n_module - 1];
        text[n++] = c >= 0x20 && c < 0x7f ? c : '?';
    }
    text[n] = '\0';
}

enum ko_code ko_pickle_global(struct ko_pickle *p, const char *module, size_t n_module,
                              const char *name, size_t n_name, struct ko_error *err)
{
    char text[GLOBAL_TEXT];
    print_name(module, n_module, name, n_name, text);
    for (size_t g = 0; g < sizeof globals / sizeof globals[0]; g++) {
        if (strcmp(text, globals[g].name) == 0) {
            return ko_pickle_push(p, (struct ko_pickle_value){.kind = KO_PICKLE_GLOBAL, .at = g},
                                  err);
        }
    }
    if (strcmp(text, "torch._utils._rebuild_tensor_v3") == 0) {
        return ko_pickle_fail(p, err,
                              "a tensor of a type such as float8 (global '%s'): use the checkpoint "
                              "in F32, F16 or BF16",
                              text);
    }
    return ko_pickle_fail(p, err,
                          "global '%s' is not allowed: only state dicts of tensors are read", text);
}

static const struct ko_pickle_value *item_of(const struct ko_pickle *p,
                                             const struct ko_pickle_value *tuple, size_t i)
{
    return &p->items[tuple->at + i];
}

static bool is_kind(const struct ko_pickle *p, const struct ko_pickle_value *tuple, size_t i,
                    enum ko_pickle_kind kind)
{
    return item_of(p, tuple, i)->kind == kind;
}

/* Reads whole numbers from 0 from a tuple. */
static enum ko_code read_counts(const struct ko_pickle *p, const struct ko_pickle_value *tuple,
                                const char *what, int64_t counts[KO_TENSOR_DIMS], int *n,
                                struct ko_error *err)
{
    if (tuple->n > KO_TENSOR_DIMS) {
        return ko_pickle_fail(p, err, "a tensor has more than %d dimensions", KO_TENSOR_DIMS);
    }
    for (size_t i = 0; i < tuple->n; i++) {
        if (!is_kind(p, tuple, i, KO_PICKLE_INT) || item_of(p, tuple, i)->integer < 0) {
            return ko_pickle_fail(p, err, "a tensor has a %s that is not a whole number from 0",
                                  what);
        }
        counts[i] = item_of(p, tuple, i)->integer;
    }
    *n = (int)tuple->n;
    return KO_OK;
}

/* (storage, offset, size, stride, requires_grad, backward_hooks[, metadata]) */
static enum ko_code build_tensor(struct ko_pickle *p, const struct ko_pickle_value *args,
                                 struct ko_pickle_value *out, struct ko_error *err)
{
    struct ko_pickle_tensor tensor = {0};
    int n_strides = 0;
    bool fits = (args->n == 6 || args->n == 7) && is_kind(p, args, 0, KO_PICKLE_STORAGE) &&
                is_kind(p, args, 1, KO_PICKLE_INT) && is_kind(p, args, 2, KO_PICKLE_TUPLE) &&
                is_kind(p, args, 3, KO_PICKLE_TUPLE) && is_kind(p, args, 4, KO_PICKLE_BOOL) &&
                is_kind(p, args, 5, KO_PICKLE_DICT) && item_of(p, args, 1)->integer >= 0;
    if (!fits) {
        return ko_pickle_fail(p, err, "a tensor is built from other values than torch.save writes");
    }
    /* Metadata may change the sign of the values. */
    if (args->n == 7 && !is_kind(p, args, 6, KO_PICKLE_NONE) &&
        !(is_kind(p, args, 6, KO_PICKLE_DICT) && p->dicts[item_of(p, args, 6)->at].n == 0)) {
        return ko_pickle_fail(p, err, "a tensor has metadata, which are not read");
    }
    tensor.storage = item_of(p, args, 0)->at;
    tensor.offset = item_of(p, args, 1)->integer;
    enum ko_code code =
        read_counts(p, item_of(p, args, 2), "size", tensor.shape, &tensor.n_dims, err);
    if (code == KO_OK) {
        code = read_counts(p, item_of(p, args, 3), "stride", tensor.stride, &n_strides, err);
    }
    if (code == KO_OK && n_strides != tensor.n_dims) {
        code = ko_pickle_fail(p, err, "a tensor has %d dimensions and %d strides", tensor.n_dims,
                              n_strides);
    }
    if (code != KO_OK) {
        return code;
    }
    if (p->n_tensors == KO_PICKLE_TENSORS) {
        return ko_pickle_fail(p, err, "more than %d tensors", KO_PICKLE_TENSORS);
    }
    struct ko_pickle_tensor *grown =
        ko_grow(p->tensors, &p->tensors_capacity, p->n_tensors + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    p->tensors = grown;
    p->tensors[p->n_tensors] = tensor;
    *out = (struct ko_pickle_value){.kind = KO_PICKLE_TENSOR, .at = p->n_tensors++};
    return KO_OK;
}

/* (tensor, requires_grad, backward_hooks[, state]) becomes the tensor. */
static enum ko_code build_parameter(const struct ko_pickle *p, const struct ko_pickle_value *args,
                                    size_t n, struct ko_pickle_value *out, struct ko_error *err)
{
    if (args->n != n || !is_kind(p, args, 0, KO_PICKLE_TENSOR) ||
        !is_kind(p, args, 1, KO_PICKLE_BOOL) || !is_kind(p, args, 2, KO_PICKLE_DICT)) {
        return ko_pickle_fail(p, err,
                              "a parameter is built from other values than torch.save writes");
    }
    *out = *item_of(p, args, 0);
    return KO_OK;
}

enum ko_code ko_pickle_reduce(struct ko_pickle *p, struct ko_error *err)
{
    struct ko_pickle_value args, callee, out = {0};
    enum ko_code code = ko_pickle_pop(p, &args, err);
    if (code == KO_OK) {
        code = ko_pickle_pop(p, &callee, err);
    }
    if (code != KO_OK) {
        return code;
    }
    if (callee.kind != KO_PICKLE_GLOBAL || args.kind != KO_PICKLE_TUPLE) {
        return ko_pickle_fail(p, err,
                              "what is called is not a global, or has no tuple of arguments");
    }
    switch (globals[callee.at].role) {
    case ORDERED_DICT:
        if (args.n > 0) {
            return ko_pickle_fail(p, err, "collections.OrderedDict is called with arguments");
        }
        return ko_pickle_new_dict(p, err);
    case TENSOR:
        code = build_tensor(p, &args, &out, err);
        break;
    case PARAMETER:
        code = build_parameter(p, &args, 3, &out, err);
        break;
    case PARAMETER_WITH_STATE:
        code = build_parameter(p, &args, 4, &out, err);
        break;
    default:
        return ko_pickle_fail(p, err, "global '%s' is called, which is not allowed",
                              globals[callee.at].name);
    }
    return code != KO_OK ? code : ko_pickle_push(p, out, err);
}

enum ko_code ko_pickle_build(struct ko_pickle *p, struct ko_error *err)
{
    struct ko_pickle_value state, *object;
    enum ko_code code = ko_pickle_pop(p, &state, err);
    if (code == KO_OK) {
        code = ko_pickle_top(p, &object, err);
    }
    if (code == KO_OK && (state.kind != KO_PICKLE_DICT || object->kind != KO_PICKLE_DICT)) {
        code = ko_pickle_fail(p, err, "a state is given to a value that is not a dictionary");
    }
    return code;
}

enum ko_code ko_pickle_load_storage(struct ko_pickle *p, struct ko_error *err)
{
    static const char tag[] = "storage";
    enum { KEY_BYTES = 64 };
    struct ko_pickle_value id;
    enum ko_code code = ko_pickle_pop(p, &id, err);
    if (code != KO_OK) {
        return code;
    }
    bool fits = id.kind == KO_PICKLE_TUPLE && id.n == 5 && is_kind(p, &id, 0, KO_PICKLE_TEXT) &&
                item_of(p, &id, 0)->n == sizeof tag - 1 &&
                memcmp(item_of(p, &id, 0)->text, tag, sizeof tag - 1) == 0 &&
                is_kind(p, &id, 1, KO_PICKLE_GLOBAL) &&
                globals[item_of(p, &id, 1)->at].role == STORAGE &&
                is_kind(p, &id, 2, KO_PICKLE_TEXT) && is_kind(p, &id, 3, KO_PICKLE_TEXT) &&
                is_kind(p, &id, 4, KO_PICKLE_INT) && item_of(p, &id, 4)->integer >= 0;
    fits = fits && item_of(p, &id, 2)->n <= KEY_BYTES;
    for (size_t i = 0; fits && i < item_of(p, &id, 2)->n; i++) {
        fits = item_of(p, &id, 2)->text[i] > 0x20 && item_of(p, &id, 2)->text[i] < 0x7f;
    }
    if (!fits) {
        return ko_pickle_fail(p, err, "a persistent id is not a storage as torch.save writes it");
    }
    struct ko_pickle_storage *grown =
        ko_grow(p->storages, &p->storages_capacity, p->n_storages + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    p->storages = grown;
    p->storages[p->n_storages] =
        (struct ko_pickle_storage){.type = &globals[item_of(p, &id, 1)->at],
                                   .key = item_of(p, &id, 2)->text,
                                   .n_key = item_of(p, &id, 2)->n,
                                   .n = item_of(p, &id, 4)->integer};
    return ko_pickle_push(
        p, (struct ko_pickle_value){.kind = KO_PICKLE_STORAGE, .at = p->n_storages++}, err);
}
