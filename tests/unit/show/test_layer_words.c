/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/base/mixer.h"
#include "src/show/layer_words.h"

enum { N = 7 };

/* Two models: a hybrid of 7 layers, and one of 3 equal layers. */
static uint8_t mixers[2 * N] = {KO_MIXER_SSM,       KO_MIXER_SSM,
                                KO_MIXER_ATTENTION, 0,
                                KO_MIXER_SSM,       KO_MIXER_ATTENTION | KO_MIXER_SSM,
                                KO_MIXER_SSM,       KO_MIXER_CONV,
                                KO_MIXER_CONV,      KO_MIXER_CONV};
static int32_t n_layers[2] = {N, 3};
static int32_t counted[2 * N] = {2, 5, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};

static struct ko_cube_axes axes_of(enum ko_over over)
{
    return (struct ko_cube_axes){.n_layers = n_layers,
                                 .n_layer_axis = N,
                                 .mixers = mixers,
                                 .over = over,
                                 .counted = over == KO_OVER_LAYERS ? NULL : counted};
}

static void layers_are_listed_by_their_mixers(void **state)
{
    (void)state;
    const struct ko_cube_axes axes = axes_of(KO_OVER_LAYERS);
    struct ko_text text = {0};
    assert_true(ko_layers_differ(&axes, 0));
    assert_false(ko_layers_differ(&axes, 1));
    ko_layer_mixers_text(&axes, 0, &text);
    assert_string_equal(ko_text_str(&text),
                        "ssm 0-1, 4, 6; attention 2; no mixer 3; attention+ssm 5");
    ko_text_free(&text);
    ko_layer_mixers_text(&axes, 1, &text);
    assert_string_equal(ko_text_str(&text), "conv 0-2");
    ko_text_free(&text);
}

static void an_older_cube_says_nothing_of_mixers(void **state)
{
    (void)state;
    struct ko_cube_axes axes = axes_of(KO_OVER_LAYERS);
    axes.mixers = NULL;
    assert_false(ko_layers_differ(&axes, 0));
}

static void a_window_is_named_by_what_it_counts(void **state)
{
    (void)state;
    const struct ko_cube_axes plain = axes_of(KO_OVER_LAYERS), over = axes_of(KO_OVER_ATTENTION);
    struct ko_text text = {0};
    char buffer[32];
    ko_window_text(&plain, 0, 2, &text);
    assert_string_equal(ko_text_str(&text), "window of 2 of 7 layers");
    ko_text_free(&text);
    ko_window_text(&over, 0, 1, &text);
    assert_string_equal(ko_text_str(&text), "window of 1 of 2 layers with attention, of 7 in all");
    ko_text_free(&text);
    assert_string_equal(ko_layers_text(ko_cube_window(&over, 0, 1, 1), buffer), "5");
    assert_string_equal(ko_layers_text(ko_cube_window(&over, 0, 2, 0), buffer), "2-5");
    assert_string_equal(ko_layers_text(ko_cube_window(&plain, 0, 2, 5), buffer), "5-6");
}

static void a_window_that_does_not_fit_has_no_layer(void **state)
{
    (void)state;
    const struct ko_cube_axes plain = axes_of(KO_OVER_LAYERS), over = axes_of(KO_OVER_ATTENTION);
    const struct {
        const struct ko_cube_axes *axes;
        int32_t model, size, start;
    } rows[] = {{&plain, 0, 2, 6}, {&plain, 1, 1, 3}, {&over, 0, 2, 1}, {&over, 1, 1, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct ko_layer_range layers =
            ko_cube_window(rows[i].axes, rows[i].model, rows[i].size, rows[i].start);
        assert_int_equal(layers.begin, layers.end);
    }
    assert_int_equal(ko_cube_n_counted(&over, 0), 2);
    assert_int_equal(ko_cube_n_counted(&over, 1), 0);
    assert_int_equal(ko_cube_n_counted(&plain, 1), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_are_listed_by_their_mixers),
        cmocka_unit_test(an_older_cube_says_nothing_of_mixers),
        cmocka_unit_test(a_window_is_named_by_what_it_counts),
        cmocka_unit_test(a_window_that_does_not_fit_has_no_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
