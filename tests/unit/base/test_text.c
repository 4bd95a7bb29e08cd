/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/text.h"
#include "src/base/utf8.h"

static void a_text_grows_from_nothing(void **state)
{
    struct ko_text text = {0};
    struct ko_error err = {0};
    (void)state;
    assert_string_equal(ko_text_str(&text), "");
    for (int i = 0; i < 500; i++) {
        ko_text_add(&text, "%d,", i % 10);
    }
    ko_text_add_bytes(&text, "a\0b", 3);
    assert_int_equal(ko_text_check(&text, &err), KO_OK);
    assert_int_equal(text.n, 1003);
    assert_memory_equal(text.data + 996, "8,9,a\0b", 8);
    ko_text_free(&text);
    assert_null(text.data);
    assert_int_equal(text.n, 0);
}

static void a_failed_text_says_so_and_ignores_more(void **state)
{
    struct ko_text text = {0};
    struct ko_error err = {0};
    (void)state;
    ko_text_add(&text, "kept");
    ko_text_add_bytes(&text, "x", SIZE_MAX - 2);
    assert_true(text.failed);
    ko_text_add(&text, "lost");
    assert_string_equal(ko_text_str(&text), "kept");
    assert_int_equal(ko_text_check(&text, &err), KO_E_MEMORY);
    ko_text_free(&text);
}

static void a_list_interns_each_string_once(void **state)
{
    static const char *const word[] = {"b", "a", "b", "c", "a"};
    static const size_t expected[] = {0, 1, 0, 2, 1};
    struct ko_strings list = {0};
    struct ko_error err = {0};
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        size_t index = 99;
        assert_int_equal(ko_strings_intern(&list, word[i], &index, &err), KO_OK);
        assert_int_equal(index, expected[i]);
    }
    assert_int_equal(list.n, 3);
    assert_int_equal(ko_strings_find(&list, "c"), 2);
    assert_int_equal(ko_strings_find(&list, "d"), -1);
    ko_strings_free(&list);
    assert_int_equal(list.n, 0);
    ko_strings_free(NULL);
}

static void the_nearest_word_is_found_or_none(void **state)
{
    static const char *const known[] = {"routes", "features", "windows", "row-budget", "sweeps"};
    static const struct {
        const char *word, *nearest;
    } row[] = {
        {"route", "routes"},          {"ruotes", "routes"},
        {"feature", "features"},      {"window", "windows"},
        {"row_budget", "row-budget"}, {"sweep", "sweeps"},
        {"elephant", NULL},           {"", NULL},
        {"rwo-budgte", "row-budget"},
    };
    char endless[400];
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        const char *found = ko_nearest(row[i].word, known, 5);
        if (row[i].nearest) {
            assert_string_equal(found, row[i].nearest);
        } else {
            assert_null(found);
        }
    }
    memset(endless, 'r', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    assert_null(ko_nearest(endless, known, 5));
    const char *const long_candidate[] = {endless};
    assert_null(ko_nearest("r", long_candidate, 1));
}

static void utf8_is_checked_as_rfc_3629_says(void **state)
{
    static const struct {
        const char *bytes;
        bool valid;
    } row[] = {
        {"plain", true},
        {"", true},
        {"\xC3\xA9", true},
        {"\xE2\x82\xAC", true},
        {"\xF0\x9F\x98\x80", true},
        {"\xF4\x8F\xBF\xBF", true},
        {"\xED\x9F\xBF", true},
        {"\xC0\x80", false},         /* overlong */
        {"\xC1\xBF", false},         /* overlong */
        {"\xE0\x9F\xBF", false},     /* overlong */
        {"\xF0\x8F\xBF\xBF", false}, /* overlong */
        {"\xED\xA0\x80", false},     /* surrogate */
        {"\xF4\x90\x80\x80", false}, /* above U+10FFFF */
        {"\xF5\x80\x80\x80", false},
        {"\x80", false},
        {"\xC3", false},
        {"\xE2\x82", false},
        {"\xE2\x82x", false},
        {"\xFF", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        assert_int_equal(ko_utf8_valid(row[i].bytes, strlen(row[i].bytes)), row[i].valid);
    }
}

static void characters_are_counted_and_found(void **state)
{
    static const char text[] = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z";
    static const size_t offset[] = {0, 1, 3, 6, 10, 11, 11};
    const size_t n = sizeof text - 1;
    (void)state;
    assert_int_equal(ko_utf8_count(text, n), 5);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(ko_utf8_offset(text, n, i), offset[i]);
    }
    assert_int_equal(ko_utf8_offset("", 0, 0), 0);
}

