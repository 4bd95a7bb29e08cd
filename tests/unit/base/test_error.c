/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/error.h"

static void the_text_is_one_line(void **state)
{
    struct ko_error err = {0};
    (void)state;
    assert_int_equal(ko_fail(&err, KO_E_INPUT, "a\nb%s: %d", "\tc", 7), KO_E_INPUT);
    assert_int_equal(err.code, KO_E_INPUT);
    assert_string_equal(err.text, "a b c: 7");
}

static void what_it_quotes_is_safe_to_print(void **state)
{
    struct ko_error err = {0};
    char text[KO_ERROR_TEXT];
    (void)state;
    (void)ko_fail(&err, KO_E_INPUT, "model '%s': %s", "a\x1b[31m\xC2\x9B", "caf\xE9");
    assert_string_equal(err.text, "model 'a\\u001b[31m\\u009b': caf\\xe9");
    (void)ko_fail_in(&err, "\xE2\x80\xAE.yaml");
    assert_string_equal(err.text, "\\u202e.yaml: model 'a\\u001b[31m\\u009b': caf\\xe9");
    /* Escapes are longer than what they stand for: the text is cut, never overrun. */
    memset(text, '\x1b', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)ko_fail(&err, KO_E_INPUT, "%s", text);
    assert_true(strlen(err.text) < KO_ERROR_TEXT);
    assert_string_equal(err.text + strlen(err.text) - 9, "\\u001b...");
}

static void an_error_may_quote_itself(void **state)
{
    struct ko_error err = {0};
    (void)state;
    (void)ko_fail(&err, KO_E_INPUT, "inner");
    (void)ko_fail(&err, KO_E_FAILED, "outer <%s>", err.text);
    assert_string_equal(err.text, "outer <inner>");
    assert_int_equal(err.code, KO_E_FAILED);
}

static void a_place_goes_in_front_and_the_code_stays(void **state)
{
    struct ko_error err = {0};
    (void)state;
    (void)ko_fail(&err, KO_E_MEMORY, "no room");
    assert_int_equal(ko_fail_in(&err, "model %d", 3), KO_E_MEMORY);
    assert_string_equal(err.text, "model 3: no room");
}

static void a_long_text_is_cut_between_characters(void **state)
{
    struct ko_error err = {0};
    char text[KO_ERROR_TEXT + 8];
    (void)state;
    for (size_t i = 0; i + 2 < sizeof text; i += 2) {
        memcpy(text + i, "\xC3\xA9", 2);
    }
    text[sizeof text - 2] = '\0';
    for (int shift = 0; shift < 2; shift++) {
        (void)ko_fail(&err, KO_E_INPUT, "%s%s", shift ? "x" : "", text);
        size_t n = strlen(err.text);
        assert_true(n < KO_ERROR_TEXT && n > KO_ERROR_TEXT - 8);
        assert_string_equal(err.text + n - 3, "...");
        assert_int_equal((unsigned char)err.text[n - 4], 0xA9);
    }
}

static void no_error_structure_is_needed(void **state)
{
    (void)state;
    assert_int_equal(ko_fail(NULL, KO_E_INPUT, "lost"), KO_E_INPUT);
    assert_int_not_equal(ko_fail_in(NULL, "lost"), KO_OK);
}

static void every_code_has_its_exit_status(void **state)
{
    static const struct {
        enum ko_code code;
        int status;
    } row[] = {{KO_OK, 0}, {KO_E_INPUT, 2}, {KO_E_FAILED, 1}, {KO_E_MEMORY, 1}, {KO_E_STOPPED, 75}};
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        assert_int_equal(ko_exit_status(row[i].code), row[i].status);
        assert_true(strlen(ko_code_sentence(row[i].code)) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_is_one_line),
        cmocka_unit_test(what_it_quotes_is_safe_to_print),
        cmocka_unit_test(an_error_may_quote_itself),
        cmocka_unit_test(a_place_goes_in_front_and_the_code_stays),
        cmocka_unit_test(a_long_text_is_cut_between_characters),
        cmocka_unit_test(no_error_structure_is_needed),
        cmocka_unit_test(every_code_has_its_exit_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
