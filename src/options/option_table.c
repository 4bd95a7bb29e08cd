/* SPDX-License-Identifier: Apache-2.0 */
/* Expands option_list.h into tables, looks up options and commands, and checks a value against its
   option's type. */
#include "src/options/option_table.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/text.h"

static const struct ko_option_entry options[] = {
#define X(id, name, type, fallback, unit, commands, help)                                          \
    {name, type, fallback, unit, commands, help},
    KO_OPTIONS(X)
#undef X
};

static const struct ko_command_entry commands[] = {
#define X(id, name, arguments, min, max, help) {name, arguments, min, max, help},
    KO_COMMANDS(X)
#undef X
};

const struct ko_option_entry *ko_option_entry(enum ko_option id)
{
    return &options[id];
}

const struct ko_command_entry *ko_command_entries(size_t *n)
{
    *n = sizeof commands / sizeof commands[0];
    return commands;
}

const struct ko_command_entry *ko_command_find(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

bool ko_option_taken_by(enum ko_option id, const char *command)
{
    size_t n = strlen(command);
    for (const char *at = options[id].commands; *at;) {
        size_t length = strcspn(at, " ");
        if (length == n && memcmp(at, command, n) == 0) {
            return true;
        }
        at += length + strspn(at + length, " ");
    }
    return false;
}

const char *ko_option_variable(enum ko_option id, char buffer[KO_OPTION_NAME_MAX])
{
    static const char prefix[] = "KNOCKOUT_";
    size_t at = sizeof prefix - 1;
    memcpy(buffer, prefix, at);
    for (const char *c = options[id].name; *c && at + 1 < KO_OPTION_NAME_MAX; c++) {
        buffer[at++] = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    }
    buffer[at] = '\0';
    return buffer;
}

/* Checks that text is one of the words of "a|b|c". */
static enum ko_code check_choice(const char *unit, const char *text, const char *where,
                                 struct ko_error *err)
{
    enum { MAX_CHOICES = 16 };
    const char *word[MAX_CHOICES];
    size_t n = 0;
    bool found = false;
    char *rest = NULL, *copy = ko_copy(unit, err);
    if (!copy) {
        return KO_E_MEMORY;
    }
    for (char *w = strtok_r(copy, "|", &rest); w && n < MAX_CHOICES;
         w = strtok_r(NULL, "|", &rest)) {
        word[n++] = w;
    }
    for (size_t i = 0; i < n; i++) {
        found = found || strcmp(word[i], text) == 0;
    }
    enum ko_code code = KO_OK;
    if (!found) {
        const char *nearest = ko_nearest(text, word, n);
        code =
            ko_fail(err, KO_E_INPUT, "%s: expected %s, got '%s'%s%s%s", where, unit, text,
                    nearest ? ", did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    }
    free(copy);
    return code;
}

enum ko_code ko_option_check(enum ko_option id, const char *text, const char *where,
                             struct ko_error *err)
{
    const struct ko_option_entry *entry = &options[id];
    static const char *const truth[] = {"true", "false", "1", "0"};
    int64_t whole = 0;
    double number = 0;
    enum ko_code code = KO_OK;
    switch (entry->type) {
    case KO_FLAG:
        for (size_t i = 0; i < sizeof truth / sizeof truth[0]; i++) {
            if (strcmp(text, truth[i]) == 0) {
                return KO_OK;
            }
        }
        return ko_fail(err, KO_E_INPUT, "%s: expected true or false, got '%s'", where, text);
    case KO_INT:
        return ko_parse_int(text, 0, INT64_MAX, &whole, where, err);
    case KO_DOUBLE:
        code = ko_parse_double(text, &number, where, err);
        if (code == KO_OK && !(number >= 0)) {
            code = ko_fail(err, KO_E_INPUT, "%s: expected a number from 0, got '%s'", where, text);
        }
        return code;
    case KO_STRING:
    case KO_STRINGS:
        if (text[0] == '\0') {
            return ko_fail(err, KO_E_INPUT, "%s: expected %s, got an empty text", where,
                           entry->unit);
        }
        if (strchr(entry->unit, '|')) {
            return check_choice(entry->unit, text, where, err);
        }
        return KO_OK;
    }
    return KO_OK;
}
