/* SPDX-License-Identifier: Apache-2.0 */
/* The command `show`: decides between curves, heat maps and the view of an evaluation, and prints
   as text, CSV or JSON. */
#include <string.h>

#include "src/cli/cli.h"
#include "src/formats/json_out.h"
#include "src/show/curves.h"
#include "src/show/curves_export.h"
#include "src/show/curves_print.h"
#include "src/show/heat_map.h"
#include "src/show/show_evaluation.h"
#include "src/show/strongest.h"
#include "src/show/strongest_print.h"

struct request {
    const char *path;
    struct ko_cube_view *view;
    const struct ko_cube_axes *axes;
    struct ko_curve_filter filter;
    struct ko_curve_query query;
    bool csv, json;
};

/* Refuses options that need curves. what: what the cube has instead. */
static enum ko_code refuse_statistics(const struct request *request, const char *what,
                                      struct ko_error *err)
{
    const char *option = request->query.n_strongest > 0              ? "--strongest"
                         : request->json                             ? "--json"
                         : request->query.by_relation                ? "--by"
                         : request->query.minus.interaction          ? "--interaction"
                         : ko_curve_query_subtracts(&request->query) ? "--minus-..."
                                                                     : NULL;
    if (!option) {
        return KO_OK;
    }
    return ko_fail(err, KO_E_INPUT, "%s: is for the curves of a sweep's routes, %s has %s", option,
                   request->path, what);
}

static enum ko_code show_evaluation(const struct request *request, struct ko_text *out,
                                    struct ko_error *err)
{
    const enum ko_code code =
        refuse_statistics(request, "no curves: it is an evaluation; leave the option out", err);
    return code != KO_OK ? code
                         : ko_show_evaluation(request->view, &request->filter, &request->query,
                                              request->csv, out, err);
}

static enum ko_code show_maps(const struct request *request, struct ko_text *out,
                              struct ko_error *err)
{
    int32_t n_maps = 0;
    enum ko_code code = KO_OK;
    const enum ko_curve_metric metric = request->query.metric;
    if (request->csv) {
        code = ko_heat_maps_csv(request->view, &request->filter, metric, out, &n_maps, err);
    } else {
        code = ko_heat_maps_print(request->view, &request->filter, metric, out, &n_maps, err);
    }
    if (code == KO_OK && n_maps == 0) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: no cell of it passes these filters together, drop one of them",
                       request->path);
    }
    if (code == KO_OK) {
        code = refuse_statistics(request, "heat maps of single prompts there; leave the option out",
                                 err);
    }
    return code;
}

/* Adds the root, and frees it. */
static enum ko_code add_json(json_object *root, struct ko_text *out, struct ko_error *err)
{
    const char *text = json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY |
                                                                JSON_C_TO_STRING_NOSLASHESCAPE);
    if (text) {
        ko_text_add(out, "%s\n", text);
    }
    json_object_put(root);
    return text ? KO_OK : ko_fail(err, KO_E_MEMORY, "JSON: out of memory");
}

static void add_unfinished(const struct ko_curves *curves, struct ko_text *out)
{
    if (curves->n_unfinished > 0) {
        ko_text_add(out, "\nnot everything is done, see `knockout status`\n");
    }
}

static enum ko_code print_strongest(const struct request *request, struct ko_curves *curves,
                                    struct ko_text *out, struct ko_error *err)
{
    struct ko_strongest strongest = {0};
    json_object *root = NULL;
    enum ko_code code =
        ko_strongest_find(curves, (size_t)request->query.n_strongest, &strongest, err);
    if (code == KO_OK && request->csv) {
        code = ko_strongest_csv(&strongest, curves, request->axes, &request->query, out, err);
    } else if (code == KO_OK && request->json) {
        code = ko_strongest_json(&strongest, curves, request->axes, &request->query, &root, err);
        code = code == KO_OK ? add_json(root, out, err) : code;
    } else if (code == KO_OK) {
        ko_strongest_print(&strongest, curves, request->axes, &request->query, out);
        add_unfinished(curves, out);
    }
    ko_strongest_free(&strongest);
    return code;
}

