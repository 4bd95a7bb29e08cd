/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/show/curves_export.h"
#include "src/show/curves_print.h"

/* Two curves of a model of 4 layers, windows of 2; the second has nothing done. */
struct fixture {
    struct ko_cube_axes axes;
    int32_t sizes[1], n_layers[1];
    struct ko_curve_point first[2], second[1];
    struct ko_curve curve[2];
    struct ko_curves curves;
};

static void add(struct ko_strings *list, const char *text)
{
    struct ko_error err = {0};
    assert_int_equal(ko_strings_add(list, text, &err), KO_OK);
}

static void make(struct fixture *f)
{
    *f = (struct fixture){.sizes = {2}, .n_layers = {4}};
    add(&f->axes.model, "org/tiny, \"odd\"");
    add(&f->axes.route, "last<-subject");
    add(&f->axes.route, "last<-first");
    add(&f->axes.feature_class, "all");
    f->axes.window_size = f->sizes;
    f->axes.n_layers = f->n_layers;
    f->first[0] = (struct ko_curve_point){0, 0, {-50.125, -60.5, -40, 1200}, NAN, NAN};
    f->first[1] = (struct ko_curve_point){2, 100, {25, 20, 30, 1200}, NAN, NAN};
    f->second[0] = (struct ko_curve_point){0, 0, {NAN, NAN, NAN, 0}, NAN, NAN};
    f->curve[0] = (struct ko_curve){.relation = -1, .point = f->first, .n_points = 2};
    f->curve[1] =
        (struct ko_curve){.key = {.route = 1}, .relation = -1, .point = f->second, .n_points = 1};
    f->curves = (struct ko_curves){.curve = f->curve, .n = 2};
}

static void release(struct fixture *f)
{
    ko_strings_free(&f->axes.model);
    ko_strings_free(&f->axes.route);
    ko_strings_free(&f->axes.feature_class);
}

static const struct ko_curve_query mean_change = {.minus = {.model = -1, .class = -1}};
static const struct ko_curve_query difference = {.minus = {.model = 1, .class = -1}};

static void a_line_a_window_with_interval_count_and_bar(void **state)
{
    (void)state;
    struct fixture f;
    struct ko_text text = {0};
    make(&f);
    ko_curves_print(&f.curves, &f.axes, &mean_change, &text);
    assert_non_null(strstr(ko_text_str(&text), "last<-subject  all  window of 2 of 4 layers\n"));
    assert_non_null(strstr(ko_text_str(&text),
                           "     0-1    0.0 %  -50.12  [-60.50, -40.00]  1,200  "
                           "-------------------------\n"));
    assert_non_null(strstr(ko_text_str(&text),
                           "     2-3  100.0 %   25.00    [20.00, 30.00]  1,200  "
                           "+++++++++++++\n"));
    assert_non_null(strstr(ko_text_str(&text), "     0-1  0.0 %     -              -  0\n"));
    ko_text_free(&text);
    release(&f);
}

static void an_interval_that_was_cut_is_said(void **state)
{
    (void)state;
    const struct ko_curve_query query = {.metric = KO_CURVE_CHANGE,
                                         .summary.bounds = {.has_least = true, .least = -100},
                                         .minus = {.model = -1, .class = -1}};
    const char *said = "intervals are cut at -100.00, beyond which no mean can lie\n";
    struct fixture f;
    struct ko_text text = {0};
    make(&f);
    ko_curves_print(&f.curves, &f.axes, &query, &text);
    assert_null(strstr(ko_text_str(&text), "cut"));
    ko_text_free(&text);
    f.first[0].estimate.low = -100;
    ko_curves_print(&f.curves, &f.axes, &query, &text);
    assert_non_null(strstr(ko_text_str(&text), said));
    ko_text_free(&text);
    release(&f);
}

/* The first curve as a difference, of one relation. */
static void make_difference(struct fixture *f)
{
    static char minus[] = "mean of 2 last<-random-like:subject:SEED";
    make(f);
    add(&f->curves.relation, "capital, of");
    f->curve[0].minus = minus;
    f->curve[0].relation = 0;
    f->first[0].p = 0.00001234;
    f->first[0].p_holm = 0.00002468;
    f->first[1].p = 0.25;
    f->first[1].p_holm = 0.25;
    f->curves.n = 1;
}

