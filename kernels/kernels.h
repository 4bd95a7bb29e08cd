/* SPDX-License-Identifier: Apache-2.0 */
/* A compute backend: how it is opened and closed, its memory, and the operations (operations.h)
   over the rows of one wave (rows.h). */
#ifndef KO_KERNELS_KERNELS_H
#define KO_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/operations.h"
#include "kernels/rows.h"
#include "src/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How matrix products are computed. bf16x3 splits both operands in two bfloat16 parts
   (kernels/split.h) and adds high times high, high times low, and low times high. */
enum ko_precision { KO_FLOAT32, KO_BF16X3, KO_TF32, KO_BFLOAT16 };

struct ko_backend_config {
    int threads; /* cpu: OpenMP and BLAS threads */
    int device;  /* cuda: index among the GPUs that this process sees */
    enum ko_precision precision;
};

struct ko_backend; /* one per process and backend; not thread-safe */

/* The largest sizes in a model's waves. Fields that a family does not use are 0. */
struct ko_limits {
    int32_t max_rows;          /* rows of a wave */
    int32_t max_scored;        /* tokens that a wave scores; below max_rows it counts as max_rows */
    int32_t max_tokens;        /* T of a prompt */
    int32_t max_in;            /* n_in of a matrix */
    int32_t n_heads, n_groups; /* Mamba-2's */
    int32_t d_inner, d_state;  /* Mamba-1's and Mamba-2's */
    int32_t vocabulary;
    int32_t n_stages; /* of the model, if branches name their stages (struct ko_branch) */
};

/* What attention works on in a wave. */
struct ko_attention_load {
    int32_t n_kv_heads, d_head;        /* the most of any layer; 0: the model has no attention */
    int32_t max_tokens;                /* of a prompt */
    int32_t n_prompts, n_rows;         /* rows of trunks and branches */
    int32_t n_branches, n_branch_rows; /* with all forks, and the rows of their own */
    int32_t n_shared_rows;             /* ko_branch.n_shared, added up over all forks */
    int32_t longest_path;              /* the most rows of ko_branch_path */
};

/* Numbers of a matrix on their way into backend memory. */
struct ko_import {
    void *to;             /* the matrix */
    enum ko_element type; /* of the matrix: not F16 */
    size_t first;         /* its number that the first one becomes */
    size_t run;           /* ko_matrix_run; only BF16X2 reads it */
    const void *from;     /* [n] host memory, perhaps unaligned */
    enum ko_element from_type;
    size_t n;
    int lane;       /* [0, KO_IMPORT_LANES) */
    int64_t number; /* of the first one among all that are imported, for `import_end` */
};
/* Threads that may import at once. */
enum { KO_IMPORT_LANES = 8 };

/* Copies weights from host memory into backend memory beside the operations, for weights that stream
   (src/forward/layer_stream.h). Threads copy in lanes of their own, into one of the slots
   [0, KO_COPIER_MOST_SLOTS) at a time:

     a thread that loads:  begin(slot); in every lane buffer, fill it, send, ...; end(slot)
     the backend's thread: take(slot); operations that read the slot; leave(slot)

   The caller makes sure that `take` follows `end` of the same slot, and `begin` follows `leave`, and
   that no two calls for one lane run at once. Copies into a slot wait for the operations before its
   latest `leave`; operations after `take` wait for the copies before the slot's latest `end`. */
struct ko_copier {
    /* *host: memory of the lane [piece_bytes] for the next `send`. Waits until it is free. */
    enum ko_code (*buffer)(struct ko_copier *copier, int lane, void **host, struct ko_error *err);
    /* Copies the first `bytes` of the lane's latest buffer to backend memory. Does not wait. */
    enum ko_code (*send)(struct ko_copier *copier, int lane, void *to, size_t bytes,
                         struct ko_error *err);
    enum ko_code (*begin)(struct ko_copier *copier, int slot, struct ko_error *err);
    enum ko_code (*end)(struct ko_copier *copier, int slot, struct ko_error *err);
    enum ko_code (*take)(struct ko_copier *copier, int slot, struct ko_error *err);
    enum ko_code (*leave)(struct ko_copier *copier, int slot, struct ko_error *err);
    /* Waits for all copies and frees the copier. In the backend's thread. */
    void (*close)(struct ko_copier *copier);
};
enum { KO_COPIER_MOST_SLOTS = 4 };

