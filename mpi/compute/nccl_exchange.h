/* SPDX-License-Identifier: Apache-2.0 */
/* The exchange between GPUs, by NCCL broadcasts. No other file uses NCCL. */
#ifndef KO_MPI_COMPUTE_NCCL_EXCHANGE_H
#define KO_MPI_COMPUTE_NCCL_EXCHANGE_H

#include "mpi/compute/exchange.h"
#include "src/base/error.h"

enum { KO_NCCL_ID_BYTES = 128 };

/* KO_E_INPUT in a build without NCCL: several workers on GPUs cannot run. */
KO_MUST_CHECK enum ko_code ko_nccl_available(struct ko_error *err);

/* Makes the id of an exchange. One worker makes it and sends it to all. */
KO_MUST_CHECK enum ko_code ko_nccl_make_id(unsigned char id[KO_NCCL_ID_BYTES],
                                           struct ko_error *err);
/* Collective over the workers, in the compute thread, which from then on uses that device. A
   failure cannot be agreed on: the others wait for at most a minute. Close with
   (*out)->close. */
KO_MUST_CHECK enum ko_code ko_nccl_exchange_open(const unsigned char id[KO_NCCL_ID_BYTES],
                                                 int worker, int n_workers, int device,
                                                 struct ko_exchange **out, struct ko_error *err);

#endif
