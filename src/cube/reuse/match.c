/* SPDX-License-Identifier: Apache-2.0 */
/* Maps a new plan onto an old cube: axes by label, models by fingerprint, prompts by id, words and
   tokens, and cells by their place on the axes. Where something does not match, it gives the
   reason. */
#include "src/cube/reuse/match.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/prompts/token_set.h"

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct ko_reuse_id *)a)->id, ((const struct ko_reuse_id *)b)->id);
}

static const char *name_dataset(const struct ko_reuse_part *part, const char *name, char text[64])
{
    (void)snprintf(text, 64, "%s%s", part->heat ? "heat_" : "", name);
    return text;
}

static enum ko_code open_part(const struct ko_reuse_map *map, struct ko_reuse_part *part,
                              struct ko_error *err)
{
    const struct ko_cube_axes *axes = map->axes;
    const struct ko_strings *prompts = part->heat ? &axes->heat_prompt : &axes->prompt;
    const struct ko_strings *routes = part->heat ? &axes->heat_route : &axes->route;
    char name[64];
    enum ko_code code;

    part->n_sources = part->heat ? axes->n_source_positions : 1;
    if (prompts->n == 0 || !ko_cube_view_has(map->old, name_dataset(part, "status", name))) {
        return KO_OK;
    }
    part->n_routes = (int32_t)routes->n;
    const size_t axis[] = {axes->feature_class.n, (size_t)part->n_sources, (size_t)axes->n_sizes,
                           (size_t)axes->n_starts, sizeof(float)};
    size_t n[6] = {routes->n};
    code = KO_OK;
    for (size_t k = 0; k < 5 && code == KO_OK; k++) {
        code = ko_multiply(n[k], axis[k], &n[k + 1], "cells of a prompt", err);
    }
    if (code != KO_OK) {
        return code;
    }
    part->n_statuses = (int64_t)n[3];
    part->n_values = (int64_t)n[4];
    code = ko_cube_view_read_strings(map->old, name_dataset(part, "prompt_text", name), &part->text,
                                     err);
    if (code == KO_OK) {
        code = ko_cube_view_read_strings(map->old, name_dataset(part, "prompt_subject", name),
                                         &part->subject, err);
    }
    if (code == KO_OK) {
        code = ko_cube_view_read_strings(map->old, name_dataset(part, "prompt_target", name),
                                         &part->target, err);
    }
    if (code != KO_OK) {
        return code;
    }
    part->id = ko_new(prompts->n, sizeof *part->id, err);
    int32_t **const numbers[] = {&part->n_tokens, &part->subject_begin, &part->subject_end,
                                 &part->target_id};
    bool good = part->id;
    for (size_t k = 0; good && k < sizeof numbers / sizeof *numbers; k++) {
        good = (*numbers[k] = ko_new(prompts->n, sizeof(int32_t), err));
    }
    if (good && axes->n_answer_tokens > 0) {
        const enum ko_code fits =
            ko_multiply(prompts->n, (size_t)axes->n_answer_tokens, &n[0], "tokens of answers", err);
        good = fits == KO_OK && (part->answer_id = ko_new(n[0], sizeof(int32_t), err));
    }
    if (good && map->foils) {
        good = (part->foil_id = ko_new(prompts->n, sizeof(int32_t), err));
    }
    good = good && (part->token = ko_new((size_t)axes->n_positions, sizeof(int32_t), err));
    if (!good) {
        return KO_E_MEMORY;
    }
    for (size_t k = 0; k < prompts->n; k++) {
        part->id[k] = (struct ko_reuse_id){prompts->item[k], (int32_t)k};
    }
    qsort(part->id, prompts->n, sizeof *part->id, by_id);
    part->n_prompts = (int32_t)prompts->n;
    return KO_OK;
}

static int32_t find_layers(const int32_t *list, int32_t n, int32_t wanted)
{
    for (int32_t k = 0; k < n; k++) {
        if (list[k] == wanted) {
            return k;
        }
    }
    return -1;
}

/* Whether a route with this label is the same in every cube. Cubes do not store named spans, so
   routes over them may differ. */
static bool keeps_its_meaning(const struct ko_route *route)
{
    for (size_t k = 0; k < ko_route_n_sets(route); k++) {
        const char *set = ko_route_set(route, k);
        if (set && ko_token_set_check(set, NULL, NULL) != KO_OK) {
            return false;
        }
    }
    return true;
}

