/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/options/option_table.h"
#include "src/options/options.h"
#include "tests/support/folder.h"

enum { MAX_WORDS = 12 };

struct outcome {
    struct ko_options options;
    struct ko_error err;
    enum ko_code code;
    bool help, version;
};

/* Parses "knockout LINE"; the words of LINE are separated by blanks. */
static void parse(struct outcome *o, const char *line)
{
    static char words[400];
    char *argv[MAX_WORDS] = {(char[]){"knockout"}}, *rest = NULL;
    int argc = 1;
    *o = (struct outcome){0};
    strncpy(words, line, sizeof words - 1);
    for (char *w = strtok_r(words, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
        assert_true(argc < MAX_WORDS);
        argv[argc++] = w;
    }
    o->code = ko_options_parse(argc, argv, &o->options, &o->help, &o->version, &o->err);
}

static void options_and_arguments_come_in_any_order(void **state)
{
    static const char *const lines[] = {
        "run s.yaml -o c.h5 --row-budget 512 --resume --set a=1 --set b=2",
        "run --resume --output=c.h5 --set=a=1 --row-budget=512 --set b=2 -- s.yaml",
    };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct outcome o;
        parse(&o, lines[i]);
        assert_string_equal(o.err.text, "");
        assert_int_equal(o.code, KO_OK);
        assert_string_equal(o.options.command, "run");
        assert_int_equal(o.options.arguments.n, 1);
        assert_string_equal(o.options.arguments.item[0], "s.yaml");
        assert_string_equal(ko_option_string(&o.options, KO_OPT_OUTPUT), "c.h5");
        assert_int_equal(ko_option_int(&o.options, KO_OPT_ROW_BUDGET), 512);
        assert_true(ko_option_flag(&o.options, KO_OPT_RESUME));
        assert_false(ko_option_flag(&o.options, KO_OPT_OVERWRITE));
        assert_int_equal(o.options.value[KO_OPT_SET].list.n, 2);
        assert_string_equal(o.options.value[KO_OPT_SET].list.item[0], "a=1");
        assert_string_equal(o.options.value[KO_OPT_SET].list.item[1], "b=2");
        ko_options_free(&o.options);
    }
}

static void defaults_are_there_and_not_given(void **state)
{
    struct outcome o;
    (void)state;
    parse(&o, "run s.yaml");
    assert_int_equal(o.code, KO_OK);
    assert_string_equal(ko_option_string(&o.options, KO_OPT_PRECISION), "float32");
    assert_true(ko_option_double(&o.options, KO_OPT_COMMIT_SECONDS) == 10);
    assert_null(ko_option_string(&o.options, KO_OPT_OUTPUT));
    assert_false(ko_option_given(&o.options, KO_OPT_PRECISION));
    ko_options_free(&o.options);
    ko_options_free(&o.options);
}

