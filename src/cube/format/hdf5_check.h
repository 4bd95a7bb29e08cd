/* SPDX-License-Identifier: Apache-2.0 */
/* Every HDF5 call is checked. The library's error becomes one line, and the library prints
   nothing. */
#ifndef KO_CUBE_FORMAT_HDF5_CHECK_H
#define KO_CUBE_FORMAT_HDF5_CHECK_H

#include <hdf5.h>
#include <stdbool.h>

#include "src/base/error.h"

/* Turns off HDF5's own error output and the loading of plug-ins. Every public function of the cube
   calls it first. */
void ko_hdf5_quiet(void);

/* The error for a file that another program has locked. */
#define KO_HDF5_BUSY "another program has it open (a notebook?), close it there"
/* Whether an error of ko_hdf5_fail is that one. */
bool ko_hdf5_is_busy(const struct ko_error *err);

/* Returns code with err "formatted text: innermost reason on HDF5's error stack", without newlines;
   clears the stack. */
enum ko_code ko_hdf5_fail(struct ko_error *err, enum ko_code code, const char *format, ...)
    KO_PRINTF(3, 4);

/* Closes an id that is not a file; does nothing for a negative id. *code changes only where it is
   KO_OK, so the first failure stays. `where` is the file's path. */
void ko_hdf5_close(hid_t id, enum ko_code *code, const char *where, struct ko_error *err);

/* The same for a file: HDF5 writes what it has buffered. */
void ko_hdf5_close_file(hid_t file, enum ko_code *code, const char *where, struct ko_error *err);

/* The access properties for every cube that is opened: format bounds of HDF5 1.8, file locking as
   given. The caller closes them; negative on failure, with err filled. */
hid_t ko_hdf5_access(bool locking, const char *where, struct ko_error *err);

#endif
