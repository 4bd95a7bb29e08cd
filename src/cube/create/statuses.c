/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the first status of every cell of a new cube: not planned, pending or vacuous. Also marks
   vacuous cells that share a status with others. It goes model by model, to keep memory small. */
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/cube/create/fill.h"
#include "src/cube/format/fact_index.h"
#include "src/cube/format/hdf5_check.h"
#include "src/tree/statuses.h"

/* One of the datasets, for one model at a time. */
struct part {
    const char *name;
    enum ko_cube_axis axis;
    const uint8_t *record; /* of a prompt: all statuses, or all marks; borrowed */
    int64_t from;          /* where the part begins in a record */
    size_t index;          /* in the table */
    size_t n_each;         /* elements a prompt; 0: the dataset is absent */
    size_t n;              /* prompts */
    uint8_t *value;        /* [n, n_each]; owned */
    int32_t *of_fact;      /* [n_facts] index on the prompt axis or -1; owned */
};
enum { N_PARTS = 4 };

static enum ko_code open_part(const struct ko_cube_new *cube, struct part *part,
                              struct ko_error *err)
{
    const struct ko_cube_dataset *dataset = ko_cube_find(part->name);
    enum ko_code code;
    size_t n;

    part->index = (size_t)(dataset - ko_cube_table);
    if (cube->dataset[part->index] < 0) {
        return KO_OK;
    }
    part->n = (size_t)cube->lengths.n[part->axis];
    code = ko_cube_n_elements(dataset, &cube->lengths, 2, &part->n_each, err);
    if (code == KO_OK) {
        code = ko_multiply(part->n, part->n_each, &n, part->name, err);
    }
    if (code == KO_OK) {
        code = ko_cube_fact_index(cube->content->plan, part->axis, &part->of_fact, err);
    }
    if (code != KO_OK) {
        return code;
    }
    part->value = ko_new(n, 1, err);
    return part->value ? KO_OK : KO_E_MEMORY;
}

static bool has_fact(const struct part *part, int32_t fact)
{
    return part->n_each && part->of_fact[fact] >= 0;
}

/* status, vacuous: the record of a prompt, to which the parts refer. */
static enum ko_code plan_model(const struct ko_cube_new *cube, const struct part *part,
                               int32_t model, uint8_t *status, uint8_t *vacuous,
                               struct ko_error *err)
{
    const struct ko_plan *plan = cube->content->plan;
    enum ko_code code = KO_OK;

    for (int k = 0; k < N_PARTS; k++) {
        if (part[k].value) {
            memset(part[k].value, 0, part[k].n * part[k].n_each);
        }
    }
    for (int32_t fact = 0; fact < plan->n_facts && code == KO_OK; fact++) {
        bool any = false;
        for (int k = 0; k < N_PARTS; k++) {
            any = any || has_fact(&part[k], fact);
        }
        if (any) {
            code = ko_tree_statuses(plan, model, fact, status, vacuous, err);
        }
        for (int k = 0; k < N_PARTS && any && code == KO_OK; k++) {
            if (has_fact(&part[k], fact)) {
                memcpy(part[k].value + (size_t)part[k].of_fact[fact] * part[k].n_each,
                       part[k].record + part[k].from, part[k].n_each);
            }
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
        H5Dwrite(id, H5T_NATIVE_UINT8, memory, space, H5P_DEFAULT, part->value) < 0) {
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
    enum ko_code code = KO_E_MEMORY;

    if (cube->lengths.evaluation) {
        return KO_OK;
    }
    uint8_t *status = ko_new((size_t)ko_plan_n_statuses(plan), 1, err);
    uint8_t *vacuous = NULL;
    const bool marks = cube->lengths.vacuous;
    if (status && marks) {
        vacuous = ko_new((size_t)ko_plan_n_values(plan), 1, err);
    }
    struct part part[N_PARTS] = {{"status", KO_AXIS_PROMPT, status, 0, 0, 0, 0, NULL, NULL},
                                 {"heat_status", KO_AXIS_HEAT_PROMPT, status,
                                  ko_plan_n_mean_statuses(plan), 0, 0, 0, NULL, NULL},
                                 {"vacuous", KO_AXIS_PROMPT, vacuous, 0, 0, 0, 0, NULL, NULL},
                                 {"heat_vacuous", KO_AXIS_HEAT_PROMPT, vacuous,
                                  ko_plan_n_mean_values(plan), 0, 0, 0, NULL, NULL}};
    if (status && (vacuous || !marks)) {
        code = KO_OK;
    }
    for (int k = 0; k < N_PARTS && code == KO_OK; k++) {
        code = open_part(cube, &part[k], err);
    }
    for (int32_t model = 0; model < plan->n_models && code == KO_OK; model++) {
        code = plan_model(cube, part, model, status, vacuous, err);
        for (int k = 0; k < N_PARTS && code == KO_OK; k++) {
            code = write_part(cube, &part[k], model, err);
        }
    }
    for (int k = 0; k < N_PARTS; k++) {
        free(part[k].value);
        free(part[k].of_fact);
    }
    free(status);
    free(vacuous);
    return code;
}
