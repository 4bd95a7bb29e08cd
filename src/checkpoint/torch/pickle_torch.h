/* SPDX-License-Identifier: Apache-2.0 */
/* The Python names that a state dict may use, and the objects that they build. */
#ifndef KO_CHECKPOINT_TORCH_PICKLE_TORCH_H
#define KO_CHECKPOINT_TORCH_PICKLE_TORCH_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/error.h"
#include "src/checkpoint/mapped/tensor.h"
#include "src/checkpoint/torch/pickle_machine.h"

/* Pushes the global MODULE.NAME. Refuses an unknown one by name. */
KO_MUST_CHECK enum ko_code ko_pickle_global(struct ko_pickle *p, const char *module,
                                            size_t n_module, const char *name, size_t n_name,
                                            struct ko_error *err);
/* Replaces the arguments on top and the global below them by the object that the global builds. */
KO_MUST_CHECK enum ko_code ko_pickle_reduce(struct ko_pickle *p, struct ko_error *err);
/* Drops the state on top, a state dict's _metadata, which belongs to the dictionary below it. */
KO_MUST_CHECK enum ko_code ko_pickle_build(struct ko_pickle *p, struct ko_error *err);
/* Replaces the tuple ('storage', type, key, device, elements) on top by a storage. */
KO_MUST_CHECK enum ko_code ko_pickle_load_storage(struct ko_pickle *p, struct ko_error *err);

/* The name and dtype of a storage type. False: the dtype is not supported. */
const char *ko_pickle_global_name(const struct ko_pickle_global *global);
bool ko_pickle_global_dtype(const struct ko_pickle_global *global, enum ko_dtype *dtype);

#endif
