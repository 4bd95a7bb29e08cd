/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a packed plan. It trusts no count in the bytes. */
#include "src/plan/pack.h"

#include <stdlib.h>

#include "src/base/memory.h"
#include "src/plan/packed.h"

static size_t n_pairs(const struct ko_plan *plan)
{
    return (size_t)plan->n_models * (size_t)plan->n_facts;
}

static enum ko_code get_text(struct ko_bytes *from, char **text, struct ko_error *err)
{
    struct ko_error local = {0};
    *text = ko_get_string(from, &local);
    if (!*text && local.code != KO_OK) {
        return ko_fail(err, local.code, "%s", local.text);
    }
    return KO_OK;
}

static enum ko_code get_texts(struct ko_bytes *from, char **const *texts, size_t n,
                              struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (size_t i = 0; code == KO_OK && i < n; i++) {
        code = get_text(from, texts[i], err);
    }
    return code;
}

static int32_t get_int(struct ko_bytes *from)
{
    int64_t value = ko_get_int(from);
    if (value < INT32_MIN || value > INT32_MAX) {
        from->broken = 1;
        return 0;
    }
    return (int32_t)value;
}

/* Reads a count and allocates so many items. Each takes at least `bytes` in the stream; a count that
   exceeds what is left becomes 0. */
static void *get_array(struct ko_bytes *from, int32_t *n, size_t bytes, size_t item_bytes,
                       struct ko_error *err)
{
    *n = get_int(from);
    if (*n < 0 || (bytes > 0 && (size_t)*n > from->left / bytes)) {
        from->broken = 1;
        *n = 0;
    }
    return ko_new((size_t)*n, item_bytes, err);
}

static enum ko_code get_ints(struct ko_bytes *from, int32_t **list, int32_t *n,
                             struct ko_error *err)
{
    *list = get_array(from, n, sizeof **list, sizeof **list, err);
    if (!*list) {
        return KO_E_MEMORY;
    }
    ko_get_blob(from, *list, (size_t)*n * sizeof **list);
    return KO_OK;
}

static enum ko_code get_marks(struct ko_bytes *from, size_t n, uint8_t **marks,
                              struct ko_error *err)
{
    if (from->broken || n > from->left) {
        from->broken = 1;
        return KO_OK;
    }
    *marks = ko_new(n, 1, err);
    if (!*marks) {
        return KO_E_MEMORY;
    }
    ko_get_blob(from, *marks, n);
    return KO_OK;
}

/* The bytes of a packed stage: three integers, three doubles. */
enum { STAGE_BYTES = 6 * 8 };

/* The stages, where they follow. */
static enum ko_code get_stages(struct ko_bytes *from, struct ko_plan_model *model,
                               struct ko_error *err)
{
    int32_t n = 0;
    if (model->reach != KO_REACH_BY_STAGE) {
        model->mixers = ko_packed_mixer(model);
        return KO_OK;
    }
    struct ko_plan_stage *stage = get_array(from, &n, STAGE_BYTES, sizeof *stage, err);
    if (!stage) {
        return KO_E_MEMORY;
    }
    int32_t last = 0;
    for (int32_t s = 0; s < n; s++) {
        stage[s].layer = get_int(from);
        stage[s].mixers = (uint8_t)get_int(from);
        stage[s].reach = get_int(from);
        for (int part = 0; part < 3; part++) {
            stage[s].flop[part] = ko_get_double(from);
        }
        from->broken |= stage[s].layer < last || stage[s].layer >= model->n_layers;
        last = stage[s].layer;
    }
    from->broken |= n == 0;
    const enum ko_code code = from->broken ? KO_OK : ko_plan_model_set_stages(model, stage, n, err);
    free(stage);
    return code;
}

static enum ko_code get_model(struct ko_bytes *from, struct ko_plan_model *model,
                              struct ko_error *err)
{
    char **texts[] = {&model->name,         &model->path,        &model->tokenizer,
                      &model->architecture, &model->fingerprint, &model->tokenizer_fingerprint};
    int32_t *ints[] = {&model->n_layers,   &model->d_model,   &model->vocabulary,
                       &model->max_tokens, &model->reach,     &model->n_features,
                       &model->d_conv,     &model->row_budget};
    enum ko_code code = get_texts(from, texts, sizeof texts / sizeof texts[0], err);
    for (size_t i = 0; i < sizeof ints / sizeof ints[0]; i++) {
        *ints[i] = get_int(from);
    }
    model->row_bytes = ko_get_double(from);
    model->weight_bytes = ko_get_double(from);
    for (int i = 0; i < 3; i++) {
        model->row_flop[i] = ko_get_double(from);
    }
    return code == KO_OK ? get_stages(from, model, err) : code;
}

