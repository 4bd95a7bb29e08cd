/* SPDX-License-Identifier: Apache-2.0 */
// Copies the wave to the device, and has the operations that move rows.
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/device.cuh"

enum { THREADS = 256 };

// n blocks of 16 bytes, and the bytes of an incomplete one.
static __global__ void fetch_bytes(uint4 *to, const uint4 *from, size_t n, int rest)
{
    const size_t k = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (k < n) {
        to[k] = from[k];
    } else if (k == n) {
        for (int b = 0; b < rest; b++) {
            ((unsigned char *)(to + n))[b] = ((const unsigned char *)(from + n))[b];
        }
    }
}

enum ko_code ko_cuda_fetch(struct ko_backend *be, void *to, const void *from, size_t bytes,
                           struct ko_error *err)
{
    const size_t n = bytes / 16;
    if (bytes == 0) {
        return KO_OK;
    }
    fetch_bytes<<<blocks_for(n + 1, THREADS), THREADS, 0, be->stream>>>(
        (uint4 *)to, (const uint4 *)from, n, (int)(bytes % 16));
    return ko_cuda_launched(be, "fetch", err);
}

enum ko_code ko_cuda_set_rows(struct ko_backend *be, const struct ko_rows *rows,
                              struct ko_error *err)
{
    enum ko_code code = ko_cuda_check(be, cudaSetDevice(be->device), "cudaSetDevice", err);
    if (code != KO_OK) {
        return code;
    }
    if (rows->n_rows > be->limits.max_rows || rows->max_tokens > be->limits.max_tokens) {
        return ko_fail(err, KO_E_FAILED,
                       "GPU %d: a wave of %d rows of prompts of up to %d tokens, %d rows of %d are "
                       "reserved",
                       be->device, rows->n_rows, rows->max_tokens, be->limits.max_rows,
                       be->limits.max_tokens);
    }
    code = ko_cuda_wait(be, err); // operations may still read the previous wave
    if (code != KO_OK) {
        return code;
    }
    struct ko_cuda_block block = {be->table_pinned, be->table_memory, 0};
    code = ko_cuda_tables_pack(&be->tables, rows, &block, &be->rows, err);
    if (code != KO_OK) {
        return code;
    }
    be->wave = rows;
    be->stage.used = 0;
    return ko_cuda_fetch(be, be->table_memory, be->table_pinned, block.used, err);
}

// Number [row, k] of a table. In two parts, a row has its high parts first.
static __device__ __forceinline__ float number_at(const struct ko_matrix &table, int row, int k)
{
    const __nv_bfloat16 *narrow = (const __nv_bfloat16 *)table.data;
    if (table.type == KO_ELEMENT_F32) {
        return ((const float *)table.data)[ko_at(row, table.n_in, k)];
    }
    if (table.type == KO_ELEMENT_BF16) {
        return to_float(narrow[ko_at(row, table.n_in, k)]);
    }
    narrow += ko_at(row, 2 * table.n_in, k);
    return to_float(narrow[0]) + to_float(narrow[table.n_in]);
}

static __global__ void embed_rows(struct ko_cuda_rows rows, struct ko_embed a)
{
    const int r = (int)blockIdx.x, d = a.tokens.data ? a.tokens.n_in : a.positions.n_in;
    const int at = a.first_position + rows.position[r];
    for (int k = (int)threadIdx.x; k < d; k += (int)blockDim.x) {
        const float place = a.positions.data ? number_at(a.positions, at, k) : 0.0F;
        a.x[ko_at(r, d, k)] =
            a.tokens.data ? fmaf(a.scale, number_at(a.tokens, rows.token[r], k), place) : place;
    }
}

enum ko_code ko_cuda_embed(struct ko_backend *be, const struct ko_embed *args, struct ko_error *err)
{
    const unsigned n = (unsigned)be->rows.n_embedded;
    if (n == 0) {
        return KO_OK;
    }
    embed_rows<<<n, THREADS, 0, be->stream>>>(be->rows, *args);
    return ko_cuda_launched(be, "embed", err);
}

