/* SPDX-License-Identifier: Apache-2.0 */
/* Turns HDF5's error stack into one line, and closes HDF5 objects so that an error is not lost. */
#include "src/cube/format/hdf5_check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "src/base/text.h"

void ko_hdf5_quiet(void)
{
    /* It fails only where the library could not start; then the next call fails too. */
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    (void)H5PLset_loading_state(0);
}

/* An upward walk begins at the innermost frame. */
static herr_t take_innermost(unsigned n, const H5E_error2_t *frame, void *reason)
{
    if (n == 0 && frame->desc) {
        ko_text_add(reason, "%s", frame->desc);
    }
    return 0;
}

/* HDF5's file drivers bury the system's reason in a long list: "..., error message = 'No space left
   on device', ...". */
static void cut_to_message(char *reason)
{
    static const char mark[] = "error message = '";
    const char *begin = strstr(reason, mark);
    const char *end = begin ? strchr(begin + sizeof mark - 1, '\'') : NULL;

    if (end) {
        size_t n = (size_t)(end - begin) - (sizeof mark - 1);
        memmove(reason, begin + sizeof mark - 1, n);
        reason[n] = '\0';
    }
    for (char *c = reason; *c; c++) {
        if (*c == '\n' || *c == '\r') {
            *c = ' ';
        }
    }
}

bool ko_hdf5_is_busy(const struct ko_error *err)
{
    return strstr(err->text, KO_HDF5_BUSY) != NULL;
}

enum ko_code ko_hdf5_fail(struct ko_error *err, enum ko_code code, const char *format, ...)
{
    struct ko_text reason = {0};
    char what[KO_ERROR_TEXT];
    va_list arguments;

    if (H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_innermost, &reason) < 0 || reason.n == 0) {
        ko_text_add(&reason, "HDF5 gives no reason");
    }
    (void)H5Eclear2(H5E_DEFAULT);
    if (reason.data) {
        cut_to_message(reason.data);
    }
    /* HDF5 locks the files that it opens. */
    if (reason.data && strcmp(reason.data, strerror(EWOULDBLOCK)) == 0) {
        ko_text_free(&reason);
        ko_text_add(&reason, "%s", KO_HDF5_BUSY);
    }
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    code = ko_fail(err, code, "%s: %s", what, ko_text_str(&reason));
    ko_text_free(&reason);
    return code;
}

void ko_hdf5_close(hid_t id, enum ko_code *code, const char *where, struct ko_error *err)
{
    if (id >= 0 && H5Idec_ref(id) < 0 && *code == KO_OK) {
        *code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot close an object of the file", where);
    }
}

void ko_hdf5_close_file(hid_t file, enum ko_code *code, const char *where, struct ko_error *err)
{
    if (file >= 0 && H5Fclose(file) < 0 && *code == KO_OK) {
        *code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot close the file", where);
    }
}

hid_t ko_hdf5_access(bool locking, const char *where, struct ko_error *err)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    enum ko_code code = KO_OK;

    if (access >= 0 && H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18) >= 0) {
#if H5_VERSION_GE(1, 12, 1) || (H5_VERSION_GE(1, 10, 7) && !H5_VERSION_GE(1, 12, 0))
        /* The last argument: do without locks on file systems that cannot lock. */
        if (H5Pset_file_locking(access, locking, true) >= 0) {
            return access;
        }
#else
        (void)locking;
        return access;
#endif
    }
    (void)ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot set HDF5's access properties", where);
    ko_hdf5_close(access, &code, where, NULL);
    return H5I_INVALID_HID;
}
