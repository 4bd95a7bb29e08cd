/* SPDX-License-Identifier: Apache-2.0 */
/* Pickles from a readable form. */
#ifndef TESTS_SUPPORT_PICKLE_BYTES_H
#define TESTS_SUPPORT_PICKLE_BYTES_H

#include <stddef.h>

/* The pickle of a text of opcodes with spaces between them; its size in *n. free(). An opcode is
   its character or %HH, and then ":ARGUMENT" where it takes one:
       X:text   c:module/name   J:number (4 bytes)   M:number (2 bytes)   K: q: h: %80: (1 byte)
       r: j: (4 bytes)   %8a:number (as 8 bytes)   G (8 zeros)   =HH (a byte as it is)
   "OPCODE*N" stands for N of it. */
char *test_pickle(const char *text, size_t *n);

/* What torch.save writes: the beginning, a tensor, the end of a dict. KEY, N and OFFSET are those
   of the storage; SHAPE and STRIDE are opcodes that leave a tuple. */
#define TEST_PICKLE_DICT(items) "%80:2 } ( " items " u ."
#define TEST_PICKLE_STORAGE(type, key, n)                                                          \
    "( X:storage c:torch/" type "Storage X:" key " X:cpu K:" n " t Q "
#define TEST_PICKLE_TENSOR(type, key, n, offset, shape, stride)                                    \
    "c:torch._utils/_rebuild_tensor_v2 ( " TEST_PICKLE_STORAGE(                                    \
        type, key, n) "K:" offset " " shape " " stride " %89 c:collections/OrderedDict ) R t R"
/* Six elements in the storage 0, as [2,3]. */
#define TEST_PICKLE_2X3 TEST_PICKLE_TENSOR("Float", "0", "6", "0", "K:2 K:3 %86", "K:3 K:1 %86")

#endif
