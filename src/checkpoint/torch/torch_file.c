/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a weight file of torch.save: checks its format and byte order, reads the state dict and
   finds each tensor's data in the zip archive. */
#include "src/checkpoint/torch/torch_file.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/checkpoint/torch/zip_archive.h"

enum { BYTEORDER_BYTES = 16 };

/* An archive, and the folder inside it that has all entries, with its slash. */
struct content {
    struct ko_zip_archive *zip;
    struct ko_text folder;
    const char *where;
};

/* Before version 1.6 a file began with the pickled number 0x1950a86a20f9469cfc6c. */
static bool is_old_format(const struct ko_mapping *map)
{
    static const char magic[] = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
    return map->bytes > 2 + sizeof magic && memcmp((const char *)map->data + 2, magic, 12) == 0;
}

static enum ko_code check_format(const struct ko_mapping *map, const char *where,
                                 struct ko_error *err)
{
    if (is_old_format(map)) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: is in torch's format from before version 1.6, which is not read: "
                       "convert it with python3 -c \"import torch; f='pytorch_model.bin'; "
                       "torch.save(torch.load(f, map_location='cpu', weights_only=True), f)\"",
                       where);
    }
    if (map->bytes < 4 || memcmp(map->data, "PK\3\4", 4) != 0) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: does not begin like a zip archive, as files of torch.save do: it is "
                       "truncated or something else",
                       where);
    }
    return KO_OK;
}

/* torch names the folder after the saved file. Like torch's reader, take it from the first
   entry. */
static enum ko_code open_content(const struct ko_mapping *map, struct content *content,
                                 struct ko_error *err)
{
    enum ko_code code = ko_zip_open(map, content->where, &content->zip, err);
    if (code != KO_OK) {
        return code;
    }
    const char *first = ko_zip_first_name(content->zip);
    const char *slash = first ? strchr(first, '/') : NULL;
    if (!slash) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: its entries are not in a folder: torch.save did not write it",
                       content->where);
    }
    ko_text_add_bytes(&content->folder, first, (size_t)(slash + 1 - first));
    return ko_text_check(&content->folder, err);
}

/* The entry FOLDER/PART and key; NULL if there is no such entry. */
static enum ko_code find_entry(const struct content *content, const char *part, const char *key,
                               size_t n_key, const struct ko_zip_entry **entry,
                               struct ko_error *err)
{
    struct ko_text name = {0};
    ko_text_add(&name, "%s%s", ko_text_str(&content->folder), part);
    ko_text_add_bytes(&name, key, n_key);
    enum ko_code code = ko_text_check(&name, err);
    if (code == KO_OK) {
        *entry = ko_zip_find(content->zip, ko_text_str(&name));
    }
    ko_text_free(&name);
    return code;
}

/* Files of torch before 2.1 lack this entry and are little-endian. */
static enum ko_code check_byteorder(const struct content *content, struct ko_error *err)
{
    struct ko_text order = {0};
    const struct ko_zip_entry *entry = NULL;
    enum ko_code code = find_entry(content, "byteorder", "", 0, &entry, err);
    if (code != KO_OK || !entry) {
        return code;
    }
    code = ko_zip_read(content->zip, entry, BYTEORDER_BYTES, &order, err);
    if (code == KO_OK && strcmp(ko_text_str(&order), "little") != 0) {
        code = ko_fail(err, KO_E_INPUT,
                       "%s: %s: does not say 'little', files of big-endian machines are not read",
                       content->where, entry->name);
    }
    ko_text_free(&order);
    return code;
}

/* Reads data.pkl and the table of entries into the header. */
static enum ko_code read_header(const struct content *content, struct ko_text *header,
                                size_t *n_pickle, struct ko_error *err)
{
    const struct ko_zip_entry *entry = NULL;
    enum ko_code code = find_entry(content, "data.pkl", "", 0, &entry, err);
    if (code == KO_OK && !entry) {
        code = ko_fail(err, KO_E_INPUT, "%s: has no %sdata.pkl: torch.save did not write it",
                       content->where, ko_text_str(&content->folder));
    }
    if (code == KO_OK) {
        code = ko_zip_read(content->zip, entry, KO_STATE_DICT_BYTES, header, err);
    }
    if (code != KO_OK) {
        return code;
    }
    *n_pickle = header->n;
    size_t n = 0;
    const struct ko_zip_entry *entries = ko_zip_entries(content->zip, &n);
    for (size_t i = 0; i < n; i++) {
        ko_text_add(header, "%s %zu %zu\n", entries[i].name, entries[i].begin, entries[i].bytes);
    }
    return ko_text_check(header, err);
}

/* Row-major without gaps. The stride of a dimension of one element does not matter. */
static bool is_contiguous(const struct ko_state_tensor *t)
{
    int64_t stride = 1;
    for (int d = t->n_dims - 1; d >= 0; d--) {
        if (t->shape[d] != 1 && t->stride[d] != stride) {
            return false;
        }
        stride *= t->shape[d];
    }
    return true;
}