static void a_difference_names_what_is_subtracted_and_its_p_values(void **state)
{
    (void)state;
    struct fixture f;
    struct ko_text text = {0};
    make_difference(&f);
    ko_curves_print(&f.curves, &f.axes, &difference, &text);
    assert_string_equal(
        ko_text_str(&text),
        "paired difference, mean over prompts:\n"
        "change of the answer's probability relative to the clean run, %\n"
        "bars: each - or + is 2 %\n"
        "\norg/tiny, \"odd\"  last<-subject  all  window of 2 of 4 layers  relation capital, of\n"
        "  minus mean of 2 last<-random-like:subject:SEED\n"
        "  layers    depth  difference     95 % interval        p  p, Holm      n\n"
        "     0-1    0.0 %      -50.12  [-60.50, -40.00]  1.2e-05  2.5e-05  1,200  "
        "-------------------------\n"
        "     2-3  100.0 %       25.00    [20.00, 30.00]   0.2500   0.2500  1,200  "
        "+++++++++++++\n");
    ko_text_free(&text);
    ko_strings_free(&f.curves.relation);
    release(&f);
}

#define CSV_HEADER                                                                                 \
    "model,route,target,source,feature_class,window_size,window_start,depth,metric,value,low,"     \
    "high,n,statistic,interval,relation,minus,p,p_holm,first_layer,last_layer\n"

static void csv_is_one_table_with_empty_fields_for_what_is_not_known(void **state)
{
    (void)state;
    struct fixture f;
    struct ko_text text = {0};
    struct ko_error err = {0};
    make(&f);
    assert_int_equal(ko_curves_csv(&f.curves, &f.axes, &mean_change, &text, &err), KO_OK);
    assert_string_equal(ko_text_str(&text), CSV_HEADER
                        "\"org/tiny, \"\"odd\"\"\",last<-subject,last,subject,all,2,0,0,change,"
                        "-50.125,-60.5,-40,1200,mean,t,,,,,0,1\n"
                        "\"org/tiny, \"\"odd\"\"\",last<-subject,last,subject,all,2,2,100,change,"
                        "25,20,30,1200,mean,t,,,,,2,3\n"
                        "\"org/tiny, \"\"odd\"\"\",last<-first,last,first,all,2,0,0,change,,,,0,"
                        "mean,t,,,,,0,1\n");
    ko_text_free(&text);
    release(&f);
    make_difference(&f);
    assert_int_equal(ko_curves_csv(&f.curves, &f.axes, &difference, &text, &err), KO_OK);
    assert_non_null(strstr(ko_text_str(&text), ",25,20,30,1200,mean,t,\"capital, of\",mean of 2 "
                                               "last<-random-like:subject:SEED,0.25,0.25,2,3\n"));
    ko_text_free(&text);
    ko_strings_free(&f.curves.relation);
    release(&f);
}

