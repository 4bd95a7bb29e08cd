/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/show/strongest.h"
#include "src/show/strongest_print.h"

/* Three heads of a model of three layers, windows of one layer. The second head's first cell has no
   value, its second one no p. The third head has one layer. */
struct fixture {
    struct ko_cube_axes axes;
    int32_t sizes[1], n_layers[1];
    struct ko_curve_point point[3][3];
    struct ko_curve curve[3];
    struct ko_curves curves;
};

static void add(struct ko_strings *list, const char *text)
{
    struct ko_error err = {0};
    assert_int_equal(ko_strings_add(list, text, &err), KO_OK);
}

static void make(struct fixture *f)
{
    *f = (struct fixture){.sizes = {1}, .n_layers = {3}};
    add(&f->axes.model, "tiny");
    add(&f->axes.route, "attention@last");
    add(&f->axes.feature_class, "head:0");
    add(&f->axes.feature_class, "head:1");
    add(&f->axes.feature_class, "head:2");
    f->axes.window_size = f->sizes;
    f->axes.n_layers = f->n_layers;
    f->point[0][0] = (struct ko_curve_point){0, 0, {-50.5, -60, -41, 1200}, 0.01, 0.03};
    f->point[0][1] = (struct ko_curve_point){1, 50, {3, -1, 7, 1200}, 0.04, 0.04};
    f->point[0][2] = (struct ko_curve_point){2, 100, {-3, -8, 2, 1200}, 0.5, 0.5};
    f->point[1][0] = (struct ko_curve_point){0, 0, {NAN, NAN, NAN, 0}, NAN, NAN};
    f->point[1][1] = (struct ko_curve_point){1, 50, {20, NAN, NAN, 1}, NAN, NAN};
    f->point[2][0] = (struct ko_curve_point){2, 100, {60, 50, 70, 1200}, 0.001, 0.001};
    for (int c = 0; c < 3; c++) {
        f->curve[c] = (struct ko_curve){.key = {.class = c},
                                        .relation = -1,
                                        .point = f->point[c],
                                        .n_points = c == 0   ? 3
                                                    : c == 1 ? 2
                                                             : 1};
    }
    f->curves = (struct ko_curves){.curve = f->curve, .n = 3};
}

static void release(struct fixture *f)
{
    ko_strings_free(&f->axes.model);
    ko_strings_free(&f->axes.route);
    ko_strings_free(&f->axes.feature_class);
}

static const struct ko_curve_query change = {.n_strongest = 3, .minus = {.model = -1, .class = -1}};

static void the_strongest_come_first_and_equal_ones_in_order(void **state)
{
    (void)state;
    const struct {
        int curve, point;
    } order[] = {{2, 0}, {0, 0}, {1, 1}, {0, 1}, {0, 2}};
    struct fixture f;
    make(&f);
    for (size_t wanted = 1; wanted < 8; wanted++) {
        struct ko_strongest found = {0};
        struct ko_error err = {0};
        assert_int_equal(ko_strongest_find(&f.curves, wanted, &found, &err), KO_OK);
        assert_int_equal(found.n, wanted < 5 ? wanted : 5);
        assert_int_equal(found.n_cells, 5);
        assert_int_equal(found.n_tests, 4);
        for (size_t k = 0; k < found.n; k++) {
            assert_ptr_equal(found.cell[k].curve, &f.curve[order[k].curve]);
            assert_ptr_equal(found.cell[k].point, &f.point[order[k].curve][order[k].point]);
        }
        ko_strongest_free(&found);
    }
    release(&f);
}

static void assert_near(double found, double expected)
{
    if (!(fabs(found - expected) <= 1e-12)) {
        fail_msg("expected %g, got %g", expected, found);
    }
}

/* Also over the cells that are not listed. */
static void p_is_corrected_over_all_cells_of_all_curves(void **state)
{
    (void)state;
    struct fixture f;
    struct ko_strongest found = {0};
    struct ko_error err = {0};
    make(&f);
    assert_int_equal(ko_strongest_find(&f.curves, 1, &found, &err), KO_OK);
    /* R: p.adjust(c(0.01, 0.04, 0.5, 0.001), "holm") */
    assert_near(f.point[0][0].p_holm, 0.03);
    assert_near(f.point[0][1].p_holm, 0.08);
    assert_near(f.point[0][2].p_holm, 0.5);
    assert_near(f.point[2][0].p_holm, 0.004);
    assert_true(isnan(f.point[1][0].p_holm) && isnan(f.point[1][1].p_holm));
    ko_strongest_free(&found);
    release(&f);
}

static void no_curve_has_no_strongest_cell(void **state)
{
    (void)state;
    struct ko_curves none = {0};
    struct ko_strongest found = {0};
    struct ko_error err = {0};
    assert_int_equal(ko_strongest_find(&none, 3, &found, &err), KO_OK);
    assert_int_equal(found.n, 0);
    ko_strongest_free(&found);
}

