/* SPDX-License-Identifier: Apache-2.0 */
/* Every HDF5 call is checked: what the library says becomes one line of ours, and nothing is
   printed by it. */
#ifndef KO_CUBE_FORMAT_HDF5_CHECK_H
#define KO_CUBE_FORMAT_HDF5_CHECK_H

#include <hdf5.h>
#include <stdbool.h>

#include "src/base/error.h"

/* Turns off HDF5's own printing of errors, and the loading of plug-ins. Every function of the cube
   that others call begins with it. */
void ko_hdf5_quiet(void);

/* What is said of a file that another program has locked. */
#define KO_HDF5_BUSY "another program has it open (a notebook?), close it there"
/* Whether an error of ko_hdf5_fail says so. */
bool ko_hdf5_is_busy(const struct ko_error *err);

/* Returns code with err "formatted text: innermost reason on HDF5's error stack", newlines removed;
   clears the stack. */
enum ko_code ko_hdf5_fail(struct ko_error *err, enum ko_code code, const char *format, ...)
    KO_PRINTF(3, 4);

/* Closes an id that is no file (none where negative). The first failure of a function stays: *code
   is only changed where it is KO_OK. `where` is the file's path. */
void ko_hdf5_close(hid_t id, enum ko_code *code, const char *where, struct ko_error *err);

/* The same for a file: what it still holds is written. */
void ko_hdf5_close_file(hid_t file, enum ko_code *code, const char *where, struct ko_error *err);

/* The access properties that every open of a cube has: format bounds of HDF5 1.8, file locking as
   asked. Close it; negative on failure, with err filled. */
hid_t ko_hdf5_access(bool locking, const char *where, struct ko_error *err);

#endif
