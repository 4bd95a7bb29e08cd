/* SPDX-License-Identifier: Apache-2.0 */
/* Opens an archive with libzip, lists its entries and finds their data in the mapped file. */
#include "src/checkpoint/torch/zip_archive.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "src/base/memory.h"
#include "src/checkpoint/torch/zip_source.h"

/* The fixed part of the header in front of an entry's data (APPNOTE.TXT 4.3.7). */
enum { LOCAL_HEADER = 30, LOCAL_NAME_LENGTH = 26, LOCAL_EXTRA_LENGTH = 28 };

struct ko_zip_archive {
    const struct ko_mapping *map;
    const char *where;
    struct ko_zip_source source;
    zip_t *zip;
    struct ko_zip_entry *entries; /* [n] in order of name */
    size_t n;
    const char *first_name; /* borrowed from the entry */
};

/* "WHERE: is not a valid zip archive (REASON): ..." */
static enum ko_code fail_zip(const char *where, zip_error_t *reason, struct ko_error *err)
{
    enum ko_code code = zip_error_code_zip(reason) == ZIP_ER_MEMORY ? KO_E_MEMORY : KO_E_INPUT;
    return ko_fail(
        err, code,
        "%s: is not a valid zip archive (%s): it is truncated or something else, copy it "
        "again",
        where, zip_error_strerror(reason));
}

static enum ko_code open_archive(struct ko_zip_archive *a, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    zip_error_t reason;
    if (a->map->bytes == 0) { /* for libzip: an archive without entries */
        return ko_fail(err, KO_E_INPUT, "%s: is empty", a->where);
    }
    zip_error_init(&reason);
    ko_zip_source_init(&a->source, a->map);
    zip_source_t *source = zip_source_function_create(ko_zip_source_call, &a->source, &reason);
    a->zip = source ? zip_open_from_source(source, ZIP_RDONLY, &reason) : NULL;
    if (!a->zip) {
        code = fail_zip(a->where, &reason, err);
        zip_source_free(source);
    }
    zip_error_fini(&reason);
    return code;
}

static enum ko_code check_stat(const struct ko_zip_archive *a, const zip_stat_t *st,
                               struct ko_error *err)
{
    const zip_uint64_t wanted = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE |
                                ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    if ((st->valid & wanted) != wanted) {
        return ko_fail(err, KO_E_INPUT, "%s: an entry has neither name nor size", a->where);
    }
    if (strlen(st->name) > KO_ZIP_NAME) {
        return ko_fail(err, KO_E_INPUT, "%s: an entry's name has %zu bytes, more than %d", a->where,
                       strlen(st->name), KO_ZIP_NAME);
    }
    for (const char *at = st->name; *at; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f) {
            return ko_fail(err, KO_E_INPUT, "%s: a control character in an entry's name", a->where);
        }
    }
    if (st->encryption_method != ZIP_EM_NONE) {
        return ko_fail(err, KO_E_INPUT, "%s: %s: is encrypted, only plain entries are read",
                       a->where, st->name);
    }
    if (st->comp_method != ZIP_CM_STORE || st->comp_size != st->size) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: %s: is compressed (method %d), its data cannot be mapped: torch.save "
                       "stores entries as they are, write the file with it again",
                       a->where, st->name, (int)st->comp_method);
    }
    return KO_OK;
}

/* libzip cannot tell where an entry's data begin. But it reads them through our source: after
   reading one byte of the entry, the last read began at the data. */
static enum ko_code find_data(struct ko_zip_archive *a, struct ko_zip_entry *entry,
                              struct ko_error *err)
{
    unsigned char byte;
    zip_file_t *file = zip_fopen_index(a->zip, entry->index, ZIP_FL_COMPRESSED);
    if (!file) {
        return ko_fail(err, KO_E_INPUT, "%s: %s: its header cannot be read (%s)", a->where,
                       entry->name, zip_error_strerror(zip_get_error(a->zip)));
    }
    zip_int64_t got = zip_fread(file, &byte, 1);
    (void)zip_fclose(file);
    entry->begin = a->source.last_read;
    if (got != 1 || entry->begin > a->map->bytes || entry->bytes > a->map->bytes - entry->begin) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: %s: its %zu bytes reach beyond the end of the file, which has %zu: it "
                       "is truncated",
                       a->where, entry->name, entry->bytes, a->map->bytes);
    }
    return KO_OK;
}