static enum ko_code get_fact(struct ko_bytes *from, struct ko_plan_fact *fact, struct ko_error *err)
{
    char **texts[] = {&fact->id,     &fact->text, &fact->subject,
                      &fact->target, &fact->foil, &fact->relation};
    return get_texts(from, texts, sizeof texts / sizeof texts[0], err);
}

static enum ko_code get_kept(struct ko_bytes *from, struct ko_kept *kept, struct ko_error *err)
{
    const int32_t n = get_int(from);
    enum ko_code code = KO_OK;
    from->broken |= n < 0;
    for (int32_t k = 0; code == KO_OK && !from->broken && k < n; k++) {
        char *set = NULL;
        code = get_text(from, &set, err);
        if (code == KO_OK && set) {
            code = ko_strings_add(&kept->sets, set, err);
        }
        from->broken |= !set;
        free(set);
    }
    kept->diagonal = get_int(from) != 0;
    return code;
}

static enum ko_code get_routes(struct ko_bytes *from, struct ko_plan *plan, struct ko_error *err)
{
    plan->route = get_array(from, &plan->n_routes, 1, sizeof *plan->route, err);
    enum ko_code code = !plan->route ? KO_E_MEMORY : KO_OK;
    for (int32_t i = 0; code == KO_OK && i < plan->n_routes; i++) {
        struct ko_plan_route *route = &plan->route[i];
        char **texts[] = {&route->route.label, &route->route.target, &route->route.source};
        code = get_texts(from, texts, 3, err);
        const int32_t kind = get_int(from);
        from->broken |= kind < 0;
        route->route.kind = (enum ko_route_kind)(kind % KO_COMPONENTS_UNIT);
        route->route.components = (uint8_t)(kind / KO_COMPONENTS_UNIT);
        if (code == KO_OK && route->route.kind == KO_ROUTE_KEEP) {
            code = get_kept(from, &route->route.kept, err);
        }
        route->axis = get_int(from);
        route->heat = get_int(from) != 0;
    }
    plan->n_mean_routes = get_int(from);
    plan->n_heat_routes = get_int(from);
    return code;
}

static void get_class(struct ko_bytes *from, struct ko_feature_class *class)
{
    class->kind = (enum ko_feature_kind)get_int(from);
    const int64_t number = ko_get_int(from);
    if (ko_feature_class_is_head(class)) {
        from->broken |= number < 0 || number > INT32_MAX;
        class->head = from->broken ? 0 : (int32_t)number;
    } else {
        class->seed = (uint64_t)number;
    }
    const int32_t suffixes = get_int(from);
    from->broken |= suffixes < 0 || suffixes >= KO_REPLACEMENT_UNIT * (KO_REPLACE_RESAMPLE + 1);
    class->conv = suffixes % KO_REPLACEMENT_UNIT != 0;
    class->replacement = (enum ko_replacement)(suffixes / KO_REPLACEMENT_UNIT);
    if (class->replacement == KO_REPLACE_RESAMPLE) {
        class->donor_seed = (uint64_t)ko_get_int(from);
    }
}

static enum ko_code get_axes(struct ko_bytes *from, struct ko_plan *plan, struct ko_error *err)
{
    enum ko_code code = get_routes(from, plan, err);
    if (code != KO_OK) {
        return code;
    }
    plan->class = get_array(from, &plan->n_classes, 1, sizeof *plan->class, err);
    if (!plan->class) {
        return KO_E_MEMORY;
    }
    for (int32_t i = 0; i < plan->n_classes; i++) {
        get_class(from, &plan->class[i]);
    }
    code = get_ints(from, &plan->size, &plan->n_sizes, err);
    if (code == KO_OK) {
        code = get_ints(from, &plan->start, &plan->n_starts, err);
    }
    if (code == KO_OK) {
        code = get_ints(from, &plan->prompt_fact, &plan->n_prompts, err);
    }
    if (code == KO_OK) {
        code = get_ints(from, &plan->heat_fact, &plan->n_heat_prompts, err);
    }
    plan->n_positions = get_int(from);
    plan->n_source_positions = get_int(from);
    return code;
}

