#include <ctype.h>
#include <string.h>

#include "src/base/option_table.h"
#include "src/base/options.h"

enum { HELP_COLUMN = 36 };

/* "  LEFT   RIGHT", with right on a line of its own where left is too long for its column. */
static void add_row(struct ko_text *out, const char *left, const char *right)
{
    if (strlen(left) + 2 < HELP_COLUMN)
        ko_text_add(out, "  %-*s%s\n", HELP_COLUMN - 2, left, right);
    else
        ko_text_add(out, "  %s\n%*s%s\n", left, HELP_COLUMN, "", right);
}

/* Units stand as they are where they are choices or in capitals already; "epoch seconds" becomes
 * EPOCH-SECONDS. */
static void add_metavariable(struct ko_text *out, const struct ko_option_entry *entry)
{
    if (entry->type == KO_FLAG)
        return;
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
    ko_text_add(&left, "%s--%s", id == KO_OPT_OUTPUT ? "-o, " : "", entry->name);
    add_metavariable(&left, entry);
    ko_text_add(&right, "%s", entry->help);
    if (entry->fallback[0])
        ko_text_add(&right, " [%s]", entry->fallback);
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
                     "Attention-knockout ablations of language models: a sweep spec in, one HDF5 "
                     "cube out.\n\ncommands:\n");
    for (size_t i = 0; i < n; i++) {
        struct ko_text left = {0};
        ko_text_add(&left, "%s %s", command[i].name, command[i].arguments);
        add_row(out, ko_text_str(&left), command[i].help);
        out->failed = out->failed || left.failed;
        ko_text_free(&left);
    }
    ko_text_add(out, "\noptions:\n");
    add_row(out, "-h, --help", "this text, or that of COMMAND");
    add_row(out, "--version", "the version and the commit it was built from");
    ko_text_add(out,
                "\nAn option NAME is also read from the environment variable KNOCKOUT_NAME. The "
                "command line wins over\nthe environment, the environment over the spec.\n"
                "\nexit status: 0 complete, 1 failed, 2 wrong usage, spec or file, 3 complete with "
                "recorded failures,\n75 stopped early and resumable.\n");
}

static void help_command(const struct ko_command_entry *command, struct ko_text *out)
{
    ko_text_add(out, "usage: knockout %s%s%s [OPTIONS]\n\n%s: %s\n\noptions:\n", command->name,
                command->arguments[0] ? " " : "", command->arguments, command->name, command->help);
    for (int id = 0; id < KO_N_OPTIONS; id++)
        if (ko_option_taken_by((enum ko_option)id, command->name))
            add_option(out, (enum ko_option)id);
    add_row(out, "-h, --help", "this text");
}

void ko_options_help(const char *command, struct ko_text *out)
{
    const struct ko_command_entry *entry = command ? ko_command_find(command) : NULL;
    if (entry)
        help_command(entry, out);
    else
        help_overview(out);
}
