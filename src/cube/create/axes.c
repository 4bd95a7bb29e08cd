/* SPDX-License-Identifier: Apache-2.0 */
/* Labels of a new cube's axes, and the HDF5 dimension scales that attach them to every dataset. */
#include <hdf5_hl.h>
#include <stdio.h>
#include <string.h>

#include "src/cube/create/fill.h"
#include "src/cube/format/hdf5_check.h"

static const char *route_label(const struct ko_plan *plan, bool heat, size_t index)
{
    for (int32_t i = 0; i < plan->n_routes; i++) {
        if (plan->route[i].heat == heat && (size_t)plan->route[i].axis == index) {
            return plan->route[i].route.label;
        }
    }
    return "";
}

int32_t ko_cube_fact(const struct ko_plan *plan, enum ko_cube_axis axis, size_t index)
{
    if (axis == KO_AXIS_PROMPT) {
        return plan->prompt_fact[index];
    }
    if (axis == KO_AXIS_HEAT_PROMPT) {
        return plan->heat_fact[index];
    }
    return (int32_t)index;
}

const char *ko_cube_label(const struct ko_plan *plan, enum ko_cube_axis axis, size_t index,
                          char buffer[64])
{
    switch (axis) {
    case KO_AXIS_MODEL:
        return plan->model[index].name;
    case KO_AXIS_ROUTE:
        return route_label(plan, false, index);
    case KO_AXIS_HEAT_ROUTE:
        return route_label(plan, true, index);
    case KO_AXIS_FEATURE_CLASS:
        ko_feature_class_label(&plan->class[index], buffer);
        return buffer;
    default:
        return plan->fact[ko_cube_fact(plan, axis, index)].id;
    }
}

size_t ko_cube_label_length(const struct ko_plan *plan, const struct ko_cube_lengths *lengths)
{
    size_t longest = KO_CUBE_MIN_LABEL_LENGTH;

    for (size_t i = 0; i < KO_CUBE_N_DATASETS; i++) {
        const struct ko_cube_dataset *dataset = &ko_cube_table[i];
        if (dataset->field != KO_FIELD_LABEL || !ko_cube_is_scale(dataset)) {
            continue;
        }
        for (size_t k = 0; k < lengths->n[dataset->axis[0]]; k++) {
            char buffer[64];
            size_t n = strlen(ko_cube_label(plan, dataset->axis[0], k, buffer));
            longest = n > longest ? n : longest;
        }
    }
    return longest;
}

static hid_t scale_of(const struct ko_cube_new *cube, enum ko_cube_axis axis)
{
    for (size_t i = 0; i < KO_CUBE_N_DATASETS; i++) {
        if (ko_cube_table[i].axis[0] == axis && ko_cube_is_scale(&ko_cube_table[i])) {
            return cube->dataset[i];
        }
    }
    return H5I_INVALID_HID;
}

/* A coordinate keeps its own name. Other scales get netCDF-4's text for a dimension without a
   variable: only then do its readers join characters along them to strings. */
static herr_t make_scale(const struct ko_cube_new *cube, const struct ko_cube_dataset *dataset,
                         hid_t id)
{
    char name[96];

    if (dataset->field != KO_FIELD_LENGTH) {
        return H5DSset_scale(id, dataset->name);
    }
    (void)snprintf(name, sizeof name, "This is a netCDF dimension but not a netCDF variable.%10llu",
                   (unsigned long long)cube->lengths.n[dataset->axis[0]]);
    return H5DSset_scale(id, name);
}

enum ko_code ko_cube_attach_scales(struct ko_cube_new *cube, struct ko_error *err)
{
    for (size_t i = 0; i < KO_CUBE_N_DATASETS; i++) {
        const struct ko_cube_dataset *dataset = &ko_cube_table[i];
        if (cube->dataset[i] >= 0 && ko_cube_is_scale(dataset) &&
            make_scale(cube, dataset, cube->dataset[i]) < 0) {
            return ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot make '%s' an axis", cube->path,
                                dataset->name);
        }
    }
    for (size_t i = 0; i < KO_CUBE_N_DATASETS; i++) {
        const struct ko_cube_dataset *dataset = &ko_cube_table[i];
        if (cube->dataset[i] < 0 || ko_cube_is_scale(dataset)) {
            continue;
        }
        for (int k = 0; k < ko_cube_n_axes(dataset); k++) {
            if (H5DSattach_scale(cube->dataset[i], scale_of(cube, dataset->axis[k]), (unsigned)k) <
                0) {
                return ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot attach axis '%s' to '%s'",
                                    cube->path, ko_cube_axis_name(dataset->axis[k]), dataset->name);
            }
        }
    }
    return KO_OK;
}