static void wrong_usage_is_refused_in_words(void **state)
{
    static const struct {
        const char *line, *error;
    } row[] = {
        {"", "command line: no command given, `knockout --help` lists them"},
        {"rnu s.yaml", "command line: unknown command 'rnu', did you mean 'run'?"},
        {"help rum", "command line: unknown command 'rum', did you mean 'run'?"},
        {"run s.yaml -v", "run: unknown option '-v', `knockout run --help`"},
        {"frobnicate", "command line: unknown command 'frobnicate', `knockout --help`"},
        {"-o c.h5 run s.yaml", "command line: expected a command first, got '-o'"},
        {"run s.yaml --resmue", "run: unknown option '--resmue', did you mean '--resume'?"},
        {"run s.yaml --csv", "run: does not take the option --csv, it belongs to: show"},
        {"run s.yaml --xylophone", "run: unknown option '--xylophone', `knockout run --help`"},
        {"run s.yaml -x", "run: unknown option '-x', `knockout run --help`"},
        {"status c.h5 -o d.h5", "status: does not take the option --output, it belongs to: run "},
        {"run s.yaml --output", "--output: expected a value (CUBE), got none"},
        {"run s.yaml -o --resume", "--output: expected a value (CUBE), got none"},
        {"run s.yaml --output=", "--output: expected CUBE, got an empty text"},
        {"run s.yaml --resume=yes", "--resume: takes no value, got 'yes'"},
        {"run s.yaml --row-budget many",
         "--row-budget: expected a whole number from 0 to 9223372036854775807, got 'many'"},
        {"run s.yaml --threads -1", "--threads: expected a whole number from 0"},
        {"run s.yaml --commit-seconds -2", "--commit-seconds: expected a number from 0, got '-2'"},
        {"run s.yaml --backend gpu", "--backend: expected cpu|cuda, got 'gpu'"},
        {"run s.yaml --precision float23",
         "--precision: expected float32|bf16x3|tf32|bfloat16, got 'float23', did you mean "
         "'float32'?"},
        {"run", "run: expected SPEC, got no argument, see `knockout run --help`"},
        {"run a.yaml b.yaml",
         "run: expected SPEC, got 2 arguments, the first too many is 'b.yaml'"},
        {"bench x", "bench: expected no argument, got 1 arguments"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct outcome o;
        parse(&o, row[i].line);
        assert_int_equal(o.code, KO_E_INPUT);
        if (strncmp(o.err.text, row[i].error, strlen(row[i].error)) != 0) {
            fail_msg("'%s': '%s' does not begin with '%s'", row[i].line, o.err.text, row[i].error);
        }
        ko_options_free(&o.options);
    }
}

static void help_is_found_before_any_error(void **state)
{
    static const struct {
        const char *line, *command;
        bool help, version;
    } row[] = {
        {"--help", NULL, true, false},
        {"-h", NULL, true, false},
        {"run --nonsense --help", "run", true, false},
        {"show -h", "show", true, false},
        {"--version", NULL, false, true},
        {"nonsense --help", NULL, true, false},
        {"help", NULL, true, false},
        {"help --json", NULL, true, false},
        {"help --schema", NULL, true, false},
        {"help run", "run", true, false},
        {"help --help", NULL, true, false},
        {"version", NULL, false, true},
        {"-V", NULL, false, true},
        {"-v", NULL, false, true},
    };
    struct outcome o;
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        parse(&o, row[i].line);
        assert_int_equal(o.code, KO_OK);
        assert_int_equal(o.help, row[i].help);
        assert_int_equal(o.version, row[i].version);
        if (row[i].command) {
            assert_string_equal(o.options.command, row[i].command);
        } else {
            assert_null(o.options.command);
        }
        ko_options_free(&o.options);
    }
    parse(&o, "run -- --help");
    assert_false(o.help);
    assert_string_equal(o.options.arguments.item[0], "--help");
    ko_options_free(&o.options);
}

static void the_command_line_wins_over_environment_over_spec(void **state)
{
    struct outcome o;
    struct ko_error err = {0};
    (void)state;
    assert_int_equal(setenv("KNOCKOUT_ROW_BUDGET", "64", 1), 0);
    parse(&o, "run s.yaml --row-budget 32");
    assert_int_equal(ko_option_int(&o.options, KO_OPT_ROW_BUDGET), 32);
    ko_options_free(&o.options);

    parse(&o, "run s.yaml");
    assert_int_equal(ko_options_from_spec(&o.options, KO_OPT_ROW_BUDGET, "16", "s.yaml:1:1", &err),
                     KO_OK);
    assert_int_equal(ko_option_int(&o.options, KO_OPT_ROW_BUDGET), 64);
    assert_int_equal(o.options.value[KO_OPT_ROW_BUDGET].origin, KO_FROM_ENVIRONMENT);
    ko_options_free(&o.options);

    assert_int_equal(setenv("KNOCKOUT_ROW_BUDGET", "x", 1), 0);
    parse(&o, "run s.yaml");
    assert_int_equal(o.code, KO_E_INPUT);
    assert_non_null(strstr(o.err.text, "KNOCKOUT_ROW_BUDGET: expected a whole number"));
    ko_options_free(&o.options);
    parse(&o, "status c.h5"); /* which does not take it */
    assert_int_equal(o.code, KO_OK);
    ko_options_free(&o.options);

    assert_int_equal(unsetenv("KNOCKOUT_ROW_BUDGET"), 0);
    parse(&o, "run s.yaml");
    assert_int_equal(ko_options_from_spec(&o.options, KO_OPT_ROW_BUDGET, "16", "s.yaml:1:1", &err),
                     KO_OK);
    assert_int_equal(ko_option_int(&o.options, KO_OPT_ROW_BUDGET), 16);
    assert_true(ko_option_given(&o.options, KO_OPT_ROW_BUDGET));
    assert_int_equal(ko_options_from_spec(&o.options, KO_OPT_BACKEND, "cpux", "s.yaml:4:10", &err),
                     KO_E_INPUT);
    assert_string_equal(err.text,
                        "s.yaml:4:10: backend: expected cpu|cuda, got 'cpux', did you mean 'cpu'?");
    ko_options_free(&o.options);
}

