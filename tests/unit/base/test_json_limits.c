/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "src/base/text.h"
#include "src/formats/json.h"

/* BEGIN, then n times ITEM, then END. */
static enum ko_code parse(const char *begin, const char *item, size_t n, const char *end,
                          struct ko_error *err)
{
    struct ko_text text = {0};
    json_object *root = NULL;
    ko_text_add(&text, "%s", begin);
    for (size_t i = 0; i < n; i++) {
        ko_text_add_bytes(&text, item, strlen(item));
    }
    ko_text_add(&text, "%s", end);
    enum ko_code code = ko_json_parse(ko_text_str(&text), text.n, "F", &root, err);
    json_object_put(root);
    ko_text_free(&text);
    return code;
}

static void values_are_counted_before_they_are_made(void **state)
{
    struct ko_error err = {0};
    (void)state;
    assert_int_equal(parse("[", "[],", KO_JSON_VALUES / 2, "0]", &err), KO_E_INPUT);
    assert_string_equal(err.text, "F:1:6291455: not valid JSON: more than 4194304 values");
    assert_int_equal(parse("[", "0,", KO_JSON_VALUES - 2, "0]", &err), KO_OK);
    assert_int_equal(parse("[", "0,", KO_JSON_VALUES - 1, "0]", &err), KO_E_INPUT);
}

static void brackets_and_commas_in_strings_are_no_values(void **state)
{
    struct ko_error err = {0};
    (void)state;
    assert_int_equal(parse("[\"\\\"", ",[{", KO_JSON_VALUES, "\"]", &err), KO_OK);
}

static void depth_is_limited(void **state)
{
    struct ko_error err = {0};
    (void)state;
    assert_int_equal(parse("", "[", KO_JSON_DEPTH + 1, "", &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "nested more than 64 deep"));
    assert_int_equal(parse("", "{\"a\":", 1000000, "", &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "nested more than 64 deep"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_counted_before_they_are_made),
        cmocka_unit_test(brackets_and_commas_in_strings_are_no_values),
        cmocka_unit_test(depth_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
