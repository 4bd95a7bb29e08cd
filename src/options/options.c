/* SPDX-License-Identifier: Apache-2.0 */
/* Parses the command line and the environment, and keeps each option's value with its origin. The
   help text is in options_help.c. */
#include "src/options/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/user/home.h"
#include "src/options/option_table.h"

static enum ko_code set_value(struct ko_options *options, enum ko_option id, enum ko_origin origin,
                              const char *text, struct ko_error *err)
{
    struct ko_option_value *value = &options->value[id];
    if (ko_option_entry(id)->type == KO_STRINGS) {
        if (value->origin != origin) {
            ko_strings_free(&value->list);
        }
        value->origin = origin;
        return ko_strings_add(&value->list, text, err);
    }
    char *copy = ko_copy(text, err);
    if (!copy) {
        return KO_E_MEMORY;
    }
    free(value->text);
    value->text = copy;
    value->origin = origin;
    return KO_OK;
}

/* Sets a value that the user gave. Expands ~ at the start of a path. where: its name in errors. */
static enum ko_code set_given(struct ko_options *options, enum ko_option id, enum ko_origin origin,
                              const char *text, const char *where, struct ko_error *err)
{
    const char *unit = ko_option_entry(id)->unit;
    char *path = NULL;
    if (strcmp(unit, "CUBE") != 0 && strcmp(unit, "FOLDER") != 0) {
        return set_value(options, id, origin, text, err);
    }
    enum ko_code code = ko_home_expand(text, &path, err);
    if (code != KO_OK) {
        return ko_fail_in(err, "%s", where);
    }
    code = set_value(options, id, origin, path, err);
    free(path);
    return code;
}

/* The arguments of every command are paths. */
static enum ko_code add_argument(struct ko_options *options, const char *text, struct ko_error *err)
{
    char *path = NULL;
    enum ko_code code = ko_home_expand(text, &path, err);
    if (code != KO_OK) {
        return ko_fail_in(err, "%s", options->command);
    }
    code = ko_strings_add(&options->arguments, path, err);
    free(path);
    return code;
}

static enum ko_code set_defaults(struct ko_options *options, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (int id = 0; code == KO_OK && id < KO_N_OPTIONS; id++) {
        const char *fallback = ko_option_entry((enum ko_option)id)->fallback;
        if (fallback[0]) {
            code = set_value(options, (enum ko_option)id, KO_FROM_DEFAULT, fallback, err);
        }
    }
    return code;
}

/* Sets *help and *version if they are asked for before a "--". */
static void look_for_help(int argc, char **argv, bool *help, bool *version)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            *help = true;
        }
        if (strcmp(argv[i], "--version") == 0) {
            *version = true;
        }
    }
    const char *first = argc > 1 ? argv[1] : "";
    if (strcmp(first, "version") == 0 || strcmp(first, "-V") == 0 || strcmp(first, "-v") == 0) {
        *version = true;
    }
}

/* Whether the command line is `help` or `help COMMAND`. */
static bool is_help_command(int argc, char **argv)
{
    return argc > 1 && argc <= 3 && strcmp(argv[1], "help") == 0;
}

/* NULL with a KO_E_INPUT if argv[1] is not a command. */
static const struct ko_command_entry *find_command(int argc, char **argv, struct ko_error *err)
{
    enum { MAX_COMMANDS = 32 };
    const char *name[MAX_COMMANDS];
    size_t n = 0;
    const struct ko_command_entry *entry = ko_command_entries(&n);
    if (argc < 2) {
        (void)ko_fail(err, KO_E_INPUT,
                      "command line: no command given, `knockout --help` lists them");
        return NULL;
    }
    if (argv[1][0] == '-') {
        (void)ko_fail(err, KO_E_INPUT,
                      "command line: expected a command first, got '%s', `knockout --help` lists "
                      "the commands",
                      argv[1]);
        return NULL;
    }
    const struct ko_command_entry *command = ko_command_find(argv[1]);
    if (command) {
        return command;
    }
    size_t n_names = 0;
    for (; n_names < n && n_names < MAX_COMMANDS; n_names++) {
        name[n_names] = entry[n_names].name;
    }
    const char *nearest = ko_nearest(argv[1], name, n_names);
    if (nearest) {
        (void)ko_fail(err, KO_E_INPUT, "command line: unknown command '%s', did you mean '%s'?",
                      argv[1], nearest);
    } else {
        (void)ko_fail(err, KO_E_INPUT,
                      "command line: unknown command '%s', `knockout --help` lists the commands",
                      argv[1]);
    }
    return NULL;
}

