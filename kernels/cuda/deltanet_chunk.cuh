/* SPDX-License-Identifier: Apache-2.0 */
/* The gated delta rule over a long trunk in chunks, where a head has one decay (Yang et al. 2024,
   Parallelizing Linear Transformers with the Delta Rule over Sequence Length, and 2025, Gated
   DeltaNet; transformers' torch_chunk_gated_delta_rule). D(j, i) is the product of the decays of the
   rows j + 1 to i, and F(i) that of the chunk's rows up to i. With the state S before the chunk:

     u(i)   = beta(i) (v(i) - F(i) S^T k(i) - sum_{j < i} D(j, i) (k(i) . k(j)) u(j))
     out(i) = F(i) S^T q(i) + sum_{j <= i} D(j, i) (q(i) . k(j)) u(j)
     S     <- F(last) S + sum_j D(j, last) k(j) u(j)^T

   Only the sums over u(j) go row by row. All other sums of a chunk do not wait for each other. The
   products D and F are multiplied from the decays. Differences of cumulated logarithms would cancel
   after a strong decay, and quotients would be 0 / 0. */
#ifndef KO_KERNELS_CUDA_DELTANET_CHUNK_CUH
#define KO_KERNELS_CUDA_DELTANET_CHUNK_CUH

#include "kernels/cuda/device.cuh"
#include "kernels/operations.h"

/* LANES neighbouring threads share some columns of the state. A warp reads FETCHED rows of a chunk.
   CHUNK is short, since the products of its rows with each other grow with its square. */
enum { WARPS = 4, THREADS = 32 * WARPS, LANES = 8, CHUNK = 16, FETCHED = CHUNK / WARPS };

/* Trunks of fewer rows are walked row by row. */
enum { CHUNKED_FROM = 64 };

/* A thread holds R keys of MINE columns. The pitches are those of the chunk's products and of its
   columns in shared memory, where threads that store sums meet few of the same banks. */
enum { MINE = 4, COLUMNS = MINE * THREADS / LANES, PITCH = CHUNK + 4, WIDE_PITCH = COLUMNS + 8 };

/* What a block has in shared memory. Chunks take turns in the buffers of the rows. */
template <int R> struct chunk {
    float4 q[2][CHUNK][LANES * R / 4], k[2][CHUNK][LANES * R / 4];
    float beta[2][CHUNK], decay[2][CHUNK];
    float erase[CHUNK][PITCH];  /* [j][i] beta(i) D(j, i) (k(i) . k(j)); j >= i: 0 */
    float read[CHUNK][PITCH];   /* [j][i] D(j, i) (q(i) . k(j)); j > i: 0 */
    float u[CHUNK][WIDE_PITCH]; /* v(i), then u(i) without the sum over j, then u(i) */
    float y[CHUNK][WIDE_PITCH]; /* F(i) S^T q(i) */
};

/* The sums over the LANES threads of what each of them has in x. Thread l of them gets two: those of
   row l / 2 in the columns 2 (l % 2) and 2 (l % 2) + 1. */
static __device__ __forceinline__ void scatter_sums(const float (&x)[4][4], float (&sum)[2])
{
    const int lane = (int)threadIdx.x % LANES;
    float half[2][4], line[4];
#pragma unroll
    for (int n = 0; n < 8; n++) {
        const float top = x[n / 4][n % 4], bottom = x[n / 4 + 2][n % 4];
        half[n / 4][n % 4] = ((lane & 4) ? bottom : top) +
                             __shfl_xor_sync(0xFFFFFFFFU, (lane & 4) ? top : bottom, 4);
    }
#pragma unroll
    for (int n = 0; n < 4; n++) {
        line[n] = ((lane & 2) ? half[1][n] : half[0][n]) +
                  __shfl_xor_sync(0xFFFFFFFFU, (lane & 2) ? half[0][n] : half[1][n], 2);
    }
#pragma unroll
    for (int n = 0; n < 2; n++) {
        sum[n] = ((lane & 1) ? line[n + 2] : line[n]) +
                 __shfl_xor_sync(0xFFFFFFFFU, (lane & 1) ? line[n] : line[n + 2], 1);
    }
}

static __device__ __forceinline__ float dot_four(const float4 &a, const float4 &b, float sum)
{
    return fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, fmaf(a.x, b.x, sum))));
}

/* N numbers from a 16-byte address. */
template <int N>
static __device__ __forceinline__ void load_fours(const float *from, float (&to)[N])
{
#pragma unroll
    for (int p = 0; p < N / 4; p++) {
        const float4 four = load_four(from, p);
        to[4 * p] = four.x;
        to[4 * p + 1] = four.y;
        to[4 * p + 2] = four.z;
        to[4 * p + 3] = four.w;
    }
}

