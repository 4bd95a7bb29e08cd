/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "src/checkpoint/checkpoint.h"
#include "src/checkpoint/safetensors/safetensors.h"
#include "tests/support/folder.h"

#define TENSOR(name, dtype, shape, offsets)                                                        \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
#define A TENSOR("a", "F32", "[2,3]", "[0,24]")

static int make_folder(void **state)
{
    *state = test_folder_make();
    test_folder_write_text(*state, "config.json", "{}");
    return 0;
}

static int remove_folder(void **state)
{
    test_folder_remove(*state);
    return 0;
}

static void expect_refusal(const char *folder, const char *words, size_t row)
{
    struct ko_error err = {0};
    struct ko_checkpoint *cp = NULL;
    enum ko_code code = ko_checkpoint_open(folder, "toy", &cp, &err);
    ko_checkpoint_close(cp);
    if (code != KO_E_INPUT) {
        fail_msg("row %zu: code %d instead of an input error with '%s'", row, (int)code, words);
    }
    if (!strstr(err.text, words)) {
        fail_msg("row %zu: '%s' lacks '%s'", row, err.text, words);
    }
    if (strncmp(err.text, "toy: ", 5) != 0 || !strstr(err.text, "/model.safetensors: ")) {
        fail_msg("row %zu: '%s' names neither model nor file", row, err.text);
    }
}

static void broken_headers_are_refused_with_their_fault(void **state)
{
    static const struct {
        const char *header;
        size_t n_data;
        const char *words;
    } rows[] = {
        {"", 0, "header: byte 0: not valid JSON: expected '{'"},
        {"not json", 24, "header: byte 0: not valid JSON: expected '{'"},
        {" {" A "}", 24, "header: byte 0: not valid JSON: expected '{'"},
        {"[]", 0, "not valid JSON: expected '{'"},
        {"{" A, 24, "not valid JSON: expected '}', found the end of the text"},
        {"{" A ",}", 24, "not valid JSON: expected '\"', found '}'"},
        {"{" A "} x", 24, "not valid JSON: text after the end of the object"},
        {"{" A "}{}", 24, "not valid JSON: text after the end of the object"},
        {"{\"a\":3}", 0, "not valid JSON: expected '{', found '3'"},
        {"{\"a", 0, "a string without its end"},
        {"{\"a\\x\":1}", 0, "a broken escape"},
        {"{\"\\ud800\":1}", 0, "half a surrogate pair"},
        {"{\"a\xff\":1}", 0, "a string is not valid UTF-8"},
        {"{\"a\\nb\":{}}", 0, "a control character in a tensor's name"},
        {"{\"a\\u0000b\":{}}", 0, "a NUL character in a string"},
        {"{\"__metadata__\":{\"format\":1}}", 0, "expected '\"', found '1'"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "'__metadata__' occurs twice"},
        {"{" A "," A "}", 24, "header: tensor 'a' occurs twice"},
        {"{" A "," TENSOR("\\u0061", "F32", "[2,3]", "[24,48]") "}", 48,
         "header: tensor 'a' occurs twice"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[6]}}", 24, "tensor 'a' has no 'data_offsets'"},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[6]}}", 24,
         "tensor 'a' has the key 'dtype' twice"},
        {"{\"a\":{\"type\":\"F32\"}}", 24, "tensor 'a' has the unknown key 'type'"},
        {"{" TENSOR("a", "F8_E4M3", "[6]", "[0,6]") "}", 6,
         "tensor 'a' has the dtype 'F8_E4M3': only F32, F16, BF16, I64, I32, U8 and BOOL are read, "
         "use the checkpoint in F32, F16 or BF16"},
        {"{" TENSOR("a", "F64", "[3]", "[0,24]") "}", 24, "tensor 'a' has the dtype 'F64'"},
        {"{" TENSOR("a", "F32", "[-2]", "[0,8]") "}", 8,
         "expected a whole number from 0, found '-'"},
        {"{" TENSOR("a", "F32", "[2.0]", "[0,8]") "}", 8, "expected a whole number from 0"},
        {"{" TENSOR("a", "F32", "[02]", "[0,8]") "}", 8, "a leading zero"},
        {"{" TENSOR("a", "F32", "[9223372036854775808]", "[0,8]") "}", 8, "a number beyond"},
        {"{" TENSOR("a", "F32", "[4294967296,4294967296]", "[0,0]") "}", 0,
         "tensor 'a': the product of its shape overflows"},
        {"{" TENSOR("a", "F32", "[4611686018427387904]", "[0,0]") "}", 0,
         "tensor 'a': the product of its shape overflows"},
        {"{" TENSOR("a", "U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]") "}", 1,
         "tensor 'a' has more than 8 dimensions"},
        {"{" TENSOR("a", "F32", "[2,3]", "[0]") "}", 24, "expected ',', found ']'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test_folder_write_safetensors(*state, "model.safetensors", rows[i].header, NULL,
                                      rows[i].n_data);
        expect_refusal(*state, rows[i].words, i);
    }
}

