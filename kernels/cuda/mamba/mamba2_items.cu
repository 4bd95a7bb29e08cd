/* SPDX-License-Identifier: Apache-2.0 */
// What a long trunk adds to the rows of branches (mamba2_chunk.cu): the state before the chunk of t0, and
// the keys from there to t0. A block has one item of the tables, one head, and CHANNELS of its channels.
//
// A branch that loses edges reads a state without the sources of its edge set. It comes from the chunks
// as the trunk's does, but chunks with sources are computed again without them. No state is a
// difference of two, which would lose digits. The block keeps it in registers.
#include "kernels/cuda/mamba/mamba2_chunk.cuh"
#include "kernels/cuda/mamba/mamba2_items.cuh"
#include "kernels/cuda/mamba/tensor.cuh"

// Two factors of the readers' sums: sum_k a[k][reader] b[k][channel].
struct reader_slab {
    float a[SLAB][PITCH], b[SLAB][CHANNELS];
};

template <int NR> union __align__(32) item_memory
{
    struct {
        float b[SLAB][DOWN * NR], u[SLAB][CHANNELS];
    } rows; // of a chunk
    struct {
        float state[DOWN * NR][CHANNELS];
        union {
            struct reader_slab slab;
            float all[READERS][CHANNELS]; // the sums, on their way from the tensor cores
        };
    } read;
};

// Two readers' sums of four channels.
struct reader_sums {
    float of[2][4];
};

