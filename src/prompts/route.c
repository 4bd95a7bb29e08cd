/* SPDX-License-Identifier: Apache-2.0 */
/* Parses a route such as last<-subject or mlp@last and checks both of its sides. */
#include "src/prompts/route.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/mixer.h"
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

/* The kinds of components as routes name them. */
static const struct component {
    const char *name;
    uint8_t kinds;
} components[] = {
    {"attention", KO_MIXER_ATTENTION}, {"ssm", KO_MIXER_SSM},     {"conv", KO_MIXER_CONV},
    {"mlp", KO_COMPONENT_MLP},         {"mixer", KO_MIXER_EVERY},
};
enum { N_COMPONENTS = sizeof components / sizeof components[0] };

static enum ko_code find_component(const char *name, uint8_t *kinds, struct ko_error *err)
{
    const char *known[N_COMPONENTS];
    for (size_t i = 0; i < N_COMPONENTS; i++) {
        if (strcmp(components[i].name, name) == 0) {
            *kinds = components[i].kinds;
            return KO_OK;
        }
        known[i] = components[i].name;
    }
    const char *near = ko_nearest(name, known, N_COMPONENTS);
    return near ? ko_fail(err, KO_E_INPUT, "unknown component '%s', did you mean '%s'?", name, near)
                : ko_fail(err, KO_E_INPUT,
                          "unknown component '%s', use attention, ssm, conv, mlp or mixer", name);
}

/* Cuts the label at its arrow or at its sign @. */
static enum ko_code split_label(const char *label, struct ko_route *out, struct ko_error *err)
{
    const char *arrow = strstr(label, "<-"), *at = arrow ? NULL : strchr(label, '@');
    const char *sign = arrow ? arrow : at;
    const size_t width = arrow ? 2 : 1;
    if (!sign || sign == label || !sign[width] || strstr(sign + width, "<-") ||
        (at && strchr(at + 1, '@'))) {
        return ko_fail(err, KO_E_INPUT,
                       "expected TARGET<-SOURCE, such as last<-subject, or COMPONENT@SET, such as "
                       "mlp@subject");
    }
    char *first = ko_copy_n(label, (size_t)(sign - label), err);
    char *second = ko_copy(sign + width, err);
    if (!first || !second) {
        free(first);
        free(second);
        return KO_E_MEMORY;
    }
    if (arrow) {
        out->target = first;
        out->source = second;
        return KO_OK;
    }
    const enum ko_code code = find_component(first, &out->components, err);
    out->target = second;
    free(first);
    return code;
}

/* Finds the route's kind. Refuses `each` and `later` where they cannot stand. */
static enum ko_code find_kind(struct ko_route *route, struct ko_error *err)
{
    const bool later = strcmp(route->target, "later") == 0;
    if (route->components) {
        if (later) {
            return ko_fail(err, KO_E_INPUT, "'later' is a target only, such as later<-subject");
        }
        const bool each = strcmp(route->target, "each") == 0;
        route->kind = each ? KO_ROUTE_COMPONENT_EACH : KO_ROUTE_COMPONENT;
        return KO_OK;
    }
    const bool each = strcmp(route->source, "each") == 0;
    if (strcmp(route->target, "each") == 0) {
        return ko_fail(err, KO_E_INPUT, "'each' is a source only, such as last<-each");
    }
    if (strcmp(route->source, "later") == 0) {
        return ko_fail(err, KO_E_INPUT, "'later' is a target only, such as later<-subject");
    }
    if (each) {
        route->kind = later ? KO_ROUTE_LATER_EACH : KO_ROUTE_EACH;
    } else {
        route->kind = later ? KO_ROUTE_LATER : KO_ROUTE_PRODUCT;
    }
    return KO_OK;
}

static enum ko_code parse_form(const char *text, struct ko_route *route, struct ko_error *err)
{
    route->label = ko_label_copy(text, err);
    if (!route->label) {
        return KO_E_MEMORY;
    }
    enum ko_code code = split_label(route->label, route, err);
    if (code == KO_OK) {
        code = find_kind(route, err);
    }
    return code == KO_E_INPUT ? ko_fail_in(err, "route '%s'", text) : code;
}

enum ko_code ko_route_check_form(const char *label, struct ko_error *err)
{
    struct ko_route route = {0};
    const enum ko_code code = parse_form(label, &route, err);
    ko_route_free(&route);
    return code;
}

enum ko_code ko_route_parse(const char *text, const struct ko_strings *span_names,
                            struct ko_route *out, struct ko_error *err)
{
    struct ko_route route = {0};
    enum ko_code code = parse_form(text, &route, err);
    const char *sets[] = {NULL, NULL};
    if (code == KO_OK) {
        sets[0] = ko_route_target_set(&route);
        sets[1] = ko_route_source_set(&route);
    }
    for (size_t i = 0; code == KO_OK && i < 2; i++) {
        if (sets[i] && ko_token_set_check(sets[i], span_names, err) != KO_OK) {
            code = ko_fail_in(err, "route '%s'", route.label);
        }
    }
    if (code != KO_OK) {
        ko_route_free(&route);
        return code;
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
