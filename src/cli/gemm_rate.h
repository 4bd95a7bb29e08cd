/* How fast this machine multiplies matrices of a model's shapes: a quick measurement. */
#ifndef KO_CLI_GEMM_RATE_H
#define KO_CLI_GEMM_RATE_H

#include <stdint.h>

#include "kernels/kernels.h"
#include "src/base/error.h"
#include "src/models/model.h"

/* Threads that a worker alone on this machine would have: OMP_NUM_THREADS, else the size of the
   affinity mask. */
int ko_threads_here(void);

/* FLOP/s of the matrix products of the model's first layer, for at most n_rows rows, measured for
   about `seconds` (at least one round after a first that warms up). Very large matrices are cut.
   KO_E_FAILED where the model has no matrix. */
KO_MUST_CHECK enum ko_code ko_gemm_rate(const struct ko_kernels *kernels, struct ko_backend *be,
                                        const struct ko_model *model, int32_t n_rows,
                                        double seconds, double *flops, struct ko_error *err);

#endif
