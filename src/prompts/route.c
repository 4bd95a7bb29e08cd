/* SPDX-License-Identifier: Apache-2.0 */
/* Parses a route such as last<-subject and checks both of its sides. */
#include "src/prompts/route.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/prompts/token_set.h"

char *ko_label_copy(const char *text, struct ko_error *err)
{
    char *label = ko_copy(text, err), *to = label;
    for (const char *c = text; label && *c; c++) {
        if (!strchr(" \t\r\n", *c)) {
            *to++ = *c;
        }
    }
    if (label) {
        *to = '\0';
    }
    return label;
}

static enum ko_code check_sides(const struct ko_route *route, const struct ko_strings *span_names,
                                struct ko_error *err)
{
    bool later = strcmp(route->target, "later") == 0, each = strcmp(route->source, "each") == 0;
    if (strcmp(route->target, "each") == 0) {
        return ko_fail(err, KO_E_INPUT, "'each' is a source only, such as last<-each");
    }
    if (strcmp(route->source, "later") == 0) {
        return ko_fail(err, KO_E_INPUT, "'later' is a target only, such as later<-subject");
    }
    enum ko_code code = later ? KO_OK : ko_token_set_check(route->target, span_names, err);
    if (code == KO_OK && !each) {
        code = ko_token_set_check(route->source, span_names, err);
    }
    return code;
}

enum ko_code ko_route_parse(const char *text, const struct ko_strings *span_names,
                            struct ko_route *out, struct ko_error *err)
{
    struct ko_route route = {.label = ko_label_copy(text, err)};
    if (!route.label) {
        return KO_E_MEMORY;
    }
    const char *arrow = strstr(route.label, "<-");
    enum ko_code code = KO_OK;
    if (!arrow || arrow == route.label || !arrow[2] || strstr(arrow + 2, "<-")) {
        code = ko_fail(err, KO_E_INPUT,
                       "route '%s': expected TARGET<-SOURCE, such as last<-subject", text);
    }
    if (code == KO_OK) {
        route.target = ko_copy_n(route.label, (size_t)(arrow - route.label), err);
        route.source = ko_copy(arrow + 2, err);
        code = route.target && route.source ? KO_OK : KO_E_MEMORY;
    }
    if (code == KO_OK) {
        code = check_sides(&route, span_names, err);
        if (code != KO_OK) {
            (void)ko_fail_in(err, "route '%s'", route.label);
        }
    }
    if (code != KO_OK) {
        ko_route_free(&route);
        return code;
    }
    bool later = strcmp(route.target, "later") == 0, each = strcmp(route.source, "each") == 0;
    if (each) {
        route.kind = later ? KO_ROUTE_LATER_EACH : KO_ROUTE_EACH;
    } else {
        route.kind = later ? KO_ROUTE_LATER : KO_ROUTE_PRODUCT;
    }
    *out = route;
    return KO_OK;
}

void ko_route_free(struct ko_route *route)
{
    if (!route) {
        return;
    }
    free(route->label);
    free(route->target);
    free(route->source);
    *route = (struct ko_route){0};
}
