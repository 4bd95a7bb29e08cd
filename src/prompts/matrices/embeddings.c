/* SPDX-License-Identifier: Apache-2.0 */
/* Opens files of embeddings, finds and checks matrices, and reads them. */
#include "src/prompts/matrices/embeddings.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "src/base/machine/cpus.h"
#include "src/base/memory.h"

enum {
    PIECE = 1 << 14, /* numbers that are checked at a time */
    MOST_THREADS = 16
};

static int compare_to_name(const void *id, const void *entry)
{
    return strcmp(id, ((const struct ko_header_entry *)entry)->name);
}

static const struct ko_tensor *find_in(const struct ko_safetensors *file, const char *id)
{
    const struct ko_safetensors_header *header = &file->header;
    const struct ko_header_entry *found =
        header->n > 0
            ? bsearch(id, header->entries, header->n, sizeof *header->entries, compare_to_name)
            : NULL;
    return found ? &found->tensor : NULL;
}

static int64_t n_rows_of(const struct ko_tensor *t)
{
    return t->shape[t->n_dims - 2];
}

static int64_t width_of(const struct ko_tensor *t)
{
    return t->shape[t->n_dims - 1];
}

static int64_t n_added_of(const struct ko_tensor *t)
{
    return t->n_dims == 3 ? t->shape[0] - 1 : 0;
}

static enum ko_code check_tensor(const struct ko_tensor *t, const char *path, struct ko_error *err)
{
    if (t->dtype != KO_F32 && t->dtype != KO_F16 && t->dtype != KO_BF16) {
        return ko_fail(err, KO_E_INPUT, "%s: matrix '%s': has the type %s, store F32, F16 or BF16",
                       path, t->name, ko_dtype_name(t->dtype));
    }
    if ((t->n_dims != 2 && t->n_dims != 3) || t->n < 1) {
        return ko_fail(
            err, KO_E_INPUT,
            "%s: matrix '%s': has %d dimensions and %lld numbers, expected two: [tokens, "
            "width of the model], or three: [1 + layers, tokens, width]",
            path, t->name, t->n_dims, (long long)t->n);
    }
    if (n_rows_of(t) > KO_FACT_POSITIONS) {
        return ko_fail(err, KO_E_INPUT, "%s: matrix '%s': has %lld rows, at most %d are read", path,
                       t->name, (long long)n_rows_of(t), KO_FACT_POSITIONS);
    }
    if (n_added_of(t) > KO_FACT_ADDED) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: matrix '%s': has rows to add behind %lld layers, at most %d are read",
                       path, t->name, (long long)n_added_of(t), KO_FACT_ADDED);
    }
    return KO_OK;
}

/* Checks the matrices of file f, and that no earlier file has one of their ids. */
static enum ko_code check_file(const struct ko_embeddings *e, size_t f, struct ko_error *err)
{
    const struct ko_safetensors_header *header = &e->file[f].header;
    enum ko_code code = KO_OK;
    for (size_t i = 0; code == KO_OK && i < header->n; i++) {
        code = check_tensor(&header->entries[i].tensor, e->path[f], err);
        for (size_t k = 0; code == KO_OK && k < f; k++) {
            if (find_in(&e->file[k], header->entries[i].name)) {
                code =
                    ko_fail(err, KO_E_INPUT, "%s: matrix '%s' is in %s too, leave one of them out",
                            e->path[f], header->entries[i].name, e->path[k]);
            }
        }
    }
    return code;
}

enum ko_code ko_embeddings_open(const struct ko_strings *paths, struct ko_embeddings *out,
                                struct ko_error *err)
{
    struct ko_embeddings e = {.file = ko_new(paths->n, sizeof *e.file, err),
                              .path = ko_new(paths->n, sizeof *e.path, err)};
    enum ko_code code = e.file && e.path ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK && paths->n > KO_EMBEDDING_FILES) {
        code =
            ko_fail(err, KO_E_INPUT, "%s: is one of %zu files of embeddings, at most %d are read",
                    paths->item[0], paths->n, KO_EMBEDDING_FILES);
    }
    for (size_t f = 0; code == KO_OK && f < paths->n; f++) {
        e.n++;
        e.path[f] = ko_copy(paths->item[f], err);
        code = e.path[f] ? ko_safetensors_open(e.path[f], e.path[f], &e.file[f], err) : KO_E_MEMORY;
        if (code == KO_OK) {
            code = check_file(&e, f, err);
        }
    }
    if (code != KO_OK) {
        ko_embeddings_close(&e);
        return code;
    }
    *out = e;
    return KO_OK;
}

void ko_embeddings_close(struct ko_embeddings *embeddings)
{
    for (size_t f = 0; f < embeddings->n; f++) {
        ko_safetensors_close(&embeddings->file[f]);
        free(embeddings->path[f]);
    }
    free(embeddings->file);
    free(embeddings->path);
    *embeddings = (struct ko_embeddings){0};
}

const struct ko_tensor *ko_embeddings_find(const struct ko_embeddings *embeddings, const char *id,
                                           const char **path)
{
    for (size_t f = 0; f < embeddings->n; f++) {
        const struct ko_tensor *found = find_in(&embeddings->file[f], id);
        if (found) {
            *path = embeddings->path[f];
            return found;
        }
    }
    return NULL;
}

