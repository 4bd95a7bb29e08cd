/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the tokens of texts, for compare.py.

   usage: encode_lines TOKENIZER [answers] < TEXTS

   TEXTS: for each text its length in bytes (32 bits, little-endian) and its bytes. For each a line
   "ID:BEGIN-END:SPECIAL ..." (offsets in characters), or "error: ..." where the
   text alone is at fault. With `answers` the texts are prompts and answers in turn, and there is a
   line for each two: the ids of the answer's tokens of white space alone that come first, a colon
   and the id of its first token with text; or "none" where it is empty or merges. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/prompts/answers/answer.h"
#include "src/tokenizer/tokenizer.h"

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void print_encoding(const struct ko_encoding *e)
{
    for (size_t i = 0; i < e->n; i++) {
        printf("%s%d:%d-%d:%d", i ? " " : "", e->id[i], e->char_begin[i], e->char_end[i],
               e->special[i]);
    }
    putchar('\n');
}

static void print_answer(const struct ko_answer *answer)
{
    if (answer->reason != KO_RUNNABLE) {
        puts("none");
        return;
    }
    for (int32_t i = 0; i < answer->n_blank; i++) {
        printf("%d ", answer->token[i]);
    }
    printf(": %d\n", answer->text);
}

/* The next text with its NUL, NULL at the end; *cut where the file ends inside it. free(). */
static char *read_text(size_t *n, bool *cut)
{
    unsigned char length[4];
    if (fread(length, 1, sizeof length, stdin) != sizeof length) {
        return NULL;
    }
    *n = length[0] | (size_t)length[1] << 8 | (size_t)length[2] << 16 | (size_t)length[3] << 24;
    char *text = calloc(*n + 1, 1);
    if (!text || fread(text, 1, *n, stdin) != *n) {
        *cut = true;
        free(text);
        return NULL;
    }
    return text;
}

static enum ko_code print_text(struct ko_tokenizer *tokenizer, const char *text, size_t n,
                               double *seconds, struct ko_error *err)
{
    struct ko_encoding e = {0};
    double begin = now();
    enum ko_code code = ko_tokenizer_encode(tokenizer, text, n, &e, err);
    *seconds += now() - begin;
    if (code == KO_OK) {
        print_encoding(&e);
    }
    ko_encoding_free(&e);
    return code;
}

static enum ko_code print_pair(struct ko_tokenizer *tokenizer, const char *prompt, size_t n,
                               const char *answer, struct ko_error *err)
{
    struct ko_encoding e = {0};
    struct ko_answer found = {0};
    enum ko_code code = ko_prompt_encode(tokenizer, prompt, n, &e, err);
    if (code == KO_OK) {
        code = ko_answer_find(tokenizer, prompt, &e, answer, &found, err);
    }
    if (code == KO_OK) {
        print_answer(&found);
    }
    ko_answer_free(&found);
    ko_encoding_free(&e);
    return code;
}

int main(int argc, char **argv)
{
    struct ko_tokenizer *tokenizer = NULL;
    struct ko_error err = {0};
    const bool answers = argc == 3 && strcmp(argv[2], "answers") == 0;
    bool cut = false;
    double seconds = 0;
    size_t n_texts = 0, n = 0, n_answer = 0;
    if (argc != 2 && !answers) {
        fputs("usage: encode_lines TOKENIZER [answers] < TEXTS\n", stderr);
        return 2;
    }
    if (ko_tokenizer_open(argv[1], &tokenizer, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    for (char *text; (text = read_text(&n, &cut)) != NULL; n_texts++) {
        char *answer = answers ? read_text(&n_answer, &cut) : NULL;
        enum ko_code code = answer ? print_pair(tokenizer, text, n, answer, &err)
                                   : print_text(tokenizer, text, n, &seconds, &err);
        if (code != KO_OK) {
            printf("error: %s\n", err.text);
        }
        free(text);
        free(answer);
    }
    if (cut) {
        fputs("encode_lines: a text is cut short\n", stderr);
    } else {
        fprintf(stderr, "%zu texts in %.3f s\n", n_texts, seconds);
    }
    ko_tokenizer_close(tokenizer);
    return cut ? 2 : 0;
}