static void flags_and_lists_are_read_from_the_environment(void **state)
{
    struct outcome o;
    (void)state;
    assert_int_equal(setenv("KNOCKOUT_RESUME", "1", 1), 0);
    assert_int_equal(setenv("KNOCKOUT_SET", "a=1", 1), 0);
    parse(&o, "run s.yaml");
    assert_true(ko_option_flag(&o.options, KO_OPT_RESUME));
    assert_string_equal(o.options.value[KO_OPT_SET].list.item[0], "a=1");
    ko_options_free(&o.options);
    parse(&o, "run s.yaml --set b=2");
    assert_int_equal(o.options.value[KO_OPT_SET].list.n, 1);
    assert_string_equal(o.options.value[KO_OPT_SET].list.item[0], "b=2");
    ko_options_free(&o.options);
    assert_int_equal(setenv("KNOCKOUT_RESUME", "maybe", 1), 0);
    parse(&o, "run s.yaml");
    assert_string_equal(o.err.text, "KNOCKOUT_RESUME: expected true or false, got 'maybe'");
    ko_options_free(&o.options);
    assert_int_equal(unsetenv("KNOCKOUT_RESUME"), 0);
    assert_int_equal(unsetenv("KNOCKOUT_SET"), 0);
}

static void the_table_is_sound(void **state)
{
    size_t n = 0;
    (void)ko_command_entries(&n);
    (void)state;
    for (int i = 0; i < KO_N_OPTIONS; i++) {
        enum ko_option id = (enum ko_option)i;
        const struct ko_option_entry *entry = ko_option_entry(id);
        struct ko_error err = {0};
        char *rest = NULL, *commands = strdup(entry->commands);
        assert_true(strlen(entry->name) < KO_OPTION_NAME_MAX - 10);
        if (entry->fallback[0]) {
            assert_int_equal(ko_option_check(id, entry->fallback, entry->name, &err), KO_OK);
        }
        for (char *c = strtok_r(commands, " ", &rest); c; c = strtok_r(NULL, " ", &rest)) {
            assert_non_null(ko_command_find(c));
            assert_true(ko_option_taken_by(id, c));
            /* A name may mean different things to different commands. */
            for (int k = 0; k < i; k++) {
                assert_false(strcmp(entry->name, ko_option_entry((enum ko_option)k)->name) == 0 &&
                             ko_option_taken_by((enum ko_option)k, c));
            }
        }
        free(commands);
    }
    assert_false(ko_option_taken_by(KO_OPT_OUTPUT, "eval"));
}

/* The text with single blanks alone: what is folded reads as it was declared. */
static void unfold(struct ko_text *text)
{
    size_t n = 0;
    assert_non_null(text->data);
    for (size_t i = 0; i < text->n; i++) {
        const bool blank = text->data[i] == ' ' || text->data[i] == '\n';
        if (!blank || (n > 0 && text->data[n - 1] != ' ')) {
            text->data[n++] = blank ? ' ' : text->data[i];
        }
    }
    text->n = n;
    text->data[n] = '\0';
}

static void help_fits_a_terminal_of_80_columns(void **state)
{
    size_t n = 0;
    const struct ko_command_entry *command = ko_command_entries(&n);
    (void)state;
    for (size_t i = 0; i <= n; i++) {
        struct ko_text help = {0};
        ko_options_help(i < n ? command[i].name : NULL, &help);
        for (const char *line = ko_text_str(&help); *line; line += strcspn(line, "\n") + 1) {
            if (strcspn(line, "\n") > 80) {
                fail_msg("%.*s", (int)strcspn(line, "\n"), line);
            }
        }
        ko_text_free(&help);
    }
}

