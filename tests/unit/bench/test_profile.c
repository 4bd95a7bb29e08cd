/* SPDX-License-Identifier: Apache-2.0 */
/* The backend that takes the time of another one's operations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/bench/profile.h"

static struct ko_profile profile;
static struct ko_backend *inner;

static int setup(void **state)
{
    const struct ko_backend_config config = {.threads = 1};
    struct ko_error err = {0};
    (void)state;
    if (ko_kernels_cpu.open(&config, &inner, &err) != KO_OK) {
        return -1;
    }
    ko_profile_init(&profile, &ko_kernels_cpu, inner);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ko_kernels_cpu.close(inner);
    return 0;
}

/* Every member from `open` on is a function. Three take no backend and stay the inner one's. */
static void every_operation_is_passed_on(void **state)
{
    const size_t first = offsetof(struct ko_kernels, open);
    const size_t passed[] = {offsetof(struct ko_kernels, attention_bytes),
                             offsetof(struct ko_kernels, matrix_type),
                             offsetof(struct ko_kernels, reserved_bytes)};
    unsigned char far_inner[sizeof(struct ko_kernels)];
    struct ko_kernels all;
    (void)state;
    /* A backend that seems to have every function; none is called. */
    memset(far_inner, 0x5a, sizeof far_inner);
    memcpy(&all, far_inner, sizeof all);
    all.name = "all";
    all.own_memory = true;
    struct ko_profile far;
    ko_profile_init(&far, &all, inner);
    const unsigned char *got = (const unsigned char *)&far.kernels;
    for (size_t at = first; at < sizeof(struct ko_kernels); at += sizeof(void (*)(void))) {
        const bool same = memcmp(got + at, far_inner + at, sizeof(void (*)(void))) == 0;
        const bool may = at == passed[0] || at == passed[1] || at == passed[2];
        if (same != may) {
            fail_msg("the function at byte %zu of struct ko_kernels is %s", at,
                     same ? "not passed on" : "another one");
        }
    }
    assert_string_equal(far.kernels.name, "all");
}

static enum ko_code product(int32_t n_out, int32_t n_in, float *y, struct ko_error *err)
{
    enum { M = 2, MOST = 4 };
    static const float x[M * MOST] = {1, 2, 3, 4, 5, 6, 7, 8}, w[MOST * MOST] = {1, 0, 2, 1, 1, 1};
    const struct ko_matrix matrix = {.data = w, .n_out = n_out, .n_in = n_in};
    const struct ko_linear args = {.n = M, .x = x, .ldx = n_in, .w = matrix, .y = y, .ldy = n_out};
    return profile.kernels.linear(ko_profile_backend(&profile), &args, err);
}

static void time_is_taken_by_shape_and_only_when_asked(void **state)
{
    float y[8] = {0};
    struct ko_error err = {0};
    (void)state;
    assert_int_equal(product(2, 3, y, &err), KO_OK);
    assert_true(y[0] == 7 && y[1] == 6 && y[2] == 16 && y[3] == 15); /* passed on */
    assert_int_equal(profile.n_entries, 0);
    profile.on = true;
    for (int turn = 0; turn < 3; turn++) {
        assert_int_equal(product(2, 3, y, &err), KO_OK);
    }
    assert_int_equal(product(3, 2, y, &err), KO_OK);
    const struct ko_activation row = {.n = 1, .d = 4, .x = y, .ld = 4};
    assert_int_equal(profile.kernels.softplus(ko_profile_backend(&profile), &row, &err), KO_OK);
    profile.on = false;
    assert_int_equal(product(2, 3, y, &err), KO_OK);
    assert_int_equal(profile.n_entries, 3);
    assert_int_equal(profile.entry[0].n_out, 2);
    assert_int_equal(profile.entry[0].n_in, 3);
    assert_int_equal(profile.entry[0].calls, 3);
    assert_int_equal(profile.entry[1].n_in, 2);
    assert_string_equal(profile.entry[2].name, "softplus");
    double sum = 0;
    for (int k = 0; k < 3; k++) {
        assert_true(profile.entry[k].seconds > 0);
        sum += profile.entry[k].seconds;
    }
    assert_true(ko_profile_seconds(&profile) == sum);
    ko_profile_sort(&profile);
    assert_true(profile.entry[0].seconds >= profile.entry[1].seconds &&
                profile.entry[1].seconds >= profile.entry[2].seconds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_is_passed_on),
        cmocka_unit_test(time_is_taken_by_shape_and_only_when_asked),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
