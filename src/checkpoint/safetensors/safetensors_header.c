/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the header's entries, counts their elements and sorts them by name. */
#include "src/checkpoint/safetensors/safetensors_header.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/checkpoint/safetensors/json_cursor.h"

static enum ko_code read_dtype(struct ko_json_cursor *c, struct ko_header_entry *entry,
                               struct ko_error *err)
{
    enum ko_code code = ko_json_cursor_string(c, err);
    if (code != KO_OK) {
        return code;
    }
    for (int dtype = 0; dtype < KO_N_DTYPES; dtype++) {
        if (strcmp(c->string, ko_dtype_name((enum ko_dtype)dtype)) == 0) {
            entry->tensor.dtype = (enum ko_dtype)dtype;
            return KO_OK;
        }
    }
    return ko_json_cursor_fail(c, err,
                               "tensor '%s' has the dtype '%s': only F32, F16, BF16, I64, I32, U8 "
                               "and BOOL are read, use the checkpoint in F32, F16 or BF16",
                               entry->name, c->string);
}

static enum ko_code read_shape(struct ko_json_cursor *c, struct ko_header_entry *entry,
                               struct ko_error *err)
{
    enum ko_code code = ko_json_cursor_expect(c, '[', err);
    if (code != KO_OK || ko_json_cursor_next_is(c, ']')) {
        return code;
    }
    struct ko_tensor *t = &entry->tensor;
    do {
        if (t->n_dims == KO_TENSOR_DIMS) {
            return ko_json_cursor_fail(c, err, "tensor '%s' has more than %d dimensions",
                                       entry->name, KO_TENSOR_DIMS);
        }
        code = ko_json_cursor_count(c, &t->shape[t->n_dims++], err);
    } while (code == KO_OK && ko_json_cursor_next_is(c, ','));
    return code != KO_OK ? code : ko_json_cursor_expect(c, ']', err);
}

static enum ko_code read_offsets(struct ko_json_cursor *c, struct ko_header_entry *entry,
                                 struct ko_error *err)
{
    enum ko_code code = ko_json_cursor_expect(c, '[', err);
    if (code == KO_OK) {
        code = ko_json_cursor_count(c, &entry->begin, err);
    }
    if (code == KO_OK) {
        code = ko_json_cursor_expect(c, ',', err);
    }
    if (code == KO_OK) {
        code = ko_json_cursor_count(c, &entry->end, err);
    }
    if (code == KO_OK) {
        code = ko_json_cursor_expect(c, ']', err);
    }
    return code;
}

/* Reads the colon and the value of the member whose key is c->string. */
typedef enum ko_code member_reader(struct ko_json_cursor *c, void *context, struct ko_error *err);

/* Reads an object, whose members `read` reads. */
static enum ko_code read_members(struct ko_json_cursor *c, member_reader *read, void *context,
                                 struct ko_error *err)
{
    enum ko_code code = ko_json_cursor_expect(c, '{', err);
    if (code != KO_OK || ko_json_cursor_next_is(c, '}')) {
        return code;
    }
    do {
        code = ko_json_cursor_string(c, err);
        if (code == KO_OK) {
            code = read(c, context, err);
        }
    } while (code == KO_OK && ko_json_cursor_next_is(c, ','));
    return code != KO_OK ? code : ko_json_cursor_expect(c, '}', err);
}

static const struct {
    const char *key;
    enum ko_code (*read)(struct ko_json_cursor *, struct ko_header_entry *, struct ko_error *);
} fields[] = {{"dtype", read_dtype}, {"shape", read_shape}, {"data_offsets", read_offsets}};
enum { N_FIELDS = sizeof fields / sizeof fields[0] };

struct tensor_reader {
    struct ko_header_entry *entry;
    bool seen[N_FIELDS];
};

static enum ko_code read_field(struct ko_json_cursor *c, void *context, struct ko_error *err)
{
    struct tensor_reader *reader = context;
    size_t f = 0;
    while (f < N_FIELDS && strcmp(c->string, fields[f].key) != 0) {
        f++;
    }
    if (f == N_FIELDS) {
        return ko_json_cursor_fail(c, err, "tensor '%s' has the unknown key '%s'",
                                   reader->entry->name, c->string);
    }
    if (reader->seen[f]) {
        return ko_json_cursor_fail(c, err, "tensor '%s' has the key '%s' twice",
                                   reader->entry->name, c->string);
    }
    reader->seen[f] = true;
    enum ko_code code = ko_json_cursor_expect(c, ':', err);
    return code != KO_OK ? code : fields[f].read(c, reader->entry, err);
}

