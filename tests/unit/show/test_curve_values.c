/* SPDX-License-Identifier: Apache-2.0 */
/* A model's values are the same whether they are read at once or curve by curve. */
#include "src/show/curve_values.h"

#include "tests/unit/cube/shard_set.h"

struct pair {
    struct ko_cube_part at_once, by_curve;
    struct ko_curve_values whole, some;
};

static void open_pair(struct ko_cube_view *view, bool heat, int32_t model,
                      enum ko_curve_metric metric, struct pair *pair)
{
    assert_int_equal(ko_cube_part_of(view, heat, &pair->at_once, &err), KO_OK);
    pair->by_curve = pair->at_once;
    pair->by_curve.most_values = pair->at_once.n_values - 1;
    assert_int_equal(ko_curve_values_open(&pair->at_once, model, metric, false, &pair->whole, &err),
                     KO_OK);
    assert_int_equal(ko_curve_values_open(&pair->by_curve, model, metric, false, &pair->some, &err),
                     KO_OK);
    assert_true(pair->whole.whole && !pair->some.whole);
    assert_memory_equal(pair->whole.status, pair->some.status, (size_t)pair->at_once.n_statuses);
}

static void close_pair(struct pair *pair)
{
    ko_curve_values_close(&pair->whole);
    ko_curve_values_close(&pair->some);
}

/* The number of values that are there. */
static int64_t compare(struct pair *pair, const struct ko_cube_slice *slice)
{
    const struct ko_cube_part *part = &pair->at_once;
    int64_t n = 0;
    assert_int_equal(ko_curve_values_load(&pair->whole, slice, &err), KO_OK);
    assert_int_equal(ko_curve_values_load(&pair->some, slice, &err), KO_OK);
    for (int32_t p = 0; p < part->n_prompts; p++) {
        for (int32_t k = 0; k < part->n_sources; k++) {
            const double *a = pair->whole.value + ko_curve_values_at(&pair->whole, p, k);
            const double *b = pair->some.value + ko_curve_values_at(&pair->some, p, k);
            assert_memory_equal(a, b, (size_t)part->n_starts * sizeof *a);
            for (int32_t s = 0; s < part->n_starts; s++) {
                n += !isnan(a[s]) && a[s] >= 0;
            }
        }
    }
    return n;
}

/* Forwards and backwards: what is in memory is never taken for another curve. */
static int64_t compare_all(struct pair *pair)
{
    const struct ko_cube_part *part = &pair->at_once;
    const int32_t n = part->n_routes * part->n_classes * part->n_sizes;
    int64_t n_values = 0;
    for (int32_t k = 0; k < 2 * n; k++) {
        const int32_t at = k < n ? k : 2 * n - 1 - k;
        const struct ko_cube_slice slice = {at / part->n_sizes / part->n_classes,
                                            at / part->n_sizes % part->n_classes,
                                            at % part->n_sizes};
        n_values += compare(pair, &slice);
    }
    return n_values;
}

static void a_curve_has_the_values_of_the_model(void **state)
{
    static const enum ko_curve_metric metrics[] = {KO_CURVE_CHANGE, KO_CURVE_HIT, KO_CURVE_KL};
    struct set set = make_set();
    struct ko_cube_view *view = NULL;
    (void)state;
    assert_int_equal(ko_cube_view_open(set.whole, &view, &err), KO_OK);
    for (int heat = 0; heat < 2; heat++) {
        for (int32_t m = 0; m < 2; m++) {
            for (size_t k = 0; k < sizeof metrics / sizeof *metrics; k++) {
                struct pair pair;
                open_pair(view, heat, m, metrics[k], &pair);
                assert_int_equal(pair.whole.clean != NULL, metrics[k] == KO_CURVE_CHANGE);
                assert_true(compare_all(&pair) > 0);
                close_pair(&pair);
            }
        }
    }
    ko_cube_view_close(view);
    free_set(&set);
}

static void a_slice_beyond_the_axes_is_refused(void **state)
{
    struct set set = make_set();
    struct ko_cube_view *view = NULL;
    struct pair pair;
    (void)state;
    assert_int_equal(ko_cube_view_open(set.whole, &view, &err), KO_OK);
    open_pair(view, false, 0, KO_CURVE_KL, &pair);
    const struct ko_cube_slice beyond = {0, 0, pair.at_once.n_sizes};
    assert_int_equal(ko_curve_values_load(&pair.some, &beyond, &err), KO_E_FAILED);
    assert_non_null(strstr(err.text, "dataset 'kl' has no index "));
    assert_non_null(strstr(err.text, " on axis 'window_size'"));
    close_pair(&pair);
    ko_cube_view_close(view);
    free_set(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_curve_has_the_values_of_the_model),
        cmocka_unit_test(a_slice_beyond_the_axes_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
