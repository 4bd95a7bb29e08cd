/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "src/base/memory.h"

static void new_memory_is_zero_and_aligned(void **state)
{
    static const size_t sizes[] = {0, 1, 63, 64, 65, 1000};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct ko_error err = {0};
        unsigned char *block = ko_new(sizes[i], 1, &err);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 64, 0);
        for (size_t k = 0; k < sizes[i]; k++) {
            assert_int_equal(block[k], 0);
        }
        free(block);
    }
}

static void products_that_overflow_are_refused(void **state)
{
    struct ko_error err = {0};
    (void)state;
    assert_null(ko_new(SIZE_MAX / 2, 4, &err));
    assert_int_equal(err.code, KO_E_MEMORY);
    assert_non_null(strstr(err.text, "out of memory"));
    assert_null(ko_new(SIZE_MAX - 5, 1, &err));
    size_t capacity = 0;
    assert_null(ko_grow(NULL, &capacity, SIZE_MAX / 2, 4, &err));
    assert_int_equal(capacity, 0);
}

static void a_failed_growth_leaves_the_array(void **state)
{
    struct ko_error err = {0};
    size_t capacity = 0;
    int *array = ko_grow(NULL, &capacity, 3, sizeof *array, &err);
    (void)state;
    assert_non_null(array);
    array[2] = 41;
    size_t before = capacity;
    assert_null(ko_grow(array, &capacity, SIZE_MAX / 2, sizeof *array, &err));
    assert_int_equal(capacity, before);
    assert_int_equal(array[2], 41);
    free(array);
}

static void growth_keeps_items_and_zeroes_the_rest(void **state)
{
    struct ko_error err = {0};
    size_t capacity = 0;
    int *array = NULL;
    (void)state;
    for (size_t n = 1; n <= 1000; n++) {
        size_t before = capacity;
        array = ko_grow(array, &capacity, n, sizeof *array, &err);
        assert_non_null(array);
        assert_true(capacity >= n);
        for (size_t k = before; k < capacity; k++) {
            assert_int_equal(array[k], 0);
        }
        array[n - 1] = (int)n;
    }
    for (int k = 0; k < 1000; k++) {
        assert_int_equal(array[k], k + 1);
    }
    free(array);
}

static void copies_end_with_nul(void **state)
{
    struct ko_error err = {0};
    char *whole = ko_copy("abc", &err), *part = ko_copy_n("abc", 2, &err);
    char *none = ko_copy_n(NULL, 0, &err);
    (void)state;
    assert_string_equal(whole, "abc");
    assert_string_equal(part, "ab");
    assert_string_equal(none, "");
    free(whole);
    free(part);
    free(none);
}

static void overflowing_sizes_name_what_they_are(void **state)
{
    struct ko_error err = {0};
    size_t out = 5;
    (void)state;
    assert_int_equal(ko_multiply(6, 7, &out, "x", &err), KO_OK);
    assert_int_equal(out, 42);
    assert_int_equal(ko_add(6, 7, &out, "x", &err), KO_OK);
    assert_int_equal(out, 13);
    assert_int_equal(ko_multiply(SIZE_MAX, 2, &out, "rows of wte", &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "rows of wte: "));
    assert_int_equal(ko_add(SIZE_MAX, 1, &out, "offset", &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "offset: "));
    assert_int_equal(out, 13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_memory_is_zero_and_aligned),
        cmocka_unit_test(products_that_overflow_are_refused),
        cmocka_unit_test(a_failed_growth_leaves_the_array),
        cmocka_unit_test(growth_keeps_items_and_zeroes_the_rest),
        cmocka_unit_test(copies_end_with_nul),
        cmocka_unit_test(overflowing_sizes_name_what_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