static enum ko_code unknown_option(const char *command, const char *name, const char *as_given,
                                   struct ko_error *err)
{
    const char *known[KO_N_OPTIONS + 1];
    size_t n = 0;
    for (int id = 0; id < KO_N_OPTIONS; id++) {
        const struct ko_option_entry *entry = ko_option_entry((enum ko_option)id);
        if (strcmp(entry->name, name) == 0) {
            return ko_fail(err, KO_E_INPUT, "%s: does not take the option --%s, it belongs to: %s",
                           command, name, entry->commands);
        }
        if (ko_option_taken_by((enum ko_option)id, command)) {
            known[n++] = entry->name;
        }
    }
    known[n++] = "help";
    const char *nearest = ko_nearest(name, known, n);
    if (nearest) {
        return ko_fail(err, KO_E_INPUT, "%s: unknown option '%s', did you mean '--%s'?", command,
                       as_given, nearest);
    }
    return ko_fail(err, KO_E_INPUT,
                   "%s: unknown option '%s', `knockout %s --help` lists the options", command,
                   as_given, command);
}

/* Finds the option that argument names ("--name", "--name=value" or "-o"). *value: the text after
   '='; NULL without '='. */
static enum ko_code find_option(const char *command, const char *argument, enum ko_option *found,
                                const char **value, struct ko_error *err)
{
    char name[KO_OPTION_NAME_MAX];
    const char *begin = argument + (strncmp(argument, "--", 2) == 0 ? 2 : 1);
    size_t n = strcspn(begin, "=");
    *value = begin[n] == '=' ? begin + n + 1 : NULL;
    (void)snprintf(name, sizeof name, "%.*s", n < sizeof name ? (int)n : (int)sizeof name, begin);
    if (begin == argument + 1 && strcmp(name, "o") != 0) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: unknown option '%s', `knockout %s --help` lists the options", command,
                       argument, command);
    }
    if (begin == argument + 1) {
        (void)snprintf(name, sizeof name, "output");
    }
    for (int id = 0; id < KO_N_OPTIONS; id++) {
        if (strcmp(ko_option_entry((enum ko_option)id)->name, name) == 0 &&
            ko_option_taken_by((enum ko_option)id, command)) {
            *found = (enum ko_option)id;
            return KO_OK;
        }
    }
    return unknown_option(command, name, argument, err);
}

/* Takes the option at argv[*i]. Leaves *i at the last word that it used. */
static enum ko_code take_option(struct ko_options *options, int argc, char **argv, int *i,
                                struct ko_error *err)
{
    enum ko_option id = KO_N_OPTIONS;
    const char *value = NULL;
    char where[KO_OPTION_NAME_MAX + 2];
    enum ko_code code = find_option(options->command, argv[*i], &id, &value, err);
    if (code != KO_OK) {
        return code;
    }
    const struct ko_option_entry *entry = ko_option_entry(id);
    (void)snprintf(where, sizeof where, "--%s", entry->name);
    if (entry->type == KO_FLAG) {
        if (value) {
            return ko_fail(err, KO_E_INPUT, "%s: takes no value, got '%s'", where, value);
        }
        return set_value(options, id, KO_FROM_COMMAND_LINE, "true", err);
    }
    if (!value) {
        /* In "-o --resume" the value is missing. A value with leading dashes needs
           "--name=value". */
        if (*i + 1 >= argc || strncmp(argv[*i + 1], "--", 2) == 0) {
            return ko_fail(err, KO_E_INPUT, "%s: expected a value (%s), got none", where,
                           entry->unit[0] ? entry->unit : "a number");
        }
        value = argv[++*i];
    }
    code = ko_option_check(id, value, where, err);
    return code != KO_OK ? code : set_given(options, id, KO_FROM_COMMAND_LINE, value, where, err);
}

static enum ko_code take_environment(struct ko_options *options, struct ko_error *err)
{
    char variable[KO_OPTION_NAME_MAX];
    for (int i = 0; i < KO_N_OPTIONS; i++) {
        enum ko_option id = (enum ko_option)i;
        const char *text = getenv(ko_option_variable(id, variable));
        if (!text || !text[0] || options->value[id].origin == KO_FROM_COMMAND_LINE ||
            !ko_option_taken_by(id, options->command)) {
            continue;
        }
        enum ko_code code = ko_option_check(id, text, variable, err);
        if (code == KO_OK) {
            code = set_given(options, id, KO_FROM_ENVIRONMENT, text, variable, err);
        }
        if (code != KO_OK) {
            return code;
        }
    }
    return KO_OK;
}