// The state without or with the sources, and the sums of the rows that read it.
template <int NR, bool TENSOR> struct item_state : item_block {
    // A slab's numbers that a thread moves.
    enum {
        B_EACH = SLAB * DOWN * NR / THREADS,
        U_EACH = SLAB * CHANNELS / THREADS,
        A_EACH = SLAB * READERS / THREADS
    };

    union item_memory<NR> &memory;
    float of[NR][4];

    __device__ __forceinline__ int my_state() const
    {
        return (int)threadIdx.x / ACROSS * NR;
    }
    __device__ __forceinline__ int my_channel() const
    {
        return (int)threadIdx.x % ACROSS * 4;
    }

    // This thread's numbers of a state in memory.
    __device__ __forceinline__ void get(const float *states, int chunk, float (&to)[NR][4]) const
    {
        const float *state = states + ko_at3(chunk, a.n_heads, head, a.d_state * a.d_head, 0);
        const int p = channel + my_channel();
#pragma unroll
        for (int r = 0; r < NR; r++) {
            const int n = my_state() + r;
            const size_t from = ko_at(n, a.d_head, p);
            if (a.d_head % 4 == 0) {
                const bool is = n < a.d_state && p < a.d_head;
                const float4 four =
                    is ? load_four(state + from, 0) : make_float4(0.0F, 0.0F, 0.0F, 0.0F);
                to[r][0] = four.x;
                to[r][1] = four.y;
                to[r][2] = four.z;
                to[r][3] = four.w;
                continue;
            }
#pragma unroll
            for (int e = 0; e < 4; e++) {
                to[r][e] = n < a.d_state && p + e < a.d_head ? state[from + (size_t)e] : 0.0F;
            }
        }
    }

    // This thread's numbers of the kept rows [first, first + SLAB).
    __device__ __forceinline__ void fetch_rows(int position, int first, int n,
                                               float (&number)[B_EACH + U_EACH]) const
    {
        const float *b = a.b + group_of(a, head) * a.d_state, *u = a.u + head * a.d_head;
#pragma unroll
        for (int r = 0; r < B_EACH; r++) {
            const int e = (int)threadIdx.x + r * THREADS;
            const int k = first + e / (DOWN * NR), state = e % (DOWN * NR);
            number[r] = state < a.d_state && k < n
                            ? b[ko_at(trunk_row(position + lists.kept[k]), a.ld, state)]
                            : 0.0F;
        }
#pragma unroll
        for (int r = 0; r < U_EACH; r++) {
            const int e = (int)threadIdx.x + r * THREADS;
            const int k = first + e / CHANNELS, p = channel + e % CHANNELS;
            const int j = k < n ? lists.kept[k] : 0;
            number[B_EACH + r] = p < a.d_head && k < n
                                     ? lists.weight[j] * u[ko_at(trunk_row(position + j), a.ld, p)]
                                     : 0.0F;
        }
    }

    __device__ __forceinline__ bool put_rows(const float (&number)[B_EACH + U_EACH])
    {
#pragma unroll
        for (int r = 0; r < B_EACH; r++) {
            const int e = (int)threadIdx.x + r * THREADS;
            memory.rows.b[e / (DOWN * NR)][e % (DOWN * NR)] = number[r];
        }
#pragma unroll
        for (int r = 0; r < U_EACH; r++) {
            const int e = (int)threadIdx.x + r * THREADS;
            memory.rows.u[e / CHANNELS][e % CHANNELS] = number[B_EACH + r];
        }
        return false;
    }

    __device__ __forceinline__ void add_rows()
    {
#pragma unroll 4
        for (int k = 0; k < SLAB; k++) {
            const float4 four = load_four(&memory.rows.u[k][my_channel()], 0);
#pragma unroll
            for (int r = 0; r < NR; r++) {
                const float factor = memory.rows.b[k][my_state() + r];
                of[r][0] = fmaf(factor, four.x, of[r][0]);
                of[r][1] = fmaf(factor, four.y, of[r][1]);
                of[r][2] = fmaf(factor, four.z, of[r][2]);
                of[r][3] = fmaf(factor, four.w, of[r][3]);
            }
        }
    }

    // Adds to the state what those rows of a chunk add that are not sources.
    __device__ __forceinline__ void take_chunk(int chunk)
    {
        enum { FRAGMENTS = DOWN * NR / 16 / WARPS }; // of a warp, one below the other
        const int position = chunk * CHUNK, n = list_rows(position, CHUNK, true);
        const int mine = (int)threadIdx.x / 32 * FRAGMENTS * 16;
        struct tensor_sums<FRAGMENTS, CHANNELS / 16> sums;
        if (TENSOR) {
            sums.clear();
        }
        in_slabs<SLAB, B_EACH + U_EACH>(
            n,
            [&](int first, float(&number)[B_EACH + U_EACH]) {
                fetch_rows(position, first, n, number);
            },
            [&](int, const float(&number)[B_EACH + U_EACH]) { return put_rows(number); },
            [&](int, bool) {
                if (TENSOR) {
                    sums.template add<SLAB>(&memory.rows.b[0][mine], DOWN * NR, memory.rows.u[0],
                                            CHANNELS);
                } else {
                    add_rows();
                }
            });
        __syncthreads();
        if (TENSOR) {
            sums.store(memory.read.state[mine], CHANNELS);
            __syncthreads();
#pragma unroll
            for (int e = 0; e < 4 * NR; e++) {
                of[e / 4][e % 4] += memory.read.state[my_state() + e / 4][my_channel() + e % 4];
            }
            __syncthreads();
        }
    }

    // The state without the sources. It is the trunk's before the first chunk with sources.
    __device__ __forceinline__ void collect()
    {
        bool apart = false;
        for (int k = 0; k < n_chunks; k++) {
            if (k % SORTED == 0) {
                __syncthreads();
                for (int c = (int)threadIdx.x / 32; c < min(SORTED, n_chunks - k); c += WARPS) {
                    lists.sources[c] = sources_in(rows, item.edge_set, (k + c) * CHUNK, CHUNK);
                }
                __syncthreads();
            }
            const int sources = lists.sources[k % SORTED];
            if (!apart && sources == NO_SOURCES) {
                continue;
            }
            if (!apart) {
                get(s.state, first_chunk + k, of);
                apart = true;
            }
            const double span = s.chunk_step[ko_at(first_chunk + k, a.n_heads, head)];
            const float decay = decay_over(a, head, span);
            float input[NR][4] = {};
            if (sources == NO_SOURCES) {
                get(s.input, first_chunk + k, input);
            }
#pragma unroll
            for (int e = 0; e < 4 * NR; e++) {
                of[e / 4][e % 4] = fmaf(decay, of[e / 4][e % 4], input[e / 4][e % 4]);
            }
            if (sources == SOME_SOURCES) {
                take_chunk(k);
            }
        }
        if (!apart) {
            get(s.state, first_chunk + n_chunks, of);
        }
    }

    // Adds the slab's terms to the sums of two readers, or of a warp's fragment.
    __device__ __forceinline__ void add_slab(const float *b, struct reader_sums &sums,
                                             struct tensor_sums<1, 1> &fragment) const
    {
        const struct reader_slab &slab = memory.read.slab;
        const int mine = (int)threadIdx.x / ACROSS * 2, warp = (int)threadIdx.x / 32;
        if (TENSOR) {
            fragment.template add<SLAB>(&slab.a[0][warp / 2 * 16], PITCH, b + warp % 2 * 16,
                                        CHANNELS);
        } else {
#pragma unroll 4
            for (int k = 0; k < SLAB; k++) {
                const float4 four = load_four(b + k * CHANNELS + my_channel(), 0);
#pragma unroll
                for (int r = 0; r < 2; r++) {
                    const float factor = slab.a[k][mine + r];
                    sums.of[r][0] = fmaf(factor, four.x, sums.of[r][0]);
                    sums.of[r][1] = fmaf(factor, four.y, sums.of[r][1]);
                    sums.of[r][2] = fmaf(factor, four.z, sums.of[r][2]);
                    sums.of[r][3] = fmaf(factor, four.w, sums.of[r][3]);
                }
            }
        }
    }

    // C(i) S of the readers. The state's rows from d_state on are 0.
    __device__ __forceinline__ void read_state(struct reader_sums &sums,
                                               struct tensor_sums<1, 1> &fragment)
    {
        const float *c = a.c + group_of(a, head) * a.d_state;
        in_slabs<SLAB, A_EACH>(
            a.d_state,
            [&](int first, float(&number)[A_EACH]) {
#pragma unroll
                for (int r = 0; r < A_EACH; r++) {
                    const int e = (int)threadIdx.x + r * THREADS, n = first + e % SLAB;
                    const int row = lists.row[e / SLAB];
                    number[r] = row >= 0 && n < a.d_state
                                    ? c[ko_at(source_row_after_conv(rows, at, row), a.ld, n)]
                                    : 0.0F;
                }
            },
            [&](int, const float(&number)[A_EACH]) { return put_factor(number); },
            [&](int first, bool) { add_slab(memory.read.state[first], sums, fragment); });
    }

    __device__ __forceinline__ bool put_factor(const float *number)
    {
#pragma unroll
        for (int r = 0; r < A_EACH; r++) {
            const int e = (int)threadIdx.x + r * THREADS;
            memory.read.slab.a[e % SLAB][e / SLAB] = number[r];
        }
        return false;
    }

    // sum_j score(i, j) weight(j) u(j) over the kept keys j before t0, in the chunk of t0.
    __device__ __forceinline__ void read_keys(int n_kept, struct reader_sums &sums,
                                              struct tensor_sums<1, 1> &fragment)
    {
        const float *u = a.u + head * a.d_head;
        in_slabs<SLAB, A_EACH + U_EACH>(
            n_kept,
            [&](int first, float(&number)[A_EACH + U_EACH]) {
#pragma unroll
                for (int r = 0; r < A_EACH; r++) {
                    const int e = (int)threadIdx.x + r * THREADS, k = first + e % SLAB;
                    const int row = lists.row[e / SLAB];
                    number[r] = row >= 0 && k < n_kept
                                    ? s.score[ko_at3(row, a.n_groups, group_of(a, head), s.keys,
                                                     lists.kept[k])]
                                    : 0.0F;
                }
#pragma unroll
                for (int r = 0; r < U_EACH; r++) {
                    const int e = (int)threadIdx.x + r * THREADS;
                    const int k = first + e / CHANNELS, p = channel + e % CHANNELS;
                    const bool is = k < n_kept && p < a.d_head;
                    const int j = is ? lists.kept[k] : 0;
                    const size_t row = ko_at(trunk_row(n_chunks * CHUNK + j), a.ld, 0);
                    number[A_EACH + r] = is ? lists.weight[j] * u[row + (size_t)p] : 0.0F;
                }
            },
            [&](int, const float(&number)[A_EACH + U_EACH]) {
#pragma unroll
                for (int r = 0; r < U_EACH; r++) {
                    const int e = (int)threadIdx.x + r * THREADS;
                    memory.read.slab.b[e / CHANNELS][e % CHANNELS] = number[A_EACH + r];
                }
                return put_factor(number);
            },
            [&](int, bool) { add_slab(memory.read.slab.b[0], sums, fragment); });
    }

    // The sums of a warp's fragment go to the threads that have their readers.
    __device__ __forceinline__ void take(const struct tensor_sums<1, 1> &fragment,
                                         struct reader_sums &sums)
    {
        const int mine = (int)threadIdx.x / ACROSS * 2, warp = (int)threadIdx.x / 32;
        __syncthreads();
        fragment.store(&memory.read.all[warp / 2 * 16][warp % 2 * 16], CHANNELS);
        __syncthreads();
#pragma unroll
        for (int e = 0; e < 8; e++) {
            sums.of[e / 4][e % 4] = memory.read.all[mine + e / 4][my_channel() + e % 4];
        }
    }

    // Adds exp(a (span(i) - span(t))) sums to the readers' results; t is the row before t0.
    __device__ __forceinline__ void put(const struct reader_sums &sums) const
    {
        const double before = sum_at(trunk_row(item.t0 - 1));
        for (int r = 0; r < 2; r++) {
            const int row = lists.row[(int)threadIdx.x / ACROSS * 2 + r];
            if (row < 0) {
                continue;
            }
            const float decay = decay_over(a, head, sum_at(row) - before);
            for (int e = 0; e < 4; e++) {
                const int p = channel + my_channel() + e;
                if (p < a.d_head) {
                    a.out[ko_at3(row, a.n_heads, head, a.d_head, p)] += decay * sums.of[r][e];
                }
            }
        }
    }

    // READERS rows.
    __device__ __forceinline__ void add_to_rows(int n_kept, float decay)
    {
        struct reader_sums sums = {};
        struct tensor_sums<1, 1> fragment;
        if (TENSOR) {
            fragment.clear();
        }
        if (n_chunks > 0) {
            read_state(sums, fragment);
        }
        if (TENSOR) {
            fragment.scale(decay);
        }
#pragma unroll
        for (int e = 0; e < 8; e++) {
            sums.of[e / 4][e % 4] *= decay;
        }
        read_keys(n_kept, sums, fragment);
        if (TENSOR) {
            take(fragment, sums);
        }
        put(sums);
    }

    // All rows that read the state in the registers.
    __device__ __forceinline__ void read(bool without)
    {
        const int position = n_chunks * CHUNK, n_keys = item.t0 - position;
        const int n_kept = n_keys > 0 ? list_rows(position, n_keys, without) : 0;
        float decay = 1.0F; // from the state to the row before t0
        if (n_chunks > 0) {
            decay = decay_over(a, head,
                               sum_at(trunk_row(item.t0 - 1)) - sum_at(trunk_row(position - 1)));
        }
        __syncthreads();
#pragma unroll
        for (int e = 0; e < 4 * NR; e++) {
            memory.read.state[my_state() + e / 4][my_channel() + e % 4] = of[e / 4][e % 4];
        }
        for (int first = 0; first < n_readers; first += READERS) {
            int row = -1;
            __syncthreads();
            if ((int)threadIdx.x < READERS) {
                row = reader(first + (int)threadIdx.x, without);
                lists.row[threadIdx.x] = row;
            }
            if (__syncthreads_or(row >= 0)) {
                add_to_rows(n_kept, decay);
            }
        }
    }
};

