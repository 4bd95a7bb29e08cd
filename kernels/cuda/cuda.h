/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the CUDA backend share. Host code is C; kernels are in the .cu files. All work
   goes to one stream, in order, and the host waits only where it needs a result. Which block
   computes a row never changes its result. */
#ifndef KO_KERNELS_CUDA_CUDA_H
#define KO_KERNELS_CUDA_CUDA_H

#include <cublasLt.h>
#include <cuda_runtime.h>

#include "kernels/cuda/tables.h"
#include "kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ko_cuda_algorithms;

/* Device memory that `reserve` allocates for the operations. */
struct ko_cuda_scratch {
    void *workspace;            /* cuBLAS's */
    void *narrow;               /* [max_rows, max_in] bfloat16: a product's x at that precision;
                                   in bf16x3 [max_rows, 2 max_in]: low parts, then high parts */
    float *step;                /* [max_rows, n_heads] Mamba-2's delta */
    double *step_sum;           /* [max_rows, n_heads] sum of delta along the path, up to the row */
    float *score;               /* [max_rows, n_groups, ko_cuda_score_keys] C[i] . B[j] */
    float *chunk_input;         /* [chunks, d_inner * d_state] what the rows of a chunk of a long
                                   trunk add to the state */
    float *chunk_state;         /* the same of the state before the chunk */
    double *chunk_step;         /* [chunks, d_inner floats or n_heads doubles] sum of delta over the
                                   chunk */
    float *tile;                /* [ko_cuda_tile_floats] logits */
    void *metrics_rows;         /* [max_scored] running metrics */
    struct ko_metrics *metrics; /* [max_scored] */
    int32_t *flag;              /* one number */
};

/* Pinned memory and its mirror on the device, through which small arrays of the host are copied. */
struct ko_cuda_stage {
    unsigned char *host, *device;
    size_t bytes, used;
};

/* Two buffers: one is filled while the other is copied. */
struct ko_cuda_import_lane {
    unsigned char *host[2]; /* pinned, KO_CUDA_IMPORT_BYTES each */
    unsigned char *device[2];
    cudaEvent_t done[2]; /* after the latest use of the buffer */
    int next;
};

struct ko_backend {
    int device;
    enum ko_precision precision;
    cudaStream_t stream;
    cublasLtHandle_t blas;
    struct ko_cuda_algorithms *algorithms; /* owned */
    struct ko_limits limits;               /* of the latest reserve; max_rows 0: none yet */
    struct ko_cuda_scratch scratch;
    struct ko_cuda_stage stage;
    const struct ko_rows *wave;   /* of the latest set_rows; borrowed, host */
    struct ko_cuda_rows rows;     /* the wave as device pointers into table_memory */
    struct ko_cuda_tables tables; /* packs the wave; owned */
    unsigned char *table_memory;  /* the packed wave on the device */
    unsigned char *table_pinned;  /* and on the host */
    size_t table_bytes;           /* size of each of the two */
    struct ko_metrics *metrics;   /* [max_scored] pinned */
    int32_t *flag;                /* pinned */
    struct ko_cuda_import_lane import_lane[KO_IMPORT_LANES];
    unsigned long long *import_bad; /* device: smallest number of an element that is not finite */
    char name[256];                 /* of the GPU */
    char uuid[64];
};

enum {
    KO_CUDA_IMPORT_BYTES = 2 << 20, /* of each buffer of an import's lane */
    KO_CUDA_WORKSPACE_BYTES = 64 << 20,
    KO_CUDA_TILE_FLOATS = 48 << 20, /* most logits in a tile ... */
    KO_CUDA_NARROWEST_TILE = 256,   /* ... but a tile has at least this many tokens */
    KO_CUDA_STAGE_BYTES_A_ROW = 32
};

/* Maps a status of CUDA or cuBLAS to enum ko_code: KO_E_MEMORY where memory is short, else
   KO_E_FAILED. The text names the GPU and quotes the library. */