static enum ko_code check_arguments(const struct ko_options *options,
                                    const struct ko_command_entry *command, struct ko_error *err)
{
    size_t n = options->arguments.n;
    bool too_many = command->max_arguments >= 0 && n > (size_t)command->max_arguments;
    if (n >= (size_t)command->min_arguments && !too_many) {
        return KO_OK;
    }
    if (too_many) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: expected %s, got %zu arguments, the first too many is '%s'",
                       command->name, command->arguments[0] ? command->arguments : "no argument", n,
                       options->arguments.item[command->max_arguments]);
    }
    return ko_fail(err, KO_E_INPUT, "%s: expected %s, got %s, see `knockout %s --help`",
                   command->name, command->arguments, n ? "too few arguments" : "no argument",
                   command->name);
}

enum ko_code ko_options_parse(int argc, char **argv, struct ko_options *options, bool *help,
                              bool *version, struct ko_error *err)
{
    const struct ko_command_entry *command = NULL;
    bool only_arguments = false;
    *options = (struct ko_options){0};
    *help = *version = false;
    enum ko_code code = set_defaults(options, err);
    if (code != KO_OK) {
        return code;
    }
    if (is_help_command(argc, argv)) {
        *help = true;
        options->help_form = argc < 3                           ? KO_HELP_TEXT
                             : strcmp(argv[2], "--json") == 0   ? KO_HELP_JSON
                             : strcmp(argv[2], "--schema") == 0 ? KO_HELP_SCHEMA
                                                                : KO_HELP_TEXT;
        if (argc == 3 && argv[2][0] != '-') {
            command = find_command(argc - 1, argv + 1, err);
            options->command = command ? command->name : NULL;
            return command ? KO_OK : KO_E_INPUT;
        }
        return KO_OK;
    }
    look_for_help(argc, argv, help, version);
    if (*help || *version) {
        command = argc > 1 ? ko_command_find(argv[1]) : NULL;
        options->command = command ? command->name : NULL;
        return KO_OK;
    }
    command = find_command(argc, argv, err);
    if (!command) {
        return KO_E_INPUT;
    }
    options->command = command->name;
    for (int i = 2; i < argc && code == KO_OK; i++) {
        if (!only_arguments && strcmp(argv[i], "--") == 0) {
            only_arguments = true;
        } else if (!only_arguments && argv[i][0] == '-' && argv[i][1] != '\0') {
            code = take_option(options, argc, argv, &i, err);
        } else {
            code = add_argument(options, argv[i], err);
        }
    }
    if (code == KO_OK) {
        code = check_arguments(options, command, err);
    }
    return code != KO_OK ? code : take_environment(options, err);
}

enum ko_code ko_options_from_spec(struct ko_options *options, enum ko_option id, const char *text,
                                  const char *where, struct ko_error *err)
{
    char place[KO_ERROR_TEXT];
    (void)snprintf(place, sizeof place, "%s: %s", where, ko_option_entry(id)->name);
    enum ko_code code = ko_option_check(id, text, place, err);
    if (code != KO_OK || options->value[id].origin > KO_FROM_SPEC) {
        return code;
    }
    return set_value(options, id, KO_FROM_SPEC, text, err);
}

void ko_options_free(struct ko_options *options)
{
    if (!options) {
        return;
    }
    for (int id = 0; id < KO_N_OPTIONS; id++) {
        free(options->value[id].text);
        ko_strings_free(&options->value[id].list);
    }
    ko_strings_free(&options->arguments);
    *options = (struct ko_options){0};
}

bool ko_option_given(const struct ko_options *options, enum ko_option id)
{
    return options->value[id].origin != KO_FROM_DEFAULT;
}

bool ko_option_flag(const struct ko_options *options, enum ko_option id)
{
    const char *text = options->value[id].text;
    return text && (strcmp(text, "true") == 0 || strcmp(text, "1") == 0);
}

int64_t ko_option_int(const struct ko_options *options, enum ko_option id)
{
    const char *text = options->value[id].text;
    return text ? strtoll(text, NULL, 10) : 0;
}

double ko_option_double(const struct ko_options *options, enum ko_option id)
{
    const char *text = options->value[id].text;
    return text ? strtod(text, NULL) : 0;
}

const char *ko_option_string(const struct ko_options *options, enum ko_option id)
{
    return options->value[id].text;
}