static void offsets_that_break_the_layout_are_refused(void **state)
{
    static const struct {
        const char *header;
        size_t n_data;
        const char *words;
    } rows[] = {
        {"{" A "}", 23,
         "tensor 'a': data_offsets [0,24] reach beyond the 23 bytes of data in the file: it is "
         "truncated"},
        {"{" TENSOR("a", "U8", "[0]", "[9223372036854775807,9223372036854775807]") "}", 4,
         "reach beyond the 4 bytes of data"},
        {"{" A "}", 25, "the tensors end at byte 24 of the data, the file has 25"},
        {"{}", 1, "the tensors end at byte 0 of the data, the file has 1"},
        {"{" TENSOR("a", "F32", "[6]", "[24,0]") "}", 24,
         "tensor 'a': data_offsets [24,0] end before they begin"},
        {"{" TENSOR("a", "F32", "[2,4]", "[0,24]") "}", 24,
         "tensor 'a': data_offsets [0,24] hold 24 bytes, its shape of 8 elements of F32 takes 32"},
        {"{" TENSOR("a", "BF16", "[2,3]", "[0,24]") "}", 24, "6 elements of BF16 takes 12"},
        {"{" A "," TENSOR("b", "F32", "[2]", "[20,28]") "}", 28,
         "tensor 'b': data_offsets [20,28] overlap the tensor before it, which ends at 24"},
        {"{" A "," TENSOR("b", "F32", "[6]", "[0,24]") "}", 24, "overlap the tensor before it"},
        {"{" A "," TENSOR("b", "F32", "[2]", "[28,36]") "}", 36,
         "tensor 'b': data_offsets [28,36] leave a gap after 24"},
        {"{" TENSOR("a", "F32", "[2]", "[4,12]") "}", 12, "leave a gap after 0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test_folder_write_safetensors(*state, "model.safetensors", rows[i].header, NULL,
                                      rows[i].n_data);
        expect_refusal(*state, rows[i].words, i);
    }
}

static void header_lengths_beyond_the_file_or_the_limit_are_refused(void **state)
{
    static const struct {
        uint64_t length;
        size_t n;
        const char *words;
    } rows[] = {
        {0, 0, "has 0 bytes, a safetensors file begins with 8 bytes of header length"},
        {0, 7, "has 7 bytes, a safetensors file begins with 8 bytes"},
        {3, 10, "announce a header of 3 bytes, the file has 10: it is truncated"},
        {100000000, 10, "announce a header of 100000000 bytes, the file has 10: it is truncated"},
        {100000001, 10, "more than the 100000000 that are allowed"},
        {UINT64_MAX, 10, "a header of 18446744073709551615 bytes, more than"},
        {0, 8, "header: byte 0: not valid JSON: expected '{'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned char bytes[16] = {0};
        memcpy(bytes, &rows[i].length, sizeof rows[i].length);
        memcpy(bytes + 8, "{}", 2);
        test_folder_write(*state, "model.safetensors", bytes, rows[i].n);
        expect_refusal(*state, rows[i].words, i);
    }
}

static void too_many_tensors_are_refused(void **state)
{
    static const char entry[] = TENSOR("t%07d", "U8", "[0]", "[0,0]");
    size_t n = 0, size = (size_t)(KO_HEADER_TENSORS + 1) * (sizeof entry + 8) + 16;
    char *header = malloc(size);
    assert_non_null(header);
    for (int i = 0; i <= KO_HEADER_TENSORS; i++) {
        n += (size_t)snprintf(header + n, size - n, "%c" TENSOR("t%07d", "U8", "[0]", "[0,0]"),
                              i ? ',' : '{', i);
    }
    snprintf(header + n, size - n, "}");
    test_folder_write_safetensors(*state, "model.safetensors", header, NULL, 0);
    expect_refusal(*state, "more than 262144 tensors", 0);
    free(header);
}

static void a_valid_file_is_read_in_order_of_name(void **state)
{
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\",\"notes\":\"two\\nlines \\u00e9\"}, "
        "\"w\\u00e9\\ud83d\\ude00\" : {\"shape\": [2, 2], \"data_offsets\": [3, 11], "
        "\"dtype\": \"F16\"}," TENSOR("mask", "BOOL", "[3]", "[0,3]") "," TENSOR(
            "nothing", "F32", "[0,7]", "[3,3]") "," TENSOR("scalar", "I64", "[]",
                                                           "[11,19]") "}\n   ";
    unsigned char data[19];
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (unsigned char)i;
    }
    test_folder_write_safetensors(*state, "model.safetensors", header, data, sizeof data);

    struct ko_error err = {0};
    struct ko_checkpoint *cp = NULL;
    if (ko_checkpoint_open(*state, "toy", &cp, &err)) {
        fail_msg("%s", err.text);
    }
    size_t n = 0;
    const struct ko_tensor *t = ko_checkpoint_tensors(cp, &n);
    assert_int_equal(n, 4);
    assert_string_equal(t[0].name, "mask");
    assert_int_equal(t[0].dtype, KO_BOOL);
    assert_string_equal(t[1].name, "nothing");
    assert_int_equal(t[1].n, 0);
    assert_string_equal(t[2].name, "scalar");
    assert_int_equal(t[2].n_dims, 0);
    assert_int_equal(t[2].n, 1);
    assert_memory_equal(t[2].data, data + 11, 8);
    assert_string_equal(t[3].name, "w\xc3\xa9\xf0\x9f\x98\x80");
    assert_int_equal(t[3].shape[1], 2);
    assert_memory_equal(t[3].data, data + 3, 8);
    assert_ptr_equal(ko_checkpoint_find(cp, "scalar"), &t[2]);
    assert_null(ko_checkpoint_find(cp, "scala"));
    ko_checkpoint_close(cp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_headers_are_refused_with_their_fault),
        cmocka_unit_test(offsets_that_break_the_layout_are_refused),
        cmocka_unit_test(header_lengths_beyond_the_file_or_the_limit_are_refused),
        cmocka_unit_test(too_many_tensors_are_refused),
        cmocka_unit_test(a_valid_file_is_read_in_order_of_name),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
