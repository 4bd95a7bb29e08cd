/* SPDX-License-Identifier: Apache-2.0 */
/* Device memory: allocations for the caller, the scratch of the operations, and the stage through
   which small arrays of the host are copied. */
#include <stddef.h>
#include <string.h>

#include "kernels/cuda/cuda.h"
#include "src/base/memory.h"

enum ko_code ko_cuda_alloc(struct ko_backend *be, size_t bytes, void **out, struct ko_error *err)
{
    void *memory = NULL;
    enum ko_code code = ko_cuda_check(be, cudaSetDevice(be->device), "cudaSetDevice", err);
    if (code != KO_OK) {
        return code;
    }
    const cudaError_t result = cudaMalloc(&memory, bytes > 0 ? bytes : 1);
    if (result == cudaErrorMemoryAllocation) {
        size_t left = 0, total = 0;
        (void)cudaGetLastError();
        (void)cudaMemGetInfo(&left, &total);
        return ko_fail(err, KO_E_MEMORY,
                       "GPU %d (%s): no room for %.1f MiB, %.1f of %.1f MiB are free", be->device,
                       be->uuid, (double)bytes / 0x1p20, (double)left / 0x1p20,
                       (double)total / 0x1p20);
    }
    code = ko_cuda_check(be, result, "cudaMalloc", err);
    if (code == KO_OK) {
        *out = memory;
    }
    return code;
}

void ko_cuda_release(struct ko_backend *be, void *memory)
{
    if (memory) {
        (void)cudaSetDevice(be->device);
        (void)cudaFree(memory); /* waits for operations that use it */
    }
}

enum ko_code ko_cuda_wait(struct ko_backend *be, struct ko_error *err)
{
    return ko_cuda_check(be, cudaStreamSynchronize(be->stream), "an operation", err);
}

enum ko_code ko_cuda_upload(struct ko_backend *be, void *to, const void *from_host, size_t bytes,
                            struct ko_error *err)
{
    if (bytes == 0) {
        return KO_OK;
    }
    const enum ko_code code =
        ko_cuda_check(be, cudaMemcpyAsync(to, from_host, bytes, cudaMemcpyHostToDevice, be->stream),
                      "upload", err);
    return code == KO_OK ? ko_cuda_wait(be, err) : code;
}

enum ko_code ko_cuda_download(struct ko_backend *be, void *to_host, const void *from, size_t bytes,
                              struct ko_error *err)
{
    if (bytes == 0) {
        return ko_cuda_wait(be, err);
    }
    enum ko_code code =
        ko_cuda_check(be, cudaMemcpyAsync(to_host, from, bytes, cudaMemcpyDeviceToHost, be->stream),
                      "download", err);
    return code == KO_OK ? ko_cuda_wait(be, err) : code;
}

enum ko_code ko_cuda_put_room(struct ko_backend *be, size_t bytes, size_t n, struct ko_error *err)
{
    if (be->stage.used + bytes + 16 * n <= be->stage.bytes) {
        return KO_OK;
    }
    const enum ko_code code = ko_cuda_wait(be, err);
    be->stage.used = 0;
    return code;
}

size_t ko_cuda_tile_floats(int32_t max_rows)
{
    const size_t narrowest = (size_t)max_rows * KO_CUDA_NARROWEST_TILE;
    return narrowest > KO_CUDA_TILE_FLOATS ? narrowest : KO_CUDA_TILE_FLOATS;
}

enum ko_code ko_cuda_put(struct ko_backend *be, const void *host, size_t bytes, void **device,
                         struct ko_error *err)
{
    struct ko_cuda_stage *stage = &be->stage;
    const size_t padded = (bytes + 15) / 16 * 16;
    if (padded > stage->bytes) {
        return ko_fail(err, KO_E_FAILED, "GPU %d: %zu bytes of arguments, %zu are reserved",
                       be->device, bytes, stage->bytes);
    }
    if (stage->used + padded > stage->bytes) {
        const enum ko_code code = ko_cuda_wait(be, err);
        if (code != KO_OK) {
            return code;
        }
        stage->used = 0;
    }
    memcpy(stage->host + stage->used, host, bytes);
    *device = stage->device + stage->used;
    stage->used += padded;
    return ko_cuda_fetch(be, *device, stage->host + (stage->used - padded), bytes, err);
}

/* ----------------------------------------------------------------------------------------------
   scratch of the operations */

enum { METRICS_ROW_BYTES = 512 };

/* One block of memory. */
struct need {
    size_t member; /* offset in struct ko_backend of the pointer to it */
    size_t bytes;
    bool pinned; /* on the host, else on the device */
};

enum { N_NEEDS = 18 };

static size_t larger_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The chunks for which there is memory: a model has Mamba-2 where it has heads. */
static size_t n_chunks(const struct ko_limits *limits)
{
    const int32_t most = limits->n_heads > 0 ? KO_CUDA_MAMBA2_STATES : KO_CUDA_MAMBA1_STATES;
    if (limits->d_inner == 0 || limits->d_state > most) {
        return 0;
    }
    if (limits->n_heads > 0) {
        return ko_cuda_chunks_most(limits->max_rows, limits->max_tokens, KO_CUDA_MAMBA2_CHUNK,
                                   KO_CUDA_MAMBA2_FROM);
    }
    return ko_cuda_chunks_most(limits->max_rows, limits->max_tokens, KO_CUDA_MAMBA1_CHUNK,
                               KO_CUDA_MAMBA1_FROM);
}

