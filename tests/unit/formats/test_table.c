/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "src/formats/table.h"

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
    (void)state;
    struct ko_table table = {.n_columns = 2, .right = 0x2};
    struct ko_text text = {0};
    ko_table_add(&table, "name");
    ko_table_add(&table, "n");
    ko_table_add(&table, "Ġé");
    ko_table_add(&table, "%d", 1234);
    ko_table_add(&table, "longer");
    ko_table_add(&table, "%d", 5);
    ko_table_print(&table, 1, &text);
    assert_string_equal(ko_text_str(&text), " name       n\n"
                                            " Ġé      1234\n"
                                            " longer     5\n");
    ko_text_free(&text);
}

static void lines_end_without_blanks(void **state)
{
    (void)state;
    struct ko_table table = {.n_columns = 2};
    struct ko_text text = {0};
    ko_table_add(&table, "a");
    ko_table_add(&table, "b");
    ko_table_add(&table, "c");
    ko_table_add(&table, "%s", "");
    ko_table_print(&table, 0, &text);
    assert_string_equal(ko_text_str(&text), "a  b\nc\n");
    ko_text_free(&text);
}

static void cells_longer_than_any_buffer_are_kept_whole(void **state)
{
    (void)state;
    struct ko_table table = {.n_columns = 1};
    struct ko_text text = {0};
    ko_table_add(&table, "%0600d", 7);
    ko_table_print(&table, 0, &text);
    assert_int_equal(text.n, 601);
    assert_int_equal(text.data[599], '7');
    ko_text_free(&text);
}

static void long_lines_end_between_words(void **state)
{
    (void)state;
    struct ko_text text = {0}, line = {0};
    /* 12 + 68 columns, of more bytes: they fit. */
    ko_label_line(&text, "label", "%s %s", "ĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠ",
                  "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww");
    ko_label_line(&text, "longer", "%s %s", "ĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠ",
                  "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww");
    ko_text_add(&line, "two  blanks, %080d end", 0);
    ko_fold_text(&text, 4, &line);
    assert_null(line.data);
    assert_string_equal(
        ko_text_str(&text),
        "label       ĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠ wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww\n"
        "longer      ĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠĠ\n"
        "            wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww\n"
        "two  blanks,\n"
        "    00000000000000000000000000000000000000000000000000000000000000000000000000000000\n"
        "    end\n");
    ko_text_free(&text);
}

static void color_is_printed_where_it_is_wanted(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_true(ko_color_wanted("always", file));
    assert_false(ko_color_wanted("never", file));
    assert_false(ko_color_wanted("auto", file)); /* no terminal */
    fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(lines_end_without_blanks),
        cmocka_unit_test(cells_longer_than_any_buffer_are_kept_whole),
        cmocka_unit_test(long_lines_end_between_words),
        cmocka_unit_test(color_is_printed_where_it_is_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
