/* SPDX-License-Identifier: Apache-2.0 */
/* Puts a new cube together: root attributes, datasets and, in a shard's file, the outline of the
   whole cube. The other files of this folder write the parts. */
#include <stdio.h>
#include <string.h>

#include "src/base/text.h"
#include "src/base/utf8.h"
#include "src/cube/create/fill.h"
#include "src/cube/format/hdf5_check.h"
#include "src/plan/pack.h"

static void add_count(struct ko_text *out, const char *before, int32_t n, const char *noun)
{
    ko_text_add(out, "%s%d %s%s", before, n, noun, n == 1 ? "" : "s");
}

/* "Attention knockout: 2 models, 20 prompts, 3 routes; heatmaps: 1 prompt, 1 route". */
static enum ko_code write_title(const struct ko_cube_new *cube, struct ko_error *err)
{
    const struct ko_plan *plan = cube->content->plan;
    const bool evaluation = cube->lengths.evaluation;
    struct ko_text title = {0};

    add_count(&title, evaluation ? "Clean runs: " : "Attention knockout: ", plan->n_models,
              "model");
    if (evaluation) {
        add_count(&title, ", ", plan->n_facts, "prompt");
    }
    if (!evaluation && plan->n_mean_routes > 0) {
        add_count(&title, ", ", plan->n_prompts, "prompt");
        add_count(&title, ", ", plan->n_mean_routes, "route");
    }
    if (!evaluation && plan->n_heat_routes > 0) {
        add_count(&title, "; heatmaps: ", plan->n_heat_prompts, "prompt");
        add_count(&title, ", ", plan->n_heat_routes, "route");
    }
    enum ko_code code = ko_text_check(&title, err);
    if (code == KO_OK) {
        code = ko_cube_text_attribute(cube->file, cube->path, "title", ko_text_str(&title), err);
    }
    ko_text_free(&title);
    return code;
}

static enum ko_code write_format_number(const struct ko_cube_new *cube, struct ko_error *err)
{
    const int32_t format = KO_CUBE_FORMAT;
    enum ko_code code = KO_OK;
    hid_t space = H5Screate(H5S_SCALAR), id = H5I_INVALID_HID;

    if (space >= 0) {
        id = H5Acreate2(cube->file, "cube_format", H5T_NATIVE_INT32, space, H5P_DEFAULT,
                        H5P_DEFAULT);
    }
    if (id < 0 || H5Awrite(id, H5T_NATIVE_INT32, &format) < 0) {
        code =
            ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot write attribute 'cube_format'", cube->path);
    }
    ko_hdf5_close(id, &code, cube->path, err);
    ko_hdf5_close(space, &code, cube->path, err);
    return code;
}

enum ko_code ko_cube_write_format(const struct ko_cube_new *cube, struct ko_error *err)
{
    enum ko_code code =
        ko_cube_text_attribute(cube->file, cube->path, "Conventions", "knockout-cube-1.0", err);

    if (code == KO_OK) {
        code = write_format_number(cube, err);
    }
    if (code == KO_OK) {
        code = ko_cube_text_attribute(cube->file, cube->path, "kind",
                                      cube->lengths.evaluation ? "evaluation" : "sweep", err);
    }
    return code;
}

/* "3/16": the shard's number and the number of shards. */
static enum ko_code write_shard(const struct ko_cube_new *cube, struct ko_error *err)
{
    const struct ko_plan_shard *shard = &cube->content->plan->shard;
    char text[32];

    if (shard->of == 0) {
        return KO_OK;
    }
    (void)snprintf(text, sizeof text, "%d/%d", shard->number, shard->of);
    return ko_cube_text_attribute(cube->file, cube->path, "shard", text, err);
}

static enum ko_code write_root_attributes(const struct ko_cube_new *cube, struct ko_error *err)
{
    const struct ko_cube_content *content = cube->content;
    char hash[33];
    enum ko_code code = ko_plan_hash(content->plan, hash, err);

    if (code == KO_OK) {
        code = write_title(cube, err);
    }
    if (code == KO_OK) {
        code = ko_cube_write_format(cube, err);
    }
    if (code == KO_OK) {
        code = ko_cube_text_attribute(cube->file, cube->path, "plan_hash", hash, err);
    }
    if (code == KO_OK) {
        code = ko_cube_text_attribute(cube->file, cube->path, "score",
                                      ko_score_words[content->plan->score], err);
    }
    if (code == KO_OK && content->plan->kind == KO_PLAN_SWEEP &&
        content->plan->score == KO_SCORE_WHOLE_ANSWER) {
        code = ko_cube_text_attribute(cube->file, cube->path, "answer_rows",
                                      ko_answer_rows_words[content->plan->answer_rows], err);
    }
    if (code == KO_OK && content->plan->kind == KO_PLAN_SWEEP) {
        code = ko_cube_text_attribute(cube->file, cube->path, "windows_over",
                                      ko_over_words[content->plan->over], err);
    }
    if (code == KO_OK && content->plan->kind == KO_PLAN_SWEEP) {
        code = ko_cube_text_attribute(cube->file, cube->path, "windows_style",
                                      ko_style_words[content->plan->style], err);
    }
    if (code == KO_OK) {
        code = write_shard(cube, err);
    }
    for (size_t i = 0; i < content->n_attributes && code == KO_OK; i++) {
        const char *value = content->attribute[i].value;
        if (value == cube->spec) {
            value = KO_CUBE_SPEC_ELSEWHERE;
        }
        code =
            ko_cube_text_attribute(cube->file, cube->path, content->attribute[i].name, value, err);
    }
    return code;
}

