/* SPDX-License-Identifier: Apache-2.0 */
/* A damaged file can crash the HDF5 library, or keep it busy for ever. So a file is first read by a
   process of its own, of which nothing is needed but its word: what becomes of it becomes an error
   in one line.

   That process must not be forked from one that uses MPI (registered memory) or HDF5. So a program
   that will open cubes forks a *guard* before it begins with either; the guard does nothing but
   wait for names of files, and forks a *reader* for each, with limits on time and memory. The guard
   ends with the program, however that ends. */
#ifndef KO_CUBE_READ_GUARD_H
#define KO_CUBE_READ_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"

/* What a reader does with a file. */
typedef enum ko_code ko_cube_reader(const char *path, struct ko_error *err);

/* Of one reader. 0: the default, which grows with the file. */
struct ko_cube_guard_limits {
    int64_t seconds; /* of processor time; on the clock ten times that, for slow file systems */
    int64_t bytes;   /* of memory */
};

/* Forks the guard. Without one, as in a test, files are opened without a reader before. KO_E_FAILED
   where the system has no process to give. Not in a process that has begun MPI, HDF5 or threads of
   its own. */
KO_MUST_CHECK enum ko_code ko_cube_guard_start(ko_cube_reader *reader,
                                               struct ko_cube_guard_limits limits,
                                               struct ko_error *err);
/* Ends it and waits for that; nothing where there is none. */
void ko_cube_guard_stop(void);

/* Lets a reader read the file and returns its error; KO_E_INPUT where it crashed or did not come to
   an end. KO_OK where there is no guard. */
KO_MUST_CHECK enum ko_code ko_cube_guard_ask(const char *path, struct ko_error *err);

/* Whether a reader comes to an end with the file, whatever it says of it; true where there is no
   guard. */
bool ko_cube_guard_comes_back(const char *path);

#endif
