/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the commands, their options and the exit statuses as JSON. cmake/manual.py makes manual
   pages and completions from it. */
#include <string.h>

#include "src/formats/json_out.h"
#include "src/options/option_table.h"
#include "src/options/options.h"

static const char *type_word(enum ko_option_type type)
{
    return type == KO_FLAG     ? "flag"
           : type == KO_INT    ? "whole"
           : type == KO_DOUBLE ? "number"
                               : "text";
}

static void put_choices(json_object *to, const char *unit)
{
    if (!strchr(unit, '|')) {
        return;
    }
    json_object *list = ko_json_put_list(to, "choices");
    for (const char *at = unit; *at;) {
        const size_t n = strcspn(at, "|");
        json_object_array_add(list, json_object_new_string_len(at, (int)n));
        at += n + (at[n] == '|');
    }
}

static void put_option(json_object *list, enum ko_option id)
{
    const struct ko_option_entry *entry = ko_option_entry(id);
    char variable[KO_OPTION_NAME_MAX];
    json_object *to = ko_json_add_object(list);
    ko_json_put_text(to, "name", entry->name);
    ko_json_put_text(to, "type", type_word(entry->type));
    ko_json_put_bool(to, "repeated", entry->type == KO_STRINGS);
    ko_json_put_text(to, "unit", entry->unit);
    put_choices(to, entry->unit);
    ko_json_put_text(to, "default", entry->fallback);
    ko_json_put_text(to, "variable", ko_option_variable(id, variable));
    ko_json_put_text(to, "help", entry->help);
}

enum ko_code ko_options_json(FILE *out, struct ko_error *err)
{
    size_t n = 0;
    const struct ko_command_entry *command = ko_command_entries(&n);
    json_object *root = json_object_new_object();
    json_object *commands = ko_json_put_list(root, "commands");
    for (size_t i = 0; i < n; i++) {
        json_object *to = ko_json_add_object(commands);
        ko_json_put_text(to, "name", command[i].name);
        ko_json_put_text(to, "arguments", command[i].arguments);
        ko_json_put_text(to, "help", command[i].help);
        json_object *options = ko_json_put_list(to, "options");
        for (int id = 0; id < KO_N_OPTIONS; id++) {
            if (ko_option_taken_by((enum ko_option)id, command[i].name)) {
                put_option(options, (enum ko_option)id);
            }
        }
    }
    json_object *statuses = ko_json_put_object(root, "exit_status");
#define X(status, meaning) ko_json_put_text(statuses, status, meaning);
    KO_EXIT_STATUSES(X)
#undef X
    enum ko_code code = ko_json_print(root, out, err);
    json_object_put(root);
    return code;
}
