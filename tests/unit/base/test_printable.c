/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/printable.h"
#include "src/base/text.h"

static void what_moves_a_terminal_is_written_as_an_escape(void **state)
{
    static const struct {
        const char *text, *printed;
    } rows[] = {
        {"", ""},
        {"plain ASCII ~", "plain ASCII ~"},
        {"two\nlines\tand a tab", "two\nlines\tand a tab"},
        {"a\x1b[31mRED\x1b]0;title\x07", "a\\u001b[31mRED\\u001b]0;title\\u0007"},
        {"back\rspace\b\x7f", "back\\u000dspace\\u0008\\u007f"},
        {"Z\xC3\xBCrich \xE6\x9D\xB1\xE4\xBA\xAC \xF0\x9F\x98\x80",
         "Z\xC3\xBCrich \xE6\x9D\xB1\xE4\xBA\xAC \xF0\x9F\x98\x80"},
        {"\xC2\x9B"
         "31m",
         "\\u009b31m"},           /* CSI as one C1 control */
        {"\xC2\xA0", "\xC2\xA0"}, /* the first character behind them */
        {"\xE2\x80\xAE"
         "abc\xE2\x81\xA6",
         "\\u202eabc\\u2066"},
        {"\xD8\x9C\xE2\x80\x8E\xE2\x80\x8F\xE2\x80\xAA\xE2\x81\xA9",
         "\\u061c\\u200e\\u200f\\u202a\\u2069"},
        {"\xE2\x80\x8D", "\xE2\x80\x8D"},    /* a joiner of emoji */
        {"caf\xE9 \x9B", "caf\\xe9 \\x9b"},  /* not UTF-8 */
        {"\xE2\x80", "\\xe2\\x80"},          /* cut off */
        {"\xED\xA0\x80", "\\xed\\xa0\\x80"}, /* a surrogate */
        {"a backslash \\u001b stays", "a backslash \\u001b stays"},
    };
    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        struct ko_text out = {0};
        ko_text_add_printable(&out, rows[k].text, strlen(rows[k].text));
        assert_string_equal(ko_text_str(&out), rows[k].printed);
        ko_text_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_moves_a_terminal_is_written_as_an_escape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
