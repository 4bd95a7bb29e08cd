/* SPDX-License-Identifier: Apache-2.0 */
/* Reads `windows.layers`: windows as lists of layers. */
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/spec/spec_read.h"

enum { MOST_LAYERS = 16384 }; /* of a model, src/models/config.h */

/* A list that is being read. */
struct reading {
    struct ko_window_lists lists;
    size_t n, capacity; /* of the layers of all lists */
};

static enum ko_code add_layer(struct reading *reading, int32_t layer, struct ko_error *err)
{
    int32_t *grown =
        ko_grow(reading->lists.layer, &reading->capacity, reading->n + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    reading->lists.layer = grown;
    grown[reading->n++] = layer;
    return KO_OK;
}

/* A layer, or a range "A-B" that includes both. */
static enum ko_code read_run(const struct ko_yaml *node, struct reading *reading,
                             struct ko_error *err)
{
    const char *text = node->kind == KO_YAML_SCALAR ? node->text : NULL;
    const char *dash = text ? strchr(text, '-') : NULL;
    int64_t first = -1, last = -1;
    char number[16] = "", got[96];
    bool reads = text && !node->quoted && *text;
    if (reads && dash) {
        const size_t n = (size_t)(dash - text);
        reads = n > 0 && n < sizeof number;
        memcpy(number, text, reads ? n : 0);
        reads = reads && ko_parse_int(number, 0, MOST_LAYERS - 1, &first, "", NULL) == KO_OK &&
                ko_parse_int(dash + 1, first, MOST_LAYERS - 1, &last, "", NULL) == KO_OK;
    } else if (reads) {
        reads = ko_parse_int(text, 0, MOST_LAYERS - 1, &first, "", NULL) == KO_OK;
        last = first;
    }
    if (!reads) {
        return ko_yaml_fail(node, err,
                            "windows.layers: expected a layer from 0 to %d, or a range of layers "
                            "such as 3-7, got %s",
                            MOST_LAYERS - 1, ko_spec_describe(node, got));
    }
    enum ko_code code = KO_OK;
    for (int64_t layer = first; code == KO_OK && layer <= last; layer++) {
        code = add_layer(reading, (int32_t)layer, err);
    }
    return code;
}

static int compare_layers(const void *left, const void *right)
{
    const int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    return (a > b) - (a < b);
}

/* Sorts the last list. Refuses a layer that is in it twice. */
static enum ko_code end_list(const struct ko_yaml *node, const struct reading *reading,
                             size_t first, struct ko_error *err)
{
    int32_t *layer = reading->lists.layer;
    if (!layer) {
        return KO_OK; /* no list is empty */
    }
    qsort(layer + first, reading->n - first, sizeof *layer, compare_layers);
    for (size_t i = first + 1; i < reading->n; i++) {
        if (layer[i] == layer[i - 1]) {
            return ko_yaml_fail(node, err, "windows.layers: layer %d is in one window twice",
                                layer[i]);
        }
    }
    return KO_OK;
}

static enum ko_code read_window(const struct ko_yaml *node, struct reading *reading,
                                struct ko_error *err)
{
    const size_t first = reading->n;
    enum ko_code code = KO_OK;
    if (node->kind != KO_YAML_LIST) {
        code = read_run(node, reading, err);
    } else {
        code = ko_spec_check_list(node, "windows.layers", "layers and ranges", err);
        for (size_t i = 0; code == KO_OK && i < node->n; i++) {
            code = read_run(node->item[i], reading, err);
        }
    }
    return code == KO_OK ? end_list(node, reading, first, err) : code;
}

enum ko_code ko_spec_read_lists(const struct ko_yaml *node, struct ko_window_lists *out,
                                struct ko_error *err)
{
    struct reading reading = {0};
    enum ko_code code = ko_spec_check_list(node, "windows.layers", "lists of layers", err);
    if (code != KO_OK) {
        return code;
    }
    reading.lists.first = ko_new(node->n + 1, sizeof *reading.lists.first, err);
    code = reading.lists.first ? KO_OK : KO_E_MEMORY;
    for (size_t k = 0; code == KO_OK && k < node->n; k++) {
        code = read_window(node->item[k], &reading, err);
        if (code == KO_OK && reading.n > KO_SPEC_LIST * (size_t)16) {
            code = ko_yaml_fail(node->item[k], err, "windows.layers: more than %d layers in all",
                                KO_SPEC_LIST * 16);
        }
        if (code == KO_OK) {
            reading.lists.first[++reading.lists.n] = (int32_t)reading.n;
        }
    }
    if (code != KO_OK) {
        ko_window_lists_free(&reading.lists);
        return code;
    }
    *out = reading.lists;
    return KO_OK;
}

enum ko_code ko_window_lists_copy(const struct ko_window_lists *from, struct ko_window_lists *out,
                                  struct ko_error *err)
{
    *out = (struct ko_window_lists){0};
    if (from->n == 0) {
        return KO_OK;
    }
    const size_t n = (size_t)from->n + 1, n_layers = (size_t)from->first[from->n];
    struct ko_window_lists copy = {.layer = ko_new(n_layers, sizeof *copy.layer, err),
                                   .first = ko_new(n, sizeof *copy.first, err),
                                   .n = from->n};
    if (!copy.layer || !copy.first) {
        ko_window_lists_free(&copy);
        return KO_E_MEMORY;
    }
    memcpy(copy.layer, from->layer, n_layers * sizeof *copy.layer);
    memcpy(copy.first, from->first, n * sizeof *copy.first);
    *out = copy;
    return KO_OK;
}

bool ko_window_lists_equal(const struct ko_window_lists *a, const struct ko_window_lists *b)
{
    if (a->n != b->n || a->n == 0) {
        return a->n == b->n;
    }
    const size_t n = (size_t)a->n + 1;
    return memcmp(a->first, b->first, n * sizeof *a->first) == 0 &&
           memcmp(a->layer, b->layer, (size_t)a->first[a->n] * sizeof *a->layer) == 0;
}

void ko_window_lists_free(struct ko_window_lists *lists)
{
    free(lists->layer);
    free(lists->first);
    *lists = (struct ko_window_lists){0};
}
