/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/golden/golden_file.h"

#include <hdf5.h>
#include <stdlib.h>

#include "src/base/memory.h"

/* A whole numeric dataset of n elements. */
static enum ko_code read_numbers(hid_t file, const char *name, hid_t type, size_t width, int64_t n,
                                 void **out, struct ko_error *err)
{
    hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
    if (dataset < 0) {
        return ko_fail(err, KO_E_INPUT, "golden file: no dataset %s", name);
    }
    hid_t space = H5Dget_space(dataset);
    enum ko_code code = KO_OK;
    if (H5Sget_simple_extent_npoints(space) != n) {
        code = ko_fail(err, KO_E_INPUT, "golden file: %s has another shape", name);
    }
    *out = code == KO_OK ? ko_new((size_t)n, width, err) : NULL;
    if (code == KO_OK && !*out) {
        code = KO_E_MEMORY;
    }
    if (code == KO_OK && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, *out) < 0) {
        code = ko_fail(err, KO_E_FAILED, "golden file: %s cannot be read", name);
    }
    H5Sclose(space);
    H5Dclose(dataset);
    return code;
}

static enum ko_code read_doubles(hid_t file, const char *name, int64_t n, double **out,
                                 struct ko_error *err)
{
    void *memory = NULL;
    const enum ko_code code =
        read_numbers(file, name, H5T_NATIVE_DOUBLE, sizeof **out, n, &memory, err);
    *out = memory;
    return code;
}

static enum ko_code read_ints(hid_t file, const char *name, int64_t n, int32_t **out,
                              struct ko_error *err)
{
    void *memory = NULL;
    const enum ko_code code =
        read_numbers(file, name, H5T_NATIVE_INT32, sizeof **out, n, &memory, err);
    *out = memory;
    return code;
}

static int64_t length(hid_t file, const char *name)
{
    hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
    if (dataset < 0) {
        return 0;
    }
    hid_t space = H5Dget_space(dataset);
    const int64_t n = H5Sget_simple_extent_npoints(space);
    H5Sclose(space);
    H5Dclose(dataset);
    return n;
}

static enum ko_code read_strings(hid_t file, const char *name, struct ko_strings *out,
                                 struct ko_error *err)
{
    const int64_t n = length(file, name);
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    void *memory = NULL;
    enum ko_code code = read_numbers(file, name, type, sizeof(char *), n, &memory, err);
    char **text = memory;
    for (int64_t k = 0; code == KO_OK && k < n; k++) {
        code = ko_strings_add(out, text[k], err);
    }
    for (int64_t k = 0; text && k < n; k++) {
        free(text[k]);
    }
    free(text);
    H5Tclose(type);
    return code;
}

/* The attribute `windows`, where the file has it. */
static enum ko_code read_windows(hid_t file, struct golden *g, struct ko_error *err)
{
    char text[512] = "";
    if (H5Aexists(file, "windows") <= 0) {
        return KO_OK;
    }
    hid_t attribute = H5Aopen(file, "windows", H5P_DEFAULT);
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, sizeof text);
    const bool read = H5Aread(attribute, type, text) >= 0;
    H5Tclose(type);
    H5Aclose(attribute);
    if (!read) {
        return ko_fail(err, KO_E_INPUT, "golden file: attribute windows cannot be read");
    }
    g->windows = ko_copy(text, err);
    return g->windows ? KO_OK : KO_E_MEMORY;
}

static enum ko_code read_axes(hid_t file, struct golden *g, struct ko_error *err)
{
    enum ko_code code = read_strings(file, "prompt_id", &g->prompt_id, err);
    if (code == KO_OK) {
        code = read_strings(file, "route", &g->route, err);
    }
    if (code == KO_OK) {
        code = read_strings(file, "feature_class", &g->feature_class, err);
    }
    if (code != KO_OK) {
        return code;
    }
    g->n_prompts = (int32_t)g->prompt_id.n;
    g->n_routes = (int32_t)g->route.n;
    g->n_classes = (int32_t)g->feature_class.n;
    g->n_sizes = (int32_t)length(file, "window_size");
    if (g->n_prompts == 0 || g->n_routes == 0 || g->n_classes == 0 || g->n_sizes == 0) {
        return ko_fail(err, KO_E_INPUT, "golden file: an axis is empty");
    }
    g->n_positions = (int32_t)(length(file, "token_id") / g->n_prompts);
    g->n_layers = (int32_t)(length(file, "logprob") /
                            ((int64_t)g->n_prompts * g->n_routes * g->n_classes * g->n_sizes));
    code = read_windows(file, g, err);
    return code == KO_OK ? read_ints(file, "window_size", g->n_sizes, &g->size, err) : code;
}