/* One block's walk over the first n rows of a trunk. s[c][4 j + e] is the state of the thread's key
   4 (l + LANES j) + e in its column c, where l is the thread's number among the LANES. READ: the
   rows are results too, else only the state is wanted. */
template <int R> struct chunk_walk {
    const struct ko_cuda_rows &rows;
    const struct ko_deltanet &a;
    struct chunk<R> &chunk;
    int head, column; /* the block's first column in the head */
    int key;          /* the head's first column of q and k */
    int first, n;     /* the trunk's row of position 0, and the number of rows */
    int edge_set;     /* source rows of this set write nothing; -1: all rows write */
    int turn;         /* the buffer */
    /* The next chunk. Of each row that the warp reads, lane l has the keys l, l + 32, .. */
    float q[FETCHED][R / 4], k[FETCHED][R / 4], dt[FETCHED], beta[FETCHED];
    /* v where scatter_sums puts this thread's sums of the rows 4 p to 4 p + 3 */
    float v[CHUNK / 4][2];

    /* The row of four, and the first of two columns, of which this thread gets the sums; and where
       these are kept. */
    static __device__ __forceinline__ int my_row()
    {
        return (int)threadIdx.x % LANES / 2;
    }
    static __device__ __forceinline__ int my_column()
    {
        return (int)threadIdx.x / LANES * MINE + (int)threadIdx.x % 2 * 2;
    }

    static __device__ __forceinline__ float2 *my_pair(float (*of)[WIDE_PITCH], int row)
    {
        return (float2 *)&of[row + my_row()][my_column()];
    }

    __device__ __forceinline__ bool writes(int i) const
    {
        return i < n && (edge_set < 0 || rows.source[ko_at(edge_set, rows.max_tokens, i)] == 0);
    }

    /* Reads the chunk that begins at row `from` of the trunk. Rows from n on are 0. */
    template <bool READ> __device__ __forceinline__ void fetch(int from)
    {
        const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
#pragma unroll
        for (int f = 0; f < FETCHED; f++) {
            const int i = from + warp * FETCHED + f;
            const size_t at = ko_at(first + i, a.ld, key + lane);
#pragma unroll
            for (int p = 0; p < R / 4; p++) {
                const bool live = i < n && lane + 32 * p < a.d_key;
                q[f][p] = READ && live ? a.q[at + (size_t)(32 * p)] : 0.0F;
                k[f][p] = live ? a.k[at + (size_t)(32 * p)] : 0.0F;
            }
            dt[f] = i < n ? a.dt[ko_at(first + i, a.ld_dt, head)] + a.dt_bias[head] : 0.0F;
            beta[f] = i < n ? a.beta[ko_at(first + i, a.ld_beta, head)] : 0.0F;
        }
#pragma unroll
        for (int p = 0; p < CHUNK / 4; p++) {
            const int i = from + 4 * p + my_row();
            const bool is = writes(i);
#pragma unroll
            for (int e = 0; e < 2; e++) {
                const int c = column + my_column() + e;
                const bool live = is && c < a.d_value;
                v[p][e] = live ? a.v[ko_at(first + i, a.ld, head * a.d_value + c)] : 0.0F;
            }
        }
    }

    /* Writes q and k, with the norms, beta and decay of the chunk at `from` to its buffer. Rows from
       n on neither decay nor change the state. */
    template <bool READ> __device__ __forceinline__ void store(int from)
    {
        const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
#pragma unroll
        for (int f = 0; f < FETCHED; f++) {
            const int r = warp * FETCHED + f;
            const bool live = from + r < n;
            float qq = 0.0F, kk = 0.0F;
#pragma unroll
            for (int p = 0; p < R / 4; p++) {
                qq += q[f][p] * q[f][p];
                kk += k[f][p] * k[f][p];
            }
            const float scale_k = 1.0F / sqrtf(warp_sum(kk) + 1e-6F);
            const float scale_q =
                READ ? 1.0F / sqrtf((warp_sum(qq) + 1e-6F) * (float)a.d_key) : 0.0F;
#pragma unroll
            for (int p = 0; p < R / 4; p++) {
                ((float *)chunk.k[turn][r])[lane + 32 * p] = k[f][p] * scale_k;
                if (READ) {
                    ((float *)chunk.q[turn][r])[lane + 32 * p] = q[f][p] * scale_q;
                }
            }
            if (lane == 0) {
                chunk.beta[turn][r] = live ? 1.0F / (1.0F + expf(-beta[f])) : 0.0F;
                chunk.decay[turn][r] = live ? expf(a.a[head] * softplus_of(dt[f])) : 1.0F;
            }
        }
    }

    /* chunk.erase and chunk.read. LANES threads multiply four rows with four rows. */
    template <bool READ> __device__ __forceinline__ void multiply_rows() const
    {
        const int group = (int)threadIdx.x / LANES, lane = (int)threadIdx.x % LANES;
        const int to = group / (CHUNK / 4) * 4, from = group % (CHUNK / 4) * 4;
        float kk[4][4] = {}, qk[4][4] = {}, k_sum[2], q_sum[2] = {};
#pragma unroll 2
        for (int j = 0; j < R / 4; j++) {
            float4 of[4];
#pragma unroll
            for (int c = 0; c < 4; c++) {
                of[c] = chunk.k[turn][from + c][lane + LANES * j];
            }
#pragma unroll
            for (int r = 0; r < 4; r++) {
                const float4 by_k = chunk.k[turn][to + r][lane + LANES * j];
                const float4 by_q = READ ? chunk.q[turn][to + r][lane + LANES * j] : by_k;
#pragma unroll
                for (int c = 0; c < 4; c++) {
                    kk[r][c] = dot_four(by_k, of[c], kk[r][c]);
                    qk[r][c] = READ ? dot_four(by_q, of[c], qk[r][c]) : 0.0F;
                }
            }
        }
        scatter_sums(kk, k_sum);
        if (READ) {
            scatter_sums(qk, q_sum);
        }
        put_products<READ>(to + my_row(), from + (int)threadIdx.x % 2 * 2, k_sum, q_sum);
    }

    /* The products of row i with the rows j and j + 1. */
    template <bool READ>
    __device__ __forceinline__ void put_products(int i, int j, const float (&k_sum)[2],
                                                 const float (&q_sum)[2]) const
    {
        float decay[2] = {1.0F, 1.0F}; /* D(j, i), D(j + 1, i) */
#pragma unroll
        for (int s = 1; s < CHUNK; s++) {
            const float own = chunk.decay[turn][s];
            decay[0] = s > j && s <= i ? own * decay[0] : decay[0];
            decay[1] = s > j + 1 && s <= i ? own * decay[1] : decay[1];
        }
#pragma unroll
        for (int e = 0; e < 2; e++) {
            const float erase = chunk.beta[turn][i] * (decay[e] * k_sum[e]);
            chunk.erase[j + e][i] = j + e < i ? erase : 0.0F;
            if (READ) {
                chunk.read[j + e][i] = j + e <= i ? decay[e] * q_sum[e] : 0.0F;
            }
        }
    }

    /* This thread's sums of s^T k for four rows. */
    static __device__ __forceinline__ void
    multiply_state(const float4 (*row)[LANES * R / 4], const float (&s)[MINE][R], float (&sum)[2])
    {
        float x[4][4] = {};
#pragma unroll
        for (int j = 0; j < R / 4; j++) {
#pragma unroll
            for (int r = 0; r < 4; r++) {
                const float4 four = row[r][(int)threadIdx.x % LANES + LANES * j];
#pragma unroll
                for (int c = 0; c < MINE; c++) {
                    const float4 state = {s[c][4 * j], s[c][4 * j + 1], s[c][4 * j + 2],
                                          s[c][4 * j + 3]};
                    x[r][c] = dot_four(four, state, x[r][c]);
                }
            }
        }
        scatter_sums(x, sum);
    }

    /* chunk.u, still without the sum over j, and chunk.y. */
    template <bool READ> __device__ __forceinline__ void read_state(const float (&s)[MINE][R])
    {
#pragma unroll
        for (int p = 0; p < CHUNK / 4; p++) {
            *my_pair(chunk.u, 4 * p) = {v[p][0], v[p][1]};
        }
        float before = 1.0F;
#pragma unroll 1
        for (int p = 0; p < CHUNK; p += 4) {
            const int i = p + my_row();
            float factor = 0.0F, sum[2]; /* F(i) */
#pragma unroll
            for (int r = 0; r < 4; r++) {
                before *= chunk.decay[turn][p + r];
                factor = r == my_row() ? before : factor;
            }
            multiply_state(chunk.k[turn] + p, s, sum);
            const float2 values = *my_pair(chunk.u, p); /* this thread wrote them */
            *my_pair(chunk.u, p) = {chunk.beta[turn][i] * (values.x - factor * sum[0]),
                                    chunk.beta[turn][i] * (values.y - factor * sum[1])};
            if (READ) {
                multiply_state(chunk.q[turn] + p, s, sum);
                *my_pair(chunk.y, p) = {factor * sum[0], factor * sum[1]};
            }
        }
    }

    /* chunk.u with the sum over j. A thread has one column. */
    __device__ __forceinline__ void solve() const
    {
        float u[CHUNK];
        if ((int)threadIdx.x >= COLUMNS) {
            return;
        }
#pragma unroll
        for (int i = 0; i < CHUNK; i++) {
            u[i] = chunk.u[i][threadIdx.x];
        }
#pragma unroll
        for (int j = 0; j < CHUNK - 1; j++) {
            float erase[CHUNK];
            load_fours(chunk.erase[j], erase);
#pragma unroll
            for (int i = j + 1; i < CHUNK; i++) {
                u[i] = fmaf(-erase[i], u[j], u[i]);
            }
        }
#pragma unroll
        for (int i = 1; i < CHUNK; i++) {
            chunk.u[i][threadIdx.x] = u[i];
        }
    }

    /* The results of the chunk at `from`. A thread has one column, and half of the rows. */
    __device__ __forceinline__ void put_results(int from) const
    {
        enum { HALF = CHUNK / 2 };
        static_assert(THREADS == 2 * COLUMNS, "each half of the threads has all columns");
        const int c = (int)threadIdx.x % COLUMNS, i = (int)threadIdx.x / COLUMNS * HALF;
        float y[HALF];
#pragma unroll
        for (int e = 0; e < HALF; e++) {
            y[e] = chunk.y[i + e][c];
        }
#pragma unroll 4
        for (int j = 0; j < i + HALF; j++) {
            const float u = chunk.u[j][c];
            float read[HALF];
            load_fours(&chunk.read[j][i], read);
#pragma unroll
            for (int e = 0; e < HALF; e++) {
                /* A later row's u may be infinite; 0 times it would be NaN. */
                y[e] = j <= i + e ? fmaf(read[e], u, y[e]) : y[e];
            }
        }
#pragma unroll
        for (int e = 0; e < HALF; e++) {
            if (from + i + e < n && column + c < a.d_value) {
                a.out[ko_at3(first + from + i + e, a.n_heads, head, a.d_value, column + c)] = y[e];
            }
        }
    }

    /* The state after the chunk. */
    __device__ __forceinline__ void write_state(float (&s)[MINE][R]) const
    {
        float all = 1.0F, after = 1.0F; /* F(last), D(j, last) */
#pragma unroll
        for (int j = 0; j < CHUNK; j++) {
            all *= chunk.decay[turn][j];
        }
#pragma unroll
        for (int n_s = 0; n_s < MINE * R; n_s++) {
            s[n_s / R][n_s % R] *= all;
        }
#pragma unroll 2
        for (int j = CHUNK - 1; j >= 0; j--) {
            const float4 four = load_four(chunk.u[j], (int)threadIdx.x / LANES);
            const float u[MINE] = {after * four.x, after * four.y, after * four.z, after * four.w};
#pragma unroll
            for (int p = 0; p < R / 4; p++) {
                const float4 key = chunk.k[turn][j][(int)threadIdx.x % LANES + LANES * p];
#pragma unroll
                for (int c = 0; c < MINE; c++) {
                    s[c][4 * p] = fmaf(key.x, u[c], s[c][4 * p]);
                    s[c][4 * p + 1] = fmaf(key.y, u[c], s[c][4 * p + 1]);
                    s[c][4 * p + 2] = fmaf(key.z, u[c], s[c][4 * p + 2]);
                    s[c][4 * p + 3] = fmaf(key.w, u[c], s[c][4 * p + 3]);
                }
            }
            after *= chunk.decay[turn][j];
        }
    }

    /* Walks over all rows. s is the state before them, then that after them. After the first
       barrier no thread is in the chunk before, so that its u, y and products may be overwritten;
       its rows lie in the other buffer. After the last one, the shared memory is free. */
    template <bool READ> __device__ __forceinline__ void walk(float (&s)[MINE][R])
    {
        fetch<READ>(0);
        for (int from = 0; from < n; from += CHUNK) {
            store<READ>(from);
            __syncthreads();
            multiply_rows<READ>();
            read_state<READ>(s);
            fetch<READ>(from + CHUNK);
            __syncthreads();
            solve();
            __syncthreads();
            if (READ) {
                put_results(from);
            }
            write_state(s);
            turn ^= 1;
        }
        __syncthreads();
    }
};

#endif
