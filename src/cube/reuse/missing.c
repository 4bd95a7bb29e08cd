/* SPDX-License-Identifier: Apache-2.0 */
/* Counts the cells that could not be reused, by reason, and keeps one example. It also turns the
   counts into sentences for the user. */
#include "src/cube/reuse/missing.h"

#include <stdio.h>
#include <string.h>

static const char *const sentence_of[KO_N_REUSE_REASONS] = {
#define X(name, sentence) sentence,
    KO_REUSE_REASONS(X)
#undef X
};

/* Copies as much of the text as fits, without splitting a character. */
static void keep_example(char to[64], const char *text)
{
    size_t n = strlen(text);

    if (n > 63) {
        for (n = 63; n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80;) {
            n--;
        }
    }
    memcpy(to, text, n);
    to[n] = '\0';
}

void ko_reuse_miss(struct ko_reuse_missing *missing, enum ko_reuse_reason reason,
                   const char *example)
{
    struct ko_reuse_missing *m = &missing[reason];
    char kept[64];

    keep_example(kept, example);
    if (m->n_cells++ == 0) {
        memcpy(m->example, kept, sizeof kept);
    } else {
        m->others = m->others || strcmp(m->example, kept) != 0;
    }
}

int64_t ko_reuse_n_missing(const struct ko_reuse_missing *missing)
{
    int64_t n = 0;

    for (int r = 0; r < KO_N_REUSE_REASONS; r++) {
        n += missing[r].n_cells;
    }
    return n;
}

static void add_sentence(const struct ko_reuse_missing *missing, const char *sentence,
                         struct ko_text *text)
{
    const char *at = strstr(sentence, "%s");
    char cells[32];

    ko_text_add(text, "%s%.*s%s%s%s (%s cells)", text->n ? "; " : "", (int)(at - sentence),
                sentence, missing->example, missing->others ? " and others" : "", at + 2,
                ko_grouped(missing->n_cells, cells));
}

void ko_reuse_missing_add(const struct ko_reuse_missing *missing, struct ko_text *text)
{
    bool said[KO_N_REUSE_REASONS] = {false};

    for (;;) {
        int most = -1;
        for (int r = 0; r < KO_N_REUSE_REASONS; r++) {
            if (!said[r] && missing[r].n_cells > 0 &&
                (most < 0 || missing[r].n_cells > missing[most].n_cells)) {
                most = r;
            }
        }
        if (most < 0) {
            return;
        }
        said[most] = true;
        add_sentence(&missing[most], sentence_of[most], text);
    }
}