/* The object of one tensor: its three keys in any order, each once. */
static enum ko_code read_tensor(struct ko_json_cursor *c, struct ko_header_entry *entry,
                                struct ko_error *err)
{
    struct tensor_reader reader = {.entry = entry};
    enum ko_code code = read_members(c, read_field, &reader, err);
    for (size_t f = 0; code == KO_OK && f < N_FIELDS; f++) {
        if (!reader.seen[f]) {
            code =
                ko_json_cursor_fail(c, err, "tensor '%s' has no '%s'", entry->name, fields[f].key);
        }
    }
    return code;
}

/* A member of "__metadata__": a string, which is not kept. */
static enum ko_code skip_string(struct ko_json_cursor *c, void *context, struct ko_error *err)
{
    (void)context;
    enum ko_code code = ko_json_cursor_expect(c, ':', err);
    return code != KO_OK ? code : ko_json_cursor_string(c, err);
}

static enum ko_code check_name(const struct ko_json_cursor *c, struct ko_error *err)
{
    for (size_t i = 0; i < c->string_n; i++) {
        if ((unsigned char)c->string[i] < 0x20) {
            return ko_json_cursor_fail(c, err, "a control character in a tensor's name");
        }
    }
    return KO_OK;
}

static enum ko_code add_entry(struct ko_json_cursor *c, struct ko_safetensors_header *header,
                              struct ko_error *err)
{
    enum ko_code code = check_name(c, err);
    if (code != KO_OK) {
        return code;
    }
    if (header->n == KO_HEADER_TENSORS) {
        return ko_json_cursor_fail(c, err, "more than %d tensors", KO_HEADER_TENSORS);
    }
    struct ko_header_entry *grown =
        ko_grow(header->entries, &header->capacity, header->n + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    header->entries = grown;
    struct ko_header_entry *entry = &header->entries[header->n];
    *entry = (struct ko_header_entry){.name = ko_copy_n(c->string, c->string_n, err)};
    if (!entry->name) {
        return KO_E_MEMORY;
    }
    entry->tensor.name = entry->name;
    header->n++;
    code = ko_json_cursor_expect(c, ':', err);
    if (code == KO_OK) {
        code = read_tensor(c, entry, err);
    }
    if (code == KO_OK && !ko_tensor_measure(&entry->tensor)) {
        code = ko_json_cursor_fail(c, err, "tensor '%s': the product of its shape overflows",
                                   entry->name);
    }
    return code;
}

struct header_reader {
    struct ko_safetensors_header *header;
    bool metadata_seen;
};

static enum ko_code read_entry(struct ko_json_cursor *c, void *context, struct ko_error *err)
{
    struct header_reader *reader = context;
    if (strcmp(c->string, "__metadata__") != 0) {
        return add_entry(c, reader->header, err);
    }
    if (reader->metadata_seen) {
        return ko_json_cursor_fail(c, err, "'__metadata__' occurs twice");
    }
    reader->metadata_seen = true;
    enum ko_code code = ko_json_cursor_expect(c, ':', err);
    return code != KO_OK ? code : read_members(c, skip_string, NULL, err);
}

static int compare_names(const void *a, const void *b)
{
    const struct ko_header_entry *x = a, *y = b;
    return strcmp(x->name, y->name);
}

enum ko_code ko_safetensors_header_read(const char *text, size_t n, const char *where,
                                        struct ko_safetensors_header *header, struct ko_error *err)
{
    struct ko_json_cursor cursor = {.text = text, .n = n, .where = "header"};
    *header = (struct ko_safetensors_header){0};
    enum ko_code code = KO_OK;
    if (n == 0 || text[0] != '{') {
        code = ko_json_cursor_fail(&cursor, err, "not valid JSON: expected '{'");
    }
    if (code == KO_OK) {
        struct header_reader reader = {.header = header};
        code = read_members(&cursor, read_entry, &reader, err);
    }
    if (code == KO_OK) {
        code = ko_json_cursor_end(&cursor, err);
    }
    ko_json_cursor_free(&cursor);
    if (code != KO_OK) {
        return code == KO_E_INPUT ? ko_fail_in(err, "%s", where) : code;
    }

    if (header->n > 1) {
        qsort(header->entries, header->n, sizeof header->entries[0], compare_names);
    }
    for (size_t i = 1; i < header->n; i++) {
        if (strcmp(header->entries[i - 1].name, header->entries[i].name) == 0) {
            return ko_fail(err, KO_E_INPUT, "%s: header: tensor '%s' occurs twice", where,
                           header->entries[i].name);
        }
    }
    return KO_OK;
}

void ko_safetensors_header_free(struct ko_safetensors_header *header)
{
    for (size_t i = 0; i < header->n; i++) {
        free(header->entries[i].name);
    }
    free(header->entries);
    *header = (struct ko_safetensors_header){0};
}
