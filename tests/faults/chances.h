/* SPDX-License-Identifier: Apache-2.0 */
/* Chances to fail, in a test's own process: the linker's `--wrap` puts chances.c between the
   program's code and the calls of chance_list.h. One kind of call fails once, at its N-th chance.
 */
#ifndef TESTS_FAULTS_CHANCES_H
#define TESTS_FAULTS_CHANCES_H

#include <stdbool.h>

enum test_chance {
    TEST_CHANCE_ALLOCATION, /* NULL */
    TEST_CHANCE_SYSTEM,     /* -1 (NULL), errno EIO */
    TEST_CHANCE_HDF5,       /* negative */
    TEST_CHANCE_MPI,        /* MPI_ERR_OTHER */
};

/* From now on the chances of this kind are counted, from 1; number `at` fails. 0: none does. */
void test_chances_begin(enum test_chance kind, long at);
/* The chances since then. *failed: whether one of them did fail. */
long test_chances_end(bool *failed);
/* The call that failed last, "" where none did. */
const char *test_chances_call(void);
/* Blocks of memory that were allocated by the program's code and are not freed. */
long test_chances_live(void);

#endif