KO_MUST_CHECK enum ko_code ko_cuda_check(const struct ko_backend *be, cudaError_t result,
                                         const char *what, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cublas_check(const struct ko_backend *be, cublasStatus_t result,
                                           const char *what, struct ko_error *err);
/* The status of the kernel launches so far. */
KO_MUST_CHECK enum ko_code ko_cuda_launched(const struct ko_backend *be, const char *what,
                                            struct ko_error *err);

/* Copies `bytes` bytes of pinned memory of the host to the device, in the stream's order. A kernel
   reads them. A copy would wait for weights that stream: up to 64 MiB of them are queued (copier.c).
   Both addresses are multiples of 16. */
KO_MUST_CHECK enum ko_code ko_cuda_fetch(struct ko_backend *be, void *to, const void *from,
                                         size_t bytes, struct ko_error *err);

/* Copies `bytes` bytes of the host to the device, in the stream's order. *device is valid until the
   next set_rows, or until the stage is full: then this waits and overwrites the stage. */
KO_MUST_CHECK enum ko_code ko_cuda_put(struct ko_backend *be, const void *host, size_t bytes,
                                       void **device, struct ko_error *err);

/* Ensures that the next `n` puts, of `bytes` bytes in all, are valid together. */
KO_MUST_CHECK enum ko_code ko_cuda_put_room(struct ko_backend *be, size_t bytes, size_t n,
                                            struct ko_error *err);

/* Keys of a row in scratch.score. */
static inline int32_t ko_cuda_score_keys(int32_t max_tokens)
{
    return max_tokens < KO_CUDA_MAMBA2_FROM ? max_tokens : KO_CUDA_MAMBA2_FROM;
}

/* Size of scratch.tile. */
size_t ko_cuda_tile_floats(int32_t max_rows);

/* ---- products.c */

KO_MUST_CHECK enum ko_code ko_cuda_algorithms_new(struct ko_cuda_algorithms **out,
                                                  struct ko_error *err);
void ko_cuda_algorithms_free(struct ko_cuda_algorithms *algorithms);

/* The product of `args` for only the outputs [first, first + n_out) of its matrix. y and bias begin
   at output `first`. x is float32; it is rounded to the matrix's type where that is narrower, and
   split in bf16x3. */
KO_MUST_CHECK enum ko_code ko_cuda_product(struct ko_backend *be, const struct ko_linear *args,
                                           int32_t first, int32_t n_out, struct ko_error *err);

/* ---- convert.cu */

/* scratch.narrow [n, n_in] = x [n, n_in] of a product, as contiguous bfloat16. */
KO_MUST_CHECK enum ko_code ko_cuda_narrow(struct ko_backend *be, const struct ko_linear *args,
                                          struct ko_error *err);

/* scratch.narrow [n, 2 n_in] = the low parts of a row of x [n, n_in], then its high parts. */
KO_MUST_CHECK enum ko_code ko_cuda_split(struct ko_backend *be, const struct ko_linear *args,
                                         struct ko_error *err);

/* Converts numbers that are in device memory already. `checked` also lowers *import_bad to
   args->number + k if number k is not finite. */
KO_MUST_CHECK enum ko_code ko_cuda_convert(struct ko_backend *be, const struct ko_import *args,
                                           struct ko_error *err);
KO_MUST_CHECK enum ko_code
ko_cuda_convert_checked(struct ko_backend *be, const struct ko_import *args, struct ko_error *err);

/* ---- memory.c, import.c and copier.c: members of struct ko_kernels, and how to free what they
   allocate */

KO_MUST_CHECK enum ko_code ko_cuda_alloc(struct ko_backend *be, size_t bytes, void **out,
                                         struct ko_error *err);
void ko_cuda_release(struct ko_backend *be, void *memory);
KO_MUST_CHECK enum ko_code ko_cuda_upload(struct ko_backend *be, void *to, const void *from_host,
                                          size_t bytes, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cuda_download(struct ko_backend *be, void *to_host, const void *from,
                                            size_t bytes, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cuda_wait(struct ko_backend *be, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cuda_import(struct ko_backend *be, const struct ko_import *args,
                                          struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cuda_import_end(struct ko_backend *be, int64_t *bad,
                                              struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cuda_import_open(struct ko_backend *be, struct ko_error *err);
void ko_cuda_import_free(struct ko_backend *be);
KO_MUST_CHECK enum ko_code ko_cuda_copier_open(struct ko_backend *be, int n_lanes,
                                               size_t piece_bytes, struct ko_copier **out,
                                               struct ko_error *err);
size_t ko_cuda_reserved_bytes(enum ko_precision precision, const struct ko_limits *limits);
KO_MUST_CHECK enum ko_code ko_cuda_reserve(struct ko_backend *be, const struct ko_limits *limits,
                                           struct ko_error *err);
void ko_cuda_unreserve(struct ko_backend *be);

/* ---- the operations: ko_cuda_embed and the others, as in operations.h */

enum ko_code ko_cuda_set_rows(struct ko_backend *be, const struct ko_rows *rows,
                              struct ko_error *err);
#define KO_DECLARE(name, args)                                                                     \
    enum ko_code ko_cuda_##name(struct ko_backend *be, const struct args *args,                    \
                                struct ko_error *err);
KO_OPERATIONS(KO_DECLARE)
#undef KO_DECLARE

#ifdef __cplusplus
}
#endif

#endif
