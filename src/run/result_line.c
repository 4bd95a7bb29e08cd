/* SPDX-License-Identifier: Apache-2.0 */
/* Puts together the last line of a run: the cube's path, how many cells are done, and the command
   to type next. Quotes file names for the shell where needed. */
#include "src/run/result_line.h"

#include <string.h>

void ko_shell_word_add(struct ko_text *out, const char *name)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "._/-+=:,@%";
    if (name[0] != '\0' && name[0] != '-' && name[strspn(name, plain)] == '\0') {
        ko_text_add(out, "%s", name);
        return;
    }
    ko_text_add(out, "'");
    for (const char *c = name; *c; c++) {
        ko_text_add(out, *c == '\'' ? "'\\''" : "%c", *c);
    }
    ko_text_add(out, "'");
}

static void add_count(const struct ko_result *result, struct ko_text *out)
{
    const int64_t now = result->before + result->done;
    const char *what = result->evaluation ? "clean runs" : "cells";
    char number[32], total[32];
    if (now < result->total) {
        ko_text_add(out, "%s of %s %s done", ko_grouped(now, number),
                    ko_grouped(result->total, total), what);
    } else {
        ko_text_add(out, "%s %s done", ko_grouped(now, number), what);
    }
    if (result->before > 0 && result->done > 0) {
        ko_text_add(out, ", %s of them now", ko_grouped(result->done, number));
    } else if (result->before > 0) {
        ko_text_add(out, " already");
    }
    if (result->done > 0) {
        ko_text_add(out, result->before > 0 ? ", in %s" : " in %s",
                    ko_seconds_human(result->seconds, number));
    }
    if (result->n_failures > 0) {
        ko_text_add(out, ", %s failure%s recorded", ko_grouped(result->n_failures, number),
                    ko_plural(result->n_failures));
    }
}

static void add_next(const struct ko_result *result, struct ko_text *out)
{
    if (result->n_failures > 0) {
        ko_text_add(out, "; next: knockout status ");
        ko_shell_word_add(out, result->path);
        ko_text_add(out, " says why, the same command with --resume tries again");
    } else if (result->shard.of > 0) {
        ko_text_add(out, "; next, when all %d shards are done: knockout merge SHARD... -o ",
                    result->shard.of);
        ko_shell_word_add(out, result->whole_path);
    } else {
        ko_text_add(out, "; next: knockout show ");
        ko_shell_word_add(out, result->path);
    }
}

void ko_result_add(const struct ko_result *result, struct ko_text *out)
{
    ko_text_add(out, "%s: ", result->path);
    if (result->already) {
        ko_text_add(out, "complete already");
    } else {
        add_count(result, out);
    }
    if (!result->stopped && !result->is_step) {
        add_next(result, out);
    }
}
