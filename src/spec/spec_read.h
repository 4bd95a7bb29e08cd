/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files that read a sweep spec, for this folder alone. */
#ifndef KO_SPEC_SPEC_READ_H
#define KO_SPEC_SPEC_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/formats/yaml.h"
#include "src/options/options.h"
#include "src/spec/spec.h"

/* Maps in order of precedence: the first map that has a key gives its value. */
struct ko_layers {
    const struct ko_yaml **map; /* owned array of borrowed maps */
    size_t n, capacity;
};
KO_MUST_CHECK enum ko_code ko_layers_add(struct ko_layers *layers, const struct ko_yaml *map,
                                         struct ko_error *err);
/* NULL if no map has the key. Borrowed. */
const struct ko_yaml *ko_layers_get(const struct ko_layers *layers, const char *key);
/* The maps under `key`, so that its sub-keys are inherited one by one. Each must be a map of `known`
   keys. A null ends the list: the maps below it are not inherited. Free with ko_layers_free, also
   after a failure. */
KO_MUST_CHECK enum ko_code ko_layers_under(const struct ko_layers *layers, const char *key,
                                           const char *const *known, size_t n_known,
                                           struct ko_layers *out, struct ko_error *err);
void ko_layers_free(struct ko_layers *layers); /* leaves {0} */

/* The spec, what it includes, and every --set. */
struct ko_spec_source {
    struct ko_yaml **root; /* owned, each too */
    size_t n_roots, root_capacity;
    char **folder; /* [n_roots] the start of relative paths in the document; owned, each too */
    size_t folder_capacity;
    struct ko_strings real; /* canonical paths of the files read so far */
    struct ko_layers top;   /* --set, last one first; the spec; its includes, level by level */
};
KO_MUST_CHECK enum ko_code ko_spec_source_open(const char *file, const struct ko_options *options,
                                               struct ko_spec_source *out, struct ko_error *err);
/* One document in memory, without includes or --set; `name` stands for the file. */
KO_MUST_CHECK enum ko_code ko_spec_source_parse(const char *text, const char *name,
                                                struct ko_spec_source *out, struct ko_error *err);
void ko_spec_source_close(struct ko_spec_source *source); /* leaves {0} */

/* The keys that a map may have, and the words that a key may be; spec_schema.c describes each. */
struct ko_spec_keys {
    const char *const *name; /* [n] */
    size_t n;
};
extern const struct ko_spec_keys ko_top_keys, ko_block_keys, ko_model_keys, ko_prompt_keys,
    ko_sample_keys, ko_select_keys, ko_select_words, ko_window_keys, ko_starts_keys;

/* --- values; all errors are KO_E_INPUT "FILE:LINE:COLUMN: ..., got ..." --- */

/* "a list", "a map", "nothing" or "'text'" into buffer, which is returned. */
const char *ko_spec_describe(const struct ko_yaml *node, char buffer[96]);
/* Whether the node is an unquoted null, ~ or empty. */
bool ko_spec_is_null(const struct ko_yaml *node);
/* "FILE:LINE:COLUMN". free(). */
KO_MUST_CHECK char *ko_spec_where(const struct ko_yaml *node, struct ko_error *err);
enum { KO_SPEC_LIST = 1 << 16 }; /* the most items of a list */
/* Checks for a list of 1 to KO_SPEC_LIST items. of: their name in errors. */
KO_MUST_CHECK enum ko_code ko_spec_check_list(const struct ko_yaml *node, const char *key,
                                              const char *of, struct ko_error *err);
/* A scalar that is not null; *text borrowed. */
KO_MUST_CHECK enum ko_code ko_spec_word(const struct ko_yaml *node, const char *key,
                                        const char *expected, const char **text,
                                        struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_spec_whole(const struct ko_yaml *node, const char *key, int64_t min,
                                         int64_t max, int64_t *out, struct ko_error *err);
/* Index of the scalar among n words. The error for another word suggests the nearest. */
KO_MUST_CHECK enum ko_code ko_spec_choice(const struct ko_yaml *node, const char *key,
                                          const char *const *words, size_t n, size_t *index,
                                          struct ko_error *err);
/* A path with ${VAR} and a leading ~ expanded. A relative path starts from the folder of its file
   (--set: of the spec), or from the current folder if it begins with ${VAR}. free(). */
KO_MUST_CHECK enum ko_code ko_spec_path(const struct ko_spec_source *source,
                                        const struct ko_yaml *node, const char *key, char **path,
                                        struct ko_error *err);
/* A checkpoint's folder, or its name on the hub (src/base/user/hub_cache.h). If the folder is not
   found, *path is the path as given and *missing the reason; otherwise *missing is left alone. Both
   free(). */
KO_MUST_CHECK enum ko_code ko_spec_checkpoint(const struct ko_spec_source *source,
                                              const struct ko_yaml *node, const char *key,
                                              char **path, char **missing, struct ko_error *err);
/* Adds a text and its place to two parallel lists. */
KO_MUST_CHECK enum ko_code ko_spec_add_placed(struct ko_strings *list, struct ko_strings *where,
                                              const char *text, const struct ko_yaml *node,
                                              struct ko_error *err);

/* --- parts of a block; `layers` are the block's --- */

/* The words of `bos` in the order of enum ko_bos. */
extern const char *const ko_bos_words[3];
void ko_spec_model_free(struct ko_spec_model *model); /* its members */
/* Reads a list of models. Every item is a new model or, with `names`, the name of a declared one.
   Adds the new models to spec, and all of them to the block (NULL: no block). */
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
KO_MUST_CHECK enum ko_code ko_spec_read_windows(struct ko_spec *spec,
                                                const struct ko_layers *layers,
                                                const struct ko_yaml *at, bool required,
                                                struct ko_spec_block *block, struct ko_error *err);

/* Reads `windows.layers`: a list whose items are a layer, a range A-B, or a list of these. Layers of
   an item are sorted. Free with ko_window_lists_free. */
KO_MUST_CHECK enum ko_code ko_spec_read_lists(const struct ko_yaml *node,
                                              struct ko_window_lists *out, struct ko_error *err);

/* node NULL: everything. Free with ko_select_free. */
KO_MUST_CHECK enum ko_code ko_select_read(const struct ko_yaml *node, struct ko_select **out,
                                          struct ko_error *err);
void ko_select_free(struct ko_select *select);

/* The options that a spec can set. */
enum { KO_N_SPEC_OPTIONS = 3 };
struct ko_spec_option {
    const char *key;
    enum ko_option id;
};
extern const struct ko_spec_option ko_spec_options[KO_N_SPEC_OPTIONS];

/* Writes spec->resolved from the other members of spec. The values of ko_spec_options come from
   options, or from the layers if that is NULL. */
KO_MUST_CHECK enum ko_code ko_spec_resolve(struct ko_spec *spec, const struct ko_layers *top,
                                           const struct ko_options *options, struct ko_error *err);

#endif
