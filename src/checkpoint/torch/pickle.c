/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the opcodes of a pickle. The stack is in pickle_machine.c; tensors and other objects are
   built in pickle_torch.c. */
#include "src/checkpoint/torch/pickle.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "src/base/utf8.h"
#include "src/checkpoint/torch/pickle_torch.h"

enum { PROTOCOL = 2 };

/* With the names of Python's pickletools. */
enum opcode {
    MARK = '(',
    STOP = '.',
    NONE = 'N',
    BININT = 'J',
    BININT1 = 'K',
    BININT2 = 'M',
    BINFLOAT = 'G',
    BINUNICODE = 'X',
    EMPTY_TUPLE = ')',
    TUPLE = 't',
    EMPTY_LIST = ']',
    APPEND = 'a',
    APPENDS = 'e',
    EMPTY_DICT = '}',
    SETITEM = 's',
    SETITEMS = 'u',
    GLOBAL = 'c',
    REDUCE = 'R',
    BUILD = 'b',
    BINPERSID = 'Q',
    BINPUT = 'q',
    LONG_BINPUT = 'r',
    BINGET = 'h',
    LONG_BINGET = 'j',
    PROTO = 0x80,
    TUPLE1 = 0x85,
    TUPLE2 = 0x86,
    TUPLE3 = 0x87,
    NEWTRUE = 0x88,
    NEWFALSE = 0x89,
    LONG1 = 0x8a
};

/* Opcodes that are refused. */
static const struct {
    unsigned char opcode;
    const char *name;
} refused[] = {
    {'0', "POP"},
    {'1', "POP_MARK"},
    {'2', "DUP"},
    {'F', "FLOAT"},
    {'I', "INT"},
    {'L', "LONG"},
    {'P', "PERSID"},
    {'S', "STRING"},
    {'T', "BINSTRING"},
    {'U', "SHORT_BINSTRING"},
    {'V', "UNICODE"},
    {'d', "DICT"},
    {'g', "GET"},
    {'i', "INST"},
    {'l', "LIST"},
    {'o', "OBJ"},
    {'p', "PUT"},
    {'B', "BINBYTES"},
    {'C', "SHORT_BINBYTES"},
    {PROTO, "PROTO"},
    {0x81, "NEWOBJ"},
    {0x82, "EXT1"},
    {0x83, "EXT2"},
    {0x84, "EXT4"},
    {0x8b, "LONG4"},
    {0x8c, "SHORT_BINUNICODE"},
    {0x8d, "BINUNICODE8"},
    {0x8e, "BINBYTES8"},
    {0x8f, "EMPTY_SET"},
    {0x90, "ADDITEMS"},
    {0x91, "FROZENSET"},
    {0x92, "NEWOBJ_EX"},
    {0x93, "STACK_GLOBAL"},
    {0x94, "MEMOIZE"},
    {0x95, "FRAME"},
    {0x96, "BYTEARRAY8"},
    {0x97, "NEXT_BUFFER"},
    {0x98, "READONLY_BUFFER"},
};

static enum ko_code refuse_opcode(const struct ko_pickle *p, unsigned char opcode,
                                  struct ko_error *err)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (refused[i].opcode == opcode) {
            return ko_pickle_fail(p, err, "opcode %s is not allowed", refused[i].name);
        }
    }
    return ko_pickle_fail(p, err, "opcode 0x%02x does not exist", opcode);
}

/* The next n bytes. NULL with a KO_E_INPUT if fewer are left. */
static const char *take_bytes(struct ko_pickle *p, size_t n, struct ko_error *err)
{
    const char *bytes = p->bytes + p->at;
    if (n > p->n_bytes - p->at) {
        (void)ko_pickle_fail(p, err, "ends too early");
        return NULL;
    }
    p->at += n;
    return bytes;
}

