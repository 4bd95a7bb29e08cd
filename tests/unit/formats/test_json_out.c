/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/formats/json_out.h"

static void what_is_not_finite_is_null(void **state)
{
    (void)state;
    json_object *root = json_object_new_object();
    ko_json_put_number(root, "a", NAN);
    ko_json_put_number(root, "b", INFINITY);
    ko_json_put_number(root, "c", 0.5);
    ko_json_put_text(root, "d", NULL);
    assert_string_equal(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN),
                        "{\"a\":null,\"b\":null,\"c\":0.5,\"d\":null}");
    json_object_put(root);
}

static void lists_keep_their_order(void **state)
{
    (void)state;
    const int32_t numbers[] = {3, 1, 2};
    json_object *root = json_object_new_object();
    ko_json_put_ints(root, "n", numbers, 3);
    json_object *list = ko_json_put_list(root, "o");
    ko_json_put_int(ko_json_add_object(list), "k", 1);
    ko_json_put_bool(ko_json_add_object(list), "k", 1);
    assert_string_equal(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN),
                        "{\"n\":[3,1,2],\"o\":[{\"k\":1},{\"k\":true}]}");
    json_object_put(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_finite_is_null),
        cmocka_unit_test(lists_keep_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
