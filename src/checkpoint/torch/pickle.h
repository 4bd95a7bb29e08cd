/* SPDX-License-Identifier: Apache-2.0 */
/* The opcodes of a pickle of protocol 2, which torch.save writes. */
#ifndef KO_CHECKPOINT_TORCH_PICKLE_H
#define KO_CHECKPOINT_TORCH_PICKLE_H

#include "src/base/error.h"
#include "src/checkpoint/torch/pickle_machine.h"

/* Runs the pickle p->bytes up to its STOP, after which nothing may follow. *top: its single result.
   Refuses an unknown opcode by name. */
KO_MUST_CHECK enum ko_code ko_pickle_run(struct ko_pickle *p, struct ko_pickle_value *top,
                                         struct ko_error *err);

#endif
