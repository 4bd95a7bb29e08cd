/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the `routes` and `features` lists of a block. Only the form of a route is checked here,
   because the spans of the prompts are not known yet. */
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/prompts/route.h"
#include "src/spec/feature_class.h"
#include "src/spec/spec_read.h"

/* Checks what does not depend on the spans of the prompts. */
static enum ko_code check_route(const struct ko_yaml *node, const char *route, struct ko_error *err)
{
    const enum ko_code code = ko_route_check_form(route, err);
    return code == KO_E_INPUT
               ? ko_fail_in(err, "%s:%d:%d: routes", node->file, node->line, node->column)
               : code;
}

enum ko_code ko_spec_read_routes(const struct ko_layers *layers, const struct ko_yaml *at,
                                 bool required, struct ko_spec_block *block, struct ko_error *err)
{
    const struct ko_yaml *list = ko_layers_get(layers, "routes");
    if (!list) {
        return required ? ko_yaml_fail(at, err,
                                       "missing key 'routes', write routes: "
                                       "[last<-subject]")
                        : KO_OK;
    }
    enum ko_code code = ko_spec_check_list(list, "routes", "TARGET<-SOURCE", err);
    for (size_t i = 0; code == KO_OK && i < list->n; i++) {
        const struct ko_yaml *item = list->item[i];
        const char *text = NULL;
        code = ko_spec_word(item, "routes", "TARGET<-SOURCE or COMPONENT@SET, as in last<-subject,",
                            &text, err);
        if (code != KO_OK) {
            break;
        }
        char *route = ko_label_copy(text, err);
        code = !route ? KO_E_MEMORY : check_route(item, route, err);
        if (code == KO_OK) {
            code = ko_spec_add_placed(&block->routes, &block->routes_where, route, item, err);
        }
        free(route);
    }
    return code;
}

static enum ko_code read_feature(const struct ko_yaml *item, struct ko_spec_block *block,
                                 struct ko_error *err)
{
    const char *text = NULL;
    enum ko_code code = ko_spec_word(item, "features", "a feature class", &text, err);
    if (code != KO_OK) {
        return code;
    }
    char *squeezed = ko_label_copy(text, err);
    if (!squeezed) {
        return KO_E_MEMORY;
    }
    struct ko_feature_class feature_class = {0};
    char label[64];
    code = ko_feature_class_parse(squeezed, &feature_class, err);
    if (code == KO_OK) {
        ko_feature_class_label(&feature_class, label);
        code = ko_spec_add_placed(&block->features, &block->features_where, label, item, err);
    } else if (code == KO_E_INPUT) {
        code = ko_fail_in(err, "%s:%d:%d: features", item->file, item->line, item->column);
    }
    free(squeezed);
    return code;
}

enum ko_code ko_spec_read_features(const struct ko_layers *layers, struct ko_spec_block *block,
                                   struct ko_error *err)
{
    const struct ko_yaml *list = ko_layers_get(layers, "features");
    if (!list) {
        enum ko_code code = ko_strings_add(&block->features, "all", err);
        return code == KO_OK ? ko_strings_add(&block->features_where, block->where, err) : code;
    }
    enum ko_code code = ko_spec_check_list(list, "features", "feature classes", err);
    for (size_t i = 0; code == KO_OK && i < list->n; i++) {
        code = read_feature(list->item[i], block, err);
    }
    return code;
}
