#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/cli/curves_print.h"

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
    f->first[0] = (struct ko_curve_point){0, 0, {-50.125, -60.5, -40, 1200}};
    f->first[1] = (struct ko_curve_point){2, 100, {25, 20, 30, 1200}};
    f->second[0] = (struct ko_curve_point){0, 0, {NAN, NAN, NAN, 0}};
    f->curve[0] = (struct ko_curve){.point = f->first, .n_points = 2};
    f->curve[1] = (struct ko_curve){.route = 1, .point = f->second, .n_points = 1};
    f->curves = (struct ko_curves){.curve = f->curve, .n = 2};
}

static void release(struct fixture *f)
{
    ko_strings_free(&f->axes.model);
    ko_strings_free(&f->axes.route);
    ko_strings_free(&f->axes.feature_class);
}

static void a_line_a_window_with_interval_count_and_bar(void **state)
{
    (void)state;
    struct fixture f;
    struct ko_text text = {0};
    make(&f);
    ko_curves_print(&f.curves, &f.axes, KO_CURVE_CHANGE, &text);
    assert_non_null(strstr(ko_text_str(&text), "last<-subject  all  window of 2 of 4 layers\n"));
    assert_non_null(strstr(ko_text_str(&text),
                           "     0-1    0.0 %  -50.12  [-60.50, -40.00]  1,200  "
                           "------------------------------\n"));
    assert_non_null(strstr(ko_text_str(&text),
                           "     2-3  100.0 %   25.00    [20.00, 30.00]  1,200  "
                           "+++++++++++++++\n"));
    assert_non_null(strstr(ko_text_str(&text), "     0-1  0.0 %     -              -  0\n"));
    ko_text_free(&text);
    release(&f);
}

static void csv_is_one_table_with_empty_fields_for_what_is_not_known(void **state)
{
    (void)state;
    struct fixture f;
    struct ko_text text = {0};
    struct ko_error err = {0};
    make(&f);
    assert_int_equal(ko_curves_csv(&f.curves, &f.axes, KO_CURVE_CHANGE, &text, &err), KO_OK);
    assert_string_equal(
        ko_text_str(&text),
        "model,route,target,source,feature_class,window_size,window_start,depth,metric,value,low,"
        "high,n\n"
        "\"org/tiny, \"\"odd\"\"\",last<-subject,last,subject,all,2,0,0,change,-50.125,-60.5,-40,"
        "1200\n"
        "\"org/tiny, \"\"odd\"\"\",last<-subject,last,subject,all,2,2,100,change,25,20,30,1200\n"
        "\"org/tiny, \"\"odd\"\"\",last<-first,last,first,all,2,0,0,change,,,,0\n");
    ko_text_free(&text);
    release(&f);
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

static void bars_have_the_sign_and_the_share_of_the_largest(void **state)
{
    (void)state;
    const struct {
        double value, largest;
        const char *bar;
    } cases[] = {{-10, 10, "----"}, {5, 10, "++"},    {0, 10, ""},
                 {NAN, 10, ""},     {20, 10, "++++"}, {1, 0, ""}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct ko_text text = {0};
        ko_bar(cases[k].value, cases[k].largest, 4, &text);
        assert_string_equal(ko_text_str(&text), cases[k].bar);
        ko_text_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_a_window_with_interval_count_and_bar),
        cmocka_unit_test(csv_is_one_table_with_empty_fields_for_what_is_not_known),
        cmocka_unit_test(numbers_have_the_decimals_of_their_unit),
        cmocka_unit_test(bars_have_the_sign_and_the_share_of_the_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