/* Fails at the first number that is not finite among `part` [n], which begins at `first`. */
static enum ko_code fail_number(const struct ko_tensor *t, const char *path, int64_t first,
                                const float *part, int64_t n, struct ko_error *err)
{
    int64_t k = 0;
    while (k + 1 < n && isfinite(part[k])) {
        k++;
    }
    const long long row = (first + k) / width_of(t), column = (first + k) % width_of(t);
    return ko_fail(err, KO_E_INPUT,
                   "%s: matrix '%s': number [%lld, %lld] is %g, every number must be finite", path,
                   t->name, row, column, (double)part[k]);
}

static void format_hash(XXH128_hash_t digest, char hash[33])
{
    ko_hash_text(digest.high64, digest.low64, hash);
}

void ko_embeddings_describe(const struct ko_embeddings *embeddings, struct ko_text *out)
{
    for (size_t f = 0; f < embeddings->n; f++) {
        const struct ko_safetensors *file = &embeddings->file[f];
        char hash[33];
        format_hash(XXH3_128bits(file->header_text, file->header_bytes), hash);
        ko_text_add(out, "%s%s (%zu bytes, XXH3-128 of its header %s)", f > 0 ? "\n" : "",
                    embeddings->path[f], file->map.bytes, hash);
    }
}

/* Converts the numbers from `begin` to `end` to rows (NULL: only checks them). hash: also hashes all
   bytes. */
static enum ko_code read_numbers(const struct ko_tensor *t, const char *path, int64_t begin,
                                 int64_t end, float *rows, char *hash, struct ko_error *err)
{
    float part[PIECE] = {0};
    for (int64_t first = begin; first < end; first += PIECE) {
        const int64_t n = end - first < PIECE ? end - first : PIECE;
        float *to = rows ? rows + (first - begin) : part;
        if (!ko_tensor_to_float(t, first, n, to)) {
            return fail_number(t, path, first, to, n, err);
        }
    }
    if (hash) {
        format_hash(XXH3_128bits(t->data, t->data_bytes), hash);
    }
    const bool whole = ko_tensor_is_whole(t);
    ko_tensor_release(t);
    return whole ? KO_OK
                 : ko_fail(err, KO_E_INPUT, "%s: the file became shorter while it was read", path);
}

static enum ko_code check_fact(const struct ko_fact *fact, const char *file, struct ko_error *err)
{
    const struct ko_fact_embedded *e = fact->embedded;
    if (e->n_turns > 0 && e->n_positions != e->n_rows) {
        return ko_fail(
            err, KO_E_INPUT,
            "%s:%d: position_ids: %d numbers in a row, and the matrix of prompt '%s' has "
            "%d rows",
            file, fact->line, e->n_positions, fact->id, e->n_rows);
    }
    for (size_t i = 0; i < fact->n_spans; i++) {
        const struct ko_named_span *span = &fact->span[i];
        if (span->char_end > e->n_rows) {
            return ko_fail(
                err, KO_E_INPUT,
                "%s:%d: token_spans: %s: [%d, %d) is outside of the %d rows of the matrix "
                "of prompt '%s'",
                file, fact->line, span->name, span->char_begin, span->char_end, e->n_rows,
                fact->id);
        }
    }
    return KO_OK;
}

/* "TEXT [matrix of FILE, 620 x 4096, BF16, positions ..., XXH3-128 ...]", so that a cube of other
   numbers or positions has another text. */
static enum ko_code describe_matrix(const struct ko_embeddings *embeddings, struct ko_fact *fact,
                                    struct ko_error *err)
{
    const char *path = NULL;
    const struct ko_tensor *t = ko_embeddings_find(embeddings, fact->id, &path);
    if (!t) {
        return KO_OK; /* every fact's was found before */
    }
    const char *slash = strrchr(path, '/');
    struct ko_text text = {0};
    ko_text_add(&text, "%s%s[matrix of %s, ", fact->text, fact->text[0] ? " " : "",
                slash ? slash + 1 : path);
    if (t->n_dims == 3) {
        ko_text_add(&text, "%lld x ", (long long)t->shape[0]);
    }
    ko_text_add(&text, "%lld x %lld, %s", (long long)n_rows_of(t), (long long)width_of(t),
                ko_dtype_name(t->dtype));
    if (fact->embedded->n_turns > 0) {
        const struct ko_fact_embedded *e = fact->embedded;
        const size_t bytes = (size_t)e->n_turns * (size_t)e->n_positions * sizeof *e->turn;
        ko_text_add(&text, ", positions %016" PRIx64, (uint64_t)XXH3_64bits(e->turn, bytes));
    }
    if (fact->embedded->hash[0] != '\0') {
        ko_text_add(&text, ", XXH3-128 %s", fact->embedded->hash);
    }
    ko_text_add(&text, "]");
    enum ko_code code = ko_text_check(&text, err);
    char *copy = code == KO_OK ? ko_copy(ko_text_str(&text), err) : NULL;
    ko_text_free(&text);
    if (!copy) {
        return KO_E_MEMORY;
    }
    free(fact->text);
    fact->text = copy;
    return KO_OK;
}

