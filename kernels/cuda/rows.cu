/* SPDX-License-Identifier: Apache-2.0 */
// The wave on the device, and the operations that move rows.
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/device.cuh"

enum { THREADS = 256 };

enum ko_code ko_cuda_set_rows(struct ko_backend *be, const struct ko_rows *rows,
                              struct ko_error *err)
{
    enum ko_code code = ko_cuda_check(be, cudaSetDevice(be->device), "cudaSetDevice", err);
    if (code == KO_OK &&
        (rows->n_rows > be->limits.max_rows || rows->max_tokens > be->limits.max_tokens)) {
        code = ko_fail(err, KO_E_FAILED,
                       "GPU %d: a wave of %d rows of prompts of up to %d tokens, %d rows of %d are "
                       "reserved",
                       be->device, rows->n_rows, rows->max_tokens, be->limits.max_rows,
                       be->limits.max_tokens);
    }
    if (code == KO_OK) {
        code = ko_cuda_wait(be, err); // what still reads the wave before
    }
    size_t used = 0;
    if (code == KO_OK) {
        code = ko_cuda_tables_pack(&be->tables, rows, be->table_pinned, be->table_memory, &be->rows,
                                   &used, err);
    }
    if (code != KO_OK) {
        return code;
    }
    be->wave = rows;
    be->stage.used = 0;
    return ko_cuda_check(be,
                         cudaMemcpyAsync(be->table_memory, be->table_pinned, used,
                                         cudaMemcpyHostToDevice, be->stream),
                         "cudaMemcpyAsync", err);
}

template <typename T>
static __global__ void embed_rows(struct ko_cuda_rows rows, const T *tokens, const T *positions,
                                  int d, float *x)
{
    const int r = (int)blockIdx.x;
    const T *token = tokens + (size_t)rows.token[r] * (size_t)d;
    const T *position = positions ? positions + (size_t)rows.position[r] * (size_t)d : NULL;
    for (int k = (int)threadIdx.x; k < d; k += (int)blockDim.x) {
        x[(size_t)r * (size_t)d + (size_t)k] =
            to_float(token[k]) + (position ? to_float(position[k]) : 0.0F);
    }
}

enum ko_code ko_cuda_embed(struct ko_backend *be, const struct ko_embed *args, struct ko_error *err)
{
    const int d = args->tokens.n_in;
    const unsigned n = (unsigned)be->rows.n_trunk_rows;
    const void *t = args->tokens.data, *p = args->positions.data;
    if (n == 0) {
        return KO_OK;
    }
    if (args->tokens.type == KO_ELEMENT_BF16) {
        embed_rows<<<n, THREADS, 0, be->stream>>>(be->rows, (const __nv_bfloat16 *)t,
                                                  (const __nv_bfloat16 *)p, d, args->x);
    } else {
        embed_rows<<<n, THREADS, 0, be->stream>>>(be->rows, (const float *)t, (const float *)p, d,
                                                  args->x);
    }
    return ko_cuda_launched(be, "embed", err);
}

// to[k] = from[index[k]], a row a block; in place where to and from are the same and no row is
// both.
static __global__ void copy_rows(const float *from, size_t ld_from, const int32_t *index, int d,
                                 float *to, size_t ld_to)
{
    const float *source = from + (size_t)index[blockIdx.x] * ld_from;
    float *target = to + (size_t)blockIdx.x * ld_to;
    for (int k = (int)threadIdx.x; k < d; k += (int)blockDim.x) {
        target[k] = source[k];
    }
}

enum ko_code ko_cuda_branch_rows(struct ko_backend *be, const struct ko_branch_rows *args,
                                 struct ko_error *err)
{
    const size_t d = (size_t)args->d;
    if (args->n == 0) {
        return KO_OK;
    }
    copy_rows<<<(unsigned)args->n, THREADS, 0, be->stream>>>(
        args->x, d, be->rows.parent_row + args->first, args->d, args->x + (size_t)args->first * d,
        d);
    return ko_cuda_launched(be, "branch_rows", err);
}

enum ko_code ko_cuda_gather(struct ko_backend *be, const struct ko_gather *args,
                            struct ko_error *err)
{
    void *index = NULL;
    if (args->n == 0) {
        return KO_OK;
    }
    const enum ko_code code =
        ko_cuda_put(be, args->index, (size_t)args->n * sizeof *args->index, &index, err);
    if (code != KO_OK) {
        return code;
    }
    copy_rows<<<(unsigned)args->n, THREADS, 0, be->stream>>>(args->from, (size_t)args->ld_from,
                                                             (const int32_t *)index, args->d,
                                                             args->to, (size_t)args->ld_to);
    return ko_cuda_launched(be, "gather", err);
}