/* Reads the next n <= 8 bytes as a little-endian number. */
static enum ko_code take_number(struct ko_pickle *p, size_t n, bool is_signed, int64_t *number,
                                struct ko_error *err)
{
    const char *bytes = take_bytes(p, n, err);
    if (!bytes) {
        return KO_E_INPUT;
    }
    uint64_t bits = 0;
    for (size_t i = n; i > 0; i--) {
        bits = bits << 8 | (unsigned char)bytes[i - 1];
    }
    if (is_signed && n > 0 && n < sizeof bits && bits >> (8 * n - 1)) {
        bits |= UINT64_MAX << (8 * n);
    }
    *number = (int64_t)bits;
    return KO_OK;
}

static enum ko_code push_kind(struct ko_pickle *p, enum ko_pickle_kind kind, int64_t integer,
                              struct ko_error *err)
{
    return ko_pickle_push(p, (struct ko_pickle_value){.kind = (uint8_t)kind, .integer = integer},
                          err);
}

static enum ko_code push_number(struct ko_pickle *p, size_t n, bool is_signed, struct ko_error *err)
{
    int64_t number = 0;
    enum ko_code code = take_number(p, n, is_signed, &number, err);
    return code != KO_OK ? code : push_kind(p, KO_PICKLE_INT, number, err);
}

static enum ko_code push_long(struct ko_pickle *p, struct ko_error *err)
{
    int64_t n = 0;
    enum ko_code code = take_number(p, 1, false, &n, err);
    if (code == KO_OK && n > 8) {
        code = ko_pickle_fail(p, err, "a whole number of %d bytes, more than 8", (int)n);
    }
    return code != KO_OK ? code : push_number(p, (size_t)n, true, err);
}

static enum ko_code push_float(struct ko_pickle *p, struct ko_error *err)
{
    return take_bytes(p, 8, err) ? push_kind(p, KO_PICKLE_FLOAT, 0, err) : KO_E_INPUT;
}

static enum ko_code push_text(struct ko_pickle *p, struct ko_error *err)
{
    int64_t n = 0;
    enum ko_code code = take_number(p, 4, false, &n, err);
    if (code != KO_OK) {
        return code;
    }
    const char *text = take_bytes(p, (size_t)n, err);
    if (!text) {
        return KO_E_INPUT;
    }
    if (memchr(text, '\0', (size_t)n) || !ko_utf8_valid(text, (size_t)n)) {
        return ko_pickle_fail(p, err, "a text is not valid UTF-8 without NUL");
    }
    return ko_pickle_push(
        p, (struct ko_pickle_value){.kind = KO_PICKLE_TEXT, .n = (uint32_t)n, .text = text}, err);
}

static enum ko_code take_line(struct ko_pickle *p, const char **line, size_t *n,
                              struct ko_error *err)
{
    const char *end = memchr(p->bytes + p->at, '\n', p->n_bytes - p->at);
    if (!end) {
        return ko_pickle_fail(p, err, "ends too early");
    }
    *line = p->bytes + p->at;
    *n = (size_t)(end - *line);
    p->at += *n + 1;
    return KO_OK;
}

static enum ko_code push_global(struct ko_pickle *p, struct ko_error *err)
{
    const char *module = NULL, *name = NULL;
    size_t n_module = 0, n_name = 0;
    enum ko_code code = take_line(p, &module, &n_module, err);
    if (code == KO_OK) {
        code = take_line(p, &name, &n_name, err);
    }
    return code != KO_OK ? code : ko_pickle_global(p, module, n_module, name, n_name, err);
}

/* Puts to, or gets from, the memo entry whose number is the next n bytes. */
static enum ko_code use_memo(struct ko_pickle *p, size_t n, bool put, struct ko_error *err)
{
    int64_t index = 0;
    enum ko_code code = take_number(p, n, false, &index, err);
    if (code != KO_OK) {
        return code;
    }
    return put ? ko_pickle_put(p, (uint32_t)index, err) : ko_pickle_get(p, (uint32_t)index, err);
}

/* Calls `use` with the number of values above the last mark. */
static enum ko_code from_mark(struct ko_pickle *p,
                              enum ko_code (*use)(struct ko_pickle *, size_t, struct ko_error *),
                              struct ko_error *err)
{
    size_t n = 0;
    enum ko_code code = ko_pickle_unmark(p, &n, err);
    return code != KO_OK ? code : use(p, n, err);
}