static enum ko_code get_blocks(struct ko_bytes *from, struct ko_plan *plan, struct ko_error *err)
{
    plan->block = get_array(from, &plan->n_blocks, 1, sizeof *plan->block, err);
    enum ko_code code = !plan->block ? KO_E_MEMORY : KO_OK;
    for (int32_t i = 0; code == KO_OK && i < plan->n_blocks; i++) {
        struct ko_plan_block *block = &plan->block[i];
        uint8_t **marks[] = {&block->selected, &block->route, &block->class, &block->size,
                             &block->start};
        const size_t n[] = {n_pairs(plan), (size_t)plan->n_routes, (size_t)plan->n_classes,
                            (size_t)plan->n_models * (size_t)plan->n_sizes, (size_t)plan->n_starts};
        for (size_t k = 0; code == KO_OK && k < sizeof n / sizeof n[0]; k++) {
            code = get_marks(from, n[k], marks[k], err);
        }
    }
    return code;
}

/* The bytes of a packed sublayer: four integers. */
enum { SUBLAYER_BYTES = 4 * 8 };

static enum ko_code get_sublayers(struct ko_bytes *from, struct ko_plan_model *model,
                                  struct ko_error *err)
{
    int32_t n = 0, layer = 0, stage = -1;
    model->n_heads = get_int(from);
    model->n_ssm_heads = get_int(from);
    struct ko_plan_sublayer *list = get_array(from, &n, SUBLAYER_BYTES, sizeof *list, err);
    if (!list) {
        return KO_E_MEMORY;
    }
    for (int32_t i = 0; i < n; i++) {
        list[i].layer = get_int(from);
        list[i].stage = get_int(from);
        list[i].components = (uint8_t)get_int(from);
        list[i].width = get_int(from);
        from->broken |= list[i].layer < layer || list[i].layer >= model->n_layers ||
                        list[i].stage < stage || list[i].stage >= ko_plan_n_stages(model);
        layer = list[i].layer;
        stage = list[i].stage;
    }
    const enum ko_code code =
        from->broken ? KO_OK : ko_plan_model_set_sublayers(model, list, n, err);
    free(list);
    return code;
}

static enum ko_code get_prompts(struct ko_bytes *from, struct ko_plan *plan, struct ko_error *err)
{
    size_t n = n_pairs(plan);
    if (from->broken || n > from->left) {
        from->broken = 1;
        return KO_OK;
    }
    plan->prompt = ko_new(n, sizeof *plan->prompt, err);
    enum ko_code code = !plan->prompt ? KO_E_MEMORY : KO_OK;
    for (size_t i = 0; code == KO_OK && i < n; i++) {
        code = ko_prompt_unpack(from, &plan->prompt[i], err);
    }
    return code;
}

/* Checks that lists count up, and that the layers of each ascend. */
static bool lists_are_sound(const struct ko_window_lists *lists, int32_t n_layers)
{
    bool sound = lists->n >= 0 && lists->first[0] == 0 && lists->first[lists->n] == n_layers;
    for (int32_t k = 0; sound && k < lists->n; k++) {
        sound = lists->first[k] < lists->first[k + 1] && lists->first[k + 1] <= n_layers;
        for (int32_t i = lists->first[k]; sound && i < lists->first[k + 1]; i++) {
            sound = lists->layer[i] >= 0 &&
                    (i == lists->first[k] || lists->layer[i] > lists->layer[i - 1]);
        }
    }
    return sound;
}

static enum ko_code get_lists(struct ko_bytes *from, struct ko_window_lists *lists,
                              struct ko_error *err)
{
    int32_t n_layers = 0;
    enum ko_code code = get_ints(from, &lists->first, &lists->n, err);
    if (code == KO_OK) {
        code = get_ints(from, &lists->layer, &n_layers, err);
    }
    lists->n--;
    if (code == KO_OK && !from->broken && !lists_are_sound(lists, n_layers)) {
        from->broken = 1;
    }
    if (code != KO_OK || from->broken) {
        ko_window_lists_free(lists);
    }
    return code;
}

static enum ko_code get_embeddings(struct ko_bytes *from, struct ko_plan *plan,
                                   struct ko_error *err)
{
    const int32_t flags = get_int(from);
    from->broken |= flags < 0;
    const bool has = !from->broken && flags % KO_CHOICES_UNIT >= KO_EMBEDDINGS_UNIT;
    const int32_t n = has ? get_int(from) : 0;
    enum ko_code code = KO_OK;
    from->broken |= n < 0;
    plan->n_choices = from->broken ? 0 : flags / KO_CHOICES_UNIT;
    plan->has_foils = flags % KO_EMBEDDINGS_UNIT != 0;
    for (int32_t i = 0; code == KO_OK && i < n && !from->broken; i++) {
        char *path = ko_get_string(from, err);
        code = path ? ko_strings_add(&plan->embeddings, path, err) : KO_E_FAILED;
        free(path);
    }
    return code;
}