static size_t read_u16(const unsigned char *bytes)
{
    return (size_t)bytes[0] | (size_t)bytes[1] << 8;
}

/* Whether a local header that names the entry ends where its data begin. Otherwise a wrong offset
   in the directory would silently give other bytes. */
static bool has_header(const struct ko_zip_archive *a, const struct ko_zip_entry *entry)
{
    const unsigned char *data = a->map->data;
    size_t n_name = strlen(entry->name);
    for (size_t n_extra = 0; n_extra <= UINT16_MAX; n_extra++) {
        size_t n = LOCAL_HEADER + n_name + n_extra;
        if (n > entry->begin) {
            return false;
        }
        const unsigned char *header = data + entry->begin - n;
        if (memcmp(header, "PK\3\4", 4) == 0 && read_u16(header + LOCAL_NAME_LENGTH) == n_name &&
            read_u16(header + LOCAL_EXTRA_LENGTH) == n_extra &&
            memcmp(header + LOCAL_HEADER, entry->name, n_name) == 0) {
            return true;
        }
    }
    return false;
}

static enum ko_code read_entry(struct ko_zip_archive *a, size_t index, struct ko_error *err)
{
    zip_stat_t st;
    zip_stat_init(&st);
    if (zip_stat_index(a->zip, index, ZIP_FL_ENC_RAW, &st) != 0) {
        return fail_zip(a->where, zip_get_error(a->zip), err);
    }
    enum ko_code code = check_stat(a, &st, err);
    if (code != KO_OK) {
        return code;
    }
    struct ko_zip_entry *entry = &a->entries[a->n];
    *entry = (struct ko_zip_entry){
        .name = ko_copy(st.name, err), .index = index, .bytes = (size_t)st.size};
    if (!entry->name) {
        return KO_E_MEMORY;
    }
    a->n++;
    if (index == 0) {
        a->first_name = entry->name;
    }
    if (entry->bytes == 0) {
        return KO_OK; /* no data to find */
    }
    code = find_data(a, entry, err);
    if (code == KO_OK && !has_header(a, entry)) {
        code = ko_fail(
            err, KO_E_INPUT,
            "%s: %s: the archive's directory leads to byte %zu, where its header is missing",
            a->where, entry->name, entry->begin);
    }
    return code;
}

static int compare_names(const void *a, const void *b)
{
    const struct ko_zip_entry *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int compare_places(const void *a, const void *b)
{
    const struct ko_zip_entry *x = *(const struct ko_zip_entry *const *)a;
    const struct ko_zip_entry *y = *(const struct ko_zip_entry *const *)b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

/* Checks that the data of two entries leave room for the second entry's header. */
static enum ko_code check_overlaps(const struct ko_zip_archive *a, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    size_t n = 0;
    const struct ko_zip_entry **order = ko_new(a->n, sizeof(struct ko_zip_entry *), err);
    if (!order) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < a->n; i++) {
        if (a->entries[i].bytes > 0) {
            order[n++] = &a->entries[i];
        }
    }
    if (n > 1) {
        qsort(order, n, sizeof(struct ko_zip_entry *), compare_places);
    }
    for (size_t i = 1; i < n && code == KO_OK; i++) {
        const struct ko_zip_entry *before = order[i - 1], *entry = order[i];
        size_t end = before->begin + before->bytes;
        if (entry->begin < end || entry->begin - end < LOCAL_HEADER + strlen(entry->name)) {
            code = ko_fail(err, KO_E_INPUT, "%s: the entries %s and %s overlap", a->where,
                           before->name, entry->name);
        }
    }
    free(order);
    return code;
}

static enum ko_code read_entries(struct ko_zip_archive *a, struct ko_error *err)
{
    zip_int64_t n = zip_get_num_entries(a->zip, 0);
    if (n < 0 || n > KO_ZIP_ENTRIES) {
        return ko_fail(err, KO_E_INPUT, "%s: has %lld entries, more than %d", a->where,
                       (long long)n, KO_ZIP_ENTRIES);
    }
    a->entries = ko_new((size_t)n, sizeof a->entries[0], err);
    if (!a->entries) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < (size_t)n; i++) {
        enum ko_code code = read_entry(a, i, err);
        if (code != KO_OK) {
            return code;
        }
    }
    if (a->n > 1) {
        qsort(a->entries, a->n, sizeof a->entries[0], compare_names);
    }
    for (size_t i = 1; i < a->n; i++) {
        if (strcmp(a->entries[i - 1].name, a->entries[i].name) == 0) {
            return ko_fail(err, KO_E_INPUT, "%s: the entry %s occurs twice", a->where,
                           a->entries[i].name);
        }
    }
    return check_overlaps(a, err);
}

