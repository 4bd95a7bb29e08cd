/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "src/formats/json.h"

static json_object *parsed(const char *text)
{
    struct ko_error err = {0};
    json_object *root = NULL;
    if (ko_json_parse(text, strlen(text), "t.json", &root, &err)) {
        fail_msg("%s", err.text);
    }
    return root;
}

static void one_value_is_parsed(void **state)
{
    static const char *const right[] = {
        "{}",    " [1, 2]\n", "12",   "-1.5e3",
        "\"a\"", "true",      "null", "{\"limit\": [0.0, Infinity, -Infinity, NaN]}"};
    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        json_object_put(parsed(right[i]));
    }
}

static void what_is_not_json_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *text, *place;
    } row[] = {
        {"", "t.json:1:1: not valid JSON: "},
        {"{\n  \"a\": tru\n}", "t.json:2:1"},
        {"{\"a\": 1,}", "t.json:1:9: "},
        {"{\"a\": 1} x", "t.json:1:10: "},
        {"{\"a\": 1}{}", "t.json:1:9: "},
        {"{\"a\": 1", "t.json:1:8: "},
        {"[1,\n 2", "t.json:2:3: "},
        {"{\"\xC3\xA9\": x}", "t.json:1:7: "}, /* columns are characters */
        {"[1 2]", "t.json:1:4: "},
        {"// no\n1", "t.json:1:1: "},
        {"\"\xFF\"", "t.json:1:2: "},
        {"'a'", "t.json:1:"},
        {"[012345678901234567890]", "t.json:1:"},
        {"[12345678901234567890x]", "t.json:1:22: "},
        {"[1234567890-1234567890]", "t.json:1:"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct ko_error err = {0};
        json_object *root = NULL;
        assert_int_equal(ko_json_parse(row[i].text, strlen(row[i].text), "t.json", &root, &err),
                         KO_E_INPUT);
        assert_null(root);
        if (strncmp(err.text, row[i].place, strlen(row[i].place)) != 0) {
            fail_msg("row %zu: '%s' does not begin with '%s'", i, err.text, row[i].place);
        }
    }
}

static void duplicate_keys_are_refused_with_both_places(void **state)
{
    static const struct {
        const char *text, *error;
    } row[] = {
        {"{\"a\": 1, \"a\": 1}", "t.json:1:10: duplicate key 'a', keep one"},
        {"{\n \"a\": 1,\n \"b\": {\"a\": 1},\n \"a\": 2}",
         "t.json:4:2: duplicate key 'a', it is on line 2 too, keep one"},
        {"[{\"a\": 1}, {\"a\": {\"b\": 1, \"c\": [], \"b\": {\"a\": 1}}}]",
         "t.json:1:36: duplicate key 'b', keep one"},
        {"{\"a\": 1, \"\\u0061\": 1}", "t.json:1:10: duplicate key 'a', keep one"},
        {"{\"\xC3\xA9\": {\"x\": 1}, \"\\u00e9\": \":\"}", "t.json:1:17: duplicate key '\xC3\xA9'"},
        {"{\"a\": {\"a\": {\"b\": 1, \"b\": 1}}, \"a\": 1}",
         "t.json:1:22: duplicate key 'b', keep one"},
        {"{\"a\\\"\": 1, \"a\\\"\" : 1}", "t.json:1:12: duplicate key 'a\"', keep one"},
    };
    static const char *const right[] = {
        "[{\"a\": 1}, {\"a\": 1}]", "{\"a\": {\"a\": {\"a\": \"a\"}}}",
        "{\"a:\": \"a: {\\\"b\\\": 1}\"}", "{\"a\": null, \"A\": null}",
        "{\"\xC3\xA9\": 1, \"e\": [\":\", {\"e\": 1}]}"};
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct ko_error err = {0};
        json_object *root = NULL;
        assert_int_equal(ko_json_parse(row[i].text, strlen(row[i].text), "t.json", &root, &err),
                         KO_E_INPUT);
        assert_null(root);
        if (strncmp(err.text, row[i].error, strlen(row[i].error)) != 0) {
            fail_msg("row %zu: '%s' does not begin with '%s'", i, err.text, row[i].error);
        }
    }
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        json_object_put(parsed(right[i]));
    }
}