enum ko_code ko_cube_define_all(struct ko_cube_new *cube, struct ko_error *err)
{
    enum ko_code code = KO_OK;

    for (size_t i = 0; i < KO_CUBE_N_DATASETS && code == KO_OK; i++) {
        if (ko_cube_present(&ko_cube_table[i], &cube->lengths)) {
            code = ko_cube_define(cube, i, err);
        }
    }
    return code == KO_OK ? ko_cube_attach_scales(cube, err) : code;
}

static enum ko_code write_datasets(struct ko_cube_new *cube, struct ko_error *err)
{
    enum ko_code code = ko_cube_define_all(cube, err);

    for (size_t i = 0; i < KO_CUBE_N_DATASETS && code == KO_OK; i++) {
        const struct ko_cube_dataset *dataset = &ko_cube_table[i];
        if (cube->dataset[i] < 0) {
            continue;
        }
        if (dataset->type == KO_TYPE_STRING || dataset->field == KO_FIELD_LABEL) {
            code = ko_cube_fill_strings(cube, i, err);
        } else if (dataset->field == KO_FIELD_CONTENT_HASH) {
            code = ko_cube_fill_hashes(cube, i, err);
        } else if (dataset->type != KO_TYPE_CHAR) {
            code = ko_cube_fill_numbers(cube, i, err);
        }
    }
    if (code == KO_OK) {
        code = ko_cube_fill_statuses(cube, err);
    }
    return code;
}

hid_t ko_cube_create_outline(hid_t file)
{
    const unsigned order = H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED;
    enum ko_code code = KO_OK;
    hid_t creation = H5Pcreate(H5P_GROUP_CREATE), group = H5I_INVALID_HID;

    if (creation >= 0 && H5Pset_obj_track_times(creation, false) >= 0 &&
        H5Pset_link_creation_order(creation, order) >= 0) {
        group = H5Gcreate2(file, KO_CUBE_WHOLE, H5P_DEFAULT, creation, H5P_DEFAULT);
    }
    ko_hdf5_close(creation, &code, "", NULL);
    return group;
}

/* The group `whole`: what a merge needs in addition to the shards' results. */
static enum ko_code write_outline(const struct ko_cube_new *cube, struct ko_error *err)
{
    struct ko_cube_new whole = {.path = cube->path, .content = cube->content->whole};
    enum ko_code code = KO_OK;

    for (size_t i = 0; i < KO_CUBE_N_DATASETS; i++) {
        whole.dataset[i] = H5I_INVALID_HID;
    }
    ko_cube_lengths_of_outline(whole.content->plan, &whole.lengths);
    whole.lengths.n[KO_AXIS_LABEL_LENGTH] =
        ko_cube_label_length(whole.content->plan, &whole.lengths);
    whole.file = ko_cube_create_outline(cube->file);
    if (whole.file < 0) {
        code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot create group '%s'", cube->path,
                            KO_CUBE_WHOLE);
    }
    if (code == KO_OK) {
        code = write_title(&whole, err);
    }
    if (code == KO_OK) {
        code = write_datasets(&whole, err);
    }
    if (code != KO_OK) {
        ko_cube_go_on_in_memory(cube->file);
    }
    for (size_t i = 0; i < KO_CUBE_N_DATASETS; i++) {
        ko_hdf5_close(whole.dataset[i], &code, cube->path, err);
    }
    ko_hdf5_close(whole.file, &code, cube->path, err);
    return code;
}

static enum ko_code write_cube(struct ko_cube_new *cube, void *context, struct ko_error *err)
{
    (void)context;
    enum ko_code code = write_root_attributes(cube, err);

    if (code == KO_OK) {
        code = write_datasets(cube, err);
    }
    if (code == KO_OK && cube->content->whole) {
        code = write_outline(cube, err);
    }
    return code;
}

static enum ko_code check_content(const char *path, const struct ko_cube_content *content,
                                  struct ko_cube_new *cube, struct ko_error *err)
{
    for (size_t i = 0; i < content->n_attributes; i++) {
        const struct ko_cube_attribute *attribute = &content->attribute[i];
        size_t n = strlen(attribute->value);
        if (!ko_utf8_valid(attribute->value, n)) {
            return ko_fail(err, KO_E_INPUT, "%s: attribute '%s' is not valid UTF-8", path,
                           attribute->name);
        }
        if (n > KO_CUBE_MAX_ATTRIBUTE && strcmp(attribute->name, "spec") == 0) {
            cube->spec = attribute->value;
            cube->lengths.n[KO_AXIS_SPEC_BYTE] = n;
        }
    }
    return KO_OK;
}

enum ko_code ko_cube_create(const char *path, const struct ko_cube_content *content,
                            struct ko_error *err)
{
    struct ko_cube_new cube = {.path = path, .content = content, .placing = content->placing};
    enum ko_code code;

    ko_hdf5_quiet();
    ko_cube_lengths_of_plan(content->plan, &cube.lengths);
    cube.lengths.reused = content->reused;
    cube.lengths.n[KO_AXIS_LABEL_LENGTH] = ko_cube_label_length(content->plan, &cube.lengths);
    code = check_content(path, content, &cube, err);
    return code == KO_OK ? ko_cube_write_file(&cube, write_cube, NULL, err) : code;
}
