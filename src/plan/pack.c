/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a plan as bytes, so that rank 0 can send it to the others. The plan's hash is computed from
   the same bytes, without the paths. */
#include "src/plan/pack.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "src/plan/packed.h"

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
    const bool by_stage = model->stage || model->mixers != ko_packed_mixer(model);
    const int32_t reach = by_stage ? KO_REACH_BY_STAGE : model->reach;
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

static void pack_class(const struct ko_feature_class *class, struct ko_bytes *to)
{
    const bool head = ko_feature_class_is_head(class);
    ko_put_int(to, class->kind);
    ko_put_int(to, head ? class->head : (int64_t) class->seed);
    ko_put_int(to, class->conv + KO_REPLACEMENT_UNIT * (int64_t) class->replacement);
    if (class->replacement == KO_REPLACE_RESAMPLE) {
        ko_put_int(to, (int64_t) class->donor_seed);
    }
}

static void pack_kept(const struct ko_kept *kept, struct ko_bytes *to)
{
    ko_put_int(to, (int64_t)kept->sets.n);
    for (size_t k = 0; k < kept->sets.n; k++) {
        ko_put_string(to, kept->sets.item[k]);
    }
    ko_put_int(to, kept->diagonal);
}

static void pack_axes(const struct ko_plan *plan, struct ko_bytes *to)
{
    ko_put_int(to, plan->n_routes);
    for (int32_t i = 0; i < plan->n_routes; i++) {
        const struct ko_plan_route *route = &plan->route[i];
        ko_put_string(to, route->route.label);
        ko_put_string(to, route->route.target);
        ko_put_string(to, route->route.source);
        ko_put_int(to, route->route.kind + KO_COMPONENTS_UNIT * (int64_t)route->route.components);
        if (route->route.kind == KO_ROUTE_KEEP) {
            pack_kept(&route->route.kept, to);
        }
        ko_put_int(to, route->axis);
        ko_put_int(to, route->heat);
    }
    ko_put_int(to, plan->n_mean_routes);
    ko_put_int(to, plan->n_heat_routes);
    ko_put_int(to, plan->n_classes);
    for (int32_t i = 0; i < plan->n_classes; i++) {
        pack_class(&plan->class[i], to);
    }
    pack_ints(plan->size, plan->n_sizes, to);
    pack_ints(plan->start, plan->n_starts, to);
    pack_ints(plan->prompt_fact, plan->n_prompts, to);
    pack_ints(plan->heat_fact, plan->n_heat_prompts, to);
    ko_put_int(to, plan->n_positions);
    ko_put_int(to, plan->n_source_positions);
}

static void pack_sublayers(const struct ko_plan_model *model, struct ko_bytes *to)
{
    ko_put_int(to, model->n_heads);
    ko_put_int(to, model->n_ssm_heads);
    ko_put_int(to, model->n_sublayers);
    for (int32_t i = 0; i < model->n_sublayers; i++) {
        ko_put_int(to, model->sublayer[i].layer);
        ko_put_int(to, model->sublayer[i].stage);
        ko_put_int(to, model->sublayer[i].components);
        ko_put_int(to, model->sublayer[i].width);
    }
}

static size_t n_pairs(const struct ko_plan *plan)
{
    return (size_t)plan->n_models * (size_t)plan->n_facts;
}

static void pack_embeddings(const struct ko_plan *plan, bool paths, struct ko_bytes *to)
{
    const size_t n = plan->embeddings.n;
    ko_put_int(to, plan->has_foils + (n > 0 ? KO_EMBEDDINGS_UNIT : 0) +
                       KO_CHOICES_UNIT * (int64_t)plan->n_choices);
    if (n > 0 && paths) {
        ko_put_int(to, (int64_t)n);
        for (size_t i = 0; i < n; i++) {
            ko_put_string(to, plan->embeddings.item[i]);
        }
    }
}

static void pack_choices(const struct ko_plan *plan, struct ko_bytes *to)
{
    ko_put_int(to, plan->n_options);
    for (int32_t i = 0; i < plan->n_facts; i++) {
        ko_put_string(to, plan->fact[i].targets);
        ko_put_string(to, plan->fact[i].options);
    }
}

static void pack_plan(const struct ko_plan *plan, bool paths, struct ko_bytes *to)
{
    ko_put_int(to, plan->kind + KO_OVER_UNIT * (int64_t)plan->over +
                       KO_STYLE_UNIT * (int64_t)plan->style);
    if (plan->style == KO_STYLE_LISTED) {
        pack_ints(plan->lists.first, plan->lists.n + 1, to);
        pack_ints(plan->lists.layer, plan->lists.first[plan->lists.n], to);
    }
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
    pack_embeddings(plan, paths, to);
    if (plan->n_choices > 0) {
        pack_choices(plan, to);
    }
    ko_put_int(to, plan->score + KO_ANSWER_ROWS_UNIT * (int64_t)plan->answer_rows);
    if (plan->score == KO_SCORE_WHOLE_ANSWER) {
        ko_put_int(to, plan->n_answer_tokens);
    }
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
    if (ko_plan_replaces(plan)) {
        ko_put_blob(to, plan->reference, (size_t)plan->n_routes * n_pairs(plan));
    }
    for (int32_t i = 0; ko_packs_sublayers(plan) && i < plan->n_models; i++) {
        pack_sublayers(&plan->model[i], to);
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
