/* SPDX-License-Identifier: Apache-2.0 */
/* The unpickler's stack, marks, memo and values, which the opcodes work on. */
#ifndef KO_CHECKPOINT_TORCH_PICKLE_MACHINE_H
#define KO_CHECKPOINT_TORCH_PICKLE_MACHINE_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/checkpoint/mapped/tensor.h"

/* The most that one pickle may have. */
enum {
    KO_PICKLE_STACK = 1 << 16,  /* values on the stack */
    KO_PICKLE_MARKS = 64,       /* open marks */
    KO_PICKLE_NESTING = 64,     /* containers inside one another */
    KO_PICKLE_MEMO = 1 << 22,   /* memo entries */
    KO_PICKLE_VALUES = 1 << 23, /* values in tuples, and in dictionaries */
    KO_PICKLE_TENSORS = 1 << 18 /* tensors */
};

enum ko_pickle_kind {
    KO_PICKLE_NOTHING, /* an empty memo entry */
    KO_PICKLE_NONE,
    KO_PICKLE_BOOL,
    KO_PICKLE_INT,
    KO_PICKLE_FLOAT, /* without its value */
    KO_PICKLE_TEXT,
    KO_PICKLE_LIST, /* without its items */
    KO_PICKLE_TUPLE,
    KO_PICKLE_DICT,
    KO_PICKLE_GLOBAL,
    KO_PICKLE_STORAGE,
    KO_PICKLE_TENSOR
};

struct ko_pickle_value {
    uint8_t kind;    /* enum ko_pickle_kind */
    uint8_t nesting; /* depth of nested containers, this one included */
    uint32_t n;      /* text: bytes; tuple: items */
    union {
        int64_t integer;  /* int, bool */
        const char *text; /* in the pickle, not terminated */
        size_t at;        /* tuple: first item; dict, storage, tensor: number; global: its row */
    };
};

struct ko_pickle_pair {
    struct ko_pickle_value key, value;
};

struct ko_pickle_dict {
    struct ko_pickle_pair *pairs; /* [n]; owned */
    size_t n, capacity;
};

struct ko_pickle_storage {
    const struct ko_pickle_global *type;
    const char *key;
    size_t n_key;
    int64_t n;
};

struct ko_pickle_tensor {
    size_t storage;
    int64_t offset;
    int n_dims;
    int64_t shape[KO_TENSOR_DIMS], stride[KO_TENSOR_DIMS];
};

struct ko_pickle {
    const char *bytes; /* borrowed */
    size_t n_bytes, at;
    size_t opcode_at; /* offset of the current opcode */
    const char *where;

    struct ko_pickle_value *stack, *memo, *items;
    size_t n_stack, stack_capacity, n_memo, memo_capacity, n_items, items_capacity;
    size_t marks[KO_PICKLE_MARKS], n_marks; /* heights of the stack */
    struct ko_pickle_dict *dicts;
    size_t n_dicts, dicts_capacity, n_pairs;
    struct ko_pickle_storage *storages;
    size_t n_storages, storages_capacity;
    struct ko_pickle_tensor *tensors;
    size_t n_tensors, tensors_capacity;
};

/* KO_E_INPUT "WHERE: formatted text (byte AT)". */
enum ko_code ko_pickle_fail(const struct ko_pickle *p, struct ko_error *err, const char *format,
                            ...) KO_PRINTF(3, 4);

KO_MUST_CHECK enum ko_code ko_pickle_push(struct ko_pickle *p, struct ko_pickle_value value,
                                          struct ko_error *err);
/* Take, or look at, the topmost value above the last mark. */
KO_MUST_CHECK enum ko_code ko_pickle_pop(struct ko_pickle *p, struct ko_pickle_value *value,
                                         struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_pickle_top(struct ko_pickle *p, struct ko_pickle_value **value,
                                         struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_pickle_mark(struct ko_pickle *p, struct ko_error *err);
/* Removes the last mark. *n: the values above it, which the caller removes. */
KO_MUST_CHECK enum ko_code ko_pickle_unmark(struct ko_pickle *p, size_t *n, struct ko_error *err);

KO_MUST_CHECK enum ko_code ko_pickle_put(struct ko_pickle *p, uint32_t index, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_pickle_get(struct ko_pickle *p, uint32_t index, struct ko_error *err);

/* Replaces the topmost n values by a tuple of them. */
KO_MUST_CHECK enum ko_code ko_pickle_tuple(struct ko_pickle *p, size_t n, struct ko_error *err);
/* Pushes an empty dictionary. */
KO_MUST_CHECK enum ko_code ko_pickle_new_dict(struct ko_pickle *p, struct ko_error *err);
/* Moves the topmost n values, as pairs, into the dictionary below them. */
KO_MUST_CHECK enum ko_code ko_pickle_set_items(struct ko_pickle *p, size_t n, struct ko_error *err);
/* Moves the topmost n values into the list below them. */
KO_MUST_CHECK enum ko_code ko_pickle_append(struct ko_pickle *p, size_t n, struct ko_error *err);

void ko_pickle_free(struct ko_pickle *p);

#endif
