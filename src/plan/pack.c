/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a plan as bytes and reads it back, so that rank 0 can send it to the others. The plan's
   hash is computed from the same bytes, without the paths. The reader trusts no count in the
   bytes. */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "src/base/memory.h"
#include "src/plan/plan.h"

/* Stands for a model's reach where its stages follow. Models with one kind of mixer whose layers are
   alike are packed as before there were others, so that their plans keep their hashes. */
enum { REACH_BY_STAGE = 0 };

/* The kind of a plan and the layers that its windows count are packed as one number. Where windows
   count every layer, it is the kind alone, as before they could count others. */
enum { OVER_UNIT = 256 };

/* The kind of a model whose kind is not packed. */
static uint8_t usual_mixer(const struct ko_plan_model *model)
{
    return model->n_features > 0 ? KO_MIXER_SSM : KO_MIXER_ATTENTION;
}

static void pack_ints(const int32_t *list, int32_t n, struct ko_bytes *to)
{
    ko_put_int(to, n);
    ko_put_blob(to, list, (size_t)n * sizeof *list);
}

static void pack_stages(const struct ko_plan_model *model, struct ko_bytes *to)
{
    const int32_t n = ko_plan_n_stages(model);
    ko_put_int(to, n);
    for (int32_t s = 0; s < n; s++) {
        const struct ko_plan_stage stage = ko_plan_stage_of(model, s);
        ko_put_int(to, stage.layer);
        ko_put_int(to, stage.mixers);
        ko_put_int(to, stage.reach);
        for (int part = 0; part < 3; part++) {
            ko_put_double(to, stage.flop[part]);
        }
    }
}

static void pack_model(const struct ko_plan_model *model, bool paths, struct ko_bytes *to)
{
    ko_put_string(to, model->name);
    ko_put_string(to, paths ? model->path : NULL);
    ko_put_string(to, paths ? model->tokenizer : NULL);
    ko_put_string(to, model->architecture);
    ko_put_string(to, model->fingerprint);
    ko_put_string(to, model->tokenizer_fingerprint);
    const bool by_stage = model->stage || model->mixers != usual_mixer(model);
    const int32_t reach = by_stage ? REACH_BY_STAGE : model->reach;
    const int32_t ints[] = {
        model->n_layers, model->d_model,    model->vocabulary, model->max_tokens,
        reach,           model->n_features, model->d_conv,     model->row_budget};
    for (size_t i = 0; i < sizeof ints / sizeof ints[0]; i++) {
        ko_put_int(to, ints[i]);
    }
    ko_put_double(to, model->row_bytes);
    ko_put_double(to, model->weight_bytes);
    for (int i = 0; i < 3; i++) {
        ko_put_double(to, model->row_flop[i]);
    }
    if (by_stage) {
        pack_stages(model, to);
    }
}

static void pack_fact(const struct ko_plan_fact *fact, struct ko_bytes *to)
{
    ko_put_string(to, fact->id);
    ko_put_string(to, fact->text);
    ko_put_string(to, fact->subject);
    ko_put_string(to, fact->target);
    ko_put_string(to, fact->foil);
    ko_put_string(to, fact->relation);
}

static void pack_axes(const struct ko_plan *plan, struct ko_bytes *to)
{
    ko_put_int(to, plan->n_routes);
    for (int32_t i = 0; i < plan->n_routes; i++) {
        const struct ko_plan_route *route = &plan->route[i];
        ko_put_string(to, route->route.label);
        ko_put_string(to, route->route.target);
        ko_put_string(to, route->route.source);
        ko_put_int(to, route->route.kind);
        ko_put_int(to, route->axis);
        ko_put_int(to, route->heat);
    }
    ko_put_int(to, plan->n_mean_routes);
    ko_put_int(to, plan->n_heat_routes);
    ko_put_int(to, plan->n_classes);
    for (int32_t i = 0; i < plan->n_classes; i++) {
        ko_put_int(to, plan->class[i].kind);
        ko_put_int(to, (int64_t)plan->class[i].seed);
        ko_put_int(to, plan->class[i].conv);
    }
    pack_ints(plan->size, plan->n_sizes, to);
    pack_ints(plan->start, plan->n_starts, to);
    pack_ints(plan->prompt_fact, plan->n_prompts, to);
    pack_ints(plan->heat_fact, plan->n_heat_prompts, to);
    ko_put_int(to, plan->n_positions);
    ko_put_int(to, plan->n_source_positions);
}

static size_t n_pairs(const struct ko_plan *plan)
{
    return (size_t)plan->n_models * (size_t)plan->n_facts;
}

