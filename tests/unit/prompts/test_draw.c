/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "src/prompts/draw.h"

/* Computed with the Python oracle. */
static const struct {
    size_t n, k;
    uint64_t seed, stream;
    int64_t drawn[10];
} known[] = {
    {10, 10, 0, 0, {5, 3, 9, 0, 2, 8, 1, 4, 7, 6}},
    {10, 3, 7, 2, {7, 6, 1}},
    {5, 0, 1, 1, {0}},
    {1, 1, 9, 9, {0}},
    {192, 6, 7, 11, {115, 63, 126, 81, 89, 107}},
    {20, 5, (uint64_t)-3, 0, {2, 15, 10, 0, 14}},
    {20, 5, INT64_MAX, 571532774284038691u, {2, 14, 0, 1, 12}},
};

static void draws_are_those_of_the_oracle(void **state)
{
    int64_t items[192];
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        for (size_t j = 0; j < known[i].n; j++) {
            items[j] = (int64_t)j;
        }
        ko_draw(items, known[i].n, known[i].k, known[i].seed, known[i].stream);
        for (size_t j = 0; j < known[i].k; j++) {
            assert_int_equal(items[j], known[i].drawn[j]);
        }
    }
}

static void a_draw_only_moves_the_items(void **state)
{
    int64_t items[192];
    uint8_t seen[192] = {0};
    (void)state;
    for (int64_t j = 0; j < 192; j++) {
        items[j] = j;
    }
    ko_draw(items, 192, 64, 3, 4);
    for (size_t j = 0; j < 192; j++) {
        seen[items[j]]++;
    }
    for (size_t j = 0; j < 192; j++) {
        assert_int_equal(seen[j], 1);
    }
}

static void hashes_are_fnv1a(void **state)
{
    (void)state;
    assert_true(ko_fnv1a64("") == 0xcbf29ce484222325u);
    assert_true(ko_fnv1a64("a") == 0xaf63dc4c8601ec8cu);
    assert_true(ko_fnv1a64("42") == 0x7ee7e07b4b19223u);
    assert_true(ko_fnv1a64("S\xC3\xA3o") == 0xb9a96721a6f310adu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_are_those_of_the_oracle),
        cmocka_unit_test(a_draw_only_moves_the_items),
        cmocka_unit_test(hashes_are_fnv1a),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
