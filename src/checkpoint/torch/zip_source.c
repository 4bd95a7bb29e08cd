/* SPDX-License-Identifier: Apache-2.0 */
/* The callback through which libzip reads the mapped file. It records where the last read began,
   which is how zip_archive.c finds an entry's data. */
#include "src/checkpoint/torch/zip_source.h"

#include <string.h>

void ko_zip_source_init(struct ko_zip_source *source, const struct ko_mapping *map)
{
    *source = (struct ko_zip_source){.map = map};
    zip_error_init(&source->error);
}

static zip_int64_t read_bytes(struct ko_zip_source *s, void *data, zip_uint64_t n)
{
    size_t at = (size_t)s->at, left = at < s->map->bytes ? s->map->bytes - at : 0;
    size_t count = n < left ? (size_t)n : left;
    if (count > 0) {
        memcpy(data, (const unsigned char *)s->map->data + at, count);
    }
    s->last_read = at;
    s->at += (zip_int64_t)count;
    return (zip_int64_t)count;
}

static zip_int64_t seek_to(struct ko_zip_source *s, void *data, zip_uint64_t n)
{
    zip_int64_t to =
        zip_source_seek_compute_offset((zip_uint64_t)s->at, s->map->bytes, data, n, &s->error);
    if (to < 0) {
        return -1;
    }
    s->at = to;
    return 0;
}

static zip_int64_t tell_size(const struct ko_zip_source *s, zip_stat_t *st)
{
    zip_stat_init(st);
    st->valid |= ZIP_STAT_SIZE;
    st->size = s->map->bytes;
    return (zip_int64_t)sizeof *st;
}

zip_int64_t ko_zip_source_call(void *source, void *data, zip_uint64_t n, zip_source_cmd_t command)
{
    struct ko_zip_source *s = source;
    switch (command) {
    case ZIP_SOURCE_SUPPORTS:
        return zip_source_make_command_bitmap(ZIP_SOURCE_SUPPORTS, ZIP_SOURCE_OPEN, ZIP_SOURCE_READ,
                                              ZIP_SOURCE_CLOSE, ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR,
                                              ZIP_SOURCE_FREE, ZIP_SOURCE_SEEK, ZIP_SOURCE_TELL,
                                              -1);
    case ZIP_SOURCE_OPEN:
        s->at = 0;
        return 0;
    case ZIP_SOURCE_READ:
        return read_bytes(s, data, n);
    case ZIP_SOURCE_SEEK:
        return seek_to(s, data, n);
    case ZIP_SOURCE_TELL:
        return s->at;
    case ZIP_SOURCE_STAT:
        return tell_size(s, data);
    case ZIP_SOURCE_ERROR:
        return zip_error_to_data(&s->error, data, n);
    case ZIP_SOURCE_CLOSE:
    case ZIP_SOURCE_FREE:
        return 0;
    default:
        zip_error_set(&s->error, ZIP_ER_OPNOTSUPP, 0);
        return -1;
    }
}
