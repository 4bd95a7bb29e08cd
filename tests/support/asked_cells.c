/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/asked_cells.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/prompts/token_set.h"

static void check(bool fine, const char *what)
{
    if (!fine) {
        fprintf(stderr, "asked_cells: %s\n", what);
        abort();
    }
}

struct asked_cell *asked_cell_at(const struct asked_cells *e, int32_t m, int32_t f, int64_t slot)
{
    size_t at = (size_t)m * (size_t)e->plan->n_facts + (size_t)f;
    return &e->asked[at * e->record + (size_t)slot];
}

/* Marks in has[i][j] what a keep route keeps, and in target[i] the positions of which it speaks. */
static void mark_kept(const struct ko_kept *kept, const struct ko_prompt *prompt,
                      struct asked_edges *matrix, uint8_t *target)
{
    for (size_t k = 0; k < kept->sets.n; k += 2) {
        uint8_t to[ASKED_TOKENS] = {0}, from[ASKED_TOKENS] = {0};
        struct ko_error err = {0};
        check(ko_token_set_eval(kept->sets.item[k], prompt, to, &err) == KO_OK, "a token set");
        check(ko_token_set_eval(kept->sets.item[k + 1], prompt, from, &err) == KO_OK,
              "a token set");
        for (int32_t i = 0; i < prompt->n_tokens; i++) {
            target[i] |= to[i];
            for (int32_t j = 0; j <= i; j++) {
                matrix->has[i][j] =
                    matrix->has[i][j] || (to[i] && (from[j] || (kept->diagonal && i == j)));
            }
        }
    }
}

struct asked_edges asked_edges_of(const struct ko_route *route, const struct ko_prompt *prompt,
                                  int32_t source, int32_t reach)
{
    struct asked_edges matrix = {.first_target = -1, .min_span = INT32_MAX};
    uint8_t target[ASKED_TOKENS] = {0}, from[ASKED_TOKENS] = {0};
    struct ko_error err = {0};
    bool later = route->kind == KO_ROUTE_LATER || route->kind == KO_ROUTE_LATER_EACH;
    bool each = route->kind == KO_ROUTE_EACH || route->kind == KO_ROUTE_LATER_EACH;
    check(prompt->n_tokens <= ASKED_TOKENS, "too many tokens");
    const bool keep = route->kind == KO_ROUTE_KEEP;
    if (keep) {
        mark_kept(&route->kept, prompt, &matrix, target);
    } else if (!later) {
        check(ko_token_set_eval(route->target, prompt, target, &err) == KO_OK, "a token set");
    }
    if (each) {
        from[source] = 1;
    } else if (!keep) {
        check(ko_token_set_eval(route->source, prompt, from, &err) == KO_OK, "a token set");
    }
    for (int32_t i = 0; i < prompt->n_tokens; i++) {
        for (int32_t j = 0; j <= i; j++) {
            bool has = i - j < reach && (keep ? target[i] && !matrix.has[i][j]
                                              : from[j] && (later ? i > j : target[i]));
            matrix.has[i][j] = has;
            matrix.any = matrix.any || has;
            matrix.first_target = has && matrix.first_target < 0 ? i : matrix.first_target;
            matrix.min_span = has && i - j < matrix.min_span ? i - j : matrix.min_span;
        }
    }
    return matrix;
}

/* Only the selections that the specs of this test use. */
static bool selects(const struct ko_select *select, const struct ko_plan_fact *fact)
{
    if (select->kind == KO_SELECT_NOT) {
        return !selects(select->part[0], fact);
    }
    if (select->kind == KO_SELECT_RELATION || select->kind == KO_SELECT_ID) {
        const char *key = select->kind == KO_SELECT_ID ? fact->id : fact->relation;
        return ko_strings_find(&select->names, key) >= 0;
    }
    return true;
}

static bool starts_at(const struct ko_spec_block *block, int32_t start)
{
    bool listed = false;
    for (size_t i = 0; i < block->n_starts; i++) {
        listed = listed || block->start[i] == start;
    }
    return block->starts == KO_STARTS_ALL || (block->starts == KO_STARTS_LIST && listed) ||
           (block->starts == KO_STARTS_EVERY && start % block->every == 0);
}