/* Whether the old cube's window has exactly the layers of a list, in a model that it fits. */
static bool has_list(const struct ko_cube_axes *axes, int32_t start, const int32_t *layer,
                     int32_t n)
{
    for (int32_t m = 0; m < (int32_t)axes->model.n; m++) {
        const struct ko_layer_range range = ko_cube_window(axes, m, 0, start);
        int32_t found = 0;
        for (int32_t l = range.begin; l < range.end; l++) {
            if (ko_cube_window_has(axes, m, 0, start, l)) {
                if (found == n || layer[found] != l) {
                    return false;
                }
                found++;
            }
        }
        if (range.end > 0) {
            return found == n;
        }
    }
    return false;
}

/* The place of a list among the old cube's windows, which may have other numbers; -1: none. */
static int32_t find_list(const struct ko_cube_axes *axes, const struct ko_window_lists *lists,
                         int32_t number)
{
    const int32_t first = lists->first[number], n = lists->first[number + 1] - first;
    for (int32_t k = 0; axes->style == KO_STYLE_LISTED && k < axes->n_starts; k++) {
        if (has_list(axes, axes->window_start[k], lists->layer + first, n)) {
            return k;
        }
    }
    return -1;
}

static void fill_map(struct ko_reuse_map *map)
{
    const struct ko_plan *plan = map->plan;
    const struct ko_cube_axes *axes = map->axes;
    char label[64];

    for (int32_t r = 0; r < plan->n_routes; r++) {
        const struct ko_plan_route *route = &plan->route[r];
        map->route[r] =
            keeps_its_meaning(&route->route)
                ? (int32_t)ko_strings_find(route->heat ? &axes->heat_route : &axes->route,
                                           route->route.label)
                : -1;
    }
    for (int32_t f = 0; f < plan->n_classes; f++) {
        ko_feature_class_label(&plan->class[f], label);
        /* What replaces a component depends on all prompts of the sweep. */
        map->class[f] = plan->class[f].replacement == KO_REPLACE_ZERO
                            ? (int32_t)ko_strings_find(&axes->feature_class, label)
                            : -1;
    }
    for (int32_t s = 0; s < plan->n_sizes; s++) {
        map->size[s] = find_layers(axes->window_size, axes->n_sizes, plan->size[s]);
    }
    for (int32_t s = 0; s < plan->n_starts; s++) {
        map->start[s] = plan->style == KO_STYLE_LISTED
                            ? find_list(axes, &plan->lists, plan->start[s])
                            : find_layers(axes->window_start, axes->n_starts, plan->start[s]);
    }
}

enum ko_code ko_reuse_map_open(struct ko_cube_view *old, const struct ko_plan *plan,
                               struct ko_reuse_map *out, struct ko_error *err)
{
    struct ko_reuse_map *map = out;
    enum ko_code code = KO_OK;

    const char *rows = ko_cube_view_attribute(old, "answer_rows");
    *map = (struct ko_reuse_map){
        .old = old,
        .axes = ko_cube_view_axes(old),
        .plan = plan,
        .foils = ko_cube_view_has(old, "eval_prompt_foil"),
        .same_rows = rows && strcmp(rows, ko_answer_rows_words[plan->answer_rows]) == 0,
        .part = {{.heat = false}, {.heat = true}}};
    map->route = ko_new((size_t)plan->n_routes, sizeof(int32_t), err);
    map->class = ko_new((size_t)plan->n_classes, sizeof(int32_t), err);
    map->size = ko_new((size_t)plan->n_sizes, sizeof(int32_t), err);
    map->start = ko_new((size_t)plan->n_starts, sizeof(int32_t), err);
    if (!map->route || !map->class || !map->size || !map->start) {
        return KO_E_MEMORY;
    }
    fill_map(map);
    for (int k = 0; k < 2 && code == KO_OK; k++) {
        code = open_part(map, &map->part[k], err);
    }
    return code;
}

void ko_reuse_map_free(struct ko_reuse_map *map)
{
    for (int k = 0; k < 2; k++) {
        struct ko_reuse_part *part = &map->part[k];
        void *const owned[] = {part->id,          part->n_tokens,  part->subject_begin,
                               part->subject_end, part->target_id, part->foil_id,
                               part->answer_id,   part->token};
        for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) {
            free(owned[i]);
        }
        ko_strings_free(&part->text);
        ko_strings_free(&part->subject);
        ko_strings_free(&part->target);
    }
    free(map->route);
    free(map->class);
    free(map->size);
    free(map->start);
    *map = (struct ko_reuse_map){0};
}