/* Gives the fact its matrix's shape. */
static enum ko_code find_shape(const struct ko_embeddings *embeddings, struct ko_fact *fact,
                               const char *file, struct ko_error *err)
{
    const char *path = NULL;
    const struct ko_tensor *t = ko_embeddings_find(embeddings, fact->id, &path);
    if (!t) {
        return ko_fail(err, KO_E_INPUT,
                       "%s:%d: prompt '%s' is a matrix, and %s: write its file into the spec, "
                       "prompts: {embeddings: FILE.safetensors}, with the id as the tensor's name",
                       file, fact->line, fact->id,
                       embeddings->n > 0 ? "no file of embeddings has it"
                                         : "the spec names no file of embeddings");
    }
    fact->embedded->n_rows = (int32_t)n_rows_of(t);
    fact->embedded->width = width_of(t) > INT32_MAX ? INT32_MAX : (int32_t)width_of(t);
    fact->embedded->n_added = (int32_t)n_added_of(t);
    return check_fact(fact, file, err);
}

static int n_threads(void)
{
    struct ko_cpus cpus;
    const int n = ko_cpus_look(&cpus, NULL) == KO_OK ? ko_cpus_usable(&cpus, NULL) : 1;
    return n < MOST_THREADS ? n : MOST_THREADS;
}

/* Reads and hashes the matrices of all facts. The error is that of the first one in the file. */
static enum ko_code hash_matrices(const struct ko_embeddings *embeddings, struct ko_facts *facts,
                                  struct ko_error *err)
{
    const int64_t n = (int64_t)facts->n;
    int64_t failed = n;
    enum ko_code code = KO_OK;
#pragma omp parallel for schedule(dynamic) num_threads(n_threads())
    for (int64_t i = 0; i < n; i++) {
        struct ko_fact *fact = &facts->fact[i];
        struct ko_error own = {0};
        const char *path = NULL;
        const struct ko_tensor *t =
            fact->embedded ? ko_embeddings_find(embeddings, fact->id, &path) : NULL;
        const enum ko_code its =
            t ? read_numbers(t, path, 0, t->n, NULL, fact->embedded->hash, &own) : KO_OK;
#pragma omp critical(ko_embeddings_failed)
        if (its != KO_OK && i < failed) {
            failed = i;
            code = its;
            (void)ko_fail(err, its, "%s", own.text);
        }
    }
    return code;
}

enum ko_code ko_embeddings_attach(const struct ko_embeddings *embeddings, struct ko_facts *facts,
                                  bool hash, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (size_t i = 0; code == KO_OK && i < facts->n; i++) {
        if (facts->fact[i].embedded) {
            code = find_shape(embeddings, &facts->fact[i], facts->file, err);
        }
    }
    if (code == KO_OK && hash) {
        code = hash_matrices(embeddings, facts, err);
    }
    for (size_t i = 0; code == KO_OK && i < facts->n; i++) {
        if (facts->fact[i].embedded) {
            code = describe_matrix(embeddings, &facts->fact[i], err);
        }
    }
    return code;
}

enum ko_code ko_embeddings_read(const struct ko_embeddings *embeddings, const char *id,
                                const char hash[33], float *rows, struct ko_error *err)
{
    char now[33];
    const char *path = NULL;
    const struct ko_tensor *t = ko_embeddings_find(embeddings, id, &path);
    if (!t) {
        return ko_fail(err, KO_E_FAILED, "matrix '%s' is in no file of embeddings any more", id);
    }
    const enum ko_code code = read_numbers(t, path, 0, n_rows_of(t) * width_of(t), rows, now, err);
    if (code != KO_OK) {
        return code == KO_E_INPUT ? KO_E_FAILED : code;
    }
    return strcmp(now, hash) == 0
               ? KO_OK
               : ko_fail(err, KO_E_FAILED,
                         "%s: matrix '%s' has the hash %s here and had %s when the run began, all "
                         "nodes need the same file",
                         path, id, now, hash);
}

enum ko_code ko_embeddings_read_added(const struct ko_embeddings *embeddings, const char *id,
                                      int32_t layer, float *rows, struct ko_error *err)
{
    const char *path = NULL;
    const struct ko_tensor *t = ko_embeddings_find(embeddings, id, &path);
    if (!t || layer >= n_added_of(t)) {
        return ko_fail(err, KO_E_FAILED, "matrix '%s' has no rows for layer %d any more", id,
                       layer);
    }
    const int64_t n = n_rows_of(t) * width_of(t), begin = (1 + layer) * n;
    const enum ko_code code = read_numbers(t, path, begin, begin + n, rows, NULL, err);
    return code == KO_E_INPUT ? KO_E_FAILED : code;
}

bool ko_fact_has_text(const struct ko_fact *fact, const char *text)
{
    const bool unknown = fact->embedded && fact->embedded->hash[0] == '\0';
    return unknown ? strncmp(fact->text, text, strlen(fact->text) - 1) == 0
                   : strcmp(fact->text, text) == 0;
}
