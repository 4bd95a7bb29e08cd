/* SPDX-License-Identifier: Apache-2.0 */
/* Maps a safetensors file, finds its header and checks the place of each tensor. The header's JSON
   is read in safetensors_header.c. */
#include "src/checkpoint/safetensors/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>

#include "src/base/memory.h"

enum { LENGTH_BYTES = 8 };

static enum ko_code find_header(struct ko_safetensors *file, const char *where,
                                struct ko_error *err)
{
    const unsigned char *bytes = file->map.data;
    uint64_t length = 0;
    if (file->map.bytes < LENGTH_BYTES) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: has %zu bytes, a safetensors file begins with 8 bytes of header "
                       "length: it is truncated or something else",
                       where, file->map.bytes);
    }
    for (int i = LENGTH_BYTES - 1; i >= 0; i--) {
        length = length << 8 | bytes[i];
    }
    if (length > KO_HEADER_BYTES) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: its first 8 bytes announce a header of %" PRIu64
                       " bytes, more than the %d that are allowed: it is not a safetensors file",
                       where, length, KO_HEADER_BYTES);
    }
    if (length > file->map.bytes - LENGTH_BYTES) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: its first 8 bytes announce a header of %" PRIu64
                       " bytes, the file has %zu: it is truncated",
                       where, length, file->map.bytes);
    }
    file->header_bytes = (size_t)length;
    file->header_text = (const char *)file->map.data + LENGTH_BYTES;
    return KO_OK;
}

/* By place. A tensor without elements comes before the one that begins at the same byte. */
static int compare_places(const void *a, const void *b)
{
    const struct ko_header_entry *x = *(const struct ko_header_entry *const *)a;
    const struct ko_header_entry *y = *(const struct ko_header_entry *const *)b;
    if (x->begin != y->begin) {
        return x->begin < y->begin ? -1 : 1;
    }
    return (x->end > y->end) - (x->end < y->end);
}

static enum ko_code check_place(const struct ko_header_entry *entry, int64_t at, int64_t data_bytes,
                                const char *where, struct ko_error *err)
{
    const struct ko_tensor *t = &entry->tensor;
    if (entry->begin > entry->end) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: tensor '%s': data_offsets [%" PRId64 ",%" PRId64
                       "] end before they begin",
                       where, entry->name, entry->begin, entry->end);
    }
    if (entry->end > data_bytes) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: tensor '%s': data_offsets [%" PRId64 ",%" PRId64
                       "] reach beyond the %" PRId64 " bytes of data in the file: it is truncated",
                       where, entry->name, entry->begin, entry->end, data_bytes);
    }
    if ((size_t)(entry->end - entry->begin) != t->data_bytes) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: tensor '%s': data_offsets [%" PRId64 ",%" PRId64 "] hold %" PRId64
                       " bytes, its shape of %" PRId64 " elements of %s takes %zu",
                       where, entry->name, entry->begin, entry->end, entry->end - entry->begin,
                       t->n, ko_dtype_name(t->dtype), t->data_bytes);
    }
    if (entry->begin < at) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: tensor '%s': data_offsets [%" PRId64 ",%" PRId64
                       "] overlap the tensor before it, which ends at %" PRId64,
                       where, entry->name, entry->begin, entry->end, at);
    }
    if (entry->begin > at) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: tensor '%s': data_offsets [%" PRId64 ",%" PRId64
                       "] leave a gap after %" PRId64 ", which the format forbids",
                       where, entry->name, entry->begin, entry->end, at);
    }
    return KO_OK;
}

static enum ko_code place_tensors(struct ko_safetensors *file, const char *where,
                                  struct ko_error *err)
{
    struct ko_safetensors_header *header = &file->header;
    const char *data = file->header_text + file->header_bytes;
    int64_t data_bytes = (int64_t)(file->map.bytes - LENGTH_BYTES - file->header_bytes);
    struct ko_header_entry **order = ko_new(header->n, sizeof(struct ko_header_entry *), err);
    if (!order) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < header->n; i++) {
        order[i] = &header->entries[i];
    }
    if (header->n > 1) {
        qsort(order, header->n, sizeof(struct ko_header_entry *), compare_places);
    }

    enum ko_code code = KO_OK;
    int64_t at = 0;
    for (size_t i = 0; i < header->n && code == KO_OK; i++) {
        code = check_place(order[i], at, data_bytes, where, err);
        at = order[i]->end;
        if (code == KO_OK) {
            order[i]->tensor.data = data + order[i]->begin;
        }
    }
    if (code == KO_OK && at != data_bytes) {
        code = ko_fail(err, KO_E_INPUT,
                       "%s: the tensors end at byte %" PRId64 " of the data, the file has %" PRId64
                       ": the format forbids data after them",
                       where, at, data_bytes);
    }
    free(order);
    return code;
}

enum ko_code ko_safetensors_open(const char *path, const char *where, struct ko_safetensors *file,
                                 struct ko_error *err)
{
    *file = (struct ko_safetensors){0};
    enum ko_code code = ko_mapping_open(path, where, &file->map, err);
    if (code == KO_OK) {
        code = find_header(file, where, err);
    }
    if (code == KO_OK) {
        code = ko_safetensors_header_read(file->header_text, file->header_bytes, where,
                                          &file->header, err);
    }
    if (code == KO_OK) {
        code = place_tensors(file, where, err);
    }
    return code;
}

void ko_safetensors_close(struct ko_safetensors *file)
{
    ko_safetensors_header_free(&file->header);
    ko_mapping_close(&file->map);
    *file = (struct ko_safetensors){0};
}
