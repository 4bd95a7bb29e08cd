/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "src/checkpoint/torch/pickle_machine.h"
#include "src/checkpoint/torch/state_dict.h"
#include "tests/support/pickle_bytes.h"

#define COUNT(rows)  (sizeof(rows) / sizeof(rows)[0])
#define DICT(items)  TEST_PICKLE_DICT(items)
#define A            "X:a " TEST_PICKLE_2X3 " "
#define HOOKS        "c:collections/OrderedDict ) R "
#define REBUILD      "c:torch._utils/_rebuild_tensor_v2 "
#define FLOATS       TEST_PICKLE_STORAGE("Float", "0", "6")
#define WITH(values) DICT("X:a " REBUILD "( " FLOATS values " t R")

static enum ko_code read_text(const char *text, struct ko_state_dict *dict, struct ko_error *err)
{
    size_t n = 0;
    char *bytes = test_pickle(text, &n);
    enum ko_code code = ko_state_dict_read(bytes, n, "toy: data.pkl", dict, err);
    free(bytes);
    return code;
}

static void refuses(const char *bytes, size_t n, const char *words, size_t row)
{
    struct ko_error err = {0};
    struct ko_state_dict dict;
    enum ko_code code = ko_state_dict_read(bytes, n, "toy: data.pkl", &dict, &err);
    ko_state_dict_free(&dict);
    if (code != KO_E_INPUT || !strstr(err.text, words) ||
        strncmp(err.text, "toy: data.pkl: ", 15)) {
        fail_msg("row %zu: code %d, '%s' lacks '%s'", row, (int)code, err.text, words);
    }
}

static void a_state_dict_is_read_in_order_of_name(void **state)
{
    static const char text[] =
        "%80:2 c:collections/OrderedDict q:0 ) R q:1 ( "
        "X:w c:torch._utils/_rebuild_parameter ( " TEST_PICKLE_TENSOR(
            "BFloat16", "7", "9", "3", "( K:1 K:2 K:3 t",
            "( %8a:6 K:3 K:1 t") " %88 h:0 ) R t R "
                                 "X:b " TEST_PICKLE_TENSOR(
                                     "Long", "1", "1", "0", ")",
                                     ")") " "
                                          "X:p c:torch._utils/_rebuild_parameter_with_state "
                                          "( " TEST_PICKLE_2X3 " q:3 %89 h:0 ) R } "
                                          "X:_no_weight_decay %88 s t R "
                                          "X:again h:3 u "
                                          "} X:_metadata } X:version K:1 s X:list ] ( N G J:-1 e s "
                                          "s b .";
    struct ko_error err = {0};
    struct ko_state_dict dict;
    size_t n = 0;
    (void)state;
    char *bytes = test_pickle(text, &n);
    if (ko_state_dict_read(bytes, n, "toy", &dict, &err)) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(dict.n, 4);
    assert_string_equal(dict.tensors[0].name, "again");
    assert_string_equal(dict.tensors[1].name, "b");
    assert_int_equal(dict.tensors[1].dtype, KO_I64);
    assert_int_equal(dict.tensors[1].n_dims, 0);
    assert_string_equal(dict.tensors[2].name, "p");
    assert_int_equal(dict.tensors[2].shape[1], 3);
    const struct ko_state_tensor *w = &dict.tensors[3];
    assert_string_equal(w->name, "w");
    assert_int_equal(w->dtype, KO_BF16);
    assert_int_equal(w->n_key, 1);
    assert_int_equal(w->key[0], '7');
    assert_int_equal(w->storage_n, 9);
    assert_int_equal(w->offset, 3);
    assert_int_equal(w->n_dims, 3);
    assert_int_equal(w->shape[1], 2);
    assert_int_equal(w->stride[0], 6);
    ko_state_dict_free(&dict);
    free(bytes);
}

