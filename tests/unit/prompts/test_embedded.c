/* SPDX-License-Identifier: Apache-2.0 */
/* Prompts that are matrices: their positions, and their bytes between ranks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/prompts/prompt.h"

static int32_t token[] = {-1, -1, -1, 7};
static uint8_t in_subject[4];
static int32_t rest[] = {8, 9};
static int32_t turn[] = {0, 5, 5, 0, 3, 4, 0, 9, 4};
static char id[] = "vqa/1";

/* A matrix of three rows, a blank token of the answer, and three scored tokens. */
static struct ko_prompt make_prompt(int32_t n_turns)
{
    return (struct ko_prompt){.id = id,
                              .n_tokens = 4,
                              .token = token,
                              .in_subject = in_subject,
                              .n_appended = 1,
                              .target = 6,
                              .rest = rest,
                              .n_rest = 2,
                              .foil = -1,
                              .n_embedded = 3,
                              .hash = "0123456789abcdef0123456789abcdef",
                              .turn = n_turns > 0 ? turn : NULL,
                              .n_turns = n_turns,
                              .n_added = n_turns};
}

static void rows_behind_a_matrix_go_on_from_its_largest_position(void **state)
{
    static const int32_t one[] = {0, 5, 5, 6, 7, 8}, width[] = {0, 9, 4, 10, 11, 12};
    const struct ko_prompt none = make_prompt(0), single = make_prompt(1), three = make_prompt(3);
    (void)state;
    assert_int_equal(ko_prompt_n_rows(&three, 0), 6);
    for (int32_t row = 0; row < 6; row++) {
        assert_int_equal(ko_prompt_turn(&none, 2, row), row);
        assert_int_equal(ko_prompt_turn(&single, 0, row), one[row]);
        assert_int_equal(ko_prompt_turn(&single, 2, row), one[row]);
        assert_int_equal(ko_prompt_turn(&three, 2, row), width[row]);
    }
    assert_int_equal(ko_prompt_turn(&three, 0, 3), 10); /* the largest of all axes */
}

static void copies_have_the_matrix_and_its_positions(void **state)
{
    (void)state;
    for (int32_t n_turns = 0; n_turns <= 3; n_turns++) {
        const struct ko_prompt prompt = make_prompt(n_turns);
        struct ko_prompt copy = {0};
        struct ko_error err = {0};
        if (n_turns == 2) {
            continue;
        }
        assert_int_equal(ko_prompt_copy(&prompt, &copy, &err), KO_OK);
        assert_int_equal(copy.reason, KO_RUNNABLE);
        assert_int_equal(copy.n_embedded, 3);
        assert_string_equal(copy.hash, prompt.hash);
        assert_int_equal(copy.n_turns, n_turns);
        assert_int_equal(copy.n_added, n_turns);
        assert_memory_equal(copy.token, token, sizeof token);
        if (n_turns > 0) {
            assert_memory_equal(copy.turn, turn, (size_t)(3 * n_turns) * sizeof *turn);
        }
        ko_prompt_free(&copy);
    }
}

/* Every shorter message is refused, and none is read past its end. */
static void bytes_that_are_cut_off_are_refused(void **state)
{
    const struct ko_prompt prompt = make_prompt(3);
    struct ko_bytes to = {0};
    (void)state;
    ko_prompt_pack(&prompt, &to);
    for (size_t n = 0; n < to.data.n; n++) {
        struct ko_bytes from = {0};
        struct ko_prompt out = {0};
        ko_bytes_read_from(&from, to.data.data, n);
        assert_int_not_equal(ko_prompt_unpack(&from, &out, NULL), KO_OK);
    }
    ko_text_free(&to.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_behind_a_matrix_go_on_from_its_largest_position),
        cmocka_unit_test(copies_have_the_matrix_and_its_positions),
        cmocka_unit_test(bytes_that_are_cut_off_are_refused),
    };
    return cmocka_run_group_tests_name("embedded", tests, NULL, NULL);
}
