/* SPDX-License-Identifier: Apache-2.0 */
/* The options of one call of the program: parsed from the command line and the environment
   (KNOCKOUT_NAME), set by the spec, read by name. Every option is declared in option_list.h. */
#ifndef KO_OPTIONS_OPTIONS_H
#define KO_OPTIONS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/options/option_list.h"

enum ko_origin { KO_FROM_DEFAULT, KO_FROM_SPEC, KO_FROM_ENVIRONMENT, KO_FROM_COMMAND_LINE };

struct ko_option_value {
    enum ko_origin origin;
    char *text;             /* as given, or the default; NULL: neither; owned */
    struct ko_strings list; /* KO_STRINGS */
};

/* What `help` prints: help for people; `help --json`: every command and option; `help --schema`:
   the JSON schema of a spec (src/spec/schema.h). */
enum ko_help_form { KO_HELP_TEXT, KO_HELP_JSON, KO_HELP_SCHEMA };

struct ko_options {
    const char *command; /* borrowed from the command list */
    enum ko_help_form help_form;
    struct ko_option_value value[KO_N_OPTIONS];
    struct ko_strings arguments; /* words that are not options */
};

/* Parses argv[1..]: the command's name, then options and arguments in any order ("--name value" or
   "--name=value"; "--" ends the options). Then reads the environment. Checks values against their
   type. KO_E_INPUT for an unknown command or option names the nearest known one. `--help` anywhere,
   `help`, `help COMMAND`, `help --json` and `help --schema` set *help; `--version` anywhere,
   `version`, -V and -v set *version; then nothing else is checked. Free with ko_options_free, also
   after a failure. */
KO_MUST_CHECK enum ko_code ko_options_parse(int argc, char **argv, struct ko_options *options,
                                            bool *help, bool *version, struct ko_error *err);
/* Sets a value from the sweep spec, unless the command line or the environment gave one. `where` is
   FILE:LINE:COLUMN. */
KO_MUST_CHECK enum ko_code ko_options_from_spec(struct ko_options *options, enum ko_option id,
                                                const char *text, const char *where,
                                                struct ko_error *err);
void ko_options_free(struct ko_options *options);

/* Whether the value is not the default. */
bool ko_option_given(const struct ko_options *options, enum ko_option id);
bool ko_option_flag(const struct ko_options *options, enum ko_option id);
int64_t ko_option_int(const struct ko_options *options, enum ko_option id);
double ko_option_double(const struct ko_options *options, enum ko_option id);
/* NULL if there is no value. Borrowed. */
const char *ko_option_string(const struct ko_options *options, enum ko_option id);

/* Appends the help of a command to out, or the overview for NULL. */
void ko_options_help(const char *command, struct ko_text *out);
/* Prints all commands with their options as JSON: manual pages and completions are made from it. */
KO_MUST_CHECK enum ko_code ko_options_json(FILE *out, struct ko_error *err);

#endif
