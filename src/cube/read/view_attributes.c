/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the root attributes of a cube as text, and the spec where it was too long for an
   attribute. */
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/utf8.h"
#include "src/cube/format/check.h"
#include "src/cube/format/hdf5_check.h"
#include "src/cube/read/view.h"

enum { MAX_ATTRIBUTE = 1 << 20 };

/* A fixed-length string without its padding. */
static enum ko_code read_fixed(const struct ko_cube_view *view, hid_t id, hid_t type, char **out,
                               struct ko_error *err)
{
    size_t n = H5Tget_size(type);
    enum ko_code code = KO_OK;
    hid_t memory = H5I_INVALID_HID;

    if (n == 0 || n > MAX_ATTRIBUTE) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: an attribute of %zu bytes is longer than any of a cube", view->path, n);
    }
    char *text = ko_new(n + 1, 1, err);
    if (!text) {
        return KO_E_MEMORY;
    }
    memory = H5Tcopy(type);
    if (memory < 0 || H5Aread(id, memory, text) < 0) {
        code = ko_hdf5_fail(err, KO_E_INPUT, "%s: cannot read an attribute", view->path);
    }
    ko_hdf5_close(memory, &code, view->path, err);
    if (code == KO_OK) {
        *out = text;
    } else {
        free(text);
    }
    return code;
}

static enum ko_code read_number(const struct ko_cube_view *view, hid_t id, char **out,
                                struct ko_error *err)
{
    struct ko_text text = {0};
    long long number = 0;
    enum ko_code code = KO_OK;

    if (H5Aread(id, H5T_NATIVE_LLONG, &number) < 0) {
        return ko_hdf5_fail(err, KO_E_INPUT, "%s: cannot read an attribute", view->path);
    }
    ko_text_add(&text, "%lld", number);
    code = ko_text_check(&text, err);
    if (code == KO_OK) {
        *out = text.data;
    } else {
        ko_text_free(&text);
    }
    return code;
}