static void json_has_null_for_what_is_not_known(void **state)
{
    (void)state;
    struct fixture f;
    struct ko_error err = {0};
    json_object *root = NULL;
    make(&f);
    f.curves.n_unfinished = 3;
    assert_int_equal(ko_curves_json(&f.curves, &f.axes, &mean_change, &root, &err), KO_OK);
    assert_string_equal(
        json_object_to_json_string_ext(root,
                                       JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
        "{\"metric\":\"change\",\"unit\":\"%\",\"statistic\":\"mean\",\"interval\":\"t\","
        "\"windows_over\":\"layers\",\"windows_style\":\"whole\","
        "\"unfinished\":3,\"curves\":[{\"model\":\"org/tiny, \\\"odd\\\"\",\"route\":\"last<-"
        "subject\",\"target\":\"last\",\"source\":\"subject\",\"feature_class\":\"all\","
        "\"window_size\":2,\"layers\":4,\"windows\":[{\"start\":0,\"depth\":0.0,\"value\":-50.125,"
        "\"low\":-60.5,\"high\":-40.0,\"n\":1200,\"first_layer\":0,\"last_layer\":1},{\"start\":2,"
        "\"depth\":100.0,\"value\":25.0,"
        "\"low\":20.0,\"high\":30.0,\"n\":1200,\"first_layer\":2,\"last_layer\":3}]},{\"model\":"
        "\"org/tiny, \\\"odd\\\"\",\"route\":"
        "\"last<-first\",\"target\":\"last\",\"source\":\"first\",\"feature_class\":\"all\","
        "\"window_size\":2,\"layers\":4,\"windows\":[{\"start\":0,\"depth\":0.0,\"value\":null,"
        "\"low\":null,\"high\":null,\"n\":0,\"first_layer\":0,\"last_layer\":1}]}]}");
    json_object_put(root);
    release(&f);
}

/* Windows count the layers 1 and 3 of four. */
static void windows_are_printed_by_their_true_layers(void **state)
{
    (void)state;
    int32_t counted[] = {1, 3, -1, -1};
    struct fixture f;
    struct ko_text text = {0};
    struct ko_error err = {0};
    make(&f);
    f.axes.over = KO_OVER_ATTENTION;
    f.axes.counted = counted;
    f.axes.n_layer_axis = 4;
    f.curve[0].n_points = 1;
    f.curves.n = 1;
    ko_curves_print(&f.curves, &f.axes, &mean_change, &text);
    assert_non_null(
        strstr(ko_text_str(&text), "  all  window of 2 of 2 layers with attention, of 4 in all\n"));
    assert_non_null(strstr(ko_text_str(&text), "\n     1-3  "));
    ko_text_free(&text);
    assert_int_equal(ko_curves_csv(&f.curves, &f.axes, &mean_change, &text, &err), KO_OK);
    assert_non_null(strstr(ko_text_str(&text), ",all,2,0,0,change,"));
    assert_non_null(strstr(ko_text_str(&text), ",mean,t,,,,,1,3\n"));
    ko_text_free(&text);
    release(&f);
}

/* An interaction in a hybrid of four layers. */
static void an_interaction_says_what_it_is_and_what_is_left_out(void **state)
{
    (void)state;
    const struct ko_curve_query interaction = {
        .minus = {.interaction = true, .model = -1, .class = -1}};
    uint8_t mixers[] = {2, 2, 1, 0};
    char minus[] = "attention and ssm";
    struct fixture f;
    struct ko_text text = {0};
    struct ko_error err = {0};
    json_object *root = NULL;
    make(&f);
    f.axes.mixers = mixers;
    f.axes.n_layer_axis = 4;
    f.curve[0].minus = minus;
    f.curve[0].n_left_out = 1;
    f.curve[0].n_points = 1;
    f.curves.n = 1;
    ko_curves_print(&f.curves, &f.axes, &interaction, &text);
    assert_string_equal(
        ko_text_str(&text),
        "interaction of attention and ssm, mean over prompts:\n"
        "change of the answer's probability relative to the clean run, %\n"
        "bars: each - or + is 2 %\n"
        "layers of org/tiny, \"odd\": ssm 0-1; attention 2; no mixer 3\n"
        "\norg/tiny, \"odd\"  last<-subject  all  window of 2 of 4 layers\n"
        "  minus attention and ssm\n"
        "  1 window is left out: attention or ssm is vacuous there, and the interaction 0\n"
        "  layers  depth  interaction     95 % interval  p  p, Holm      n\n"
        "     0-1  0.0 %       -50.12  [-60.50, -40.00]  -        -  1,200  "
        "-------------------------\n");
    ko_text_free(&text);
    assert_int_equal(ko_curves_json(&f.curves, &f.axes, &interaction, &root, &err), KO_OK);
    const char *json = json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN);
    assert_non_null(strstr(json, "\"layer_mixers\":{\"org\\/tiny, \\\"odd\\\"\":[\"ssm\",\"ssm\","
                                 "\"attention\",\"no mixer\"]}"));
    assert_non_null(strstr(json, "\"minus\":\"attention and ssm\",\"left_out\":1,\"windows\""));
    json_object_put(root);
    release(&f);
}

/* The figure, its interval and its bar. */
static void check_line(enum ko_curve_metric metric, struct ko_estimate estimate, const char *line)
{
    const struct ko_curve_query query = {.metric = metric, .minus = {.model = -1, .class = -1}};
    struct fixture f;
    struct ko_text text = {0};
    make(&f);
    f.first[0].estimate = estimate;
    f.curve[0].n_points = 1;
    f.curves.n = 1;
    ko_curves_print(&f.curves, &f.axes, &query, &text);
    if (!strstr(ko_text_str(&text), line)) {
        fail_msg("no '%s' in\n%s", line, ko_text_str(&text));
    }
    ko_text_free(&text);
    release(&f);
}

