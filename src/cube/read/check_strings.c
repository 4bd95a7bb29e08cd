/* SPDX-License-Identifier: Apache-2.0 */
/* HDF5 keeps strings in heaps (collections of objects, "GCOL"). In a dataset a string is a length,
   the address of a collection and an index in it. HDF5 1.10 trusts all three and the collection's
   own sizes: on a damaged file it writes past its buffers, reads past their ends or loops forever.
   So this file checks them in the file's bytes before HDF5 reads a string. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/memory.h"
#include "src/cube/format/check.h"
#include "src/cube/format/hdf5_check.h"
#include "src/cube/read/view.h"

enum { REFERENCE = 16, HEADER = 16, BLOCK = 4096 /* references */, N_INDICES = 1 << 16 };

struct strings {
    const struct ko_cube_view *view;
    const char *dataset;
    int file;
    uint64_t file_bytes;
    uint64_t heap;     /* the collection that was read last; 0: no collection */
    uint64_t *size_of; /* [N_INDICES] sizes of its objects; UINT64_MAX: no object */
};

/* Little-endian, of n bytes. */
static uint64_t read_number(const unsigned char *bytes, int n)
{
    uint64_t value = 0;

    for (int i = n - 1; i >= 0; i--) {
        /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): all were read */
        value = value << 8 | bytes[i];
    }
    return value;
}

static enum ko_code refuse_reference(const struct strings *strings, size_t index,
                                     const char *expected, uint64_t found, struct ko_error *err)
{
    return ko_fail(err, KO_E_INPUT, "%s: dataset '%s': string %zu: expected %s, file has %llu",
                   strings->view->path, strings->dataset, index, expected,
                   (unsigned long long)found);
}

static enum ko_code read_bytes(const struct strings *strings, uint64_t at, void *to, size_t n,
                               struct ko_error *err)
{
    for (size_t have = 0; have < n;) {
        const ssize_t got = pread(strings->file, (char *)to + have, n - have, (off_t)(at + have));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return ko_fail(err, KO_E_INPUT, "%s: cannot be read at byte %llu: %s",
                           strings->view->path, (unsigned long long)(at + have),
                           got < 0 ? strerror(errno) : "the file ends there");
        }
        have += (size_t)got;
    }
    return KO_OK;
}

/* Reads the objects of a collection: index, references, size, then that many bytes, padded to
   eight. Index 0 is free space, and its size includes its header. */
static bool list_objects(struct strings *strings, const unsigned char *heap, uint64_t bytes)
{
    for (uint64_t at = HEADER; at + HEADER <= bytes;) {
        const uint64_t index = read_number(heap + at, 2);
        const uint64_t size = read_number(heap + at + 8, 8), left = bytes - at - HEADER;
        if (index == 0 ? size < HEADER || size > left + HEADER : size > left) {
            return false;
        }
        if (index != 0) {
            strings->size_of[index] = size;
        }
        at += index == 0 ? size : HEADER + (size + 7) / 8 * 8;
    }
    return true;
}

static enum ko_code open_heap(struct strings *strings, size_t index, uint64_t at,
                              struct ko_error *err)
{
    unsigned char header[HEADER];
    enum ko_code code;

    strings->heap = 0;
    if (at > strings->file_bytes || strings->file_bytes - at < HEADER) {
        return refuse_reference(strings, index, "the address of a heap in the file", at, err);
    }
    code = read_bytes(strings, at, header, sizeof header, err);
    if (code != KO_OK) {
        return code;
    }
    const uint64_t bytes = read_number(header + 8, 8);
    if (memcmp(header, "GCOL\1", 5) != 0) {
        return refuse_reference(strings, index, "the address of a heap", at, err);
    }
    if (bytes < HEADER || bytes > strings->file_bytes - at) {
        return refuse_reference(strings, index, "a heap that ends in the file", bytes, err);
    }
    unsigned char *heap = ko_new((size_t)bytes, 1, err);
    if (!heap) {
        return KO_E_MEMORY;
    }
    memset(strings->size_of, 0xFF, N_INDICES * sizeof *strings->size_of);
    code = read_bytes(strings, at, heap, (size_t)bytes, err);
    if (code == KO_OK && !list_objects(strings, heap, bytes)) {
        code = refuse_reference(
            strings, index, "a heap whose objects fit into it, at another address than", at, err);
    }
    free(heap);
    if (code == KO_OK) {
        strings->heap = at;
    }
    return code;
}