static int32_t index_of(const int32_t *list, int32_t n, int32_t value)
{
    for (int32_t i = 0; i < n; i++) {
        if (list[i] == value) {
            return i;
        }
    }
    return -1;
}

static int32_t route_of(const struct ko_plan *plan, const char *label)
{
    for (int32_t r = 0; r < plan->n_routes; r++) {
        if (strcmp(plan->route[r].route.label, label) == 0) {
            return r;
        }
    }
    check(false, label);
    return -1;
}

static int32_t feature_of(const struct ko_plan *plan, const char *label)
{
    for (int32_t f = 0; f < plan->n_classes; f++) {
        char own[64];
        ko_feature_class_label(&plan->class[f], own);
        if (strcmp(own, label) == 0) {
            return f;
        }
    }
    check(false, label);
    return -1;
}

int32_t *asked_counted(const struct ko_plan *plan, int32_t m)
{
    const struct ko_plan_model *model = &plan->model[m];
    int32_t *counted = malloc(((size_t)model->n_layers + 1) * sizeof *counted), n = 0;
    check(counted != NULL, "out of memory");
    for (int32_t l = 0; l < model->n_layers; l++) {
        uint8_t mixers = 0;
        for (int32_t s = 0; s < ko_plan_n_stages(model); s++) {
            const struct ko_plan_stage stage = ko_plan_stage_of(model, s);
            mixers |= stage.layer == l ? stage.mixers : 0;
        }
        if (plan->over == KO_OVER_LAYERS || (plan->over == KO_OVER_MIXERS && mixers) ||
            (plan->over == KO_OVER_ATTENTION && (mixers & KO_MIXER_ATTENTION)) ||
            (plan->over == KO_OVER_SSM && (mixers & KO_MIXER_SSM))) {
            counted[n++] = l;
        }
    }
    counted[n] = -1;
    return counted;
}

int32_t asked_window(const struct ko_plan *plan, int32_t m, int32_t size, int32_t start,
                     uint8_t *in)
{
    const char *style = ko_style_words[plan->style];
    const int32_t n_layers = plan->model[m].n_layers;
    const bool outside = strncmp(style, "outside", 7) == 0, centred = strstr(style, "centred");
    int32_t *counted = asked_counted(plan, m), n = 0, total = 0, first = start, last = start;
    check(n_layers <= ASKED_LAYERS, "a model has too many layers");
    memset(in, 0, ASKED_LAYERS);
    while (counted[n] >= 0) {
        n++;
    }
    if (strcmp(style, "listed") == 0) {
        for (int32_t i = plan->lists.first[start]; i < plan->lists.first[start + 1]; i++) {
            const bool there = plan->lists.layer[i] < n_layers;
            total = there && total >= 0 ? total + 1 : -1;
            in[there ? plan->lists.layer[i] : 0] = 1;
        }
        free(counted);
        return total < 0 ? 0 : total;
    }
    if (strcmp(style, "from") == 0) {
        last = n - 1;
    } else if (strcmp(style, "until") == 0) {
        first = 0;
    } else if (centred) {
        first = start - size / 2 < 0 ? 0 : start - size / 2;
        last = start + (size + 1) / 2 > n ? n - 1 : start + (size + 1) / 2 - 1;
    } else {
        last = start + size - 1;
    }
    if (start < n && size <= n && last < n) {
        const int32_t low = strcmp(style, "until") == 0 ? 0 : counted[first];
        const int32_t high = strcmp(style, "from") == 0 ? n_layers - 1 : counted[last];
        for (int32_t l = 0; l < n_layers; l++) {
            in[l] = (l >= low && l <= high) != outside;
            total += in[l];
        }
    }
    free(counted);
    return total;
}

/* The starts that a window of any model may have. */
static int32_t most_starts(const struct ko_plan *plan)
{
    return plan->lists.n > 0 ? plan->lists.n : ASKED_LAYERS;
}