static void small_figures_keep_their_digits_and_get_no_long_bar(void **state)
{
    (void)state;
    check_line(KO_CURVE_CHANGE, (struct ko_estimate){0.0212, -0.0311, 0.0735, 20},
               "0.021  [-0.031, 0.073]  20\n");
    check_line(KO_CURVE_CHANGE, (struct ko_estimate){1.234e-5, 1.1e-5, 1.4e-5, 20},
               "0.0000123  [0.0000110, 0.0000140]  20\n");
    check_line(KO_CURVE_KL, (struct ko_estimate){0.00001234, 0.00001234, 0.00001234, 2},
               "0.000012  [0.000012, 0.000012]  2\n");
    check_line(KO_CURVE_CHANGE, (struct ko_estimate){0, 0, 0, 2}, "0.00   [0.00, 0.00]  2\n");
    check_line(KO_CURVE_CHANGE, (struct ko_estimate){-4, -5, -3, 20},
               "-4.00  [-5.00, -3.00]  20  ----\n");
}

static void a_bar_s_scale_is_round_and_never_finer_than_stated(void **state)
{
    (void)state;
    const struct {
        enum ko_curve_metric metric;
        double largest, step;
    } cases[] = {
        {KO_CURVE_CHANGE, 0.02, 1},  {KO_CURVE_CHANGE, 30, 1},     {KO_CURVE_CHANGE, 31, 2},
        {KO_CURVE_CHANGE, 99.9, 5},  {KO_CURVE_CHANGE, 4000, 200}, {KO_CURVE_HIT, 3, 5},
        {KO_CURVE_KL, 0.0001, 0.01}, {KO_CURVE_LOGPROB, 9, 0.5},   {KO_CURVE_CHANGE, NAN, 1}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        const double step = ko_bar_step(cases[k].metric, cases[k].largest);
        if (!(fabs(step - cases[k].step) <= 1e-12 * cases[k].step)) {
            fail_msg("largest %g: expected %g, got %g", cases[k].largest, cases[k].step, step);
        }
    }
}

static void numbers_have_the_decimals_of_their_unit(void **state)
{
    (void)state;
    const struct {
        enum ko_curve_metric metric;
        double value;
        const char *text;
    } cases[] = {{KO_CURVE_CHANGE, -12.345, "-12.35"}, {KO_CURVE_KL, 0.00123, "0.0012"},
                 {KO_CURVE_CHANGE, -0.001, "0.00"},    {KO_CURVE_CHANGE, NAN, "-"},
                 {KO_CURVE_CHANGE, 3e9, "3e+09"},      {KO_CURVE_LOGPROB, -1, "-1.0000"}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        char buffer[32];
        assert_string_equal(ko_curve_number(cases[k].metric, cases[k].value, buffer),
                            cases[k].text);
    }
}

static void bars_have_the_sign_and_a_sign_a_step(void **state)
{
    (void)state;
    const struct {
        double value, step;
        const char *bar;
    } cases[] = {{-20, 5, "----"},
                 {10, 5, "++"},
                 {2.4, 5, ""},
                 {0, 5, ""},
                 {NAN, 5, ""},
                 {1, 0, ""},
                 {1e9, 5, "++++++++++++++++++++++++++++++"}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct ko_text text = {0};
        ko_bar(cases[k].value, cases[k].step, &text);
        assert_string_equal(ko_text_str(&text), cases[k].bar);
        ko_text_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_a_window_with_interval_count_and_bar),
        cmocka_unit_test(an_interval_that_was_cut_is_said),
        cmocka_unit_test(a_difference_names_what_is_subtracted_and_its_p_values),
        cmocka_unit_test(json_has_null_for_what_is_not_known),
        cmocka_unit_test(windows_are_printed_by_their_true_layers),
        cmocka_unit_test(an_interaction_says_what_it_is_and_what_is_left_out),
        cmocka_unit_test(csv_is_one_table_with_empty_fields_for_what_is_not_known),
        cmocka_unit_test(small_figures_keep_their_digits_and_get_no_long_bar),
        cmocka_unit_test(a_bar_s_scale_is_round_and_never_finer_than_stated),
        cmocka_unit_test(numbers_have_the_decimals_of_their_unit),
        cmocka_unit_test(bars_have_the_sign_and_a_sign_a_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
