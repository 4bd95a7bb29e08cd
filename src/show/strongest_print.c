/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the strongest cells as text, CSV or JSON, with the number of cells that they are chosen
   from: Holm's p means nothing without it. */
#include "src/show/strongest_print.h"

#include <math.h>

#include "src/formats/json_out.h"
#include "src/show/curves_export.h"
#include "src/show/curves_print.h"
#include "src/show/layer_words.h"

/* "the 10 strongest of 1,024 cells that pass the filters ..." */
static void add_head(const struct ko_strongest *strongest, const struct ko_curve_query *query,
                     struct ko_text *out)
{
    struct ko_text line = {0};
    char n[32], cells[32], tests[32];
    if (strongest->n < strongest->n_cells) {
        ko_text_add(&line, "the %s strongest of %s cells", ko_grouped((int64_t)strongest->n, n),
                    ko_grouped((int64_t)strongest->n_cells, cells));
    } else {
        ko_text_add(&line, "all %s cells", ko_grouped((int64_t)strongest->n, n));
    }
    ko_text_add(&line, " that pass the filters (windows of a curve), by |%s|",
                ko_statistic_word(query->summary.statistic));
    ko_fold_text(out, 0, &line);
    if (ko_curve_query_tests(query)) {
        ko_text_add(&line,
                    "p: t-test over prompts that the mean is 0; p, Holm: corrected over all "
                    "%s cells%s",
                    ko_grouped((int64_t)strongest->n_tests, tests),
                    strongest->n_tests < strongest->n_cells ? " that can be tested" : "");
        ko_fold_text(out, 0, &line);
    }
}

static void add_cell(struct ko_table *table, const struct ko_strong_cell *cell,
                     const struct ko_curves *curves, const struct ko_cube_axes *axes,
                     const struct ko_curve_query *query, double bars)
{
    const struct ko_curve *curve = cell->curve;
    const struct ko_curve_key *key = &curve->key;
    char text[KO_WINDOW_LAYERS_TEXT];
    ko_table_add(table, "%s", axes->model.item[key->model]);
    ko_table_add(table, "%s", axes->route.item[key->route]);
    ko_table_add(table, "%s", axes->feature_class.item[key->class]);
    ko_table_add(table, "%s",
                 ko_window_layers_text(axes, key->model, axes->window_size[key->size],
                                       cell->point->start, text));
    if (query->by_relation) {
        const char *relation = curves->relation.item[curve->relation];
        ko_table_add(table, "%s", relation[0] ? relation : "(none)");
    }
    if (ko_curve_query_subtracts(query)) {
        ko_table_add(table, "%s", curve->minus);
    }
    ko_point_add(table, cell->point, query, bars);
}

static bool any_is_cut(const struct ko_strongest *strongest, const struct ko_summary *summary)
{
    for (size_t k = 0; k < strongest->n; k++) {
        if (ko_estimate_is_cut(&strongest->cell[k].point->estimate, summary)) {
            return true;
        }
    }
    return false;
}

void ko_strongest_print(const struct ko_strongest *strongest, const struct ko_curves *curves,
                        const struct ko_cube_axes *axes, const struct ko_curve_query *query,
                        struct ko_text *out)
{
    const double largest = strongest->n > 0 ? fabs(strongest->cell[0].point->estimate.value) : 0;
    const double bars = ko_bar_step(query->metric, largest);
    const bool subtracts = ko_curve_query_subtracts(query), tests = ko_curve_query_tests(query);
    const size_t n_words = 4 + (query->by_relation ? 1u : 0) + (subtracts ? 1u : 0);
    const size_t n_numbers = KO_POINT_COLUMNS + (tests ? KO_POINT_TEST_COLUMNS : 0);
    struct ko_table table = {.n_columns = n_words + n_numbers};
    /* The layers and all numbers, without the bar. */
    table.right = 1u << 3 | ((1u << (n_numbers - 1)) - 1) << n_words;
    ko_curves_print_title(query, out);
    add_head(strongest, query, out);
    ko_curves_print_scale(query, bars, any_is_cut(strongest, &query->summary), out);
    ko_text_add(out, "\n");
    ko_table_add(&table, "model");
    ko_table_add(&table, "route");
    ko_table_add(&table, "class");
    ko_table_add(&table, "layers");
    if (query->by_relation) {
        ko_table_add(&table, "relation");
    }
    if (subtracts) {
        ko_table_add(&table, "minus");
    }
    ko_point_add_header(&table, query);
    for (size_t k = 0; k < strongest->n; k++) {
        add_cell(&table, &strongest->cell[k], curves, axes, query, bars);
    }
    ko_table_print(&table, 2, out);
}

enum ko_code ko_strongest_csv(const struct ko_strongest *strongest, const struct ko_curves *curves,
                              const struct ko_cube_axes *axes, const struct ko_curve_query *query,
                              struct ko_text *out, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    ko_text_add(out, "%s,rank,cells,tests\n", ko_curves_csv_columns);
    for (size_t k = 0; code == KO_OK && k < strongest->n; k++) {
        const struct ko_strong_cell *cell = &strongest->cell[k];
        code = ko_point_csv(curves, cell->curve, cell->point, axes, query, out, err);
        ko_text_add(out, ",%zu,%zu,%zu\n", k + 1, strongest->n_cells, strongest->n_tests);
    }
    return code;
}

enum ko_code ko_strongest_json(const struct ko_strongest *strongest, const struct ko_curves *curves,
                               const struct ko_cube_axes *axes, const struct ko_curve_query *query,
                               json_object **out, struct ko_error *err)
{
    json_object *root = NULL;
    enum ko_code code = ko_curves_json_head(curves, axes, query, &root, err);
    if (code != KO_OK) {
        return code;
    }
    ko_json_put_int(root, "cells", (int64_t)strongest->n_cells);
    ko_json_put_int(root, "tests", (int64_t)strongest->n_tests);
    ko_json_put_text(root, "p_holm_over", "all cells that pass the filters");
    json_object *list = ko_json_put_list(root, "strongest");
    for (size_t k = 0; code == KO_OK && k < strongest->n; k++) {
        const struct ko_strong_cell *cell = &strongest->cell[k];
        json_object *object = ko_json_add_object(list);
        code = ko_curve_json(object, curves, cell->curve, axes, query, err);
        ko_point_json(object, cell->curve, cell->point, axes, query);
    }
    if (code == KO_OK) {
        *out = root;
    } else {
        json_object_put(root);
    }
    return code;
}