static enum ko_code run_value(struct ko_pickle *p, unsigned char opcode, struct ko_error *err)
{
    switch (opcode) {
    case NONE:
        return push_kind(p, KO_PICKLE_NONE, 0, err);
    case NEWTRUE:
    case NEWFALSE:
        return push_kind(p, KO_PICKLE_BOOL, opcode == NEWTRUE, err);
    case BININT:
        return push_number(p, 4, true, err);
    case BININT1:
        return push_number(p, 1, false, err);
    case BININT2:
        return push_number(p, 2, false, err);
    case LONG1:
        return push_long(p, err);
    case BINFLOAT:
        return push_float(p, err);
    case BINUNICODE:
        return push_text(p, err);
    case EMPTY_LIST:
        return ko_pickle_push(p, (struct ko_pickle_value){.kind = KO_PICKLE_LIST, .nesting = 1},
                              err);
    case EMPTY_DICT:
        return ko_pickle_new_dict(p, err);
    case EMPTY_TUPLE:
        return ko_pickle_tuple(p, 0, err);
    case GLOBAL:
        return push_global(p, err);
    default:
        return refuse_opcode(p, opcode, err);
    }
}

static enum ko_code run_opcode(struct ko_pickle *p, unsigned char opcode, struct ko_error *err)
{
    switch (opcode) {
    case MARK:
        return ko_pickle_mark(p, err);
    case TUPLE:
        return from_mark(p, ko_pickle_tuple, err);
    case TUPLE1:
    case TUPLE2:
    case TUPLE3:
        return ko_pickle_tuple(p, (size_t)(opcode - TUPLE1 + 1), err);
    case APPEND:
        return ko_pickle_append(p, 1, err);
    case APPENDS:
        return from_mark(p, ko_pickle_append, err);
    case SETITEM:
        return ko_pickle_set_items(p, 2, err);
    case SETITEMS:
        return from_mark(p, ko_pickle_set_items, err);
    case BINPUT:
        return use_memo(p, 1, true, err);
    case LONG_BINPUT:
        return use_memo(p, 4, true, err);
    case BINGET:
        return use_memo(p, 1, false, err);
    case LONG_BINGET:
        return use_memo(p, 4, false, err);
    case REDUCE:
        return ko_pickle_reduce(p, err);
    case BUILD:
        return ko_pickle_build(p, err);
    case BINPERSID:
        return ko_pickle_load_storage(p, err);
    default:
        return run_value(p, opcode, err);
    }
}

static enum ko_code check_protocol(struct ko_pickle *p, struct ko_error *err)
{
    if (p->n_bytes < 2 || (unsigned char)p->bytes[0] != PROTO) {
        return ko_pickle_fail(p, err,
                              "does not begin with opcode PROTO: torch.save did not write it");
    }
    int protocol = (unsigned char)p->bytes[1];
    if (protocol != PROTOCOL) {
        return ko_pickle_fail(p, err,
                              "is a pickle of protocol %d, only %d is read: save it again without "
                              "pickle_protocol",
                              protocol, PROTOCOL);
    }
    p->at = 2;
    return KO_OK;
}

enum ko_code ko_pickle_run(struct ko_pickle *p, struct ko_pickle_value *top, struct ko_error *err)
{
    enum ko_code code = check_protocol(p, err);
    while (code == KO_OK) {
        p->opcode_at = p->at;
        if (p->at == p->n_bytes) {
            return ko_pickle_fail(p, err, "ends without opcode STOP");
        }
        unsigned char opcode = (unsigned char)p->bytes[p->at++];
        if (opcode == STOP) {
            break;
        }
        code = run_opcode(p, opcode, err);
    }
    if (code == KO_OK) {
        code = ko_pickle_pop(p, top, err);
    }
    if (code == KO_OK && (p->n_stack > 0 || p->n_marks > 0)) {
        code = ko_pickle_fail(p, err, "leaves more than one value: the pickle is damaged");
    }
    if (code == KO_OK && p->at < p->n_bytes) {
        code = ko_pickle_fail(p, err, "has %zu bytes after opcode STOP", p->n_bytes - p->at);
    }
    return code;
}
