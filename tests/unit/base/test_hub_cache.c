/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "src/base/user/home.h"
#include "src/base/user/hub_cache.h"
#include "tests/support/folder.h"

static char *cache; /* the scratch folder */

static void make_folder(const char *name)
{
    char *path = test_folder_path(cache, name);
    assert_int_equal(mkdir(path, 0777), 0);
    free(path);
}

/* A repository with these snapshots, and what refs/main says (NULL: nothing). */
static void make_repository(const char *root, const char *const *snapshots, const char *main)
{
    char name[300];
    make_folder(root);
    snprintf(name, sizeof name, "%s/snapshots", root);
    make_folder(name);
    for (size_t i = 0; snapshots[i]; i++) {
        snprintf(name, sizeof name, "%s/snapshots/%s", root, snapshots[i]);
        make_folder(name);
    }
    if (main) {
        snprintf(name, sizeof name, "%s/refs", root);
        make_folder(name);
        snprintf(name, sizeof name, "%s/refs/main", root);
        test_folder_write_text(cache, name, main);
    }
}

static const char *const variables[] = {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME",
                                        "XDG_CACHE_HOME"};

static int set_up(void **state)
{
    static const char *const one[] = {"abc", NULL}, *const two[] = {"def", "abc", NULL},
                             *const none[] = {NULL};
    (void)state;
    cache = test_folder_make();
    make_repository("models--acme--tiny", two, "abc\n");
    make_repository("models--acme--one", one, NULL);
    make_repository("models--acme--two", two, NULL);
    make_repository("models--acme--empty", none, NULL);
    make_repository("models--acme--gone", one, "def");
    make_repository("models--acme--odd", one, "../../x");
    make_repository("models--plain", one, "abc");
    make_folder("acme");
    make_folder("acme/here");
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        unsetenv(variables[i]);
    }
    setenv("HF_HUB_CACHE", cache, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_folder_remove(cache);
    return 0;
}

/* The folder found, or the error, without the cache's path. free(). */
static char *found(const char *text, const char *path)
{
    char *folder = NULL, *in = path ? strdup(path) : test_folder_path(cache, text);
    struct ko_error err = {0};
    enum ko_code code = ko_hub_find(text, in, &folder, &err);
    if (code != KO_OK) {
        assert_null(folder);
        folder = strdup(err.text);
    }
    free(in);
    for (char *at = strstr(folder, cache); at; at = strstr(folder, cache)) {
        memmove(at, at + strlen(cache), strlen(at + strlen(cache)) + 1);
    }
    return folder;
}

static void names_roots_and_folders_are_found(void **state)
{
    static const struct {
        const char *text, *path, *folder; /* path NULL: the text in the cache's folder */
    } rows[] = {
        {"acme/tiny", "/no/acme/tiny", "/models--acme--tiny/snapshots/abc"},
        {"acme/one", "/no/acme/one", "/models--acme--one/snapshots/abc"},
        {"plain", "/no/plain", "/models--plain/snapshots/abc"},
        {"models--acme--tiny", NULL, "/models--acme--tiny/snapshots/abc"},
        {"models--acme--tiny/", NULL, "/models--acme--tiny/snapshots/abc"},
        {"models--acme--tiny/snapshots/def", NULL, "/models--acme--tiny/snapshots/def"},
        {"acme/here", NULL, "/acme/here"}, /* a folder comes before the cache */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *folder = found(rows[i].text, rows[i].path);
        assert_string_equal(folder, rows[i].folder);
        free(folder);
    }
}