// to[k] = from[index[k]], where k is the block. `to` and `from` may be one array if no row is both
// read and written.
static __global__ void copy_rows(const float *from, int ld_from, const int32_t *index, int d,
                                 float *to, int ld_to)
{
    const float *source = from + ko_at(index[blockIdx.x], ld_from, 0);
    float *target = to + ko_at((int)blockIdx.x, ld_to, 0);
    for (int k = (int)threadIdx.x; k < d; k += (int)blockDim.x) {
        target[k] = source[k];
    }
}

enum ko_code ko_cuda_branch_rows(struct ko_backend *be, const struct ko_branch_rows *args,
                                 struct ko_error *err)
{
    const int d = args->d;
    if (args->n == 0) {
        return KO_OK;
    }
    copy_rows<<<(unsigned)args->n, THREADS, 0, be->stream>>>(
        args->x, d, be->rows.parent_row + args->first, d, args->x + ko_at(args->first, d, 0), d);
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
    copy_rows<<<(unsigned)args->n, THREADS, 0, be->stream>>>(
        args->from, args->ld_from, (const int32_t *)index, args->d, args->to, args->ld_to);
    return ko_cuda_launched(be, "gather", err);
}

// to[row[k], column[k] + c] = from[k, c], or 0, where k is the block.
static __global__ void scatter_rows(struct ko_scatter a)
{
    const int k = (int)blockIdx.x;
    float *target = a.to + ko_at(a.row[k], a.ld_to, a.column[k]);
    for (int c = (int)threadIdx.x; c < a.d; c += (int)blockDim.x) {
        target[c] = a.from ? a.from[ko_at(k, a.ld_from, c)] : 0.0F;
    }
}

enum ko_code ko_cuda_scatter(struct ko_backend *be, const struct ko_scatter *args,
                             struct ko_error *err)
{
    void *row = NULL, *column = NULL;
    const size_t bytes = (size_t)args->n * sizeof *args->row;
    if (args->n == 0) {
        return KO_OK;
    }
    // Both lists must be there at the same time.
    enum ko_code code = ko_cuda_put_room(be, 2 * bytes, 2, err);
    if (code == KO_OK) {
        code = ko_cuda_put(be, args->row, bytes, &row, err);
    }
    if (code == KO_OK) {
        code = ko_cuda_put(be, args->column, bytes, &column, err);
    }
    if (code != KO_OK) {
        return code;
    }
    struct ko_scatter there = *args;
    there.row = (const int32_t *)row;
    there.column = (const int32_t *)column;
    scatter_rows<<<(unsigned)args->n, THREADS, 0, be->stream>>>(there);
    return ko_cuda_launched(be, "scatter", err);
}

// A thread copies one number; k counts the row's heads and their numbers.
static __global__ void copy_parts(struct ko_copy_heads a)
{
    const int k = (int)(blockIdx.y * THREADS + threadIdx.x), head = k / a.d, at = k % a.d;
    if (head < a.n_heads) {
        a.to[ko_at((int)blockIdx.x, a.ld_to, head * a.stride_to + at)] =
            a.from[ko_at((int)blockIdx.x, a.ld_from, head * a.stride_from + at)];
    }
}

enum ko_code ko_cuda_copy_heads(struct ko_backend *be, const struct ko_copy_heads *args,
                                struct ko_error *err)
{
    const size_t width = (size_t)args->n_heads * (size_t)args->d;
    if (args->n == 0 || width == 0) {
        return KO_OK;
    }
    const dim3 grid((unsigned)args->n, blocks_for(width, THREADS));
    copy_parts<<<grid, THREADS, 0, be->stream>>>(*args);
    return ko_cuda_launched(be, "copy_heads", err);
}