enum ko_code ko_zip_open(const struct ko_mapping *map, const char *where,
                         struct ko_zip_archive **out, struct ko_error *err)
{
    struct ko_zip_archive *a = ko_new(1, sizeof *a, err);
    if (!a) {
        return KO_E_MEMORY;
    }
    a->map = map;
    a->where = where;
    enum ko_code code = open_archive(a, err);
    if (code == KO_OK) {
        code = read_entries(a, err);
    }
    if (code != KO_OK) {
        ko_zip_close(a);
    } else {
        *out = a;
    }
    return code;
}

void ko_zip_close(struct ko_zip_archive *archive)
{
    if (!archive) {
        return;
    }
    if (archive->zip) {
        zip_discard(archive->zip);
    }
    for (size_t i = 0; i < archive->n; i++) {
        free(archive->entries[i].name);
    }
    free(archive->entries);
    free(archive);
}

const struct ko_zip_entry *ko_zip_entries(const struct ko_zip_archive *archive, size_t *n)
{
    *n = archive->n;
    return archive->entries;
}

static int compare_to_name(const void *name, const void *entry)
{
    return strcmp(name, ((const struct ko_zip_entry *)entry)->name);
}

const struct ko_zip_entry *ko_zip_find(const struct ko_zip_archive *archive, const char *name)
{
    return bsearch(name, archive->entries, archive->n, sizeof archive->entries[0], compare_to_name);
}

const char *ko_zip_first_name(const struct ko_zip_archive *archive)
{
    return archive->first_name;
}

enum ko_code ko_zip_read(struct ko_zip_archive *archive, const struct ko_zip_entry *entry,
                         size_t max_bytes, struct ko_text *out, struct ko_error *err)
{
    if (entry->bytes > max_bytes) {
        return ko_fail(err, KO_E_INPUT, "%s: %s: has %zu bytes, more than %zu", archive->where,
                       entry->name, entry->bytes, max_bytes);
    }
    zip_file_t *file = zip_fopen_index(archive->zip, entry->index, 0);
    if (!file) {
        return fail_zip(archive->where, zip_get_error(archive->zip), err);
    }
    enum ko_code code = KO_OK;
    char part[4096];
    zip_int64_t got;
    /* The read at the end checks the CRC. */
    while ((got = zip_fread(file, part, sizeof part)) > 0) {
        ko_text_add_bytes(out, part, (size_t)got);
    }
    if (got < 0) {
        code = ko_fail(err, KO_E_INPUT, "%s: %s: cannot be read (%s): copy the file again",
                       archive->where, entry->name, zip_error_strerror(zip_file_get_error(file)));
    }
    (void)zip_fclose(file);
    return code != KO_OK ? code : ko_text_check(out, err);
}
