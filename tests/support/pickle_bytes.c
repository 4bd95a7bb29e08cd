/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* open_memstream */
#include "tests/support/pickle_bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_number(FILE *to, long long value, int n)
{
    for (int i = 0; i < n; i++) {
        fputc((int)((unsigned long long)value >> (8 * i) & 0xff), to);
    }
}

static void put_argument(FILE *to, int opcode, const char *argument)
{
    static const struct {
        int opcode, n;
    } sizes[] = {{'J', 4}, {'M', 2}, {'K', 1},  {'q', 1},  {'h', 1},
                 {'r', 4}, {'j', 4}, {0x80, 1}, {0x8a, 8}, {0x95, 8}};
    if (opcode == 'X') {
        put_number(to, (long long)strlen(argument), 4);
        fputs(argument, to);
        return;
    }
    if (opcode == 'c') {
        for (; *argument; argument++) {
            fputc(*argument == '/' ? '\n' : *argument, to);
        }
        fputc('\n', to);
        return;
    }
    if (opcode == 0x8a) {
        fputc(8, to);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (sizes[i].opcode == opcode) {
            put_number(to, strtoll(argument, NULL, 0), sizes[i].n);
            return;
        }
    }
    abort();
}

static void put_token(FILE *to, char *token)
{
    if (token[0] == '=') {
        fputc((int)strtol(token + 1, NULL, 16), to);
        return;
    }
    int opcode = (unsigned char)token[0];
    char *rest = token + 1;
    if (opcode == '%') {
        opcode = (int)strtol(token + 1, &rest, 16);
    }
    char *times = rest[0] == '*' ? rest + 1 : NULL;
    for (long i = times ? strtol(times, NULL, 10) : 1; i > 0; i--) {
        fputc(opcode, to);
    }
    if (rest[0] == ':') {
        put_argument(to, opcode, rest + 1);
    }
    if (opcode == 'G') {
        put_number(to, 0, 8);
    }
}

char *test_pickle(const char *text, size_t *n)
{
    char *bytes = NULL, *copy = strdup(text), *state = NULL;
    FILE *to = open_memstream(&bytes, n);
    if (!copy || !to) {
        abort();
    }
    for (char *token = strtok_r(copy, " ", &state); token; token = strtok_r(NULL, " ", &state)) {
        put_token(to, token);
    }
    if (fclose(to) != 0) {
        abort();
    }
    free(copy);
    return bytes;
}
