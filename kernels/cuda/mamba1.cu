// Mamba-1's selective scan over trunk and branches. A channel a thread, its states in registers; a
// block is one item of the tables (blockIdx.x) and THREADS channels (blockIdx.y).
//
// An item's trunk rows before t0 are walked once, with h and with h', the state without the inputs
// of the item's source set; all branches of the item go on from there. No state goes to memory.
#include "kernels/cuda/device.cuh"

enum { THREADS = 128 };

// 2^x, relative error below 2^-22 (PTX ISA, ex2.approx); results below 2^-126 become 0.
static __device__ __forceinline__ float power_of_two(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// The arguments of one row that all channels share, and of one channel of it.
template <int N> struct row_input {
    float b[N], c[N];
    float delta, u;
};

template <int N, bool ALIGNED> struct scan {
    const struct ko_cuda_rows &rows;
    const struct layer_rows &at;
    const struct ko_mamba1 &a;
    int channel;
    bool live;      // the channel exists
    float decay[N]; // log2(e) A[c, n]

    __device__ __forceinline__ void load_shared(const float *from, float *to) const
    {
        if (ALIGNED) {
#pragma unroll
            for (int n = 0; n < N / 4; n++) {
                const float4 v = ((const float4 *)from)[n];
                to[4 * n] = v.x, to[4 * n + 1] = v.y, to[4 * n + 2] = v.z, to[4 * n + 3] = v.w;
            }
        } else {
#pragma unroll
            for (int n = 0; n < N; n++) {
                to[n] = n < a.d_state ? from[n] : 0.0F;
            }
        }
    }

    __device__ __forceinline__ void load(int row, struct row_input<N> &in) const
    {
        const size_t source = (size_t)source_row_after_conv(rows, at, row);
        const size_t own = source * (size_t)a.d_inner + (size_t)channel;
        load_shared(a.b + source * (size_t)a.ld_bc, in.b);
        load_shared(a.c + source * (size_t)a.ld_bc, in.c);
        in.delta = live ? a.delta[own] : 0.0F;
        in.u = live ? a.u[own] : 0.0F;
    }

    // h <- decay h + input
    __device__ __forceinline__ void step(const struct row_input<N> &in, float *h) const
    {
        const float du = in.delta * in.u;
#pragma unroll
        for (int n = 0; n < N; n++) {
            h[n] = power_of_two(decay[n] * in.delta) * h[n] + du * in.b[n];
        }
    }

    // The same with h', which takes no input where `source`.
    __device__ __forceinline__ void step_both(const struct row_input<N> &in, bool source, float *h,
                                              float *without) const
    {
        const float du = in.delta * in.u, du_without = source ? 0.0F : du;
#pragma unroll
        for (int n = 0; n < N; n++) {
            const float e = power_of_two(decay[n] * in.delta);
            h[n] = e * h[n] + du * in.b[n];
            without[n] = e * without[n] + du_without * in.b[n];
        }
    }

    __device__ __forceinline__ float read(const struct row_input<N> &in, const float *h) const
    {
        float y = 0.0F;
#pragma unroll
        for (int n = 0; n < N; n++) {
            y += in.c[n] * h[n];
        }
        return y;
    }

    __device__ __forceinline__ void put(int row, const struct row_input<N> &in, float y) const
    {
        if (live) {
            const size_t z = (size_t)source_row(rows, at, row) * (size_t)a.ld_z + (size_t)channel;
            a.out[(size_t)row * (size_t)a.d_inner + (size_t)channel] =
                (y + a.d[channel] * in.u) * silu(a.z[z]);
        }
    }

    __device__ void trunk(const struct ko_scan_item &item) const
    {
        float h[N] = {0.0F};
        struct row_input<N> in;
        for (int i = 0; i < item.t0; i++) {
            const int row = rows.trunk_first[item.prompt] + i;
            load(row, in);
            step(in, h);
            put(row, in, read(in, h));
        }
    }

    // A branch outside its window, or one that loses other channels.
    __device__ void whole(const struct ko_branch &branch, const float *h0) const
    {
        float h[N];
        struct row_input<N> in;
#pragma unroll
        for (int n = 0; n < N; n++) {
            h[n] = h0[n];
        }
        for (int k = 0; k < branch.n_rows; k++) {
            load(branch.first_row + k, in);
            step(in, h);
            put(branch.first_row + k, in, read(in, h));
        }
    }

    // A branch in its window: target rows of masked channels read h'. Rows of `later` read decay *
    // h' of the row before plus their own input, source or not.
    __device__ void knocked(const struct ko_branch &branch, bool masked, const float *h0,
                            const float *without0) const
    {
        const size_t set = (size_t)branch.edge_set * (size_t)rows.max_tokens;
        const bool later = rows.later[branch.edge_set] != 0;
        float h[N], without[N];
        struct row_input<N> in;
#pragma unroll
        for (int n = 0; n < N; n++) {
            h[n] = h0[n];
            without[n] = without0[n];
        }
        for (int k = 0; k < branch.n_rows; k++) {
            const size_t i = set + (size_t)(branch.first_position + k);
            const bool source = rows.source[i] != 0;
            load(branch.first_row + k, in);
            step_both(in, source, h, without);
            float y = read(in, h);
            if (masked && (later || rows.target[i] != 0)) {
                y = read(in, without);
                if (later && source) { // its own input, which h' has not taken
                    y += in.delta * in.u * read(in, in.b);
                }
            }
            put(branch.first_row + k, in, y);
        }
    }
};

template <int N, bool ALIGNED>
static __global__ void __launch_bounds__(THREADS)
    scan_items(struct ko_cuda_rows rows, struct layer_rows at, struct ko_mamba1 a)
{
    const struct ko_scan_item item = rows.items[blockIdx.x];
    // An item's branches ascend: the active ones are its first.
    if (item.n > 0 && rows.item_branch[item.first] >= at.n_branches_active) {
        return;
    }
    struct scan<N, ALIGNED> s = {
        rows, at, a, (int)(blockIdx.y *THREADS + threadIdx.x), true,
        {
        }
    };
    s.live = s.channel < a.d_inner;
#pragma unroll
    for (int n = 0; n < N; n++) {
        s.decay[n] =
            s.live && n < a.d_state
                ? 1.44269504088896340736F * a.a[(size_t)n * (size_t)a.d_inner + (size_t)s.channel]
                : 0.0F;
    }
    if (item.n == 0) {
        s.trunk(item);
        return;
    }

    float h[N] = {0.0F}, without[N] = {0.0F};
    struct row_input<N> in;
    for (int i = 0; i < item.t0; i++) {
        const size_t edge =
            (size_t)(item.edge_set < 0 ? 0 : item.edge_set) * (size_t)rows.max_tokens + (size_t)i;
        s.load(rows.trunk_first[item.prompt] + i, in);
        s.step_both(in, item.edge_set >= 0 && rows.source[edge] != 0, h, without);
    }
    for (int k = 0; k < item.n; k++) {
        const int b = rows.item_branch[item.first + k];
        if (b >= at.n_branches_active) {
            break;
        }
        const struct ko_branch branch = rows.branches[b];
        if (branch.edge_set >= 0 && in_window(branch, a.layer)) {
            const bool masked =
                s.live && is_masked(rows, branch, a.masks, a.layer, a.d_inner, s.channel);
            s.knocked(branch, masked, h, without);
        } else {
            s.whole(branch, h);
        }
    }
}

template <int N>
static void launch(struct ko_backend *be, const struct layer_rows &at, const struct ko_mamba1 *args)
{
    const dim3 grid((unsigned)be->rows.n_items, blocks_for((size_t)args->d_inner, THREADS));
    const uintptr_t together = (uintptr_t)args->b | (uintptr_t)args->c;
    if (args->d_state == N && N % 4 == 0 && args->ld_bc % 4 == 0 && together % 16 == 0) {
        scan_items<N, true><<<grid, THREADS, 0, be->stream>>>(be->rows, at, *args);
    } else {
        scan_items<N, false><<<grid, THREADS, 0, be->stream>>>(be->rows, at, *args);
    }
}

enum ko_code ko_cuda_mamba1(struct ko_backend *be, const struct ko_mamba1 *args,
                            struct ko_error *err)
{
    const struct layer_rows at = rows_of_layer(be, args->layer);
    if (at.n_active == 0) {
        return KO_OK;
    }
    if (args->d_state <= 8) {
        launch<8>(be, at, args);
    } else if (args->d_state <= 16) {
        launch<16>(be, at, args);
    } else if (args->d_state <= 32) {
        launch<32>(be, at, args);
    } else if (args->d_state <= 128) {
        launch<128>(be, at, args);
    } else {
        return ko_fail(err, KO_E_INPUT,
                       "backend: cuda scans up to 128 states a channel, the model has %d, choose "
                       "--backend cpu",
                       args->d_state);
    }
    return ko_cuda_launched(be, "mamba1", err);
}