static bool is_component(const struct ko_route *route)
{
    return strchr(route->label, '@') != NULL;
}

bool asked_has_component(const struct ko_route *route, const struct ko_plan_sublayer *sublayer)
{
    static const char *const words[] = {"attention@", "ssm@", "conv@", "mlp@"};
    for (int k = 0; k < 4; k++) {
        const bool named = strncmp(route->label, words[k], strlen(words[k])) == 0 ||
                           (k < 3 && strncmp(route->label, "mixer@", 6) == 0);
        if (named && (sublayer->components >> k & 1)) {
            return true;
        }
    }
    return false;
}

int32_t asked_positions_of(const struct ko_route *route, const struct ko_prompt *prompt,
                           int32_t position, uint8_t *at)
{
    struct ko_error err = {0};
    const char *set = strchr(route->label, '@') + 1;
    int32_t n = 0;
    memset(at, 0, ASKED_TOKENS);
    if (strcmp(set, "each") == 0) {
        at[position] = 1;
    } else {
        check(ko_token_set_eval(set, prompt, at, &err) == KO_OK, "a token set");
    }
    for (int32_t i = 0; i < prompt->n_tokens; i++) {
        n += at[i];
    }
    return n;
}

/* Whether the class has a meaning on the route: a component is taken out whole, or one head of it. What
   stands in its place follows after a ~. */
static bool has_meaning(const struct ko_plan *plan, int32_t m, const struct ko_route *route,
                        const char *class)
{
    bool any = false;
    if (!is_component(route)) {
        return !strchr(class, '~');
    }
    for (int32_t i = 0; i < plan->model[m].n_sublayers; i++) {
        any = any || asked_has_component(route, &plan->model[m].sublayer[i]);
    }
    return any &&
           (strcmp(class, "all") == 0 || strncmp(class, "all~", 4) == 0 ||
            (strncmp(class, "head:", 5) == 0 && strncmp(route->label, "attention@", 10) == 0) ||
            (strncmp(class, "ssm-head:", 9) == 0 && strncmp(route->label, "ssm@", 4) == 0));
}

/* Whether nothing is taken out in the layers that are marked. */
static bool lacks_component(const struct ko_plan_model *model, const struct ko_route *route,
                            const struct ko_prompt *prompt, int32_t position, const uint8_t *in)
{
    uint8_t at[ASKED_TOKENS];
    for (int32_t i = 0; i < model->n_sublayers; i++) {
        const struct ko_plan_sublayer *sublayer = &model->sublayer[i];
        if (in[sublayer->layer] && asked_has_component(route, sublayer)) {
            return asked_positions_of(route, prompt, position, at) == 0;
        }
    }
    return true;
}

/* ------------------------------------------------------------------ donors */

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static uint8_t *references_of(const struct asked_cells *e, int32_t m, int32_t route)
{
    return e->reference + (m * e->plan->n_routes + route) * e->plan->n_facts;
}

int32_t asked_donor(const struct asked_cells *e, int32_t m, int32_t f, int32_t route, uint64_t seed)
{
    const uint64_t golden = 0x9E3779B97F4A7C15u;
    const uint8_t *reference = references_of(e, m, route);
    int32_t other[64], n = 0;
    uint64_t hash = 0xCBF29CE484222325u;
    check(e->plan->n_facts <= 64, "too many prompts");
    for (int32_t k = 0; k < e->plan->n_facts; k++) {
        if (reference[k] && k != f) {
            other[n++] = k;
        }
    }
    for (const char *c = e->plan->fact[f].id; *c; c++) {
        hash = (hash ^ (uint8_t)*c) * 0x100000001B3u;
    }
    return n == 0 ? -1 : other[mix(mix(seed + golden) + hash + golden) % (uint64_t)n];
}

/* Whether the class takes values from a donor that this prompt does not have, or whose set has fewer
   positions. */