static enum ko_code check_reference(struct strings *strings, size_t index,
                                    const unsigned char *reference, struct ko_error *err)
{
    const uint64_t length = read_number(reference, 4), at = read_number(reference + 4, 8);
    const uint64_t object = read_number(reference + 12, 4);
    enum ko_code code = KO_OK;

    if (at == 0) { /* no string */
        return length == 0 ? KO_OK
                           : refuse_reference(strings, index, "0 bytes of no heap", length, err);
    }
    if (at != strings->heap) {
        code = open_heap(strings, index, at, err);
    }
    if (code != KO_OK) {
        return code;
    }
    if (object == 0 || object >= N_INDICES || strings->size_of[object] == UINT64_MAX) {
        return refuse_reference(strings, index, "the index of an object in its heap", object, err);
    }
    if (strings->size_of[object] != length) {
        return refuse_reference(strings, index, "the length that its heap says", length, err);
    }
    return KO_OK;
}

static enum ko_code check_dataset(struct strings *strings, hid_t id, size_t n, struct ko_error *err)
{
    unsigned char block[BLOCK * REFERENCE];
    enum ko_code code = KO_OK;
    const haddr_t begin = H5Dget_offset(id);

    if (begin == HADDR_UNDEF) { /* in chunks: another program may have packed them */
        return KO_OK;
    }
    for (size_t first = 0, m; first < n && code == KO_OK; first += m) {
        m = n - first < BLOCK ? n - first : BLOCK;
        code = read_bytes(strings, begin + first * REFERENCE, block, m * REFERENCE, err);
        for (size_t i = 0; i < m && code == KO_OK; i++) {
            code = check_reference(strings, first + i, block + i * REFERENCE, err);
        }
    }
    return code;
}

/* Addresses of heaps must count from the start of the file and have eight bytes. */
static enum ko_code check_addresses(const struct strings *strings, hid_t file, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    hsize_t block = 0;
    size_t address = 0, length = 0;
    hid_t creation = H5Fget_create_plist(file);

    if (creation < 0 || H5Pget_sizes(creation, &address, &length) < 0 ||
        H5Pget_userblock(creation, &block) < 0) {
        code =
            ko_hdf5_fail(err, KO_E_INPUT, "%s: its superblock cannot be read", strings->view->path);
    } else if (address != 8 || length != 8 || block != 0) {
        code = ko_fail(err, KO_E_INPUT,
                       "%s: superblock: expected addresses and lengths of 8 bytes and no user "
                       "block, file has %zu, %zu and %llu",
                       strings->view->path, address, length, (unsigned long long)block);
    }
    ko_hdf5_close(creation, &code, strings->view->path, err);
    return code;
}

static enum ko_code check_all(struct strings *strings, struct ko_error *err)
{
    const struct ko_cube_view *view = strings->view;
    enum ko_code code = KO_OK;

    for (size_t i = 0; i < KO_CUBE_N_DATASETS && code == KO_OK; i++) {
        const struct ko_cube_dataset *dataset = &ko_cube_table[i];
        hid_t id = H5I_INVALID_HID;
        size_t n = 0;
        if (dataset->type != KO_TYPE_STRING || !ko_cube_present(dataset, &view->lengths)) {
            continue;
        }
        strings->dataset = dataset->name;
        code = ko_cube_n_elements(dataset, &view->lengths, 0, &n, err);
        if (code == KO_OK) {
            code = ko_cube_open_dataset(view->file, view->path, dataset, &view->lengths, &id, err);
        }
        if (code == KO_OK) {
            code = check_dataset(strings, id, n, err);
        }
        ko_hdf5_close(id, &code, view->path, err);
    }
    return code;
}

enum ko_code ko_cube_check_strings(const struct ko_cube_view *view, struct ko_error *err)
{
    struct strings strings = {.view = view, .file = -1};
    enum ko_code code = KO_OK;
    hsize_t bytes = 0;
    hid_t file = H5Iget_file_id(view->file);

    if (file < 0 || H5Fget_filesize(file, &bytes) < 0) {
        code = ko_hdf5_fail(err, KO_E_INPUT, "%s: has no size", view->path);
    } else {
        code = check_addresses(&strings, file, err);
    }
    ko_hdf5_close_file(file, &code, view->path, err);
    if (code != KO_OK) {
        return code;
    }
    strings.file_bytes = bytes;
    strings.size_of = ko_new(N_INDICES, sizeof *strings.size_of, err);
    if (!strings.size_of) {
        return KO_E_MEMORY;
    }
    strings.file = open(view->path, O_RDONLY | O_CLOEXEC);
    code = strings.file < 0
               ? ko_fail(err, KO_E_INPUT, "%s: cannot be read: %s", view->path, strerror(errno))
               : check_all(&strings, err);
    if (strings.file >= 0) {
        (void)close(strings.file);
    }
    free(strings.size_of);
    return code;
}
