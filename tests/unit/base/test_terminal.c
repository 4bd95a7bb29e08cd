/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/machine/terminal.h"

static void width_is_counted_in_columns_of_the_screen(void **state)
{
    (void)state;
    const struct {
        const char *text;
        size_t width;
    } cases[] = {{"", 0},     {"abc", 3},       {"Ġcafé", 5},  {"日本", 4},
                 {"🙂", 2}, {"e\xcc\x81", 1}, {"<0xF0>", 6}, {"\xff", 1}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        if (ko_display_width(cases[k].text) != cases[k].width) {
            fail_msg("'%s': expected %zu, got %zu", cases[k].text, cases[k].width,
                     ko_display_width(cases[k].text));
        }
    }
}

static void texts_are_cut_between_characters_and_bring_no_control_characters(void **state)
{
    (void)state;
    const struct {
        const char *text;
        size_t width;
        const char *cut;
    } cases[] = {{"abc", 3, "abc"},
                 {"abc", 2, "ab"},
                 {"日本", 3, "日"},
                 {"日本", 4, "日本"},
                 {"ae\xcc\x81x", 2, "ae\xcc\x81"},
                 {"a\033[31mb\n", 80, "a?[31mb?"},
                 {"abc", 0, ""}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct ko_text out = {0};
        ko_display_add(&out, cases[k].text, cases[k].width);
        assert_string_equal(ko_text_str(&out), cases[k].cut);
        ko_text_free(&out);
    }
}

static void without_a_terminal_the_width_is_that_of_COLUMNS_or_80(void **state)
{
    (void)state;
    char *data = NULL;
    size_t n = 0;
    FILE *stream = open_memstream(&data, &n);
    assert_non_null(stream);
    unsetenv("COLUMNS");
    assert_int_equal(ko_terminal_width(stream), 80);
    setenv("COLUMNS", "123", 1);
    assert_int_equal(ko_terminal_width(stream), 123);
    setenv("COLUMNS", "wide", 1);
    assert_int_equal(ko_terminal_width(stream), 80);
    setenv("COLUMNS", "0", 1);
    assert_int_equal(ko_terminal_width(stream), 80);
    unsetenv("COLUMNS");
    (void)fclose(stream);
    free(data);
}

static void a_terminal_is_asked_at_every_call(void **state)
{
    (void)state;
    const int leader = posix_openpt(O_RDWR | O_NOCTTY);
    if (leader < 0 || grantpt(leader) != 0 || unlockpt(leader) != 0) {
        skip();
    }
    FILE *stream = fopen(ptsname(leader), "w");
    assert_non_null(stream);
    const unsigned short widths[] = {80, 41, 200};
    for (size_t k = 0; k < sizeof widths / sizeof widths[0]; k++) {
        const struct winsize size = {.ws_row = 24, .ws_col = widths[k]};
        assert_int_equal(ioctl(leader, TIOCSWINSZ, &size), 0);
        assert_int_equal(ko_terminal_width(stream), widths[k]);
    }
    (void)fclose(stream);
    (void)close(leader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(width_is_counted_in_columns_of_the_screen),
        cmocka_unit_test(texts_are_cut_between_characters_and_bring_no_control_characters),
        cmocka_unit_test(without_a_terminal_the_width_is_that_of_COLUMNS_or_80),
        cmocka_unit_test(a_terminal_is_asked_at_every_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