static void what_is_not_found_says_what_to_do(void **state)
{
    static const struct {
        const char *text, *path, *error;
    } rows[] = {
        {"acme/large", "/no/acme/large",
         "'acme/large' is neither a folder (/no/acme/large) nor in the cache of the Hugging Face "
         "hub (): correct the path, or run `hf download acme/large`"},
        {"acme/two", "/no/acme/two",
         "'/models--acme--two' has 2 snapshots and no refs/main, name one of them as "
         "/models--acme--two/snapshots/...: abc, def"},
        {"acme/empty", "/no/x", "'/models--acme--empty' has no snapshot, download the model again"},
        {"acme/gone", "/no/x",
         "'/models--acme--gone': refs/main names the snapshot def, which does not exist, download "
         "the model again"},
        {"acme/odd", "/no/x",
         "'/models--acme--odd/refs/main' does not name a snapshot, download the model again"},
        {"a/b/c", "/no/a/b/c", "folder '/no/a/b/c' does not exist, correct the path"},
        {"../acme", "/no/acme", "folder '/no/acme' does not exist, correct the path"},
        {"./acme/tiny", "/no/acme", "folder '/no/acme' does not exist, correct the path"},
        {"/acme/tiny", "/acme/tiny", "folder '/acme/tiny' does not exist, correct the path"},
        {"acme/ti ny", "/no/x", "folder '/no/x' does not exist, correct the path"},
        {"acme/", "/no/acme/", "folder '/no/acme/' does not exist, correct the path"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *error = found(rows[i].text, rows[i].path);
        assert_string_equal(error, rows[i].error);
        free(error);
    }
}

/* The first variable that is set says where the cache is, as in huggingface_hub. */
static void the_cache_is_where_the_variables_say(void **state)
{
    static const struct {
        const char *variable, *value, *inside;
    } rows[] = {
        {"HOME", NULL, ".cache/huggingface/hub"},
        {"XDG_CACHE_HOME", "x", "huggingface/hub"},
        {"HF_HOME", "h", "hub"},
        {"HUGGINGFACE_HUB_CACHE", "g", ""},
        {"HF_HUB_CACHE", "c", ""},
    };
    char *home = getenv("HOME") ? strdup(getenv("HOME")) : NULL;
    (void)state;
    unsetenv("HF_HUB_CACHE");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char value[200], expected[600];
        snprintf(value, sizeof value, "%s%s%s", cache, rows[i].value ? "/" : "",
                 rows[i].value ? rows[i].value : "");
        setenv(rows[i].variable, value, 1);
        char *error = found("acme/tiny", "/no/x");
        snprintf(expected, sizeof expected,
                 "'acme/tiny' is neither a folder (/no/x) nor in the cache of the Hugging Face hub "
                 "(%s%s%s%s):",
                 rows[i].value ? "/" : "", rows[i].value ? rows[i].value : "",
                 rows[i].inside[0] ? "/" : "", rows[i].inside);
        if (strncmp(error, expected, strlen(expected)) != 0) {
            fail_msg("row %zu: %s", i, error);
        }
        free(error);
    }
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        unsetenv(variables[i]);
    }
    setenv("HF_HOME", "~/hf", 1);
    char *error = found("acme/tiny", "/no/x");
    assert_non_null(strstr(error, "(/hf/hub)"));
    free(error);
    unsetenv("HF_HOME");
    setenv("HF_HUB_CACHE", cache, 1);
    if (home) {
        setenv("HOME", home, 1);
    }
    free(home);
}

static void a_tilde_is_the_home_folder(void **state)
{
    static const struct {
        const char *path, *expanded;
    } rows[] = {{"~/a/b", "/home/x/a/b"}, {"~", "/home/x"}, {"~/", "/home/x"},
                {"~//a", "/home/x/a"},    {"/~/a", "/~/a"}, {"a~", "a~"},
                {"./~x", "./~x"},         {"", ""}};
    char *home = getenv("HOME") ? strdup(getenv("HOME")) : NULL, *out = NULL;
    struct ko_error err = {0};
    (void)state;
    setenv("HOME", "/home/x", 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(ko_home_expand(rows[i].path, &out, &err), KO_OK);
        assert_string_equal(out, rows[i].expanded);
        free(out);
        out = NULL;
    }
    assert_int_equal(ko_home_expand("~you/a", &out, &err), KO_E_INPUT);
    assert_string_equal(
        err.text, "'~you/a': a path with ~ must begin with ~/, write the folder out (or ./~...)");
    unsetenv("HOME");
    assert_int_equal(ko_home_expand("~/a", &out, &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "the variable HOME is not set"));
    assert_null(out);
    if (home) {
        setenv("HOME", home, 1);
    }
    free(home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_roots_and_folders_are_found),
        cmocka_unit_test(what_is_not_found_says_what_to_do),
        cmocka_unit_test(the_cache_is_where_the_variables_say),
        cmocka_unit_test(a_tilde_is_the_home_folder),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
