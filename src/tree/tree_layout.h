/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the layouts of a tree model. Only tree_model.c uses it. */
#ifndef KO_TREE_TREE_LAYOUT_H
#define KO_TREE_TREE_LAYOUT_H

#include "src/base/error.h"
#include "src/tree/tree_model.h"

/* Sets reach, n_reaches and layout. Free with ko_tree_layouts_free, also after a failure. */
KO_MUST_CHECK enum ko_code ko_tree_layouts_make(struct ko_tree_model *model, struct ko_error *err);
void ko_tree_layouts_free(struct ko_tree_model *model);

#endif