static void the_table_says_of_how_many_cells_they_are(void **state)
{
    (void)state;
    struct fixture f;
    struct ko_strongest found = {0};
    struct ko_error err = {0};
    struct ko_text text = {0};
    make(&f);
    assert_int_equal(ko_strongest_find(&f.curves, 3, &found, &err), KO_OK);
    ko_strongest_print(&found, &f.curves, &f.axes, &change, &text);
    assert_string_equal(
        ko_text_str(&text),
        "mean change of the answer's probability relative to the clean run, %\n"
        "the 3 strongest of 5 cells that pass the filters (windows of a curve), by |mean|\n"
        "p: t-test over prompts that the mean is 0; p, Holm: corrected over all 4 cells\n"
        "that can be tested\n"
        "bars: each - or + is 2 %\n"
        "\n"
        "  model  route           class   layers    mean     95 % interval       p  p, Holm      "
        "n\n"
        "  tiny   attention@last  head:2       2   60.00    [50.00, 70.00]  0.0010   0.0040  1,200"
        "  ++++++++++++++++++++++++++++++\n"
        "  tiny   attention@last  head:0       0  -50.50  [-60.00, -41.00]  0.0100   0.0300  1,200"
        "  -------------------------\n"
        "  tiny   attention@last  head:1       1   20.00                 -       -        -      1"
        "  ++++++++++\n");
    ko_text_free(&text);
    ko_strongest_free(&found);
    assert_int_equal(ko_strongest_find(&f.curves, 9, &found, &err), KO_OK);
    ko_strongest_print(&found, &f.curves, &f.axes, &change, &text);
    assert_non_null(strstr(ko_text_str(&text), "\nall 5 cells that pass the filters"));
    ko_text_free(&text);
    ko_strongest_free(&found);
    release(&f);
}

static void medians_have_no_p(void **state)
{
    (void)state;
    const struct ko_curve_query query = {.n_strongest = 1,
                                         .summary.statistic = KO_STATISTIC_MEDIAN,
                                         .summary.interval = KO_INTERVAL_ORDER,
                                         .minus = {.model = -1, .class = -1}};
    struct fixture f;
    struct ko_strongest found = {0};
    struct ko_error err = {0};
    struct ko_text text = {0};
    make(&f);
    assert_int_equal(ko_strongest_find(&f.curves, 1, &found, &err), KO_OK);
    ko_strongest_print(&found, &f.curves, &f.axes, &query, &text);
    assert_non_null(strstr(ko_text_str(&text), "the 1 strongest of 5 cells"));
    assert_non_null(strstr(ko_text_str(&text), "by\n|median|\nbars"));
    assert_null(strstr(ko_text_str(&text), "Holm"));
    ko_text_free(&text);
    ko_strongest_free(&found);
    release(&f);
}

static void other_programs_get_rank_cells_and_tests(void **state)
{
    (void)state;
    struct fixture f;
    struct ko_strongest found = {0};
    struct ko_error err = {0};
    struct ko_text text = {0};
    json_object *root = NULL;
    make(&f);
    assert_int_equal(ko_strongest_find(&f.curves, 2, &found, &err), KO_OK);
    assert_int_equal(ko_strongest_csv(&found, &f.curves, &f.axes, &change, &text, &err), KO_OK);
    assert_string_equal(
        ko_text_str(&text),
        "model,route,target,source,feature_class,window_size,window_start,depth,metric,value,low,"
        "high,n,statistic,interval,relation,minus,p,p_holm,first_layer,last_layer,rank,cells,"
        "tests\n"
        "tiny,attention@last,last,attention,head:2,1,2,100,change,60,50,70,1200,mean,t,,,0.001,"
        "0.004,2,2,1,5,4\n"
        "tiny,attention@last,last,attention,head:0,1,0,0,change,-50.5,-60,-41,1200,mean,t,,,0.01,"
        "0.03,0,0,2,5,4\n");
    ko_text_free(&text);
    assert_int_equal(ko_strongest_json(&found, &f.curves, &f.axes, &change, &root, &err), KO_OK);
    const char *json = json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN);
    assert_non_null(strstr(json,
                           "\"cells\":5,\"tests\":4,\"p_holm_over\":\"all cells that pass the "
                           "filters\",\"strongest\":[{\"model\":\"tiny\""));
    assert_non_null(strstr(json, "\"feature_class\":\"head:2\",\"window_size\":1,\"layers\":3,"
                                 "\"start\":2,\"depth\":100.0,\"value\":60.0,"));
    assert_non_null(strstr(json, "\"p\":0.001"));
    assert_non_null(strstr(json, "\"p_holm\":0.004"));
    assert_non_null(strstr(json, "\"first_layer\":2,\"last_layer\":2}"));
    json_object_put(root);
    ko_strongest_free(&found);
    release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_strongest_come_first_and_equal_ones_in_order),
        cmocka_unit_test(p_is_corrected_over_all_cells_of_all_curves),
        cmocka_unit_test(no_curve_has_no_strongest_cell),
        cmocka_unit_test(the_table_says_of_how_many_cells_they_are),
        cmocka_unit_test(medians_have_no_p),
        cmocka_unit_test(other_programs_get_rank_cells_and_tests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