static void foreign_globals_and_opcodes_are_refused_by_name(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"%80:2 c:os/system ( X:ls t R .", "global 'os.system' is not allowed"},
        {"%80:2 c:builtins/eval ( X:1 t R .", "global 'builtins.eval' is not allowed"},
        {"%80:2 c:torch/load .", "global 'torch.load' is not allowed"},
        {"%80:2 c:torch/float32 .", "global 'torch.float32' is not allowed"},
        {"%80:2 c:torch._utils/_rebuild_tensor_v3 .",
         "a tensor of a type such as float8 (global 'torch._utils._rebuild_tensor_v3'): use the "
         "checkpoint in F32, F16 or BF16"},
        {"%80:2 c:numpy.core.multiarray/scalar .",
         "global 'numpy.core.multiarray.scalar' is not allowed"},
        {"%80:2 c:collections/OrderedDic .", "global 'collections.OrderedDic' is not allowed"},
        {"%80:2 c:o\tx/\xffy .", "global 'o?x.?y' is not allowed"},
        {"%80:2 c:torch/FloatStorage ) R .", "global 'torch.FloatStorage' is called, which is not"},
        {"%80:2 N ) R .", "what is called is not a global, or has no tuple of arguments (byte 4)"},
        {"%80:2 c:collections/OrderedDict } R .", "what is called is not a global, or"},
        {"%80:2 c:collections/OrderedDict ( N t R .", "OrderedDict is called with arguments"},
        {"%80:2 i .", "opcode INST is not allowed (byte 2)"},
        {"%80:2 } } %81 .", "opcode NEWOBJ is not allowed (byte 4)"},
        {"%80:2 %93 .", "opcode STACK_GLOBAL is not allowed"},
        {"%80:2 0 .", "opcode POP is not allowed"},
        {"%80:2 %82 .", "opcode EXT1 is not allowed"},
        {"%80:2 P .", "opcode PERSID is not allowed"},
        {"%80:2 %80:2 .", "opcode PROTO is not allowed"},
        {"%80:2 =ff .", "opcode 0xff does not exist (byte 2)"},
        {"%80:2 =00 .", "opcode 0x00 does not exist"},
        {"%80:4 %95:1 } .", "is a pickle of protocol 4, only 2 is read"},
        {"%80:1 } .", "is a pickle of protocol 1, only 2 is read"},
        {"} .", "does not begin with opcode PROTO"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t n = 0;
        char *bytes = test_pickle(rows[i].text, &n);
        refuses(bytes, n, rows[i].words, i);
        free(bytes);
    }
}