static void a_nul_byte_is_refused(void **state)
{
    struct ko_error err = {0};
    json_object *root = NULL;
    (void)state;
    assert_int_equal(ko_json_parse("{}\0{}", 5, "t.json", &root, &err), KO_E_INPUT);
    assert_string_equal(err.text, "t.json:1:3: not valid JSON: a NUL byte");
}

static void depth_is_limited(void **state)
{
    char text[2 * KO_JSON_DEPTH + 16];
    struct ko_error err = {0};
    json_object *root = NULL;
    (void)state;
    for (size_t depth = KO_JSON_DEPTH - 1; depth <= KO_JSON_DEPTH + 1; depth += 2) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        enum ko_code code = ko_json_parse(text, 2 * depth, "t.json", &root, &err);
        assert_int_equal(code, depth < KO_JSON_DEPTH ? KO_OK : KO_E_INPUT);
    }
    json_object_put(root);
    assert_non_null(strstr(err.text, "nested more than 64 deep"));
}

static void absent_and_null_members_keep_the_default(void **state)
{
    json_object *root = parsed("{\"n\": null}");
    struct ko_error err = {0};
    static const char *const keys[] = {"n", "absent"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        int64_t whole = 5;
        double number = 5;
        bool truth = true;
        const char *text = "d";
        assert_int_equal(ko_json_int(root, keys[i], 0, 9, &whole, "w", &err), KO_OK);
        assert_int_equal(ko_json_double(root, keys[i], &number, "w", &err), KO_OK);
        assert_int_equal(ko_json_bool(root, keys[i], &truth, "w", &err), KO_OK);
        assert_int_equal(ko_json_string(root, keys[i], &text, "w", &err), KO_OK);
        assert_true(whole == 5 && number == 5 && truth);
        assert_string_equal(text, "d");
        assert_null(ko_json_get(root, keys[i]));
    }
    json_object_put(root);
}

static void members_are_read(void **state)
{
    json_object *root = parsed("{\"i\": -7, \"d\": 1e-5, \"b\": false, \"s\": \"x\", "
                               "\"inf\": Infinity, \"wrapped\": {\"__float__\": \"-Infinity\"}}");
    struct ko_error err = {0};
    int64_t whole = 0;
    double number = 0;
    bool truth = true;
    const char *text = NULL;
    (void)state;
    assert_int_equal(ko_json_int(root, "i", -7, 0, &whole, "w", &err), KO_OK);
    assert_int_equal(whole, -7);
    assert_int_equal(ko_json_double(root, "d", &number, "w", &err), KO_OK);
    assert_true(number == 1e-5);
    assert_int_equal(ko_json_double(root, "i", &number, "w", &err), KO_OK);
    assert_true(number == -7);
    assert_int_equal(ko_json_double(root, "inf", &number, "w", &err), KO_OK);
    assert_true(isinf(number) && number > 0);
    assert_int_equal(ko_json_double(root, "wrapped", &number, "w", &err), KO_OK);
    assert_true(isinf(number) && number < 0);
    assert_int_equal(ko_json_bool(root, "b", &truth, "w", &err), KO_OK);
    assert_false(truth);
    assert_int_equal(ko_json_string(root, "s", &text, "w", &err), KO_OK);
    assert_string_equal(text, "x");
    json_object_put(root);
}