static bool lacks_donor(const struct asked_cells *e, int32_t m, int32_t f, int32_t r,
                        const char *class, int32_t position)
{
    static const char word[] = "~resample:";
    const char *suffix = strstr(class, word);
    uint8_t at[ASKED_TOKENS];
    if (!suffix) {
        return false;
    }
    const int32_t donor = asked_donor(e, m, f, r, strtoull(suffix + strlen(word), NULL, 10));
    const struct ko_route *route = &e->plan->route[r].route;
    if (donor < 0) {
        return true;
    }
    const struct ko_prompt *other = ko_plan_prompt(e->plan, m, donor);
    if (e->plan->route[r].heat) {
        return position >= other->n_tokens;
    }
    return asked_positions_of(route, other, position, at) <
           asked_positions_of(route, ko_plan_prompt(e->plan, m, f), position, at);
}

static void ask_windows(struct asked_cells *e, const struct ko_spec_block *block, int32_t m,
                        int32_t f, int32_t r, int32_t c)
{
    const struct ko_plan *plan = e->plan;
    char label[64];
    ko_feature_class_label(&plan->class[c], label);
    const struct ko_plan_model *model = &plan->model[m];
    const struct ko_prompt *prompt = ko_plan_prompt(plan, m, f);
    int32_t n_sources = plan->route[r].heat ? prompt->n_tokens : 1;
    int32_t *counted = asked_counted(plan, m), n_counted = 0;
    while (counted[n_counted] >= 0) {
        n_counted++;
    }
    free(counted);
    for (int32_t source = 0; source < n_sources; source++) {
        for (size_t k = 0; k < block->n_sizes; k++) {
            double share = round(block->size[k].value * n_counted / 100.0);
            int32_t size = (int32_t)(!block->size[k].percent ? block->size[k].value
                                     : share < 1.0           ? 1.0
                                                             : share);
            size = ko_style_has_sizes(plan->style) ? size : 0;
            for (int32_t start = 0; start < most_starts(plan); start++) {
                uint8_t in[ASKED_LAYERS];
                if (starts_at(block, start) && asked_window(plan, m, size, start, in) > 0) {
                    int32_t i = index_of(plan->size, plan->n_sizes, size);
                    int32_t s = index_of(plan->start, plan->n_starts, start);
                    check(i >= 0 && s >= 0, "a window is not on the axes");
                    struct asked_cell *cell =
                        asked_cell_at(e, m, f, ko_plan_value_slot(plan, r, c, source, i, s));
                    cell->planned = true;
                    cell->vacuous = true;
                    if (is_component(&plan->route[r].route)) {
                        cell->vacuous =
                            lacks_component(model, &plan->route[r].route, prompt, source, in) ||
                            lacks_donor(e, m, f, r, label, source);
                        continue;
                    }
                    for (int32_t t = 0; t < ko_plan_n_stages(model); t++) {
                        const struct ko_plan_stage stage = ko_plan_stage_of(model, t);
                        const int32_t reach = stage.mixers & KO_MIXER_SSM ? INT32_MAX : stage.reach;
                        const bool named =
                            in[stage.layer] &&
                            (stage.mixers & ko_feature_class_mixers(&plan->class[c])) != 0;
                        cell->vacuous =
                            cell->vacuous &&
                            !(named &&
                              asked_edges_of(&plan->route[r].route, prompt, source, reach).any);
                    }
                }
            }
        }
    }
}

/* Whether some window of the block fits the model. */
static bool fits(const struct asked_cells *e, const struct ko_spec_block *block, int32_t m)
{
    int32_t *counted = asked_counted(e->plan, m), n = 0;
    bool any = false;
    while (counted[n] >= 0) {
        n++;
    }
    free(counted);
    for (size_t k = 0; k < block->n_sizes; k++) {
        const double share = fmax(round(block->size[k].value * n / 100.0), 1);
        const int32_t size = (int32_t)(block->size[k].percent ? share : block->size[k].value);
        for (int32_t start = 0; start < most_starts(e->plan); start++) {
            uint8_t in[ASKED_LAYERS];
            any = any || (starts_at(block, start) && asked_window(e->plan, m, size, start, in) > 0);
        }
    }
    return any;
}