static void print_counts(const int64_t *counts, int n, char text[160])
{
    size_t at = 0;
    for (int d = 0; d < n && at < 160; d++) {
        at += (size_t)snprintf(text + at, 160 - at, "%s%" PRId64, d ? "," : "", counts[d]);
    }
    if (n == 0) {
        text[0] = '\0';
    }
}

/* Fills the tensor, except its data. */
static enum ko_code describe_tensor(const struct ko_state_tensor *from, const char *where,
                                    struct ko_tensor *t, struct ko_error *err)
{
    char shape[160], stride[160];
    *t = (struct ko_tensor){.name = from->name, .dtype = from->dtype, .n_dims = from->n_dims};
    memcpy(t->shape, from->shape, sizeof t->shape);
    if (!ko_tensor_measure(t)) {
        return ko_fail(err, KO_E_INPUT, "%s: tensor '%s': the product of its shape overflows",
                       where, t->name);
    }
    if (t->n == 0 || is_contiguous(from)) {
        return KO_OK;
    }
    print_counts(from->shape, from->n_dims, shape);
    print_counts(from->stride, from->n_dims, stride);
    return ko_fail(err, KO_E_INPUT,
                   "%s: tensor '%s': shape [%s] with strides [%s] is not contiguous: save "
                   "tensor.contiguous() in its place",
                   where, t->name, shape, stride);
}

static enum ko_code place_tensor(const struct content *content, const struct ko_mapping *map,
                                 const struct ko_state_tensor *from, struct ko_tensor *t,
                                 struct ko_error *err)
{
    const struct ko_zip_entry *entry = NULL;
    size_t size = ko_dtype_bytes(from->dtype);
    enum ko_code code = describe_tensor(from, content->where, t, err);
    if (code == KO_OK) {
        code = find_entry(content, "data/", from->key, from->n_key, &entry, err);
    }
    if (code != KO_OK) {
        return code;
    }
    if (!entry) {
        return ko_fail(err, KO_E_INPUT, "%s: tensor '%s': there is no entry %sdata/%.*s",
                       content->where, t->name, ko_text_str(&content->folder), (int)from->n_key,
                       from->key);
    }
    if (entry->bytes % size != 0 || entry->bytes / size != (uint64_t)from->storage_n) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: tensor '%s': %s has %zu bytes, its %" PRId64 " elements of %s take %s",
                       content->where, t->name, entry->name, entry->bytes, from->storage_n,
                       ko_dtype_name(from->dtype),
                       (uint64_t)from->storage_n > entry->bytes / size ? "more" : "fewer");
    }
    if (from->offset > from->storage_n || t->n > from->storage_n - from->offset) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: tensor '%s': elements %" PRId64 " to %" PRId64
                       " reach beyond its storage %s, which holds %" PRId64,
                       content->where, t->name, from->offset, from->offset + t->n, entry->name,
                       from->storage_n);
    }
    t->data = (const char *)map->data + entry->begin + (size_t)from->offset * size;
    return KO_OK;
}

static enum ko_code place_tensors(const struct content *content, struct ko_torch_file *file,
                                  struct ko_error *err)
{
    enum ko_code code = KO_OK;
    file->tensors = ko_new(file->dict.n, sizeof file->tensors[0], err);
    if (!file->tensors) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < file->dict.n && code == KO_OK; i++) {
        code = place_tensor(content, &file->map, &file->dict.tensors[i], &file->tensors[i], err);
    }
    file->n = file->dict.n;
    return code;
}

static enum ko_code read_dict(const struct content *content, struct ko_torch_file *file,
                              struct ko_error *err)
{
    size_t n_pickle = 0;
    struct ko_text where = {0};
    enum ko_code code = read_header(content, &file->header, &n_pickle, err);
    if (code != KO_OK) {
        return code;
    }
    ko_text_add(&where, "%s: data.pkl", content->where);
    code = ko_text_check(&where, err);
    if (code == KO_OK) {
        code = ko_state_dict_read(ko_text_str(&file->header), n_pickle, ko_text_str(&where),
                                  &file->dict, err);
    }
    ko_text_free(&where);
    return code;
}

enum ko_code ko_torch_file_open(const char *path, const char *where, struct ko_torch_file *file,
                                struct ko_error *err)
{
    struct content content = {.where = where};
    *file = (struct ko_torch_file){0};
    enum ko_code code = ko_mapping_open(path, where, &file->map, err);
    if (code == KO_OK) {
        code = check_format(&file->map, where, err);
    }
    if (code == KO_OK) {
        code = open_content(&file->map, &content, err);
    }
    if (code == KO_OK) {
        code = check_byteorder(&content, err);
    }
    if (code == KO_OK) {
        code = read_dict(&content, file, err);
    }
    if (code == KO_OK) {
        code = place_tensors(&content, file, err);
    }
    ko_zip_close(content.zip);
    ko_text_free(&content.folder);
    return code;
}

void ko_torch_file_close(struct ko_torch_file *file)
{
    ko_state_dict_free(&file->dict);
    free(file->tensors);
    ko_text_free(&file->header);
    ko_mapping_close(&file->map);
    *file = (struct ko_torch_file){0};
}
