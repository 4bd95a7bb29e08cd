/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the first status of every cell of a new cube: not planned, pending or vacuous. It goes
   model by model, to keep memory small. */
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/cube/create/fill.h"
#include "src/cube/format/fact_index.h"
#include "src/cube/format/hdf5_check.h"
#include "src/tree/statuses.h"

/* One of the two status datasets, for one model at a time. */
struct part {
    size_t index;     /* in the table */
    int64_t from;     /* first status of the part in a record */
    size_t n_each;    /* statuses a prompt; 0: the dataset is absent */
    size_t n;         /* prompts */
    uint8_t *status;  /* [n, n_each]; owned */
    int32_t *of_fact; /* [n_facts] index on the prompt axis or -1; owned */
};

static enum ko_code open_part(const struct ko_cube_new *cube, const char *name,
                              enum ko_cube_axis axis, struct part *part, struct ko_error *err)
{
    const struct ko_cube_dataset *dataset = ko_cube_find(name);
    enum ko_code code;
    size_t n;

    part->index = (size_t)(dataset - ko_cube_table);
    if (cube->dataset[part->index] < 0) {
        return KO_OK;
    }
    part->n = (size_t)cube->lengths.n[axis];
    code = ko_cube_n_elements(dataset, &cube->lengths, 2, &part->n_each, err);
    if (code == KO_OK) {
        code = ko_multiply(part->n, part->n_each, &n, name, err);
    }
    if (code == KO_OK) {
        code = ko_cube_fact_index(cube->content->plan, axis, &part->of_fact, err);
    }
    if (code != KO_OK) {
        return code;
    }
    part->status = ko_new(n, 1, err);
    return part->status ? KO_OK : KO_E_MEMORY;
}

static void scatter_statuses(const struct part *part, int32_t fact, const uint8_t *record)
{
    if (part->n_each && part->of_fact[fact] >= 0) {
        memcpy(part->status + (size_t)part->of_fact[fact] * part->n_each, record + part->from,
               part->n_each);
    }
}

static enum ko_code plan_model(const struct ko_cube_new *cube, const struct part *mean,
                               const struct part *heat, int32_t model, uint8_t *record,
                               struct ko_error *err)
{
    const struct ko_plan *plan = cube->content->plan;
    enum ko_code code = KO_OK;

    for (int32_t fact = 0; fact < plan->n_facts && code == KO_OK; fact++) {
        if (!(mean->n_each && mean->of_fact[fact] >= 0) &&
            !(heat->n_each && heat->of_fact[fact] >= 0)) {
            continue;
        }
        code = ko_tree_statuses(plan, model, fact, record, err);
        if (code == KO_OK) {
            scatter_statuses(mean, fact, record);
            scatter_statuses(heat, fact, record);
        }
    }
    return code;
}

static enum ko_code write_part(const struct ko_cube_new *cube, const struct part *part,
                               int32_t model, struct ko_error *err)
{
    const struct ko_cube_dataset *dataset = &ko_cube_table[part->index];
    hsize_t first[KO_CUBE_MAX_AXES] = {(hsize_t)model}, count[KO_CUBE_MAX_AXES];
    hsize_t n = part->n * part->n_each;
    enum ko_code code = KO_OK;

    if (part->n_each == 0) {
        return KO_OK;
    }
    for (int i = 0; i < ko_cube_n_axes(dataset); i++) {
        count[i] = i ? cube->lengths.n[dataset->axis[i]] : 1;
    }
    hid_t id = cube->dataset[part->index];
    hid_t space = H5Dget_space(id), memory = H5Screate_simple(1, &n, NULL);
    if (space < 0 || memory < 0 ||
        H5Sselect_hyperslab(space, H5S_SELECT_SET, first, NULL, count, NULL) < 0 ||
        H5Dwrite(id, H5T_NATIVE_UINT8, memory, space, H5P_DEFAULT, part->status) < 0) {
        code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot write dataset '%s'", cube->path,
                            dataset->name);
    }
    ko_hdf5_close(memory, &code, cube->path, err);
    ko_hdf5_close(space, &code, cube->path, err);
    return code;
}

enum ko_code ko_cube_fill_statuses(struct ko_cube_new *cube, struct ko_error *err)
{
    const struct ko_plan *plan = cube->content->plan;
    struct part mean = {0}, heat = {.from = 0};
    uint8_t *record = NULL;
    enum ko_code code;

    if (cube->lengths.evaluation) {
        return KO_OK;
    }
    heat.from = ko_plan_n_mean_statuses(plan);
    code = open_part(cube, "status", KO_AXIS_PROMPT, &mean, err);
    if (code == KO_OK) {
        code = open_part(cube, "heat_status", KO_AXIS_HEAT_PROMPT, &heat, err);
    }
    if (code != KO_OK) {
        goto done;
    }
    record = ko_new((size_t)ko_plan_n_statuses(plan), 1, err);
    if (!record) {
        code = KO_E_MEMORY;
    }
    for (int32_t model = 0; model < plan->n_models && code == KO_OK; model++) {
        if (mean.status) {
            memset(mean.status, 0, mean.n * mean.n_each);
        }
        if (heat.status) {
            memset(heat.status, 0, heat.n * heat.n_each);
        }
        code = plan_model(cube, &mean, &heat, model, record, err);
        if (code == KO_OK) {
            code = write_part(cube, &mean, model, err);
        }
        if (code == KO_OK) {
            code = write_part(cube, &heat, model, err);
        }
    }
done:
    free(record);
    free(mean.status);
    free(mean.of_fact);
    free(heat.status);
    free(heat.of_fact);
    return code;
}