template <int NR, bool TENSOR>
static __global__ void __launch_bounds__(THREADS, 2)
    read_trunks(struct ko_cuda_rows rows, struct stage_rows at, struct ko_mamba2 a,
                struct mamba2_scratch s)
{
    __shared__ union item_memory<NR> memory;
    __shared__ struct item_lists lists;
    const struct ko_scan_item item = rows.items[blockIdx.x];
    const int n_active = item.n > 0 ? count_active(rows, at, item) : 0, chunk = item.t0 / CHUNK;
    if (n_active == 0 || item.t0 == 0 || !is_in_chunks(rows.mamba2_chunks, item.prompt)) {
        return;
    }
    const struct item_block block = {rows,
                                     at,
                                     a,
                                     s,
                                     lists,
                                     item,
                                     (int)blockIdx.y,
                                     (int)blockIdx.z * CHANNELS,
                                     rows.mamba2_chunks.first[item.prompt],
                                     chunk,
                                     n_active * item.n_rows};
    struct item_state<NR, TENSOR> state = {
        block, memory,
        {
        }
    };
    const struct states_read read = state.find_states();
    if (read.without) {
        state.collect();
        state.read(true);
    }
    if (read.with) {
        state.get(s.state, state.first_chunk + chunk, state.of);
        state.read(false);
    }
}

void ko_cuda_mamba2_chunk_items(struct ko_backend *be, const struct stage_rows &at,
                                const struct ko_mamba2 &args, const struct mamba2_scratch &s)
{
    const dim3 grid((unsigned)be->rows.n_items, (unsigned)args.n_heads,
                    blocks_for((size_t)args.d_head, CHANNELS));
    static_assert(2 * DOWN * 4 == KO_CUDA_MAMBA2_STATES, "a block has all states of a head");
    if (args.d_state <= DOWN * 4 && s.tensor_cores) {
        read_trunks<4, true><<<grid, THREADS, 0, be->stream>>>(be->rows, at, args, s);
    } else if (args.d_state <= DOWN * 4) {
        read_trunks<4, false><<<grid, THREADS, 0, be->stream>>>(be->rows, at, args, s);
    } else if (s.tensor_cores) {
        read_trunks<8, true><<<grid, THREADS, 0, be->stream>>>(be->rows, at, args, s);
    } else {
        read_trunks<8, false><<<grid, THREADS, 0, be->stream>>>(be->rows, at, args, s);
    }
}
