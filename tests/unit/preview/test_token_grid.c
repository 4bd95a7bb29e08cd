/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/preview/token_grid.h"

static uint8_t members[] = {
    0, 0, 0, 1, /* last */
    0, 1, 0, 0, /* subject */
    1, 0, 1, 1, /* relation */
    0, 0, 0, 0, /* bos */
};

static struct ko_token_grid make(void)
{
    struct ko_token_grid grid = {.n_tokens = 4, .member = members};
    static const char *const pieces[] = {"In", "Ġé", "Ġspeak", "Ġthe"};
    static const char *const sets[] = {"last", "subject", "relation", "bos"};
    struct ko_error err = {0};
    for (int k = 0; k < 4; k++) {
        assert_int_equal(ko_strings_add(&grid.piece, pieces[k], &err), KO_OK);
        assert_int_equal(ko_strings_add(&grid.set, sets[k], &err), KO_OK);
    }
    return grid;
}

static void release(struct ko_token_grid *grid)
{
    grid->member = NULL; /* static here */
    ko_token_grid_free(grid);
}

static void marks_stand_under_the_tokens_of_a_set(void **state)
{
    (void)state;
    struct ko_token_grid grid = make();
    struct ko_text text = {0};
    ko_token_grid_print(&grid, false, 100, &text);
    assert_string_equal(ko_text_str(&text), "    position  0  1  2      3\n"
                                            "    token     In Ġé Ġspeak Ġthe\n"
                                            "    last                   ####\n"
                                            "    subject      ##\n"
                                            "    relation  ##    ###### ####\n"
                                            "    bos       (empty)\n"
                                            "    in N sets              2\n");
    ko_text_free(&text);
    release(&grid);
}

static void long_prompts_are_folded(void **state)
{
    (void)state;
    struct ko_token_grid grid = make();
    struct ko_text text = {0};
    ko_token_grid_print(&grid, false, 22, &text);
    const char *second = strstr(ko_text_str(&text), "    position  2\n");
    assert_non_null(second);
    assert_non_null(strstr(second, "    token     Ġspeak\n"));
    assert_non_null(strstr(second, "    position  3\n"));
    ko_text_free(&text);
    release(&grid);
}

static void color_shows_members_and_underlines_overlaps(void **state)
{
    (void)state;
    struct ko_token_grid grid = make();
    struct ko_text text = {0};
    ko_token_grid_print(&grid, true, 100, &text);
    assert_null(strchr(ko_text_str(&text), '#'));
    assert_non_null(strstr(ko_text_str(&text), "\x1b[30;42;4mĠthe\x1b[0m")); /* last, relation */
    assert_non_null(strstr(ko_text_str(&text), "\x1b[30;43mĠé\x1b[0m"));     /* subject alone */
    assert_non_null(strstr(ko_text_str(&text), "\x1b[46m      \x1b[0m"));    /* relation's bar */
    ko_text_free(&text);
    release(&grid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks_stand_under_the_tokens_of_a_set),
        cmocka_unit_test(long_prompts_are_folded),
        cmocka_unit_test(color_shows_members_and_underlines_overlaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
