/* SPDX-License-Identifier: Apache-2.0 */
/* Builds a tree from libyaml's events, with limits on size and depth. Looks up keys and reports
   unknown ones. */
#include "src/formats/yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "src/base/file.h"
#include "src/base/memory.h"
#include "src/base/text.h"

enum { MAX_BYTES = 16 << 20, MAX_DEPTH = 64 };

struct builder {
    yaml_parser_t parser;
    const char *bytes; /* borrowed */
    char *file;        /* the root takes it */
    struct ko_error *err;
};

static enum ko_code fail_at(const struct builder *b, yaml_mark_t mark, const char *what,
                            const char *value)
{
    return ko_fail(b->err, KO_E_INPUT, "%s:%zu:%zu: %s%s", b->file, mark.line + 1, mark.column + 1,
                   what, value);
}

/* Reports libyaml's error with its place. Reader errors give the place only as an offset. */
static enum ko_code parser_failed(struct builder *b)
{
    const yaml_parser_t *parser = &b->parser;
    yaml_mark_t mark = parser->problem_mark;
    if (parser->error == YAML_MEMORY_ERROR) {
        return ko_fail(b->err, KO_E_MEMORY, "%s: out of memory while reading YAML", b->file);
    }
    if (parser->error == YAML_READER_ERROR) {
        mark = (yaml_mark_t){0};
        for (size_t i = 0; i < parser->problem_offset && b->bytes[i]; i++) {
            mark.column++;
            if (b->bytes[i] == '\n') {
                mark.line++;
                mark.column = 0;
            }
        }
    }
    return fail_at(b, mark,
                   "not valid YAML: ", parser->problem ? parser->problem : "unknown error");
}

static enum ko_code next_event(struct builder *b, yaml_event_t *event)
{
    return yaml_parser_parse(&b->parser, event) ? KO_OK : parser_failed(b);
}

static void free_node(struct ko_yaml *node)
{
    if (!node) {
        return;
    }
    for (size_t i = 0; i < node->n; i++) {
        if (node->key) {
            free_node(node->key[i]);
        }
        free_node(node->item[i]);
    }
    free(node->key);
    free(node->item);
    free(node->text);
    free(node);
}

static struct ko_yaml *new_node(struct builder *b, enum ko_yaml_kind kind, yaml_mark_t mark)
{
    struct ko_yaml *node = ko_new(1, sizeof *node, b->err);
    if (!node) {
        return NULL;
    }
    node->kind = kind;
    node->line = (int)mark.line + 1;
    node->column = (int)mark.column + 1;
    node->file = b->file;
    return node;
}

static enum ko_code refuse_anchor_and_tag(struct builder *b, const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return fail_at(b, event->start_mark, "aliases are not supported, write the value out: *",
                       (const char *)event->data.alias.anchor);
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    default:
        break;
    }
    if (anchor) {
        return fail_at(b, event->start_mark, "anchors are not supported, remove &",
                       (const char *)anchor);
    }
    if (tag) {
        return fail_at(b, event->start_mark, "tags are not supported, remove ", (const char *)tag);
    }
    return KO_OK;
}

static enum ko_code build_scalar(struct builder *b, const yaml_event_t *event, struct ko_yaml **out)
{
    const char *value = (const char *)event->data.scalar.value;
    size_t n = event->data.scalar.length;
    if (memchr(value, '\0', n)) {
        return fail_at(b, event->start_mark, "a text must not contain NUL", "");
    }
    struct ko_yaml *node = new_node(b, KO_YAML_SCALAR, event->start_mark);
    if (!node) {
        return KO_E_MEMORY;
    }
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->text = ko_copy_n(value, n, b->err);
    if (!node->text) {
        free_node(node);
        return KO_E_MEMORY;
    }
    *out = node;
    return KO_OK;
}

static int compare_keys(const void *a, const void *b)
{
    const struct ko_yaml *left = *(struct ko_yaml *const *)a;
    const struct ko_yaml *right = *(struct ko_yaml *const *)b;
    int order = strcmp(left->text, right->text);
    if (order == 0) {
        order = (left->line > right->line) - (left->line < right->line);
    }
    if (order == 0) {
        order = (left->column > right->column) - (left->column < right->column);
    }
    return order;
}

