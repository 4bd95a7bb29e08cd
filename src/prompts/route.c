/* SPDX-License-Identifier: Apache-2.0 */
/* Parses a route such as last<-subject, keep:last<-subject+diagonal or mlp@last, and checks its token
   sets. */
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
    const bool each = route->source && strcmp(route->source, "each") == 0;
    if (strcmp(route->target, "each") == 0) {
        return ko_fail(err, KO_E_INPUT, "'each' is a source only, such as last<-each");
    }
    if (route->source && strcmp(route->source, "later") == 0) {
        return ko_fail(err, KO_E_INPUT, "'later' is a target only, such as later<-subject");
    }
    if (each) {
        route->kind = later ? KO_ROUTE_LATER_EACH : KO_ROUTE_EACH;
    } else {
        route->kind = later ? KO_ROUTE_LATER : KO_ROUTE_PRODUCT;
    }
    return KO_OK;
}

static const char keep_prefix[] = "keep:", diagonal_word[] = "diagonal";

static enum ko_code fail_kept(struct ko_error *err)
{
    return ko_fail(err, KO_E_INPUT,
                   "expected keep:TARGET<-SOURCE, and '+' before each further TARGET<-SOURCE and "
                   "before 'diagonal', such as keep:last<-subject+diagonal");
}

/* Adds TARGET and SOURCE, of which `item` [n] is an edge that is kept. */
static enum ko_code add_kept(const char *item, size_t n, struct ko_kept *out, struct ko_error *err)
{
    char *text = ko_copy_n(item, n, err);
    if (!text) {
        return KO_E_MEMORY;
    }
    char *arrow = strstr(text, "<-");
    enum ko_code code = KO_OK;
    if (!arrow || arrow == text || !arrow[2] || strstr(arrow + 2, "<-")) {
        code = fail_kept(err);
    } else {
        *arrow = '\0';
        const char *side[] = {text, arrow + 2};
        for (size_t k = 0; code == KO_OK && k < 2; k++) {
            if (strcmp(side[k], "each") == 0 || strcmp(side[k], "later") == 0) {
                code = ko_fail(err, KO_E_INPUT, "'%s' cannot stand in a route keep:", side[k]);
            } else {
                code = ko_strings_add(&out->sets, side[k], err);
            }
        }
    }
    free(text);
    return code;
}

/* Reads what stands behind "keep:". */
static enum ko_code split_kept(const char *items, struct ko_kept *out, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (const char *at = items; code == KO_OK && at;) {
        const char *end = strchr(at, '+');
        const size_t n = end ? (size_t)(end - at) : strlen(at);
        if (n == strlen(diagonal_word) && memcmp(at, diagonal_word, n) == 0) {
            out->diagonal = true;
        } else {
            code = add_kept(at, n, out, err);
        }
        at = end ? end + 1 : NULL;
    }
    if (code == KO_OK && out->sets.n == 0) {
        code = ko_fail(err, KO_E_INPUT,
                       "'diagonal' needs a target beside it, such as keep:last<-subject+diagonal");
    }
    return code;
}

static enum ko_code parse_form(const char *text, struct ko_route *route, struct ko_error *err)
{
    route->label = ko_label_copy(text, err);
    if (!route->label) {
        return KO_E_MEMORY;
    }
    enum ko_code code;
    if (strncmp(route->label, keep_prefix, strlen(keep_prefix)) == 0) {
        route->kind = KO_ROUTE_KEEP;
        code = split_kept(route->label + strlen(keep_prefix), &route->kept, err);
    } else {
        code = split_label(route->label, route, err);
        if (code == KO_OK && route->target) {
            code = find_kind(route, err);
        }
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
    for (size_t k = 0; code == KO_OK && k < ko_route_n_sets(&route); k++) {
        const char *set = ko_route_set(&route, k);
        if (set && ko_token_set_check(set, span_names, err) != KO_OK) {
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
    ko_strings_free(&route->kept.sets);
    *route = (struct ko_route){0};
}
