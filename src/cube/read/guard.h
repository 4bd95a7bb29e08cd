/* SPDX-License-Identifier: Apache-2.0 */
/* A damaged file can crash the HDF5 library or keep it busy forever. So a child process reads each
   file first; if it crashes or hangs, that becomes an error in one line. The child must not be
   forked from a process that uses MPI (registered memory) or HDF5. So a program that will open
   cubes forks a *guard* before it starts either. The guard waits for file names and forks a
   *reader* for each, with limits on time and memory. It ends with the program, however the program
   ends. */
#ifndef KO_CUBE_READ_GUARD_H
#define KO_CUBE_READ_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"

/* What a reader does with a file. */
typedef enum ko_code ko_cube_reader(const char *path, struct ko_error *err);

/* Limits of one reader. 0: the default, which grows with the file. */
struct ko_cube_guard_limits {
    int64_t seconds; /* processor time; wall time: ten times that, for slow file systems */
    int64_t bytes;   /* of memory */
};

/* Forks the guard. Call it before the process starts MPI, HDF5 or threads. Without a guard, as in
   tests, files are opened directly. KO_E_FAILED where the system cannot fork. */
KO_MUST_CHECK enum ko_code ko_cube_guard_start(ko_cube_reader *reader,
                                               struct ko_cube_guard_limits limits,
                                               struct ko_error *err);
/* Stops the guard and waits for it; does nothing without a guard. */
void ko_cube_guard_stop(void);

/* Lets a reader read the file and returns the reader's error; KO_E_INPUT where it crashed or timed
   out. KO_OK without a guard. */
KO_MUST_CHECK enum ko_code ko_cube_guard_ask(const char *path, struct ko_error *err);

/* Whether a reader finishes with the file, with or without an error; true without a guard. */
bool ko_cube_guard_comes_back(const char *path);

#endif