/* What ask_pairs does with a route and a class of a prompt. */
typedef void ask_pair(struct asked_cells *e, const struct ko_spec_block *block, int32_t m,
                      int32_t f, int32_t r, int32_t c);

static void ask_reference(struct asked_cells *e, const struct ko_spec_block *block, int32_t m,
                          int32_t f, int32_t r, int32_t c)
{
    char label[64];
    ko_feature_class_label(&e->plan->class[c], label);
    if (strchr(label, '~') && fits(e, block, m)) {
        references_of(e, m, r)[f] = 1;
    }
}

static void ask_pairs(struct asked_cells *e, const struct ko_spec_block *block, ask_pair *ask)
{
    const struct ko_plan *plan = e->plan;
    for (size_t k = 0; k < block->n_models; k++) {
        int32_t m = (int32_t)block->model[k];
        for (int32_t f = 0; f < plan->n_facts; f++) {
            if (ko_plan_prompt(plan, m, f)->reason != KO_RUNNABLE ||
                !selects(block->select, &plan->fact[f])) {
                continue;
            }
            for (size_t r = 0; r < block->routes.n; r++) {
                for (size_t c = 0; c < block->features.n; c++) {
                    int32_t class = feature_of(plan, block->features.item[c]);
                    const struct ko_model_features features =
                        ko_plan_model_features(&plan->model[m]);
                    int32_t route = route_of(plan, block->routes.item[r]);
                    if (ko_feature_class_exists(&plan->class[class], &features) &&
                        has_meaning(plan, m, &plan->route[route].route, block->features.item[c])) {
                        ask(e, block, m, f, route, class);
                    }
                }
            }
        }
    }
}

/* Every slot of a record belongs to one place. */
static struct asked_place *places_of(const struct ko_plan *plan)
{
    size_t n = (size_t)ko_plan_n_values(plan), found = 0;
    struct asked_place *place = malloc((n + 1) * sizeof *place);
    check(place != NULL, "out of memory");
    memset(place, 0xff, n * sizeof *place);
    struct asked_place at = {0};
    for (at.route = 0; at.route < plan->n_routes; at.route++) {
        int32_t n_sources = plan->route[at.route].heat ? plan->n_source_positions : 1;
        for (at.class = 0; at.class < plan->n_classes; at.class ++) {
            for (at.source = 0; at.source < n_sources; at.source++) {
                for (at.size = 0; at.size < plan->n_sizes; at.size++) {
                    for (at.start = 0; at.start < plan->n_starts; at.start++, found++) {
                        int64_t slot = ko_plan_value_slot(plan, at.route, at.class, at.source,
                                                          at.size, at.start);
                        check(slot >= 0 && slot < (int64_t)n && place[slot].route < 0,
                              "two places in one slot");
                        place[slot] = at;
                    }
                }
            }
        }
    }
    check(found == n, "places are missing");
    return place;
}

struct asked_cells asked_cells_of(const struct ko_plan *plan, const struct ko_spec *spec)
{
    struct asked_cells e = {.plan = plan, .place = places_of(plan)};
    e.record = (size_t)ko_plan_n_values(plan);
    e.asked =
        calloc((size_t)plan->n_models * (size_t)plan->n_facts * e.record + 1, sizeof *e.asked);
    e.reference =
        calloc((size_t)plan->n_models * (size_t)plan->n_routes * (size_t)plan->n_facts + 1, 1);
    check(e.asked != NULL && e.reference != NULL, "out of memory");
    for (size_t b = 0; b < spec->n_blocks; b++) {
        ask_pairs(&e, &spec->block[b], ask_reference);
    }
    for (size_t b = 0; b < spec->n_blocks; b++) {
        ask_pairs(&e, &spec->block[b], ask_windows);
    }
    return e;
}

void asked_cells_free(struct asked_cells *e)
{
    free(e->asked);
    free(e->reference);
    free(e->place);
    *e = (struct asked_cells){0};
}