/* What only files of whole answers have. */
static enum ko_code read_answers(hid_t file, struct golden *g, struct ko_error *err)
{
    if (H5Lexists(file, "answer_rows", H5P_DEFAULT) <= 0) {
        return KO_OK;
    }
    g->n_answer_tokens = (int32_t)(length(file, "answer_id") / g->n_prompts);
    const int64_t P = g->n_prompts;
    const int64_t n = P * g->n_routes * g->n_classes * g->n_sizes * g->n_layers;
    enum ko_code code = read_strings(file, "answer_rows", &g->answer_rows, err);
    if (code == KO_OK && (g->answer_rows.n != 1 || g->n_answer_tokens == 0)) {
        code = ko_fail(err, KO_E_INPUT, "golden file: answer_rows is not one word");
    }
    if (code == KO_OK) {
        code = read_ints(file, "answer_id", P * g->n_answer_tokens, &g->answer_id, err);
    }
    if (code == KO_OK) {
        code =
            read_doubles(file, "answer_logprob", n * g->n_answer_tokens, &g->answer_logprob, err);
    }
    if (code == KO_OK) {
        code = read_doubles(file, "answer_gap", n * g->n_answer_tokens, &g->answer_gap, err);
    }
    return code == KO_OK
               ? read_ints(file, "answer_rank", n * g->n_answer_tokens, &g->answer_rank, err)
               : code;
}

static enum ko_code read_values(hid_t file, struct golden *g, struct ko_error *err)
{
    const int64_t P = g->n_prompts, n = P * g->n_routes * g->n_classes * g->n_sizes * g->n_layers;
    const struct {
        const char *name;
        int64_t n;
        double **out;
    } doubles[] = {
        {"logprob", n, &g->logprob},
        {"kl", n, &g->kl},
        {"rank_gap", n, &g->rank_gap},
        {"clean_logprob", P, &g->clean_logprob},
        {"heat_logprob", P * g->n_positions * g->n_sizes * g->n_layers, &g->heat_logprob}};
    const struct {
        const char *name;
        int64_t n;
        int32_t **out;
    } ints[] = {{"target_rank", n, &g->target_rank},
                {"top1_id", n, &g->top1_id},
                {"clean_target_rank", P, &g->clean_target_rank},
                {"target_id", P, &g->target_id},
                {"token_id", P * g->n_positions, &g->token_id},
                {"subject_span", P * 2, &g->subject_span}};
    enum ko_code code = KO_OK;
    for (size_t k = 0; code == KO_OK && k < sizeof doubles / sizeof doubles[0]; k++) {
        if (doubles[k].out == &g->heat_logprob && H5Lexists(file, "answer_rows", H5P_DEFAULT) > 0) {
            continue;
        }
        code = read_doubles(file, doubles[k].name, doubles[k].n, doubles[k].out, err);
    }
    for (size_t k = 0; code == KO_OK && k < sizeof ints / sizeof ints[0]; k++) {
        code = read_ints(file, ints[k].name, ints[k].n, ints[k].out, err);
    }
    return code;
}

enum ko_code golden_read(const char *path, struct golden *out, struct ko_error *err)
{
    struct golden g = {0};
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0) {
        return ko_fail(err, KO_E_INPUT, "%s: cannot be opened", path);
    }
    enum ko_code code = read_axes(file, &g, err);
    if (code == KO_OK) {
        code = read_values(file, &g, err);
    }
    if (code == KO_OK) {
        code = read_answers(file, &g, err);
    }
    H5Fclose(file);
    if (code != KO_OK) {
        golden_free(&g);
    } else {
        *out = g;
    }
    return code;
}

void golden_free(struct golden *g)
{
    ko_strings_free(&g->prompt_id);
    ko_strings_free(&g->route);
    ko_strings_free(&g->feature_class);
    ko_strings_free(&g->answer_rows);
    void *const memory[] = {g->windows,      g->size,          g->logprob,
                            g->kl,           g->rank_gap,      g->target_rank,
                            g->top1_id,      g->clean_logprob, g->clean_target_rank,
                            g->target_id,    g->token_id,      g->subject_span,
                            g->heat_logprob, g->answer_id,     g->answer_logprob,
                            g->answer_gap,   g->answer_rank};
    for (size_t k = 0; k < sizeof memory / sizeof memory[0]; k++) {
        free(memory[k]);
    }
    *g = (struct golden){0};
}