/* json-c 0.16 and 0.18 differ here, so the test means most on a system with the newer one. */
static void numbers_beyond_64_bits_are_the_nearest_ones(void **state)
{
    json_object *root =
        parsed("{\"long\": 1000000000000000019884624838656, \"low\": [-9223372036854775809], "
               "\"text\": \"\\\"1000000000000000019884624838656\", "
               "\"most\": 18446744073709551615, \"least\": -9223372036854775808, "
               "\"real\": 12345678901234567890123.5, \"power\": 12345678901234567890123e-3}");
    struct ko_error err = {0};
    int64_t whole = 0;
    const char *text = NULL;
    (void)state;
    assert_true(json_object_get_uint64(ko_json_get(root, "long")) == UINT64_MAX);
    assert_true(json_object_get_int64(json_object_array_get_idx(ko_json_get(root, "low"), 0)) ==
                INT64_MIN);
    assert_int_equal(ko_json_string(root, "text", &text, "w", &err), KO_OK);
    assert_string_equal(text, "\"1000000000000000019884624838656");
    assert_true(json_object_get_uint64(ko_json_get(root, "most")) == UINT64_MAX);
    assert_int_equal(ko_json_int(root, "least", INT64_MIN, 0, &whole, "w", &err), KO_OK);
    assert_true(whole == INT64_MIN);
    assert_true(json_object_get_double(ko_json_get(root, "real")) == 12345678901234567890123.5);
    assert_true(json_object_get_double(ko_json_get(root, "power")) == 12345678901234567890123e-3);
    json_object_put(root);
}

static void members_of_a_wrong_type_are_refused(void **state)
{
    json_object *root =
        parsed("{\"s\": \"x\", \"d\": 2.5, \"big\": 18446744073709551615, \"ten\": 10, "
               "\"nul\": \"a\\u0000b\", \"wrapped\": {\"__float__\": \"huge\"}}");
    struct ko_error err = {0};
    int64_t whole = 5;
    double number = 5;
    bool truth = true;
    const char *text = "d";
    (void)state;
    assert_int_equal(ko_json_int(root, "s", 0, 9, &whole, "c.json", &err), KO_E_INPUT);
    assert_string_equal(err.text, "c.json: s: expected a whole number from 0 to 9, got \"x\"");
    assert_int_equal(ko_json_int(root, "d", 0, 9, &whole, "c.json", &err), KO_E_INPUT);
    assert_int_equal(ko_json_int(root, "ten", 0, 9, &whole, "c.json", &err), KO_E_INPUT);
    assert_int_equal(ko_json_int(root, "big", 0, INT64_MAX, &whole, "c.json", &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "got 18446744073709551615"));
    assert_int_equal(ko_json_double(root, "s", &number, "c.json", &err), KO_E_INPUT);
    assert_string_equal(err.text, "c.json: s: expected a number, got \"x\"");
    assert_int_equal(ko_json_double(root, "wrapped", &number, "c.json", &err), KO_E_INPUT);
    assert_int_equal(ko_json_bool(root, "ten", &truth, "c.json", &err), KO_E_INPUT);
    assert_string_equal(err.text, "c.json: ten: expected true or false, got 10");
    assert_int_equal(ko_json_string(root, "ten", &text, "c.json", &err), KO_E_INPUT);
    assert_string_equal(err.text, "c.json: ten: expected a string, got 10");
    assert_int_equal(ko_json_string(root, "nul", &text, "c.json", &err), KO_E_INPUT);
    assert_true(whole == 5 && number == 5 && truth);
    assert_string_equal(text, "d");
    json_object_put(root);
}

static void an_unreadable_file_is_named(void **state)
{
    struct ko_error err = {0};
    json_object *root = NULL;
    (void)state;
    assert_int_equal(ko_json_read("/nowhere/c.json", 10, &root, &err), KO_E_INPUT);
    assert_string_equal(err.text, "/nowhere/c.json: cannot be opened: No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_value_is_parsed),
        cmocka_unit_test(what_is_not_json_is_refused_with_its_place),
        cmocka_unit_test(duplicate_keys_are_refused_with_both_places),
        cmocka_unit_test(a_nul_byte_is_refused),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(absent_and_null_members_keep_the_default),
        cmocka_unit_test(members_are_read),
        cmocka_unit_test(numbers_beyond_64_bits_are_the_nearest_ones),
        cmocka_unit_test(members_of_a_wrong_type_are_refused),
        cmocka_unit_test(an_unreadable_file_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
