/* SPDX-License-Identifier: Apache-2.0 */
/* The means that ~mean puts in the place of components. */
#ifndef KO_MPI_WORKER_MEANS_H
#define KO_MPI_WORKER_MEANS_H

#include "mpi/worker.h"

/* Gives the bound model its means: those that the cube has, or those that the workers compute
   together and write into it. Nothing for a plan without ~mean. Collective over the workers; errors
   are agreed on, except in a collective write, which sets world->broken. */
KO_MUST_CHECK enum ko_code ko_worker_load_means(struct ko_worker *worker, int32_t model,
                                                struct ko_error *err);

#endif
