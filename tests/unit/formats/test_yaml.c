/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "src/formats/yaml.h"

static struct ko_yaml *parsed(const char *text)
{
    struct ko_error err = {0};
    struct ko_yaml *root = NULL;
    if (ko_yaml_parse(text, "s.yaml", &root, &err)) {
        fail_msg("%s", err.text);
    }
    return root;
}

static void every_node_knows_its_place(void **state)
{
    struct ko_yaml *root = parsed("# a comment\nroutes: [a, \"b\"]\nwindows:\n  sizes: [1]\n");
    (void)state;
    assert_int_equal(root->kind, KO_YAML_MAP);
    assert_int_equal(root->n, 2);
    const struct ko_yaml *routes = ko_yaml_get(root, "routes");
    assert_int_equal(routes->kind, KO_YAML_LIST);
    assert_int_equal(routes->line, 2);
    assert_int_equal(routes->column, 9);
    assert_string_equal(routes->item[1]->text, "b");
    assert_true(routes->item[1]->quoted);
    assert_false(routes->item[0]->quoted);
    assert_int_equal(routes->item[1]->column, 13);
    const struct ko_yaml *sizes = ko_yaml_get(ko_yaml_get(root, "windows"), "sizes");
    assert_string_equal(sizes->item[0]->text, "1");
    assert_int_equal(sizes->line, 4);
    assert_string_equal(sizes->item[0]->file, "s.yaml");
    assert_null(ko_yaml_get(root, "sizes"));
    assert_null(ko_yaml_get(routes, "a"));
    ko_yaml_free(root);
    ko_yaml_free(NULL);
}

static void routes_need_no_quotes(void **state)
{
    struct ko_yaml *root = parsed("- last<-subject\n- relation\\last<-random-like:subject:3\n");
    (void)state;
    assert_string_equal(root->item[0]->text, "last<-subject");
    assert_string_equal(root->item[1]->text, "relation\\last<-random-like:subject:3");
    ko_yaml_free(root);
}

static void what_is_refused_says_where_and_why(void **state)
{
    static const struct {
        const char *text, *error;
    } row[] = {
        {"a: 1\nb: 2\na: 3\n", "s.yaml:3:1: duplicate key 'a', it is on line 1 too, keep one"},
        {"x:\n  - {k: 1, j: 2, k: 3}\n", "s.yaml:2:18: duplicate key 'k', it is on line 2 too"},
        {"a: &anchor 1\n", "s.yaml:1:4: anchors are not supported, remove &anchor"},
        {"a: &m {b: 1}\n", "s.yaml:1:4: anchors are not supported, remove &m"},
        {"a: 1\nb: *a\n", "s.yaml:2:4: aliases are not supported, write the value out: *a"},
        {"a: !!int 1\n", "s.yaml:1:4: tags are not supported, remove tag:yaml.org,2002:int"},
        {"a: !x [1]\n", "s.yaml:1:4: tags are not supported, remove !x"},
        {"", "s.yaml:1:1: is empty, expected a document"},
        {"# only this\n", "s.yaml:2:1: is empty, expected a document"},
        {"a: 1\n---\nb: 2\n", "s.yaml:2:1: a second document begins, expected one"},
        {"? [a]\n: 1\n", "s.yaml:1:3: a key must be text"},
        {"a: [1, 2\n", "s.yaml:2:1: not valid YAML: "},
        {"a: b: c\n", "s.yaml:1:5: not valid YAML: mapping values are not allowed"},
        {"a:\n\t- 1\n", "s.yaml:2:1: not valid YAML: "},
        {"a: \"x\\0y\"\n", "s.yaml:1:4: a text must not contain NUL"},
        {"ab: 1\nc: \xFF\n", "s.yaml:2:4: not valid YAML: invalid leading UTF-8 octet"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct ko_error err = {0};
        struct ko_yaml *root = NULL;
        assert_int_equal(ko_yaml_parse(row[i].text, "s.yaml", &root, &err), KO_E_INPUT);
        assert_null(root);
        if (strncmp(err.text, row[i].error, strlen(row[i].error)) != 0) {
            fail_msg("row %zu: '%s' does not begin with '%s'", i, err.text, row[i].error);
        }
    }
}

static void depth_is_limited(void **state)
{
    char text[200];
    struct ko_error err = {0};
    struct ko_yaml *root = NULL;
    (void)state;
    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    text[128] = '\0';
    ko_yaml_free(parsed(text));
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    text[130] = '\0';
    assert_int_equal(ko_yaml_parse(text, "s.yaml", &root, &err), KO_E_INPUT);
    assert_string_equal(err.text, "s.yaml:1:65: nested more than 64 deep");
}

static void unknown_keys_name_the_nearest(void **state)
{
    static const char *const known[] = {"models", "routes", "windows"};
    struct ko_yaml *root = parsed("models: []\nruotes: []\n"), *far = parsed("zzzzzzzz: 1\n");
    struct ko_yaml *list = parsed("[]"), *right = parsed("windows: 1\n");
    struct ko_error err = {0};
    (void)state;
    assert_int_equal(ko_yaml_check_keys(right, known, 3, &err), KO_OK);
    assert_int_equal(ko_yaml_check_keys(root, known, 3, &err), KO_E_INPUT);
    assert_string_equal(err.text, "s.yaml:2:1: unknown key 'ruotes', did you mean 'routes'?");
    assert_int_equal(ko_yaml_check_keys(far, known, 3, &err), KO_E_INPUT);
    assert_string_equal(err.text, "s.yaml:1:1: unknown key 'zzzzzzzz', expected one of: models, "
                                  "routes, windows");
    assert_int_equal(ko_yaml_check_keys(list, known, 3, &err), KO_E_INPUT);
    assert_string_equal(err.text, "s.yaml:1:1: expected a map of keys and values");
    ko_yaml_free(root);
    ko_yaml_free(far);
    ko_yaml_free(list);
    ko_yaml_free(right);
}

static void an_unreadable_file_is_named(void **state)
{
    struct ko_error err = {0};
    struct ko_yaml *root = NULL;
    (void)state;
    assert_int_equal(ko_yaml_read("/nowhere/s.yaml", &root, &err), KO_E_INPUT);
    assert_string_equal(err.text, "/nowhere/s.yaml: cannot be opened: No such file or directory");
    assert_null(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_node_knows_its_place),
        cmocka_unit_test(routes_need_no_quotes),
        cmocka_unit_test(what_is_refused_says_where_and_why),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(unknown_keys_name_the_nearest),
        cmocka_unit_test(an_unreadable_file_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