static void whole_numbers_are_parsed_strictly(void **state)
{
    static const char *const wrong[] = {"",    " 1", "1 ",  "+1", "0x10", "1.0",
                                        "one", "-",  "--1", "10", "-4",   "99999999999999999999"};
    struct ko_error err = {0};
    int64_t value = 77;
    (void)state;
    assert_int_equal(ko_parse_int("-3", -3, 9, &value, "w", &err), KO_OK);
    assert_int_equal(value, -3);
    assert_int_equal(ko_parse_int("-9223372036854775808", INT64_MIN, 0, &value, "w", &err), KO_OK);
    assert_true(value == INT64_MIN);
    value = 77;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(ko_parse_int(wrong[i], -3, 9, &value, "w", &err), KO_E_INPUT);
        assert_int_equal(value, 77);
    }
    assert_int_equal(ko_parse_int("ten", -3, 9, &value, "spec.yaml:3:1: n", &err), KO_E_INPUT);
    assert_string_equal(err.text,
                        "spec.yaml:3:1: n: expected a whole number from -3 to 9, got 'ten'");
}

static void numbers_are_finite_decimals(void **state)
{
    static const char *const wrong[] = {"",    " 1",    "1 ", "0x10", "inf",
                                        "nan", "1e999", "e",  "1.2.3"};
    struct ko_error err = {0};
    double value = 7;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(ko_parse_double(wrong[i], &value, "w", &err), KO_E_INPUT);
        assert_true(value == 7);
    }
    assert_int_equal(ko_parse_double("-1.5e2", &value, "w", &err), KO_OK);
    assert_true(value == -150);
    assert_int_equal(ko_parse_double("x", &value, "w", &err), KO_E_INPUT);
    assert_string_equal(err.text, "w: expected a number, got 'x'");
}

static void numbers_are_shown_for_people(void **state)
{
    static const struct {
        int64_t value;
        const char *shown;
    } grouped[] = {{0, "0"},
                   {999, "999"},
                   {1000, "1,000"},
                   {-1000, "-1,000"},
                   {-100, "-100"},
                   {8894592, "8,894,592"},
                   {INT64_MIN, "-9,223,372,036,854,775,808"}};
    static const struct {
        double value;
        const char *shown;
    } bytes[] = {{0, "0 B"},
                 {1023, "1023 B"},
                 {1536, "1.5 KiB"},
                 {1048575, "1.0 MiB"},
                 {1610612736, "1.5 GiB"}},
      seconds[] = {{0.0123, "0.012 s"}, {1.25, "1.2 s"},    {12, "12 s"},      {59.7, "1m 00s"},
                   {125, "2m 05s"},     {3599.8, "1h 00m"}, {11520, "3h 12m"}, {200000, "2d 08h"},
                   {-1, "unknown"},     {1e300, "unknown"}, {9.97, "10 s"},    {0.0999, "0.1 s"}};
    char buffer[32];
    (void)state;
    for (size_t i = 0; i < sizeof grouped / sizeof grouped[0]; i++) {
        assert_string_equal(ko_grouped(grouped[i].value, buffer), grouped[i].shown);
    }
    for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++) {
        assert_string_equal(ko_bytes_human(bytes[i].value, buffer), bytes[i].shown);
    }
    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++) {
        assert_string_equal(ko_seconds_human(seconds[i].value, buffer), seconds[i].shown);
    }
}

static void a_hash_has_all_its_zeros(void **state)
{
    char text[33];
    (void)state;
    ko_hash_text(0x1, 0xabcdef0123456789, text);
    assert_string_equal(text, "0000000000000001abcdef0123456789");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hash_has_all_its_zeros),
        cmocka_unit_test(a_text_grows_from_nothing),
        cmocka_unit_test(a_failed_text_says_so_and_ignores_more),
        cmocka_unit_test(a_list_interns_each_string_once),
        cmocka_unit_test(the_nearest_word_is_found_or_none),
        cmocka_unit_test(utf8_is_checked_as_rfc_3629_says),
        cmocka_unit_test(characters_are_counted_and_found),
        cmocka_unit_test(whole_numbers_are_parsed_strictly),
        cmocka_unit_test(numbers_are_finite_decimals),
        cmocka_unit_test(numbers_are_shown_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