/* How a model of the old cube differs from the plan's, without looking at its weights. */
static enum ko_reuse_reason model_difference(const struct ko_cube_axes *axes, size_t k,
                                             const struct ko_plan_model *model)
{
    if (strcmp(axes->fingerprint.item[k], model->fingerprint) != 0 ||
        axes->n_layers[k] != model->n_layers) {
        return KO_REUSE_CHECKPOINT;
    }
    if (strcmp(axes->tokenizer_fingerprint.item[k], model->tokenizer_fingerprint) != 0) {
        return KO_REUSE_TOKENIZER;
    }
    return KO_REUSE_TAKEN;
}

enum ko_code ko_reuse_find_model(const struct ko_reuse_map *map, const struct ko_plan_model *model,
                                 const char *known, struct ko_reuse_found *found, char hash[33],
                                 struct ko_error *err)
{
    const struct ko_cube_axes *axes = map->axes;
    char stored[33];

    *found = (struct ko_reuse_found){-1, KO_REUSE_MODEL};
    hash[0] = '\0';
    for (size_t k = 0; k < axes->model.n && found->index < 0; k++) {
        const bool same_name = strcmp(axes->model.item[k], model->name) == 0;
        enum ko_reuse_reason why = model_difference(axes, k, model);
        if (why == KO_REUSE_TAKEN) {
            const enum ko_code code = ko_cube_view_content_hash(map->old, (int32_t)k, stored, err);
            if (code != KO_OK) {
                return code;
            }
            if (stored[0] == '\0') { /* nothing was computed */
                why = KO_REUSE_UNLOADED;
            } else if (known[0] ? strcmp(known, stored) == 0 : same_name) {
                found->index = (int32_t)k;
            } else {
                why = KO_REUSE_WEIGHTS;
            }
        }
        if (found->index >= 0 || (same_name && found->reason == KO_REUSE_MODEL)) {
            found->reason = why;
            if (why == KO_REUSE_TAKEN || why == KO_REUSE_WEIGHTS) {
                memcpy(hash, stored, sizeof stored);
            }
        }
    }
    return KO_OK;
}

enum ko_code ko_reuse_part_model(const struct ko_reuse_map *map, struct ko_reuse_part *part,
                                 int32_t index, struct ko_error *err)
{
    const struct {
        const char *name;
        int32_t *to;
    } number[] = {{"n_tokens", part->n_tokens},       {"subject_begin", part->subject_begin},
                  {"subject_end", part->subject_end}, {"target_id", part->target_id},
                  {"foil_id", part->foil_id},         {"answer_id", part->answer_id}};
    char name[64];
    enum ko_code code = KO_OK;

    part->model = index;
    for (size_t k = 0; k < sizeof number / sizeof *number && code == KO_OK; k++) {
        if (part->n_prompts > 0 && number[k].to) {
            const int64_t each = number[k].to == part->answer_id ? map->axes->n_answer_tokens : 1;
            code = ko_cube_view_read_int(map->old, name_dataset(part, number[k].name, name), index,
                                         number[k].to, part->n_prompts * each, err);
        }
    }
    return code;
}

/* The prompt with that id, or NULL. */
static const struct ko_reuse_id *find_id(const struct ko_reuse_part *part, const char *id)
{
    const struct ko_reuse_id wanted = {.id = id};

    return part->n_prompts > 0
               ? bsearch(&wanted, part->id, (size_t)part->n_prompts, sizeof wanted, by_id)
               : NULL;
}

static bool same_words(const struct ko_reuse_part *part, int32_t at,
                       const struct ko_plan_fact *fact)
{
    return strcmp(part->text.item[at], fact->text) == 0 &&
           strcmp(part->subject.item[at], fact->subject) == 0 &&
           strcmp(part->target.item[at], fact->target) == 0;
}

static enum ko_code same_tokens(const struct ko_reuse_map *map, struct ko_reuse_part *part,
                                int32_t at, const struct ko_prompt *wanted, bool *same,
                                struct ko_error *err)
{
    const int32_t n_positions = map->axes->n_positions;
    char name[64];