/* The options and the lists of all facts. */
static enum ko_code get_choices(struct ko_bytes *from, struct ko_plan *plan, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    plan->n_options = plan->n_choices > 0 ? get_int(from) : 0;
    from->broken |= plan->n_options < 0 || plan->n_options > plan->n_choices;
    for (int32_t i = 0; code == KO_OK && plan->n_choices > 0 && i < plan->n_facts; i++) {
        char **texts[] = {&plan->fact[i].targets, &plan->fact[i].options};
        code = get_texts(from, texts, 2, err);
    }
    /* What is allocated for each prompt follows from the plan's number. */
    for (size_t i = 0; i < n_pairs(plan); i++) {
        from->broken |= plan->prompt && plan->prompt[i].choices.n > plan->n_choices;
    }
    return code;
}

static void get_score(struct ko_bytes *from, struct ko_plan *plan)
{
    const int32_t score = get_int(from);
    from->broken |= score < 0 || score >= KO_ANSWER_ROWS_UNIT * KO_N_ANSWER_ROWS ||
                    score % KO_ANSWER_ROWS_UNIT >= KO_N_SCORES;
    if (from->broken) {
        return;
    }
    plan->score = (enum ko_score)(score % KO_ANSWER_ROWS_UNIT);
    plan->answer_rows = (enum ko_answer_rows)(score / KO_ANSWER_ROWS_UNIT);
    plan->n_answer_tokens = plan->score == KO_SCORE_WHOLE_ANSWER ? get_int(from) : 0;
    from->broken |= plan->n_answer_tokens < 0;
}

static enum ko_code get_plan(struct ko_bytes *from, struct ko_plan *plan, struct ko_error *err)
{
    const int32_t kind = get_int(from);
    const int32_t style = kind / KO_STYLE_UNIT, over = kind % KO_STYLE_UNIT / KO_OVER_UNIT;
    struct ko_window_lists lists = {0};
    from->broken |= kind < 0 || over >= KO_N_OVERS || style >= KO_N_STYLES;
    plan->kind = (enum ko_plan_kind)(kind % KO_OVER_UNIT);
    enum ko_code code =
        style == KO_STYLE_LISTED && !from->broken ? get_lists(from, &lists, err) : KO_OK;
    if (code == KO_OK) {
        plan->model = get_array(from, &plan->n_models, 1, sizeof *plan->model, err);
        code = !plan->model ? KO_E_MEMORY : KO_OK;
    }
    for (int32_t i = 0; code == KO_OK && i < plan->n_models; i++) {
        code = get_model(from, &plan->model[i], err);
    }
    if (code == KO_OK && !from->broken) {
        code = ko_plan_count_layers(plan, (enum ko_over)over, err);
    }
    if (code == KO_OK && !from->broken) {
        code = ko_plan_set_style(plan, (enum ko_style)style, &lists, err);
    }
    ko_window_lists_free(&lists);
    if (code == KO_OK) {
        plan->fact = get_array(from, &plan->n_facts, 1, sizeof *plan->fact, err);
        code = !plan->fact ? KO_E_MEMORY : KO_OK;
    }
    for (int32_t i = 0; code == KO_OK && i < plan->n_facts; i++) {
        code = get_fact(from, &plan->fact[i], err);
    }
    if (code == KO_OK) {
        code = get_prompts(from, plan, err);
    }
    if (code == KO_OK) {
        code = get_embeddings(from, plan, err);
    }
    if (code == KO_OK) {
        code = get_choices(from, plan, err);
    }
    if (code == KO_OK) {
        get_score(from, plan);
        code = get_axes(from, plan, err);
    }
    if (code == KO_OK) {
        code = get_blocks(from, plan, err);
    }
    if (code == KO_OK && !from->broken && ko_plan_replaces(plan)) {
        code = get_marks(from, (size_t)plan->n_routes * n_pairs(plan), &plan->reference, err);
    }
    for (int32_t i = 0;
         code == KO_OK && !from->broken && ko_packs_sublayers(plan) && i < plan->n_models; i++) {
        code = get_sublayers(from, &plan->model[i], err);
    }
    return code;
}

enum ko_code ko_plan_unpack(struct ko_bytes *from, struct ko_plan **out, struct ko_error *err)
{
    struct ko_plan *plan = ko_new(1, sizeof *plan, err);
    if (!plan) {
        return KO_E_MEMORY;
    }
    enum ko_code code = get_plan(from, plan, err);
    if (code == KO_OK && from->broken) {
        code = ko_fail(err, KO_E_FAILED, "plan: the message from rank 0 is cut short");
    }
    if (code != KO_OK) {
        ko_plan_free(plan);
        return code;
    }
    *out = plan;
    return KO_OK;
}