static void help_lists_every_command_and_option(void **state)
{
    size_t n = 0;
    const struct ko_command_entry *command = ko_command_entries(&n);
    struct ko_text overview = {0};
    struct ko_error err = {0};
    (void)state;
    ko_options_help(NULL, &overview);
    assert_int_equal(ko_text_check(&overview, &err), KO_OK);
    unfold(&overview);
    for (size_t i = 0; i < n; i++) {
        struct ko_text help = {0};
        assert_non_null(strstr(ko_text_str(&overview), command[i].help));
        ko_options_help(command[i].name, &help);
        unfold(&help);
        for (int id = 0; id < KO_N_OPTIONS; id++) {
            char flag[KO_OPTION_NAME_MAX + 3];
            (void)snprintf(flag, sizeof flag, "--%s", ko_option_entry((enum ko_option)id)->name);
            const char *at = strstr(ko_text_str(&help), ko_option_entry((enum ko_option)id)->help);
            bool listed = at && strstr(ko_text_str(&help), flag);
            assert_int_equal(listed, ko_option_taken_by((enum ko_option)id, command[i].name));
        }
        ko_text_free(&help);
    }
    ko_text_free(&overview);
}

static void a_tilde_in_a_path_is_the_home_folder(void **state)
{
    struct outcome o;
    char *home = getenv("HOME") ? strdup(getenv("HOME")) : NULL;
    (void)state;
    assert_int_equal(setenv("HOME", "/home/x", 1), 0);
    assert_int_equal(setenv("KNOCKOUT_EVALUATION", "~/e.h5", 1), 0);
    parse(&o, "run ~/s.yaml --output=~/c.h5 --reuse=~/r.h5 --set=prompts.file=~/f");
    assert_int_equal(o.code, KO_OK);
    assert_string_equal(o.options.arguments.item[0], "/home/x/s.yaml");
    assert_string_equal(ko_option_string(&o.options, KO_OPT_OUTPUT), "/home/x/c.h5");
    assert_string_equal(ko_option_string(&o.options, KO_OPT_EVALUATION), "/home/x/e.h5");
    assert_string_equal(o.options.value[KO_OPT_REUSE].list.item[0], "/home/x/r.h5");
    assert_string_equal(o.options.value[KO_OPT_SET].list.item[0], "prompts.file=~/f");
    ko_options_free(&o.options);
    assert_int_equal(unsetenv("KNOCKOUT_EVALUATION"), 0);
    parse(&o, "run s.yaml -o ~you/c.h5");
    assert_int_equal(o.code, KO_E_INPUT);
    assert_string_equal(o.err.text, "--output: '~you/c.h5': a path with ~ must begin with ~/, "
                                    "write the folder out (or ./~...)");
    ko_options_free(&o.options);
    if (home) {
        assert_int_equal(setenv("HOME", home, 1), 0);
    }
    free(home);
}

/* Specs read variables of the environment, and so do options: one name cannot be both. */
static void no_variable_of_a_bundled_spec_is_an_option(void **state)
{
    static const char *const patterns[] = {KO_SOURCE_DIR "/jobs/*.yaml",
                                           KO_SOURCE_DIR "/jobs/*/*.yaml"};
    glob_t found;
    size_t n_variables = 0;
    (void)state;
    assert_int_equal(glob(patterns[0], 0, NULL, &found), 0);
    assert_int_equal(glob(patterns[1], GLOB_APPEND, NULL, &found), 0);
    for (size_t f = 0; f < found.gl_pathc; f++) {
        size_t n = 0;
        char *text = test_read(found.gl_pathv[f], &n), *at = text;
        while ((at = strstr(at, "${")) != NULL) {
            at += 2;
            const size_t length = strcspn(at, "}");
            n_variables++;
            for (int id = 0; id < KO_N_OPTIONS; id++) {
                char variable[KO_OPTION_NAME_MAX];
                (void)ko_option_variable((enum ko_option)id, variable);
                if (strlen(variable) == length && memcmp(variable, at, length) == 0) {
                    fail_msg("%s: ${%s} is the variable of --%s", found.gl_pathv[f], variable,
                             ko_option_entry((enum ko_option)id)->name);
                }
            }
        }
        free(text);
    }
    globfree(&found);
    assert_true(n_variables > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_variable_of_a_bundled_spec_is_an_option),
        cmocka_unit_test(a_tilde_in_a_path_is_the_home_folder),
        cmocka_unit_test(options_and_arguments_come_in_any_order),
        cmocka_unit_test(defaults_are_there_and_not_given),
        cmocka_unit_test(wrong_usage_is_refused_in_words),
        cmocka_unit_test(help_is_found_before_any_error),
        cmocka_unit_test(the_command_line_wins_over_environment_over_spec),
        cmocka_unit_test(flags_and_lists_are_read_from_the_environment),
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(help_fits_a_terminal_of_80_columns),
        cmocka_unit_test(help_lists_every_command_and_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