struct ko_kernels {
    const char *name; /* "plain", "cpu", "cuda" */
    bool own_memory;  /* backend memory is not host memory, so host memory must be uploaded */

    /* ---- REQUIRED */

    /* KO_E_INPUT where the backend does not offer the precision. */
    enum ko_code (*open)(const struct ko_backend_config *config, struct ko_backend **out,
                         struct ko_error *err);
    void (*close)(struct ko_backend *be);
    /* Writes "OpenBLAS SkylakeX, 2 threads, x86-64-v4" into text [n]. */
    void (*describe)(const struct ko_backend *be, char *text, size_t n);

    enum ko_code (*alloc)(struct ko_backend *be, size_t bytes, void **out, struct ko_error *err);
    void (*release)(struct ko_backend *be, void *memory);
    enum ko_code (*upload)(struct ko_backend *be, void *to, const void *from_host, size_t bytes,
                           struct ko_error *err);
    enum ko_code (*download)(struct ko_backend *be, void *to_host, const void *from, size_t bytes,
                             struct ko_error *err);

    /* Waits until all operations so far are done, and returns the errors of asynchronous ones. */
    enum ko_code (*wait)(struct ko_backend *be, struct ko_error *err);

    /* Sets the wave of the following operations. rows: host memory, borrowed until the next call. */
    enum ko_code (*set_rows)(struct ko_backend *be, const struct ko_rows *rows,
                             struct ko_error *err);

#define KO_OPERATION_MEMBER(name, args)                                                            \
    enum ko_code (*name)(struct ko_backend * be, const struct args *args, struct ko_error *err);
    KO_OPERATIONS(KO_OPERATION_MEMBER)
#undef KO_OPERATION_MEMBER

    /* ---- OPTIONAL, else NULL */

    /* Bytes of host memory that attention takes beside its arguments, at most, where the long branches
       of a wave are alike and its prompts have as many branches each. */
    size_t (*attention_bytes)(const struct ko_attention_load *load, int threads);

    /* ---- REQUIRED with own_memory, else NULL */

    /* The type of matrices in backend memory at this precision. Where it is BF16X2, a matrix that is
       exactly bfloat16 has the type BF16: its low parts would be 0. */
    enum ko_element (*matrix_type)(enum ko_precision precision);
    /* Bytes of backend memory that `reserve` allocates for these limits, with the libraries'. */
    size_t (*reserved_bytes)(enum ko_precision precision, const struct ko_limits *limits);
    /* Allocates the memory that the operations need beside their arguments. It is called once for
       each model, so that operations need not allocate. Frees what an earlier call allocated. */
    enum ko_code (*reserve)(struct ko_backend *be, const struct ko_limits *limits,
                            struct ko_error *err);
    /* Converts the numbers. The caller may reuse their memory when this returns. Checks that all
       are finite, before and after their conversion. Threads may call it at once, each with a lane
       of its own. */
    enum ko_code (*import)(struct ko_backend *be, const struct ko_import *args,
                           struct ko_error *err);
    /* Waits for the imports since the last call. *bad: the smallest `number` of an element that is
       not finite; -1: all are finite. */
    enum ko_code (*import_end)(struct ko_backend *be, int64_t *bad, struct ko_error *err);
    /* Like `import`, but `from` is backend memory, aligned for its type: an operation that does not
       wait. The numbers are known to be finite. */
    enum ko_code (*convert)(struct ko_backend *be, const struct ko_import *args,
                            struct ko_error *err);
    /* n_lanes > 0; each has memory of the host for two pieces. Close with (*out)->close, before the
       backend is closed. */
    enum ko_code (*copier_open)(struct ko_backend *be, int n_lanes, size_t piece_bytes,
                                struct ko_copier **out, struct ko_error *err);
};

/* Plain loops on libm and one thread, with every formula as the papers write it. The other backends
   are compared with it. */
extern const struct ko_kernels ko_kernels_plain;
/* OpenBLAS and OpenMP. */
extern const struct ko_kernels ko_kernels_cpu;
/* cuBLAS and CUDA; only in builds with KNOCKOUT_CUDA. */
extern const struct ko_kernels ko_kernels_cuda;

#ifdef __cplusplus
}
#endif

#endif
