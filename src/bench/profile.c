/* SPDX-License-Identifier: Apache-2.0 */
/* The profiling backend wraps every call of the real backend. One macro makes the wrappers of all
   operations. */
#include "src/bench/profile.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/clock.h"

static struct ko_profile *profile_of(struct ko_backend *be)
{
    return (struct ko_profile *)be;
}

/* ----------------------------------------------------------------------------------------------
   time */

/* The entry of an operation and shape. Once the table is full, the last entry counts everything
   else. */
static struct ko_profile_entry *find_entry(struct ko_profile *p, const char *name, int32_t n_out,
                                           int32_t n_in)
{
    for (int k = 0; k < p->n_entries; k++) {
        struct ko_profile_entry *entry = &p->entry[k];
        if (strcmp(entry->name, name) == 0 && entry->n_out == n_out && entry->n_in == n_in) {
            return entry;
        }
    }
    if (p->n_entries == KO_PROFILE_ENTRIES) {
        return &p->entry[KO_PROFILE_ENTRIES - 1];
    }
    p->entry[p->n_entries] = (struct ko_profile_entry){.name = name, .n_out = n_out, .n_in = n_in};
    return &p->entry[p->n_entries++];
}

/* Waits for earlier operations. *begin: the time now. */
static enum ko_code start_timer(struct ko_profile *p, double *begin, struct ko_error *err)
{
    const enum ko_code code = p->on ? p->inner->wait(p->be, err) : KO_OK;
    *begin = p->on ? ko_now() : 0;
    return code;
}

/* Waits for the operation, and adds the time since `begin` to its entry. */
static enum ko_code stop_timer(struct ko_profile *p, const struct ko_profile_entry *key,
                               double begin, struct ko_error *err)
{
    if (!p->on) {
        return KO_OK;
    }
    const enum ko_code code = p->inner->wait(p->be, err);
    struct ko_profile_entry *entry = find_entry(p, key->name, key->n_out, key->n_in);
    entry->calls++;
    entry->seconds += ko_now() - begin;
    return code;
}

/* ----------------------------------------------------------------------------------------------
   memory: no time is taken */

static void pass_describe(const struct ko_backend *be, char *text, size_t n)
{
    const struct ko_profile *p = (const struct ko_profile *)be;
    p->inner->describe(p->be, text, n);
}

static enum ko_code pass_alloc(struct ko_backend *be, size_t bytes, void **out,
                               struct ko_error *err)
{
    return profile_of(be)->inner->alloc(profile_of(be)->be, bytes, out, err);
}

static void pass_release(struct ko_backend *be, void *memory)
{
    profile_of(be)->inner->release(profile_of(be)->be, memory);
}

static enum ko_code pass_upload(struct ko_backend *be, void *to, const void *from_host,
                                size_t bytes, struct ko_error *err)
{
    return profile_of(be)->inner->upload(profile_of(be)->be, to, from_host, bytes, err);
}

static enum ko_code pass_download(struct ko_backend *be, void *to_host, const void *from,
                                  size_t bytes, struct ko_error *err)
{
    return profile_of(be)->inner->download(profile_of(be)->be, to_host, from, bytes, err);
}

static enum ko_code pass_reserve(struct ko_backend *be, const struct ko_limits *limits,
                                 struct ko_error *err)
{
    return profile_of(be)->inner->reserve(profile_of(be)->be, limits, err);
}

static enum ko_code pass_import(struct ko_backend *be, const struct ko_import *args,
                                struct ko_error *err)
{
    return profile_of(be)->inner->import(profile_of(be)->be, args, err);
}

static enum ko_code pass_import_end(struct ko_backend *be, int64_t *bad, struct ko_error *err)
{
    return profile_of(be)->inner->import_end(profile_of(be)->be, bad, err);
}

static enum ko_code pass_convert(struct ko_backend *be, const struct ko_import *args,
                                 struct ko_error *err)
{
    return profile_of(be)->inner->convert(profile_of(be)->be, args, err);
}

static enum ko_code pass_copier_open(struct ko_backend *be, int n_lanes, size_t piece_bytes,
                                     struct ko_copier **out, struct ko_error *err)
{
    return profile_of(be)->inner->copier_open(profile_of(be)->be, n_lanes, piece_bytes, out, err);
}

static enum ko_code pass_wait(struct ko_backend *be, struct ko_error *err)
{
    return profile_of(be)->inner->wait(profile_of(be)->be, err);
}

/* ----------------------------------------------------------------------------------------------
   operations */

/* The calls of a product are counted by the shape of its matrix. */
static void shape_of_linear(const void *args, struct ko_profile_entry *key)
{
    const struct ko_linear *product = args;
    key->n_out = product->w.n_out;
    key->n_in = product->w.n_in;
}

static void no_shape(const void *args, struct ko_profile_entry *key)
{
    (void)args;
    (void)key;
}

#define SHAPE_OF(args)                                                                             \
    _Generic((args), const struct ko_linear * : shape_of_linear, default : no_shape)

#define TIMED(name, type)                                                                          \
    static enum ko_code timed_##name(struct ko_backend *be, const struct type *args,               \
                                     struct ko_error *err)                                         \
    {                                                                                              \
        struct ko_profile *p = profile_of(be);                                                     \
        struct ko_profile_entry key = {#name, 0, 0, 0, 0};                                         \
        double begin = 0;                                                                          \
        enum ko_code code = start_timer(p, &begin, err);                                           \
        SHAPE_OF(args)(args, &key);                                                                \
        if (code == KO_OK)                                                                         \
            code = p->inner->name(p->be, args, err);                                               \
        return code == KO_OK ? stop_timer(p, &key, begin, err) : code;                             \
    }
TIMED(set_rows, ko_rows)
KO_OPERATIONS(TIMED)

/* ---------------------------------------------------------------------------------------------- */

void ko_profile_init(struct ko_profile *profile, const struct ko_kernels *inner,
                     struct ko_backend *be)
{
    /* Members without a backend argument stay as they are: name, own_memory,
       attention_bytes, matrix_type, reserved_bytes. */
    *profile = (struct ko_profile){.inner = inner, .be = be, .kernels = *inner};
    struct ko_kernels *k = &profile->kernels;
    k->open = NULL;
    k->close = NULL;
    k->describe = pass_describe;
    k->alloc = pass_alloc;
    k->release = pass_release;
    k->upload = pass_upload;
    k->download = pass_download;
    k->reserve = inner->reserve ? pass_reserve : NULL;
    k->import = inner->import ? pass_import : NULL;
    k->import_end = inner->import_end ? pass_import_end : NULL;
    k->convert = inner->convert ? pass_convert : NULL;
    k->copier_open = inner->copier_open ? pass_copier_open : NULL;
    k->wait = pass_wait;
    k->set_rows = timed_set_rows;
#define ENTER(name, type) k->name = timed_##name;
    KO_OPERATIONS(ENTER)
}

struct ko_backend *ko_profile_backend(struct ko_profile *profile)
{
    return (struct ko_backend *)profile;
}

static int by_seconds(const void *a, const void *b)
{
    const double left = ((const struct ko_profile_entry *)a)->seconds;
    const double right = ((const struct ko_profile_entry *)b)->seconds;
    return (left < right) - (left > right);
}

void ko_profile_sort(struct ko_profile *profile)
{
    qsort(profile->entry, (size_t)profile->n_entries, sizeof profile->entry[0], by_seconds);
}

double ko_profile_seconds(const struct ko_profile *profile)
{
    double seconds = 0;
    for (int k = 0; k < profile->n_entries; k++) {
        seconds += profile->entry[k].seconds;
    }
    return seconds;
}
