/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the hashes of the models' weights into a new cube, where they are already known. */
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/cube/create/fill.h"
#include "src/cube/format/hdf5_check.h"

enum ko_code ko_cube_fill_hashes(struct ko_cube_new *cube, size_t index, struct ko_error *err)
{
    const struct ko_cube_content *content = cube->content;
    const size_t n_models = (size_t)content->plan->n_models;
    enum ko_code code = KO_OK;

    if (!content->content_hash) {
        return KO_OK;
    }
    char *bytes = ko_new(n_models, KO_CUBE_HASH_LENGTH, err);
    if (!bytes) {
        return KO_E_MEMORY;
    }
    for (size_t m = 0; m < n_models; m++) {
        const char *hash = content->content_hash[m];
        memcpy(bytes + m * KO_CUBE_HASH_LENGTH, hash, strnlen(hash, KO_CUBE_HASH_LENGTH));
    }
    hid_t type = ko_cube_new_type(KO_TYPE_CHAR);
    if (type < 0 ||
        H5Dwrite(cube->dataset[index], type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes) < 0) {
        code =
            ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot write dataset 'content_hash'", cube->path);
    }
    ko_hdf5_close(type, &code, cube->path, err);
    free(bytes);
    return code;
}
