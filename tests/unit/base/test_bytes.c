/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "src/base/bytes.h"

static void put_all(struct ko_bytes *b)
{
    ko_put_int(b, -2);
    ko_put_int(b, INT64_MAX);
    ko_put_double(b, -0.1);
    ko_put_string(b, "text");
    ko_put_string(b, NULL);
    ko_put_string(b, "");
    ko_put_blob(b, "\0\1\2", 3);
    ko_put_double(b, NAN);
}

static void what_was_put_is_read_back(void **state)
{
    struct ko_bytes out = {0}, in = {0};
    struct ko_error err = {0};
    char blob[3];
    (void)state;
    put_all(&out);
    assert_int_equal(ko_text_check(&out.data, &err), KO_OK);
    assert_memory_equal(out.data.data, "\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 8);
    ko_bytes_read_from(&in, out.data.data, out.data.n);
    assert_int_equal(ko_get_int(&in), -2);
    assert_true(ko_get_int(&in) == INT64_MAX);
    assert_true(ko_get_double(&in) == -0.1);
    char *text = ko_get_string(&in, &err), *none = ko_get_string(&in, &err);
    char *empty = ko_get_string(&in, &err);
    assert_string_equal(text, "text");
    assert_null(none);
    assert_string_equal(empty, "");
    ko_get_blob(&in, blob, 3);
    assert_memory_equal(blob, "\0\1\2", 3);
    assert_true(isnan(ko_get_double(&in)));
    assert_int_equal(in.left, 0);
    assert_int_equal(in.broken, 0);
    free(text);
    free(empty);
    ko_text_free(&out.data);
}

static void every_truncation_is_noticed(void **state)
{
    struct ko_bytes out = {0};
    (void)state;
    put_all(&out);
    for (size_t n = 0; n < out.data.n; n++) {
        /* A copy of just n bytes lets a sanitizer see a read beyond them. */
        char *copy = malloc(n ? n : 1), blob[3];
        struct ko_bytes in = {0};
        struct ko_error err = {0};
        memcpy(copy, out.data.data, n);
        ko_bytes_read_from(&in, copy, n);
        (void)ko_get_int(&in);
        (void)ko_get_int(&in);
        (void)ko_get_double(&in);
        for (int i = 0; i < 3; i++) {
            char *text = ko_get_string(&in, &err);
            free(text);
        }
        ko_get_blob(&in, blob, 3);
        assert_true(ko_get_double(&in) == 0);
        assert_int_equal(in.broken, 1);
        free(copy);
    }
    ko_text_free(&out.data);
}

static void a_blob_of_another_size_breaks_the_stream(void **state)
{
    struct ko_bytes out = {0}, in = {0};
    char blob[4] = "abc";
    (void)state;
    ko_put_blob(&out, "12345", 5);
    ko_bytes_read_from(&in, out.data.data, out.data.n);
    ko_get_blob(&in, blob, 4);
    assert_int_equal(in.broken, 1);
    assert_memory_equal(blob, "\0\0\0\0", 4);
    ko_text_free(&out.data);
}

static void a_damaged_length_breaks_the_stream(void **state)
{
    static const int64_t lengths[] = {-2, INT64_MIN, INT64_MAX, 1};
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct ko_bytes out = {0}, in = {0};
        struct ko_error err = {0};
        ko_put_int(&out, lengths[i]);
        ko_bytes_read_from(&in, out.data.data, out.data.n);
        assert_null(ko_get_string(&in, &err));
        assert_int_equal(in.broken, 1);
        assert_string_equal(err.text, "message: a string is missing or damaged");
        ko_text_free(&out.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_read_back),
        cmocka_unit_test(every_truncation_is_noticed),
        cmocka_unit_test(a_blob_of_another_size_breaks_the_stream),
        cmocka_unit_test(a_damaged_length_breaks_the_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