static enum ko_code refuse_duplicates(struct builder *b, const struct ko_yaml *map)
{
    enum ko_code code = KO_OK;
    struct ko_yaml **sorted = ko_new(map->n, sizeof *sorted, b->err);
    if (!sorted) {
        return KO_E_MEMORY;
    }
    if (map->n) {
        memcpy(sorted, map->key, map->n * sizeof *sorted);
    }
    qsort(sorted, map->n, sizeof *sorted, compare_keys);
    for (size_t i = 1; i < map->n && code == KO_OK; i++) {
        if (strcmp(sorted[i - 1]->text, sorted[i]->text) == 0) {
            code = ko_yaml_fail(sorted[i], b->err,
                                "duplicate key '%s', it is on line %d too, keep one",
                                sorted[i]->text, sorted[i - 1]->line);
        }
    }
    free(sorted);
    return code;
}

static enum ko_code build_node(struct builder *b, yaml_event_t *event, int depth,
                               struct ko_yaml **out);

static enum ko_code grow_nodes(struct ko_yaml ***nodes, size_t *capacity, size_t needed,
                               struct ko_error *err)
{
    struct ko_yaml **grown = ko_grow(*nodes, capacity, needed, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    *nodes = grown;
    return KO_OK;
}

static enum ko_code build_key(struct builder *b, yaml_event_t *event, int depth,
                              struct ko_yaml **key)
{
    enum ko_code code = build_node(b, event, depth, key);
    if (code == KO_OK && (*key)->kind != KO_YAML_SCALAR) {
        code = ko_yaml_fail(*key, b->err, "a key must be text");
    }
    return code;
}

/* Appends the children of a list or map, up to its end, to node. */
static enum ko_code build_children(struct builder *b, struct ko_yaml *node, int depth)
{
    const bool map = node->kind == KO_YAML_MAP;
    size_t item_room = 0, key_room = 0;
    for (;;) {
        yaml_event_t event;
        enum ko_code code = next_event(b, &event);
        if (code != KO_OK) {
            return code;
        }
        if (event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return KO_OK;
        }
        code = grow_nodes(&node->item, &item_room, node->n + 1, b->err);
        if (code == KO_OK && map) {
            code = grow_nodes(&node->key, &key_room, node->n + 1, b->err);
        }
        if (code != KO_OK) {
            yaml_event_delete(&event);
            return code;
        }
        /* Count the child first. If it fails, it stays NULL, which free_node accepts. */
        const size_t at = node->n++;
        node->item[at] = NULL;
        if (map) {
            node->key[at] = NULL;
            code = build_key(b, &event, depth, &node->key[at]);
            if (code == KO_OK) {
                code = next_event(b, &event);
            }
        }
        if (code == KO_OK) {
            code = build_node(b, &event, depth, &node->item[at]);
        }
        if (code != KO_OK) {
            return code;
        }
    }
}

/* Builds the node that begins with event. Takes event. */
static enum ko_code build_node(struct builder *b, yaml_event_t *event, int depth,
                               struct ko_yaml **out)
{
    struct ko_yaml *node = NULL;
    enum ko_code code = refuse_anchor_and_tag(b, event);
    if (code == KO_OK && depth >= MAX_DEPTH) {
        code = fail_at(b, event->start_mark, "nested more than 64 deep", "");
    }
    if (code == KO_OK && event->type == YAML_SCALAR_EVENT) {
        code = build_scalar(b, event, &node);
    } else if (code == KO_OK) {
        node = new_node(b, event->type == YAML_MAPPING_START_EVENT ? KO_YAML_MAP : KO_YAML_LIST,
                        event->start_mark);
    }
    yaml_event_delete(event);
    if (code != KO_OK) {
        return code;
    }
    if (!node) {
        return KO_E_MEMORY;
    }
    if (node->kind != KO_YAML_SCALAR) {
        code = build_children(b, node, depth + 1);
    }
    if (code == KO_OK && node->kind == KO_YAML_MAP) {
        code = refuse_duplicates(b, node);
    }
    if (code != KO_OK) {
        free_node(node);
        return code;
    }
    *out = node;
    return KO_OK;
}

/* Builds the only document of the stream. */
static enum ko_code build_document(struct builder *b, struct ko_yaml **out)
{
    bool in_document = false;
    for (;;) {
        yaml_event_t event;
        enum ko_code code = next_event(b, &event);
        if (code != KO_OK) {
            return code;
        }
        switch (event.type) {
        case YAML_STREAM_END_EVENT:
            if (!*out) {
                code = fail_at(b, event.start_mark, "is empty, expected a document", "");
            }
            yaml_event_delete(&event);
            return code;
        case YAML_DOCUMENT_START_EVENT:
            if (*out) {
                code = fail_at(b, event.start_mark, "a second document begins, expected one", "");
            }
            in_document = true;
            yaml_event_delete(&event);
            break;
        case YAML_DOCUMENT_END_EVENT:
            in_document = false;
            yaml_event_delete(&event);
            break;
        default:
            if (in_document) {
                code = build_node(b, &event, 0, out);
            } else {
                yaml_event_delete(&event);
            }
        }
        if (code != KO_OK) {
            return code;
        }
    }
}

static enum ko_code parse_bytes(const char *bytes, size_t n, const char *name,
                                struct ko_yaml **root, struct ko_error *err)
{
    struct builder b = {.bytes = bytes, .err = err};
    struct ko_yaml *tree = NULL;
    b.file = ko_copy(name, err);
    if (!b.file) {
        return KO_E_MEMORY;
    }
    if (!yaml_parser_initialize(&b.parser)) {
        free(b.file);
        return ko_fail(err, KO_E_MEMORY, "%s: out of memory while reading YAML", name);
    }
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)bytes, n);
    enum ko_code code = build_document(&b, &tree);
    yaml_parser_delete(&b.parser);
    if (code != KO_OK) {
        free_node(tree);
        free(b.file);
        return code;
    }
    *root = tree;
    return KO_OK;
}