static void broken_pickles_are_refused_with_their_fault(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"%80:2", "ends without opcode STOP (byte 2)"},
        {"%80:2 }", "ends without opcode STOP (byte 3)"},
        {"%80:2 .", "the stack lacks a value"},
        {"%80:2 } } .", "leaves more than one value"},
        {"%80:2 } ( .", "the stack lacks a value"},
        {"%80:2 } . }", "has 1 bytes after opcode STOP"},
        {"%80:2 t .", "the stack lacks a mark"},
        {"%80:2 N %86 .", "the stack lacks a value"},
        {"%80:2 N ( %85 .", "the stack lacks a value"},
        {"%80:2 h:0 .", "memo entry 0 was never put"},
        {"%80:2 } q:3 h:2 .", "memo entry 2 was never put"},
        {"%80:2 } j:4294967295 .", "memo entry 4294967295 was never put"},
        {"%80:2 } r:4294967295 .", "memo entry 4294967295 is beyond the 4194304 that are allowed"},
        {"%80:2 } r:4194304 .", "memo entry 4194304 is beyond"},
        {"%80:2 } =72 =00 =00", "ends too early (byte 3)"},
        {"%80:2 =58 =05 =00 =00 =00 =61", "ends too early (byte 2)"},
        {"%80:2 =58 =ff =ff =ff =ff =61", "ends too early"},
        {"%80:2 =58 =01 =00 =00 =00 =ff .", "a text is not valid UTF-8"},
        {"%80:2 =58 =01 =00 =00 =00 =00 .", "a text is not valid UTF-8 without NUL"},
        {"%80:2 =63 =61 =61", "ends too early"},
        {"%80:2 =63 =61 =0a =61", "ends too early"},
        {"%80:2 =8a =09 =00 .", "a whole number of 9 bytes, more than 8"},
        {"%80:2 =8a =04 =00 .", "ends too early"},
        {"%80:2 =47 =00 .", "ends too early"},
        {"%80:2 N N N s .", "an item is put into a value that is not a dictionary"},
        {"%80:2 N ( N N u .", "an item is put into a value that is not a dictionary"},
        {"%80:2 } ( N u .", "a key without its value"},
        {"%80:2 } N a .", "an item is put into a value that is not a list"},
        {"%80:2 N } b .", "a state is given to a value that is not a dictionary"},
        {"%80:2 } N b .", "a state is given to a value that is not a dictionary"},
        {"%80:2 ] .", "holds a list, expected a state dict"},
        {"%80:2 K:1 .", "holds a whole number, expected a state dict"},
        {DICT("X:a N"), "'a' is None, not a tensor: only a state dict is read"},
        {DICT("X:model } ( " A "u"), "'model' is a dictionary, not a tensor"},
        {DICT("K:3 " TEST_PICKLE_2X3), "a tensor's name is a whole number, not a text"},
        {DICT("X:a\n " TEST_PICKLE_2X3), "a control character in a tensor's name"},
        {DICT(A A), "tensor 'a' occurs twice"},
        {DICT("X:a " TEST_PICKLE_TENSOR("Double", "0", "6", "0", ")", ")")),
         "tensor 'a' is in a torch.DoubleStorage: only Float, Half, BFloat16, Long, Int, Byte and"},
        {WITH("K:0 ) ) %89"), "a tensor is built from other values than torch.save writes"},
        {WITH("J:-1 ) ) %89 " HOOKS), "a tensor is built from other values"},
        {WITH("K:0 K:3 ) %89 " HOOKS), "a tensor is built from other values"},
        {WITH("K:0 ) ) N " HOOKS), "a tensor is built from other values"},
        {WITH("K:0 ( J:-6 t ( K:1 t %89 " HOOKS),
         "a tensor has a size that is not a whole number from 0"},
        {WITH("K:0 ( X:6 t ( K:1 t %89 " HOOKS), "a tensor has a size that is not a whole number"},
        {WITH("K:0 ( K:6 t ( J:-1 t %89 " HOOKS), "a tensor has a stride that is not a whole"},
        {WITH("K:0 ( K:6 t ) %89 " HOOKS), "a tensor has 1 dimensions and 0 strides"},
        {WITH("K:0 ( K:1 K:1 K:1 K:1 K:1 K:1 K:1 K:1 K:1 t ) %89 " HOOKS),
         "a tensor has more than 8 dimensions"},
        {WITH("K:0 ) ) %89 " HOOKS "} X:neg %88 s"), "a tensor has metadata, which are not read"},
        {DICT("X:a c:torch._utils/_rebuild_parameter ( N %89 " HOOKS "t R"),
         "a parameter is built from other values"},
        {DICT("X:a N Q"), "a persistent id is not a storage as torch.save writes it"},
        {DICT("X:a ( X:storage c:collections/OrderedDict X:0 X:cpu K:1 t Q"),
         "a persistent id is not a storage"},
        {DICT("X:a ( X:module c:torch/FloatStorage X:0 X:cpu K:1 t Q"), "a persistent id is no"},
        {DICT("X:a ( X:storage c:torch/FloatStorage X:0 X:cpu J:-1 t Q"), "a persistent id is no"},
        {DICT("X:a ( X:storage c:torch/FloatStorage X:0\n X:cpu K:1 t Q"), "a persistent id is no"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t n = 0;
        char *bytes = test_pickle(rows[i].text, &n);
        refuses(bytes, n, rows[i].words, i);
        free(bytes);
    }
}

