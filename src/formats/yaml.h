/* SPDX-License-Identifier: Apache-2.0 */
/* Reads YAML with libyaml into a tree. Every node knows its line and column. Anchors, aliases, tags
   and duplicate keys are errors. */
#ifndef KO_FORMATS_YAML_H
#define KO_FORMATS_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/error.h"

enum ko_yaml_kind { KO_YAML_SCALAR, KO_YAML_LIST, KO_YAML_MAP };

struct ko_yaml {
    enum ko_yaml_kind kind;
    int line, column;      /* from 1 */
    char *text;            /* scalar: its text; owned by the tree */
    bool quoted;           /* scalar: was in quotes, so it is text */
    size_t n;              /* list items or map entries */
    struct ko_yaml **key;  /* map: scalars, [n] */
    struct ko_yaml **item; /* list or map values, [n] */
    const char *file;      /* its name in errors; owned by the root */
};

/* Parses a file (at most 16 MiB) or a string that holds one document. The path "-" is standard
   input. *root: ko_yaml_free() it. */
KO_MUST_CHECK enum ko_code ko_yaml_read(const char *path, struct ko_yaml **root,
                                        struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_yaml_parse(const char *text, const char *name, struct ko_yaml **root,
                                         struct ko_error *err);
void ko_yaml_free(struct ko_yaml *root);

/* A map's value; NULL if absent. Borrowed. */
struct ko_yaml *ko_yaml_get(const struct ko_yaml *map, const char *key);
/* KO_E_INPUT "FILE:LINE:COLUMN: formatted text". */
enum ko_code ko_yaml_fail(const struct ko_yaml *node, struct ko_error *err, const char *format, ...)
    KO_PRINTF(3, 4);
/* Checks that every key of map is in `known`. KO_E_INPUT "unknown key 'X', did you mean 'Y'?". */
KO_MUST_CHECK enum ko_code ko_yaml_check_keys(const struct ko_yaml *map, const char *const *known,
                                              size_t n_known, struct ko_error *err);

#endif
