/* SPDX-License-Identifier: Apache-2.0 */
/* How a sweep spec is read: what the files of this folder share, for them alone. */
#ifndef KO_SPEC_SPEC_READ_H
#define KO_SPEC_SPEC_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/formats/yaml.h"
#include "src/options/options.h"
#include "src/spec/spec.h"

/* Maps in order of precedence: a key's value is that of the first map that has it. */
struct ko_layers {
    const struct ko_yaml **map; /* owned array of borrowed maps */
    size_t n, capacity;
};
KO_MUST_CHECK enum ko_code ko_layers_add(struct ko_layers *layers, const struct ko_yaml *map,
                                         struct ko_error *err);
/* NULL where no map has the key. Borrowed. */
const struct ko_yaml *ko_layers_get(const struct ko_layers *layers, const char *key);
/* The maps under `key`, so that its sub-keys are inherited one by one; each is checked to be a map
   of `known` keys. Up to the first null, if one is given (a null drops what would be inherited).
   Free with ko_layers_free, also after a failure. */
KO_MUST_CHECK enum ko_code ko_layers_under(const struct ko_layers *layers, const char *key,
                                           const char *const *known, size_t n_known,
                                           struct ko_layers *out, struct ko_error *err);
void ko_layers_free(struct ko_layers *layers); /* leaves {0} */

/* The spec, what it includes, and every --set. */
struct ko_spec_source {
    struct ko_yaml **root; /* owned, each too */
    size_t n_roots, root_capacity;
    char **folder; /* [n_roots] what relative paths in the document start from; owned, each too */
    size_t folder_capacity;
    struct ko_strings real; /* canonical paths of the files read so far */
    struct ko_layers top;   /* --set, last one first; the spec; what it includes, level by level */
};
KO_MUST_CHECK enum ko_code ko_spec_source_open(const char *file, const struct ko_options *options,
                                               struct ko_spec_source *out, struct ko_error *err);
/* One document in memory, without includes or --set; `name` stands for the file. */
KO_MUST_CHECK enum ko_code ko_spec_source_parse(const char *text, const char *name,
                                                struct ko_spec_source *out, struct ko_error *err);
void ko_spec_source_close(struct ko_spec_source *source); /* leaves {0} */

/* --- values; all errors are KO_E_INPUT "FILE:LINE:COLUMN: ..., got ..." --- */

/* "a list", "a map", "nothing" or "'text'" into buffer, which is returned. */
const char *ko_spec_describe(const struct ko_yaml *node, char buffer[96]);
/* An unquoted null, ~ or nothing at all. */
bool ko_spec_is_null(const struct ko_yaml *node);
/* "FILE:LINE:COLUMN". free(). */
KO_MUST_CHECK char *ko_spec_where(const struct ko_yaml *node, struct ko_error *err);
enum { KO_SPEC_LIST = 1 << 16 }; /* most items of a list */
/* A list of 1 to KO_SPEC_LIST items; `of` says what it should hold. */
KO_MUST_CHECK enum ko_code ko_spec_check_list(const struct ko_yaml *node, const char *key,
                                              const char *of, struct ko_error *err);
/* A scalar that is not null; *text borrowed. */
KO_MUST_CHECK enum ko_code ko_spec_word(const struct ko_yaml *node, const char *key,
                                        const char *expected, const char **text,
                                        struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_spec_whole(const struct ko_yaml *node, const char *key, int64_t min,
                                         int64_t max, int64_t *out, struct ko_error *err);
/* Index of the scalar among n words, the nearest named where it is none of them. */
KO_MUST_CHECK enum ko_code ko_spec_choice(const struct ko_yaml *node, const char *key,
                                          const char *const *words, size_t n, size_t *index,
                                          struct ko_error *err);
/* A path: ${VAR} and a leading ~ expanded, relative ones resolved against the folder of the file they
   stand in (--set: the spec's), or the current one where they begin with ${VAR}. free(). */
KO_MUST_CHECK enum ko_code ko_spec_path(const struct ko_spec_source *source,
                                        const struct ko_yaml *node, const char *key, char **path,
                                        struct ko_error *err);
/* A checkpoint's folder, which may be called by its name on the hub (src/base/hub_cache.h). Where it
   leads nowhere, *path is what it would be and *missing says why; otherwise that is left alone. Both
   free(). */
KO_MUST_CHECK enum ko_code ko_spec_checkpoint(const struct ko_spec_source *source,
                                              const struct ko_yaml *node, const char *key,
                                              char **path, char **missing, struct ko_error *err);
/* Adds a text and its place to two parallel lists. */
KO_MUST_CHECK enum ko_code ko_spec_add_placed(struct ko_strings *list, struct ko_strings *where,
                                              const char *text, const struct ko_yaml *node,
                                              struct ko_error *err);

/* --- parts of a block; `layers` are the block's --- */

/* A list of models. Every item is a new model or, with `names`, the name of a declared one. New
   ones are added to spec, all of them to the block (NULL: none). */
KO_MUST_CHECK enum ko_code ko_spec_read_models(struct ko_spec *spec,
                                               const struct ko_spec_source *source,
                                               const struct ko_yaml *list, bool names,
                                               struct ko_spec_block *block, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_spec_read_prompts(struct ko_spec *spec,
                                                const struct ko_spec_source *source,
                                                const struct ko_layers *layers,
                                                const struct ko_yaml *at,
                                                struct ko_spec_block *block, struct ko_error *err);
/* `required`: whether routes and windows must be there. */
KO_MUST_CHECK enum ko_code ko_spec_read_routes(const struct ko_layers *layers,
                                               const struct ko_yaml *at, bool required,
                                               struct ko_spec_block *block, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_spec_read_features(const struct ko_layers *layers,
                                                 struct ko_spec_block *block, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_spec_read_windows(const struct ko_layers *layers,
                                                const struct ko_yaml *at, bool required,
                                                struct ko_spec_block *block, struct ko_error *err);

/* node NULL: everything. Free with ko_select_free. */
KO_MUST_CHECK enum ko_code ko_select_read(const struct ko_yaml *node, struct ko_select **out,
                                          struct ko_error *err);
void ko_select_free(struct ko_select *select);

/* spec->resolved from all the rest of spec; values of the options that a spec can set from options,
   or, where that is NULL, from the layers. */
KO_MUST_CHECK enum ko_code ko_spec_resolve(struct ko_spec *spec, const struct ko_layers *top,
                                           const struct ko_options *options, struct ko_error *err);

#endif
