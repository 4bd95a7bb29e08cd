/* SPDX-License-Identifier: Apache-2.0 */
/* option_list.h as tables, for parsing and --help. */
#ifndef KO_OPTIONS_OPTION_TABLE_H
#define KO_OPTIONS_OPTION_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/error.h"
#include "src/options/option_list.h"

struct ko_option_entry {
    const char *name; /* without the dashes */
    enum ko_option_type type;
    const char *fallback; /* the default; "": no default */
    const char *unit;     /* "a|b" lists all allowed values */
    const char *commands; /* blank-separated */
    const char *help;
};

struct ko_command_entry {
    const char *name, *arguments;
    int min_arguments, max_arguments; /* max -1: any number */
    const char *help;
};

enum { KO_OPTION_NAME_MAX = 64 };

/* The entry of a valid id; never NULL. */
const struct ko_option_entry *ko_option_entry(enum ko_option id);
/* All *n commands in the order of --help. */
const struct ko_command_entry *ko_command_entries(size_t *n);
/* The entry of a command; NULL if no command has this name. */
const struct ko_command_entry *ko_command_find(const char *name);
/* Whether the command takes the option. */
bool ko_option_taken_by(enum ko_option id, const char *command);
/* Writes KNOCKOUT_NAME to buffer and returns it. */
const char *ko_option_variable(enum ko_option id, char buffer[KO_OPTION_NAME_MAX]);
/* Checks text against the option's type and unit. KO_E_INPUT "WHERE: expected ..., got 'TEXT'". */
KO_MUST_CHECK enum ko_code ko_option_check(enum ko_option id, const char *text, const char *where,
                                           struct ko_error *err);

#endif
