/* SPDX-License-Identifier: Apache-2.0 */
/* Lists all model families and finds one by its model_type. */
#include <string.h>

#include "src/models/families.h"

const struct ko_family *const ko_families[] = {
#define X(name) &ko_family_##name,
    KO_FAMILIES(X)
#undef X
        NULL,
};

const struct ko_family *ko_family_find(const char *model_type)
{
    for (size_t f = 0; ko_families[f]; f++) {
        for (size_t i = 0; ko_families[f]->model_types[i]; i++) {
            if (strcmp(ko_families[f]->model_types[i], model_type) == 0) {
                return ko_families[f];
            }
        }
    }
    return NULL;
}