static void pack_plan(const struct ko_plan *plan, bool paths, struct ko_bytes *to)
{
    ko_put_int(to, plan->kind + OVER_UNIT * (int64_t)plan->over);
    ko_put_int(to, plan->n_models);
    for (int32_t i = 0; i < plan->n_models; i++) {
        pack_model(&plan->model[i], paths, to);
    }
    ko_put_int(to, plan->n_facts);
    for (int32_t i = 0; i < plan->n_facts; i++) {
        pack_fact(&plan->fact[i], to);
    }
    for (size_t i = 0; i < n_pairs(plan); i++) {
        ko_prompt_pack(&plan->prompt[i], to);
    }
    ko_put_int(to, plan->has_foils);
    ko_put_int(to, plan->score);
    pack_axes(plan, to);
    ko_put_int(to, plan->n_blocks);
    for (int32_t i = 0; i < plan->n_blocks; i++) {
        const struct ko_plan_block *block = &plan->block[i];
        ko_put_blob(to, block->selected, n_pairs(plan));
        ko_put_blob(to, block->route, (size_t)plan->n_routes);
        ko_put_blob(to, block->class, (size_t)plan->n_classes);
        ko_put_blob(to, block->size, (size_t)plan->n_models * (size_t)plan->n_sizes);
        ko_put_blob(to, block->start, (size_t)plan->n_starts);
    }
}

void ko_plan_pack(const struct ko_plan *plan, struct ko_bytes *to)
{
    pack_plan(plan, true, to);
}

enum ko_code ko_plan_hash(const struct ko_plan *plan, char text[33], struct ko_error *err)
{
    struct ko_bytes bytes = {0};
    if (plan->shard.of > 0) {
        memcpy(text, plan->shard.plan_hash, sizeof plan->shard.plan_hash);
        return KO_OK;
    }
    pack_plan(plan, false, &bytes);
    enum ko_code code = ko_text_check(&bytes.data, err);
    if (code == KO_OK) {
        XXH128_canonical_t canonical;
        XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data.data, bytes.data.n));
        for (size_t i = 0; i < 16; i++) {
            static const char digits[] = "0123456789abcdef";
            text[2 * i] = digits[canonical.digest[i] >> 4];
            text[2 * i + 1] = digits[canonical.digest[i] & 15];
        }
        text[32] = '\0';
    }
    ko_text_free(&bytes.data);
    return code;
}

/* ------------------------------------------------------------------------------- unpacking */

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
    if (model->reach != REACH_BY_STAGE) {
        model->mixers = usual_mixer(model);
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

static enum ko_code get_routes(struct ko_bytes *from, struct ko_plan *plan, struct ko_error *err)
{
    plan->route = get_array(from, &plan->n_routes, 1, sizeof *plan->route, err);
    enum ko_code code = !plan->route ? KO_E_MEMORY : KO_OK;
    for (int32_t i = 0; code == KO_OK && i < plan->n_routes; i++) {
        struct ko_plan_route *route = &plan->route[i];
        char **texts[] = {&route->route.label, &route->route.target, &route->route.source};
        code = get_texts(from, texts, 3, err);
        route->route.kind = (enum ko_route_kind)get_int(from);
        route->axis = get_int(from);
        route->heat = get_int(from) != 0;
    }
    plan->n_mean_routes = get_int(from);
    plan->n_heat_routes = get_int(from);
    return code;
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
        plan->class[i].kind = (enum ko_feature_kind)get_int(from);
        plan->class[i].seed = (uint64_t)ko_get_int(from);
        plan->class[i].conv = get_int(from) != 0;
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

static enum ko_code get_plan(struct ko_bytes *from, struct ko_plan *plan, struct ko_error *err)
{
    const int32_t kind = get_int(from);
    from->broken |= kind < 0 || kind >= OVER_UNIT * KO_N_OVERS;
    plan->kind = (enum ko_plan_kind)(kind % OVER_UNIT);
    plan->model = get_array(from, &plan->n_models, 1, sizeof *plan->model, err);
    enum ko_code code = !plan->model ? KO_E_MEMORY : KO_OK;
    for (int32_t i = 0; code == KO_OK && i < plan->n_models; i++) {
        code = get_model(from, &plan->model[i], err);
    }
    if (code == KO_OK && !from->broken) {
        code = ko_plan_count_layers(plan, (enum ko_over)(kind / OVER_UNIT), err);
    }
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
        plan->has_foils = get_int(from) != 0;
        plan->score = (enum ko_score)get_int(from);
        code = get_axes(from, plan, err);
    }
    return code == KO_OK ? get_blocks(from, plan, err) : code;
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