/* Says how to see the heat maps that pass the filters. */
static void add_heat_hint(const struct request *request, struct ko_text *out)
{
    bool edges = false, components = false;
    for (size_t r = 0; r < request->axes->heat_route.n; r++) {
        const bool edge = strstr(request->axes->heat_route.item[r], "<-") != NULL;
        edges = edges || (request->filter.heat_route[r] && edge);
        components = components || (request->filter.heat_route[r] && !edge);
    }
    if (edges) {
        ko_text_add(out, "\nheat maps: --source each\n");
    }
    if (components) {
        ko_text_add(out, "\nheat maps of components: --target each\n");
    }
}

static enum ko_code print_curves(const struct request *request, const struct ko_curves *curves,
                                 struct ko_text *out, struct ko_error *err)
{
    if (request->csv) {
        return ko_curves_csv(curves, request->axes, &request->query, out, err);
    }
    if (request->json) {
        json_object *root = NULL;
        const enum ko_code code =
            ko_curves_json(curves, request->axes, &request->query, &root, err);
        return code == KO_OK ? add_json(root, out, err) : code;
    }
    ko_curves_print(curves, request->axes, &request->query, out);
    add_unfinished(curves, out);
    add_heat_hint(request, out);
    return KO_OK;
}

/* Explains why --minus-... found nothing to subtract. */
static enum ko_code no_difference(const struct request *request, struct ko_error *err)
{
    if (request->query.minus.interaction) {
        return ko_fail(
            err, KO_E_INPUT,
            "--interaction: %s has no model with all, attention and ssm on one route and "
            "in one window",
            request->path);
    }
    if (request->query.minus.control) {
        return ko_fail(err, KO_E_INPUT,
                       "--minus-control: %s has no control of these curves, sweep routes from "
                       "random-like:SET:SEED or the class random-third:SEED beside them",
                       request->path);
    }
    return ko_fail(
        err, KO_E_INPUT,
        "--minus-...: %s has no second curve to subtract that shares prompts and windows "
        "(of the same layers), choose other curves",
        request->path);
}

static enum ko_code show_sweep(const struct request *request, struct ko_text *out,
                               struct ko_error *err)
{
    struct ko_cube_part part = {0};
    struct ko_curves curves = {0};
    enum ko_code code = ko_cube_part_of(request->view, false, &part, err);
    if (code == KO_OK) {
        code =
            ko_curves_read(&part, &request->filter, &request->query, request->path, &curves, err);
    }
    if (code == KO_OK && curves.n > 0 && request->query.n_strongest > 0) {
        code = print_strongest(request, &curves, out, err);
    } else if (code == KO_OK && curves.n > 0) {
        code = print_curves(request, &curves, out, err);
    } else if (code == KO_OK && curves.n_found > 0) {
        code = no_difference(request, err);
    } else if (code == KO_OK) {
        code = show_maps(request, out, err);
    }
    ko_curves_free(&curves);
    return code;
}

enum ko_code ko_command_show(struct ko_cli *cli, int *status, struct ko_error *err)
{
    struct request request = {.path = cli->options->arguments.item[0],
                              .csv = ko_option_flag(cli->options, KO_OPT_CSV),
                              .json = ko_option_flag(cli->options, KO_OPT_JSON)};
    struct ko_text text = {0};
    (void)status;
    enum ko_code code = KO_OK;
    if (request.csv && request.json) {
        code = ko_fail(err, KO_E_INPUT, "--csv and --json: contradict each other, choose one");
    }
    if (code == KO_OK) {
        code = ko_cube_view_open(request.path, &request.view, err);
    }
    if (code == KO_OK) {
        request.axes = ko_cube_view_axes(request.view);
        code = ko_curve_filter_read(cli->options, request.path, request.axes, &request.filter, err);
    }
    if (code == KO_OK) {
        code = ko_curve_query_read(cli->options, request.path, request.axes, &request.query, err);
    }
    if (code == KO_OK) {
        code = ko_cube_view_is_evaluation(request.view) ? show_evaluation(&request, &text, err)
                                                        : show_sweep(&request, &text, err);
    }
    if (code == KO_OK) {
        code = ko_text_check(&text, err);
    }
    if (code == KO_OK) {
        fputs(ko_text_str(&text), cli->out);
    }
    ko_text_free(&text);
    ko_curve_filter_free(&request.filter);
    ko_curve_query_free(&request.query);
    ko_cube_view_close(request.view);
    return code;
}