/* Whether creation writes an attribute of this name. */
static bool is_of_cubes(const char *name)
{
    static const char *const names[] = {
        "title",  "Conventions", "cube_format", "kind",      "plan_hash",  "spec", "program",
        "commit", "backend",     "device",      "precision", "evaluation", "shard"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static enum ko_code refuse_kind(const struct ko_cube_view *view, const char *name, hid_t type,
                                hid_t space, struct ko_error *err)
{
    struct ko_text found = {0};

    if (H5Sget_simple_extent_npoints(space) != 1) {
        ko_text_add(&found, "%lld values", (long long)H5Sget_simple_extent_npoints(space));
    } else {
        ko_cube_type_text(type, &found);
    }
    const enum ko_code code =
        ko_fail(err, KO_E_INPUT, "%s: attribute '%s': expected %s, file has %s", view->path, name,
                strcmp(name, "cube_format") == 0 ? "one integer" : "one string of fixed length",
                ko_text_str(&found));
    ko_text_free(&found);
    return code;
}

/* Reads a scalar attribute as text. *out stays NULL for attributes of other kinds, which other
   programs may have added. */
static enum ko_code read_value(const struct ko_cube_view *view, hid_t id, const char *name,
                               char **out, struct ko_error *err)
{
    hid_t type = H5Aget_type(id), space = H5Aget_space(id);
    const bool number = strcmp(name, "cube_format") == 0;
    enum ko_code code = KO_OK;

    if (type < 0 || space < 0) {
        code = ko_hdf5_fail(err, KO_E_INPUT, "%s: cannot read an attribute", view->path);
    } else if (H5Sget_simple_extent_npoints(space) == 1) {
        H5T_class_t class = H5Tget_class(type);
        if (class == H5T_STRING && H5Tis_variable_str(type) == 0 && !number) {
            code = read_fixed(view, id, type, out, err);
        } else if (class == H5T_INTEGER && (number || !is_of_cubes(name))) {
            code = read_number(view, id, out, err);
        }
    }
    if (code == KO_OK && !*out && is_of_cubes(name)) {
        code = refuse_kind(view, name, type, space, err);
    }
    if (code == KO_OK && *out && !ko_utf8_valid(*out, strlen(*out))) {
        code = ko_fail(err, KO_E_INPUT, "%s: attribute '%s' is not valid UTF-8", view->path, name);
    }
    ko_hdf5_close(space, &code, view->path, err);
    ko_hdf5_close(type, &code, view->path, err);
    return code;
}

/* Reads the spec from its dataset, where it did not fit into an attribute. */
static enum ko_code read_spec(const struct ko_cube_view *view, char **out, struct ko_error *err)
{
    hsize_t n = view->lengths.n[KO_AXIS_SPEC_BYTE];
    char *text = ko_new((size_t)n + 1, 1, err);

    if (!text) {
        return KO_E_MEMORY;
    }
    enum ko_code code = ko_cube_view_transfer(view, "spec_text", 0, n, H5T_NATIVE_UINT8, text, err);
    if (code == KO_OK) {
        *out = text;
    } else {
        free(text);
    }
    return code;
}

static enum ko_code add_attribute(struct ko_cube_view *view, const char *name, const char *value,
                                  struct ko_error *err)
{
    enum ko_code code = ko_strings_add(&view->attribute_name, name, err);

    return code == KO_OK ? ko_strings_add(&view->attribute_value, value, err) : code;
}

static enum ko_code read_one(struct ko_cube_view *view, hid_t id, struct ko_error *err)
{
    char name[256], *value = NULL;
    enum ko_code code = KO_OK;

    if (H5Aget_name(id, sizeof name, name) < 0) {
        return ko_hdf5_fail(err, KO_E_INPUT, "%s: an attribute has no name", view->path);
    }
    code = read_value(view, id, name, &value, err);
    if (code == KO_OK && value) {
        code = add_attribute(view, name, value, err);
    }
    free(value);
    return code;
}

struct names {
    struct ko_strings list;
    enum ko_code code;
    struct ko_error *err;
};

static herr_t take_name(hid_t object, const char *name, const H5A_info_t *info, void *context)
{
    struct names *names = context;
    (void)object;
    (void)info;
    names->code = ko_strings_add(&names->list, name, names->err);
    return names->code == KO_OK ? 0 : -1;
}

enum ko_code ko_cube_view_read_attributes(struct ko_cube_view *view, struct ko_error *err)
{
    struct names names = {.err = err};
    const herr_t listed =
        H5Aiterate2(view->file, H5_INDEX_NAME, H5_ITER_INC, NULL, take_name, &names);
    enum ko_code code = names.code;

    if (listed < 0 && code == KO_OK) {
        code = ko_hdf5_fail(err, KO_E_INPUT, "%s: cannot read the attributes", view->path);
    }
    for (size_t i = 0; i < names.list.n && code == KO_OK; i++) {
        const char *name = names.list.item[i];
        hid_t id = H5Aopen(view->file, name, H5P_DEFAULT);
        if (id < 0) {
            code =
                ko_hdf5_fail(err, KO_E_INPUT, "%s: cannot read attribute '%s'", view->path, name);
        } else {
            code = read_one(view, id, err);
        }
        ko_hdf5_close(id, &code, view->path, err);
    }
    ko_strings_free(&names.list);
    return code;
}

enum ko_code ko_cube_view_read_spec(struct ko_cube_view *view, struct ko_error *err)
{
    ptrdiff_t index = ko_strings_find(&view->attribute_name, "spec");
    char *text = NULL;
    enum ko_code code;

    if (index < 0 || strcmp(view->attribute_value.item[index], KO_CUBE_SPEC_ELSEWHERE) != 0 ||
        view->lengths.n[KO_AXIS_SPEC_BYTE] == 0) {
        return KO_OK;
    }
    code = read_spec(view, &text, err);
    if (code == KO_OK) {
        free(view->attribute_value.item[index]);
        view->attribute_value.item[index] = text;
    }
    return code;
}
