/* SPDX-License-Identifier: Apache-2.0 */
/* The few globals that an unpickler of state dicts knows, and what they build. */
#ifndef KO_CHECKPOINT_TORCH_PICKLE_TORCH_H
#define KO_CHECKPOINT_TORCH_PICKLE_TORCH_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/error.h"
#include "src/checkpoint/mapped/tensor.h"
#include "src/checkpoint/torch/pickle_machine.h"

/* Pushes the global MODULE.NAME; one that is not known is refused by name. */
KO_MUST_CHECK enum ko_code ko_pickle_global(struct ko_pickle *p, const char *module,
                                            size_t n_module, const char *name, size_t n_name,
                                            struct ko_error *err);
/* The arguments on top and the global below them become what the global builds. */
KO_MUST_CHECK enum ko_code ko_pickle_reduce(struct ko_pickle *p, struct ko_error *err);
/* The state on top goes to the dictionary below it: a state dict's _metadata, of which nothing is
   kept. */
KO_MUST_CHECK enum ko_code ko_pickle_build(struct ko_pickle *p, struct ko_error *err);
/* The tuple ('storage', type, key, device, elements) on top becomes a storage. */
KO_MUST_CHECK enum ko_code ko_pickle_load_storage(struct ko_pickle *p, struct ko_error *err);

/* A storage type's name and dtype; false where the dtype is not read. */
const char *ko_pickle_global_name(const struct ko_pickle_global *global);
bool ko_pickle_global_dtype(const struct ko_pickle_global *global, enum ko_dtype *dtype);

#endif
