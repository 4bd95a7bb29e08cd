/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "src/base/memory.h"
#include "src/preview/assume.h"

enum { N_FACTS = 4 };

/* A spec of two blocks, as ko_spec_free expects it. */
static struct ko_spec *make_spec(void)
{
    struct ko_spec *spec = ko_new(1, sizeof *spec, NULL);
    assert_non_null(spec);
    spec->n_blocks = 2;
    spec->block = ko_new(2, sizeof *spec->block, NULL);
    for (size_t b = 0; b < 2; b++) {
        spec->block[b].select = ko_new(1, sizeof *spec->block[b].select, NULL);
        spec->block[b].select->kind = KO_SELECT_CORRECT;
        spec->block[b].sample_n = 3;
        spec->block[b].where = ko_copy("sweep.yaml:3:5", NULL);
    }
    return spec;
}

/* Two models: the first block selects b by the first, c and d by the second; the other selects d.
 */
static void narrow(struct ko_spec *spec, int64_t n_prompts)
{
    static char ids[N_FACTS][2] = {"a", "b", "c", "d"};
    struct ko_plan_fact facts[N_FACTS] = {
        {.id = ids[0]}, {.id = ids[1]}, {.id = ids[2]}, {.id = ids[3]}};
    uint8_t first[2 * N_FACTS] = {0, 1, 0, 0, 0, 0, 1, 1}, second[2 * N_FACTS] = {0, 0, 0, 1};
    struct ko_plan_block blocks[2] = {{.selected = first}, {.selected = second}};
    const struct ko_plan plan = {
        .n_models = 2, .fact = facts, .n_facts = N_FACTS, .block = blocks, .n_blocks = 2};
    struct ko_error err = {0};
    assert_int_equal(ko_assume_prompts(spec, &plan, n_prompts, &err), KO_OK);
}

static void every_block_keeps_its_first_prompts(void **state)
{
    (void)state;
    struct ko_spec *spec = make_spec();
    narrow(spec, 2);
    const struct ko_select *select = spec->block[0].select;
    assert_int_equal(select->kind, KO_SELECT_ALL_OF);
    assert_int_equal(select->n_parts, 2);
    assert_int_equal(select->part[0]->kind, KO_SELECT_CORRECT);
    assert_int_equal(select->part[1]->kind, KO_SELECT_ID);
    assert_int_equal(select->part[1]->names.n, 2);
    assert_string_equal(select->part[1]->names.item[0], "b");
    assert_string_equal(select->part[1]->names.item[1], "c");
    assert_int_equal(spec->block[1].select->part[1]->names.n, 1);
    assert_string_equal(spec->block[1].select->part[1]->names.item[0], "d");
    ko_spec_free(spec);
}

static void a_sample_is_not_drawn_twice(void **state)
{
    (void)state;
    struct ko_spec *spec = make_spec();
    narrow(spec, 9);
    assert_int_equal(spec->block[0].sample_n, -1);
    assert_int_equal(spec->block[0].select->part[1]->names.n, 3);
    ko_spec_free(spec);
}

static void a_selection_that_needs_no_evaluation_stays(void **state)
{
    (void)state;
    struct ko_spec *spec = make_spec();
    spec->block[0].select->kind = KO_SELECT_ALL;
    spec->block[1].select->kind = KO_SELECT_ID;
    narrow(spec, 1);
    assert_int_equal(spec->block[0].select->kind, KO_SELECT_ALL);
    assert_int_equal(spec->block[0].sample_n, 3);
    assert_int_equal(spec->block[1].select->kind, KO_SELECT_ID);
    ko_spec_free(spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_block_keeps_its_first_prompts),
        cmocka_unit_test(a_sample_is_not_drawn_twice),
        cmocka_unit_test(a_selection_that_needs_no_evaluation_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