static void every_truncation_is_refused(void **state)
{
    size_t n = 0;
    (void)state;
    char *bytes = test_pickle(DICT(A), &n);
    for (size_t cut = 0; cut < n; cut++) {
        char *part = malloc(cut ? cut : 1); /* so that a read beyond it is seen */
        assert_non_null(part);
        memcpy(part, bytes, cut);
        refuses(part, cut, "(byte ", cut);
        free(part);
    }
    free(bytes);
}

static void endless_nesting_and_numbers_are_refused(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"%80:2 (*65 .", "more than 64 values nested in one another (byte 66)"},
        {"%80:2 (*1000000 .", "more than 64 values nested in one another (byte 66)"},
        {"%80:2 N %85*1000000 .", "more than 64 values nested in one another (byte 67)"},
        {"%80:2 ]*65 a*64 .", "more than 64 values nested in one another"},
        {"%80:2 } X:a N %85*64 s .", "more than 64 values nested in one another"},
        {"%80:2 N*1000000 .", "more than 65536 values on the stack"},
    };
    struct ko_error err = {0};
    struct ko_state_dict dict;
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t n = 0;
        char *bytes = test_pickle(rows[i].text, &n);
        refuses(bytes, n, rows[i].words, i);
        free(bytes);
    }
    assert_int_equal(read_text("%80:2 } ( X:a N %85*64 u .", &dict, &err), KO_E_INPUT);
    ko_state_dict_free(&dict);
    assert_int_equal(read_text("%80:2 } } X:a N %85*62 s b .", &dict, &err), KO_OK);
    ko_state_dict_free(&dict);
}

/* `begin`, n times `part`, `end`. */
static void refuses_repeated(const char *begin, const char *part, size_t n, const char *end,
                             const char *words)
{
    size_t n_begin = 0, n_part = 0, n_end = 0;
    char *first = test_pickle(begin, &n_begin), *middle = test_pickle(part, &n_part);
    char *last = test_pickle(end, &n_end);
    char *all = malloc(n_begin + n * n_part + n_end);
    assert_non_null(all);
    memcpy(all, first, n_begin);
    for (size_t i = 0; i < n; i++) {
        memcpy(all + n_begin + i * n_part, middle, n_part);
    }
    memcpy(all + n_begin + n * n_part, last, n_end);
    refuses(all, n_begin + n * n_part + n_end, words, 0);
    free(all);
    free(first);
    free(middle);
    free(last);
}

static void too_many_values_are_refused(void **state)
{
    (void)state;
    refuses_repeated("%80:2 ]", "( N*60000 t a", 140, ".", "more than 8388608 values in tuples");
    refuses_repeated("%80:2 ] " REBUILD "q:0 a ( " FLOATS "K:0 ) ) %89 " HOOKS "t q:1 a",
                     "h:0 h:1 R a", KO_PICKLE_TENSORS + 1, ".", "more than 262144 tensors");
}

static void long_names_are_refused(void **state)
{
    char text[KO_STATE_DICT_NAME + 1024], name[KO_STATE_DICT_NAME + 2];
    size_t n = 0;
    (void)state;
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    snprintf(text, sizeof text, "%%80:2 } ( X:%s %s u .", name, TEST_PICKLE_2X3);
    char *bytes = test_pickle(text, &n);
    refuses(bytes, n, "a tensor's name has 4097 bytes, more than 4096", 0);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_dict_is_read_in_order_of_name),
        cmocka_unit_test(foreign_globals_and_opcodes_are_refused_by_name),
        cmocka_unit_test(broken_pickles_are_refused_with_their_fault),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(endless_nesting_and_numbers_are_refused),
        cmocka_unit_test(too_many_values_are_refused),
        cmocka_unit_test(long_names_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