static void **pointer_of(struct ko_backend *be, const struct need *need)
{
    return (void **)(void *)((unsigned char *)be + need->member);
}

static size_t n_scored(const struct ko_limits *limits)
{
    return (size_t)(limits->max_scored > limits->max_rows ? limits->max_scored : limits->max_rows);
}

static size_t stage_bytes(const struct ko_limits *limits)
{
    return n_scored(limits) * KO_CUDA_STAGE_BYTES_A_ROW + 4096;
}

static void list_needs(enum ko_precision precision, const struct ko_limits *limits,
                       struct need need[N_NEEDS])
{
    const size_t rows = (size_t)limits->max_rows, heads = (size_t)limits->n_heads;
    const size_t keys = (size_t)ko_cuda_score_keys(limits->max_tokens);
    const size_t scores = rows * (size_t)limits->n_groups * keys;
    const size_t chunks = n_chunks(limits);
    const size_t state = (size_t)limits->d_inner * (size_t)limits->d_state * sizeof(float);
    const size_t steps =
        larger_size((size_t)limits->d_inner * sizeof(float), heads * sizeof(double));
    const size_t tables =
        ko_cuda_tables_bytes(limits->max_rows, limits->max_tokens, limits->n_stages);
    const size_t stage = stage_bytes(limits), scored = n_scored(limits);
    const size_t parts = precision == KO_BF16X3 ? 2 : precision == KO_BFLOAT16 ? 1 : 0;
    const size_t narrow = parts * rows * (size_t)limits->max_in * sizeof(uint16_t);
    const size_t tile = ko_cuda_tile_floats(limits->max_rows);
#define MEMBER(name) offsetof(struct ko_backend, name)
    const struct need all[N_NEEDS] = {
        {MEMBER(scratch.workspace), KO_CUDA_WORKSPACE_BYTES, false},
        {MEMBER(scratch.narrow), narrow, false},
        {MEMBER(scratch.step), rows * heads * sizeof(float), false},
        {MEMBER(scratch.step_sum), rows * heads * sizeof(double), false},
        {MEMBER(scratch.score), scores * sizeof(float), false},
        {MEMBER(scratch.chunk_input), chunks * state, false},
        {MEMBER(scratch.chunk_state), chunks * state, false},
        {MEMBER(scratch.chunk_step), chunks * steps, false},
        {MEMBER(scratch.tile), tile * sizeof(float), false},
        {MEMBER(scratch.metrics_rows), scored * METRICS_ROW_BYTES, false},
        {MEMBER(scratch.metrics), scored * sizeof(struct ko_metrics), false},
        {MEMBER(scratch.flag), sizeof(int32_t), false},
        {MEMBER(stage.device), stage, false},
        {MEMBER(stage.host), stage, true},
        {MEMBER(table_memory), tables, false},
        {MEMBER(table_pinned), tables, true},
        {MEMBER(metrics), scored * sizeof(struct ko_metrics), true},
        {MEMBER(flag), sizeof(int32_t), true},
    };
#undef MEMBER
    memcpy(need, all, sizeof all);
}

size_t ko_cuda_reserved_bytes(enum ko_precision precision, const struct ko_limits *limits)
{
    struct need need[N_NEEDS];
    size_t bytes = 2 * (size_t)KO_IMPORT_LANES * KO_CUDA_IMPORT_BYTES;
    list_needs(precision, limits, need);
    for (int k = 0; k < N_NEEDS; k++) {
        bytes += need[k].pinned ? 0 : need[k].bytes;
    }
    return bytes;
}

void ko_cuda_unreserve(struct ko_backend *be)
{
    struct need need[N_NEEDS];
    list_needs(be->precision, &be->limits, need);
    (void)cudaSetDevice(be->device);
    (void)cudaStreamSynchronize(be->stream);
    for (int k = 0; k < N_NEEDS; k++) {
        void **memory = pointer_of(be, &need[k]);
        if (*memory && need[k].pinned) {
            (void)cudaFreeHost(*memory);
        } else if (*memory) {
            (void)cudaFree(*memory);
        }
        *memory = NULL;
    }
    be->limits = (struct ko_limits){0};
    be->stage.bytes = be->stage.used = be->table_bytes = 0;
}

enum ko_code ko_cuda_reserve(struct ko_backend *be, const struct ko_limits *limits,
                             struct ko_error *err)
{
    struct need need[N_NEEDS];
    enum ko_code code = KO_OK;
    ko_cuda_unreserve(be);
    list_needs(be->precision, limits, need);
    for (int k = 0; code == KO_OK && k < N_NEEDS; k++) {
        if (need[k].bytes == 0) {
            continue;
        }
        void **memory = pointer_of(be, &need[k]);
        code = need[k].pinned ? ko_cuda_check(be, cudaMallocHost(memory, need[k].bytes),
                                              "pinned memory of the host", err)
                              : ko_cuda_alloc(be, need[k].bytes, memory, err);
    }
    if (code != KO_OK) {
        ko_cuda_unreserve(be);
        return ko_fail_in(err, "memory for waves of %d rows", limits->max_rows);
    }
    be->limits = *limits;
    be->limits.max_scored = (int32_t)n_scored(limits);
    be->stage.bytes = stage_bytes(limits);
    be->table_bytes = ko_cuda_tables_bytes(limits->max_rows, limits->max_tokens, limits->n_stages);
    return KO_OK;
}