    *same = false;
    if (part->n_tokens[at] != wanted->n_tokens || wanted->n_tokens > n_positions) {
        return KO_OK;
    }
    const struct ko_cube_rows row = {.dataset = name_dataset(part, "token_id", name),
                                     .model = part->model,
                                     .first = at,
                                     .n = 1,
                                     .n_values = n_positions};
    const enum ko_code code = ko_cube_view_rows_int(map->old, &row, part->token, err);
    *same = code == KO_OK && memcmp(part->token, wanted->token,
                                    (size_t)wanted->n_tokens * sizeof *wanted->token) == 0;
    return code;
}

/* Whether the old cube scored the same tokens of the answer. Without whole answers it scored one. */
static enum ko_reuse_reason compare_answers(const struct ko_reuse_map *map,
                                            const struct ko_reuse_part *part, int32_t at,
                                            const struct ko_prompt *wanted)
{
    const int32_t n_old = map->axes->n_answer_tokens, n = ko_prompt_n_scored(wanted);
    const int32_t *old = part->answer_id ? part->answer_id + (int64_t)at * n_old : NULL;
    /* What an old cube has of several answers is not read: they are computed again. */
    bool same = (old || n == 1) && map->plan->n_choices == 0 && !map->axes->several;
    for (int32_t k = 0; old && k < (n > n_old ? n : n_old); k++) {
        same = same && (k < n_old ? old[k] : -1) == (k < n ? ko_prompt_scored(wanted, k) : -1);
    }
    if (!same) {
        return KO_REUSE_ANSWER;
    }
    return n > 1 && !map->same_rows ? KO_REUSE_ROWS : KO_REUSE_TAKEN;
}

enum ko_code ko_reuse_find_prompt(const struct ko_reuse_map *map, struct ko_reuse_part *part,
                                  int32_t model, int32_t fact, struct ko_reuse_found *found,
                                  struct ko_error *err)
{
    const struct ko_plan *plan = map->plan;
    const struct ko_prompt *wanted = ko_plan_prompt(plan, model, fact);
    const struct ko_reuse_id *id = find_id(part, plan->fact[fact].id);
    bool same = false;

    *found = (struct ko_reuse_found){-1, KO_REUSE_PROMPT};
    if (!id) {
        return KO_OK;
    }
    const int32_t at = id->index;
    const enum ko_code code = same_tokens(map, part, at, wanted, &same, err);
    if (!same_words(part, at, &plan->fact[fact])) {
        found->reason = KO_REUSE_WORDS;
    } else if (!same) {
        found->reason = KO_REUSE_TOKENS;
    } else if (part->subject_begin[at] != wanted->subject_begin ||
               part->subject_end[at] != wanted->subject_end) {
        found->reason = KO_REUSE_SUBJECT;
    } else if (part->target_id[at] != wanted->target) {
        found->reason = KO_REUSE_TARGET;
    } else if (compare_answers(map, part, at, wanted) != KO_REUSE_TAKEN) {
        found->reason = compare_answers(map, part, at, wanted);
    } else if (plan->has_foils && wanted->foil >= 0 &&
               (!part->foil_id || part->foil_id[at] != wanted->foil)) {
        found->reason = KO_REUSE_FOIL;
    } else {
        *found = (struct ko_reuse_found){at, KO_REUSE_TAKEN};
    }
    return code;
}

enum ko_reuse_reason ko_reuse_find_cell(const struct ko_reuse_map *map,
                                        const struct ko_reuse_part *part, const int32_t cell[5],
                                        struct ko_reuse_place *place)
{
    const struct ko_cube_axes *axes = map->axes;
    const int32_t route = map->route[cell[0]], class = map->class[cell[1]];
    const int32_t size = map->size[cell[3]], start = map->start[cell[4]];

    if (!keeps_its_meaning(&map->plan->route[cell[0]].route)) {
        return KO_REUSE_SPAN;
    }
    if (route < 0) {
        return KO_REUSE_ROUTE;
    }
    if (class < 0) {
        return KO_REUSE_CLASS;
    }
    if (axes->style != map->plan->style) {
        return KO_REUSE_STYLE;
    }
    if (axes->over != map->plan->over) {
        return KO_REUSE_OVER;
    }
    if (size < 0) {
        return KO_REUSE_SIZE;
    }
    if (start < 0) {
        return KO_REUSE_START;
    }
    if (cell[2] >= part->n_sources) {
        return KO_REUSE_UNPLANNED;
    }
    place->status =
        (((int64_t)route * (int64_t)axes->feature_class.n + class) * part->n_sources + cell[2]) *
            axes->n_sizes +
        size;
    place->value = place->status * axes->n_starts + start;
    return KO_REUSE_TAKEN;
}
