/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the text of --help from the option table: the overview, and the page of one command. */
#include <ctype.h>
#include <string.h>

#include "src/options/option_table.h"
#include "src/options/options.h"

enum { HELP_COLUMN = 30, HELP_WIDTH = 80 };

/* Adds words. Wrapped lines start at column `begin`, where the first word starts. */
static void add_words(struct ko_text *out, const char *words, size_t begin)
{
    size_t used = begin;
    while (*words) {
        const size_t n = strcspn(words, " ");
        const size_t gap = used > begin ? 1 : 0;
        if (gap && used + gap + n > HELP_WIDTH) {
            ko_text_add(out, "\n%*s", (int)begin, "");
            used = begin;
        } else {
            ko_text_add(out, gap ? " " : "");
            used += gap;
        }
        ko_text_add_bytes(out, words, n);
        used += n;
        words += n + strspn(words + n, " ");
    }
    ko_text_add(out, "\n");
}

/* Adds "  LEFT   RIGHT". RIGHT starts a new line if LEFT is too long for its column. */
static void add_row(struct ko_text *out, const char *left, const char *right)
{
    if (strlen(left) + 2 < HELP_COLUMN) {
        ko_text_add(out, "  %-*s", HELP_COLUMN - 2, left);
    } else {
        ko_text_add(out, "  %s\n%*s", left, HELP_COLUMN, "");
    }
    add_words(out, right, HELP_COLUMN);
}

/* Adds the placeholder: choices as they are, other units in capitals ("epoch seconds" becomes
   EPOCH-SECONDS). */
static void add_metavariable(struct ko_text *out, const struct ko_option_entry *entry)
{
    if (entry->type == KO_FLAG) {
        return;
    }
    ko_text_add(out, " ");
    if (!entry->unit[0]) {
        ko_text_add(out, entry->type == KO_INT ? "NUMBER" : "TEXT");
        return;
    }
    bool choices = strchr(entry->unit, '|') != NULL;
    for (const char *c = entry->unit; *c; c++) {
        char shown = choices ? *c : *c == ' ' ? '-' : (char)toupper((unsigned char)*c);
        ko_text_add_bytes(out, &shown, 1);
    }
}

static void add_option(struct ko_text *out, enum ko_option id)
{
    const struct ko_option_entry *entry = ko_option_entry(id);
    struct ko_text left = {0}, right = {0};
    ko_text_add(&left, "%s--%s", strcmp(entry->name, "output") == 0 ? "-o, " : "", entry->name);
    add_metavariable(&left, entry);
    ko_text_add(&right, "%s", entry->help);
    if (entry->fallback[0]) {
        ko_text_add(&right, " [%s]", entry->fallback);
    }
    add_row(out, ko_text_str(&left), ko_text_str(&right));
    out->failed = out->failed || left.failed || right.failed;
    ko_text_free(&left);
    ko_text_free(&right);
}

static void help_overview(struct ko_text *out)
{
    size_t n = 0;
    const struct ko_command_entry *command = ko_command_entries(&n);
    ko_text_add(out, "usage: knockout COMMAND [ARGUMENTS] [OPTIONS]\n\n"
                     "Attention-knockout ablations of language models: reads a sweep spec,\n"
                     "writes one HDF5 file (the cube).\n\ncommands:\n");
    for (size_t i = 0; i < n; i++) {
        struct ko_text left = {0};
        ko_text_add(&left, "%s %s", command[i].name, command[i].arguments);
        add_row(out, ko_text_str(&left), command[i].help);
        out->failed = out->failed || left.failed;
        ko_text_free(&left);
    }
    ko_text_add(out, "\noptions:\n");
    add_row(out, "-h, --help",
            "print this help; knockout help COMMAND or knockout COMMAND --help: help for COMMAND");
    add_row(out, "-V, --version", "print the version and the commit it was built from");
    ko_text_add(out, "\n");
    add_words(out,
              "Option --some-name can also be set by the environment variable KNOCKOUT_SOME_NAME. "
              "The command line wins over the environment, and both win over the spec.",
              0);
    ko_text_add(out, "\nexit status:\n");
#define X(status, meaning) add_row(out, status, meaning);
    KO_EXIT_STATUSES(X)
#undef X
}

static void help_command(const struct ko_command_entry *command, struct ko_text *out)
{
    ko_text_add(out, "usage: knockout %s%s%s [OPTIONS]\n\n", command->name,
                command->arguments[0] ? " " : "", command->arguments);
    add_words(out, command->help, 0);
    ko_text_add(out, "\noptions:\n");
    for (int id = 0; id < KO_N_OPTIONS; id++) {
        if (ko_option_taken_by((enum ko_option)id, command->name)) {
            add_option(out, (enum ko_option)id);
        }
    }
    add_row(out, "-h, --help", "print this help");
}

void ko_options_help(const char *command, struct ko_text *out)
{
    const struct ko_command_entry *entry = command ? ko_command_find(command) : NULL;
    if (entry) {
        help_command(entry, out);
    } else {
        help_overview(out);
    }
}