enum ko_code ko_yaml_read(const char *path, struct ko_yaml **root, struct ko_error *err)
{
    const bool standard = strcmp(path, "-") == 0;
    char *bytes = NULL;
    size_t n = 0;
    enum ko_code code = standard ? ko_standard_input_read(MAX_BYTES, &bytes, &n, err)
                                 : ko_file_read(path, MAX_BYTES, &bytes, &n, err);
    if (code == KO_OK) {
        code = parse_bytes(bytes, n, standard ? KO_STANDARD_INPUT : path, root, err);
    }
    free(bytes);
    return code;
}

enum ko_code ko_yaml_parse(const char *text, const char *name, struct ko_yaml **root,
                           struct ko_error *err)
{
    return parse_bytes(text, strlen(text), name, root, err);
}

void ko_yaml_free(struct ko_yaml *root)
{
    if (!root) {
        return;
    }
    char *file = (char *)root->file;
    free_node(root);
    free(file);
}

struct ko_yaml *ko_yaml_get(const struct ko_yaml *map, const char *key)
{
    if (!map || map->kind != KO_YAML_MAP) {
        return NULL;
    }
    for (size_t i = 0; i < map->n; i++) {
        if (strcmp(map->key[i]->text, key) == 0) {
            return map->item[i];
        }
    }
    return NULL;
}

enum ko_code ko_yaml_fail(const struct ko_yaml *node, struct ko_error *err, const char *format, ...)
{
    char text[KO_ERROR_TEXT];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return ko_fail(err, KO_E_INPUT, "%s:%d:%d: %s", node->file, node->line, node->column, text);
}

static enum ko_code unknown_key(const struct ko_yaml *key, const char *const *known, size_t n_known,
                                struct ko_error *err)
{
    const char *nearest = ko_nearest(key->text, known, n_known);
    if (nearest) {
        return ko_yaml_fail(key, err, "unknown key '%s', did you mean '%s'?", key->text, nearest);
    }
    struct ko_text list = {0};
    for (size_t i = 0; i < n_known; i++) {
        ko_text_add(&list, "%s%s", i ? ", " : "", known[i]);
    }
    enum ko_code code = ko_yaml_fail(key, err, "unknown key '%s', expected one of: %s", key->text,
                                     ko_text_str(&list));
    ko_text_free(&list);
    return code;
}

enum ko_code ko_yaml_check_keys(const struct ko_yaml *map, const char *const *known, size_t n_known,
                                struct ko_error *err)
{
    if (map->kind != KO_YAML_MAP) {
        return ko_yaml_fail(map, err, "expected a map of keys and values");
    }
    for (size_t i = 0; i < map->n; i++) {
        size_t k = 0;
        while (k < n_known && strcmp(map->key[i]->text, known[k]) != 0) {
            k++;
        }
        if (k == n_known) {
            return unknown_key(map->key[i], known, n_known, err);
        }
    }
    return KO_OK;
}
