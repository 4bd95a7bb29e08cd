/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations of published models, by name. */
#ifndef KO_BENCH_SHAPES_H
#define KO_BENCH_SHAPES_H

#include <stddef.h>

/* config.json text of the model shapes that `bench --shape` knows; NULL for an unknown one. */
const char *ko_shape_config(const char *shape_name);
/* All those names; *n of them. */
const char *const *ko_shape_names(size_t *n);

#endif
