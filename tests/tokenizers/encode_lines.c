/* Prints the tokens of texts, for compare.py.

   usage: encode_lines TOKENIZER < TEXTS

   TEXTS: for each text its length in bytes (32 bits, little-endian) and its bytes. For each a line
   "ID:BEGIN-END:SPECIAL ..." (offsets in characters), or "error: ..." where the
   text alone is at fault. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/tokenizer/tokenizer.h"

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void print_encoding(const struct ko_encoding *e)
{
    for (size_t i = 0; i < e->n; i++)
        printf("%s%d:%d-%d:%d", i ? " " : "", e->id[i], e->char_begin[i], e->char_end[i],
               e->special[i]);
    putchar('\n');
}

int main(int argc, char **argv)
{
    struct ko_tokenizer *tokenizer = NULL;
    struct ko_error err = {0};
    unsigned char length[4];
    double seconds = 0;
    size_t n_texts = 0;
    if (argc != 2) {
        fputs("usage: encode_lines TOKENIZER < TEXTS\n", stderr);
        return 2;
    }
    if (ko_tokenizer_open(argv[1], &tokenizer, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    while (fread(length, 1, sizeof length, stdin) == sizeof length) {
        size_t n =
            length[0] | (size_t)length[1] << 8 | (size_t)length[2] << 16 | (size_t)length[3] << 24;
        struct ko_encoding e = {0};
        char *text = malloc(n + 1);
        if (!text || fread(text, 1, n, stdin) != n) {
            fputs("encode_lines: a text is cut short\n", stderr);
            free(text);
            ko_tokenizer_close(tokenizer);
            return 2;
        }
        double begin = now();
        enum ko_code code = ko_tokenizer_encode(tokenizer, text, n, &e, &err);
        seconds += now() - begin;
        if (code)
            printf("error: %s\n", err.text);
        else
            print_encoding(&e);
        ko_encoding_free(&e);
        free(text);
        n_texts++;
    }
    fprintf(stderr, "%zu texts in %.3f s\n", n_texts, seconds);
    ko_tokenizer_close(tokenizer);
    return 0;
}
