/* SPDX-License-Identifier: Apache-2.0 */
// Mixtures of experts: the choice of each row's experts, and their sum. Rows are sorted by expert
// on the device, so the host does not wait for the choices.
#include "kernels/cuda/experts.cuh"

enum { THREADS = 256, WARPS = THREADS / 32 };

// ----------------------------------------------------------------------------------------------
// the choice: a warp has one row

// A number that is greater for a greater logit, and of equal ones for the lower expert. NaN is the
// greatest, as in torch.topk, so that the shares of its row become NaN.
static __device__ __forceinline__ unsigned long long order_of(float logit, int expert)
{
    const unsigned bits = __float_as_uint(logit + 0.0F); // -0 becomes 0
    const unsigned up = bits & 0x80000000U ? ~bits : bits | 0x80000000U;
    const unsigned high = isnan(logit) ? 0xFFFFFFFFU : up;
    return (unsigned long long)high << 32 | (0x7FFFFFFFU - (unsigned)expert);
}

// What a row's experts are chosen by: their logits, or the sigmoids of these with a correction. Bit
// g of `groups` is set if the experts of group g can be chosen.
struct by_logit {
    const float *logits;

    __device__ unsigned long long operator()(int e) const
    {
        return order_of(logits[e], e);
    }
};

struct by_sigmoid {
    const float *logits, *correction;
    int per_group;
    unsigned long long groups;

    __device__ float score(int e) const
    {
        return sigmoid_of(logits[e]) + (correction ? correction[e] : 0.0F);
    }

    __device__ unsigned long long operator()(int e) const
    {
        return groups >> (e / per_group) & 1U ? order_of(score(e), e) : 0;
    }
};

// Groups are chosen by the sums of their two best scores.
struct by_group {
    struct by_sigmoid scores;

    __device__ unsigned long long operator()(int g) const
    {
        float best = -INFINITY, next = -INFINITY;
        for (int e = g * scores.per_group; e < (g + 1) * scores.per_group; e++) {
            const float score = scores.score(e), lower = score > best ? best : score;
            best = score > best ? score : best;
            next = lower > next ? lower : next;
        }
        return order_of(best + next, g);
    }
};

// The greatest expert of the row that comes after `last` in the order.
template <typename Order>
static __device__ int next_choice(const Order &order_by, int n_experts, unsigned long long *last)
{
    unsigned long long best = 0;
    for (int e = (int)threadIdx.x % 32; e < n_experts; e += 32) {
        const unsigned long long order = order_by(e);
        best = order < *last && order > best ? order : best;
    }
    for (int step = 16; step > 0; step /= 2) {
        const unsigned long long other = __shfl_xor_sync(0xFFFFFFFFU, best, step);
        best = other > best ? other : best;
    }
    *last = best;
    return (int)(0x7FFFFFFFU - (unsigned)best);
}

// Lane c % 32 writes choice c and its share.
static __global__ void choose_rows(struct ko_choose_experts a)
{
    const int r = (int)(blockIdx.x * WARPS + threadIdx.x / 32), lane = (int)threadIdx.x % 32;
    if (r >= a.n) {
        return;
    }
    const float *logits = a.logits + ko_at(r, a.n_experts, 0);
    int32_t *choice = a.choice + ko_at(r, a.n_chosen, 0);
    float *share = a.share + ko_at(r, a.n_chosen, 0), top = 0.0F, sum = 0.0F;
    unsigned long long last = ~0ULL;
    for (int c = 0; c < a.n_chosen; c++) {
        const int e = next_choice(by_logit{logits}, a.n_experts, &last);
        top = c == 0 ? logits[e] : top;
        const float part = expf(logits[e] - top);
        sum += part;
        if (c % 32 == lane) {
            choice[c] = e;
            share[c] = part;
        }
    }
    if (!a.among_chosen) {
        sum = 0.0F;
        for (int e = lane; e < a.n_experts; e += 32) {
            sum += expf(logits[e] - top);
        }
        sum = warp_sum(sum);
    }
    for (int c = lane; c < a.n_chosen; c += 32) {
        share[c] /= sum;
    }
}

static __global__ void choose_by_sigmoids(struct ko_choose_experts a)
{
    const int r = (int)(blockIdx.x * WARPS + threadIdx.x / 32), lane = (int)threadIdx.x % 32;
    if (r >= a.n) {
        return;
    }
    const float *logits = a.logits + ko_at(r, a.n_experts, 0);
    int32_t *choice = a.choice + ko_at(r, a.n_chosen, 0);
    float *share = a.share + ko_at(r, a.n_chosen, 0), sum = 1e-20F;
    const int per_group = a.n_groups > 0 ? a.n_experts / a.n_groups : a.n_experts;
    struct by_sigmoid scores = {logits, a.correction, per_group, a.n_groups > 0 ? 0ULL : 1ULL};
    const struct by_group groups = {scores};
    unsigned long long last = ~0ULL;
    for (int c = 0; c < (a.n_groups > 0 ? a.n_chosen_groups : 0); c++) {
        scores.groups |= 1ULL << next_choice(groups, a.n_groups, &last);
    }
    last = ~0ULL;
    for (int c = 0; c < a.n_chosen; c++) {
        const int e = next_choice(scores, a.n_experts, &last);
        const float part = sigmoid_of(logits[e]);
        sum += part;
        if (c % 32 == lane) {
            choice[c] = e;
            share[c] = part;
        }
    }
    for (int c = lane; c < a.n_chosen; c += 32) {
        share[c] = (a.among_chosen ? share[c] / sum : share[c]) * a.share_scale;
    }
}

enum ko_code ko_cuda_choose_experts(struct ko_backend *be, const struct ko_choose_experts *args,
                                    struct ko_error *err)
{
    if (args->n == 0) {
        return KO_OK;
    }
    const unsigned blocks = blocks_for((size_t)args->n, WARPS);
    if (args->sigmoid) {
        choose_by_sigmoids<<<blocks, THREADS, 0, be->stream>>>(*args);
    } else {
        choose_rows<<<blocks, THREADS, 0, be->stream>>>(*args);
    }
    return ko_cuda_launched(be, "choose_experts", err);
}

// ----------------------------------------------------------------------------------------------
// the sum

// The sum of `flag` over the threads before this one. *total: over all threads.
static __device__ int count_before(bool flag, int *total)
{
    __shared__ int part[WARPS];
    const unsigned votes = __ballot_sync(0xFFFFFFFFU, flag);
    const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    __syncthreads(); // all threads have read an earlier count
    if (lane == 0) {
        part[warp] = __popc(votes);
    }
    __syncthreads();
    int before = __popc(votes & ((1U << lane) - 1U));
    *total = 0;
    for (int w = 0; w < WARPS; w++) {
        before += w < warp ? part[w] : 0;
        *total += part[w];
    }
    return before;
}

// A block has one expert. It counts the pairs of the experts before, then lists its own in order.
static __global__ void sort_pairs(const int32_t *choice, int pairs, int n_experts, int32_t *begin,
                                  int32_t *pair)
{
    const int expert = (int)blockIdx.x;
    int before = 0;
    for (int k = (int)threadIdx.x; k < pairs; k += THREADS) {
        before += choice[k] < expert;
    }
    int place = block_sum(before);
    if (threadIdx.x == 0) {
        begin[expert] = place;
    }
    for (int first = 0; first < pairs; first += THREADS) {
        const int k = first + (int)threadIdx.x;
        const bool own = k < pairs && choice[k] == expert;
        int total;
        const int at = place + count_before(own, &total);
        if (own) {
            pair[at] = k;
        }
        place += total;
    }
    if (threadIdx.x == 0 && expert == n_experts - 1) {
        begin[n_experts] = place;
    }
}

// y = the outputs of each row's choices [n, n_chosen, d] times their shares. A block has one row.
static __global__ void sum_choices(int n_chosen, int d, const float *share, const float *output,
                                   float *y)
{
    const int r = (int)blockIdx.x;
    for (int k = (int)threadIdx.x; k < d; k += THREADS) {
        float sum = 0.0F;
        for (int c = 0; c < n_chosen; c++) {
            const size_t at = ko_at3(r, n_chosen, c, d, k);
            sum = fmaf(share[ko_at(r, n_chosen, c)], output[at], sum);
        }
        y[ko_at(r, d, k)] = sum;
    }
}

// The parts of ko_experts.work.
struct parts {
    float *hidden;         // [pairs, ff] by place
    float *output;         // [pairs, d] by pair
    int32_t *begin, *pair; // of struct expert_product
};

static struct parts parts_of(const struct ko_experts *args)
{
    const size_t pairs = (size_t)args->n * (size_t)args->n_chosen;
    struct parts p;
    p.hidden = args->work;
    p.output = p.hidden + pairs * (size_t)args->ff;
    p.begin = (int32_t *)(void *)(p.output + pairs * (size_t)args->d);
    p.pair = p.begin + args->n_experts + 1;
    return p;
}

// A product over all pairs, without its operands.
static struct expert_product product_of(const struct ko_experts *args, const struct parts *p)
{
    struct expert_product a = {};
    a.begin = p->begin;
    a.pair = p->pair;
    a.n_experts = args->n_experts;
    a.n_chosen = args->n_chosen;
    a.pairs = args->n * args->n_chosen;
    return a;
}

// hidden = f(gate(x), up(x)) for all pairs.
static enum ko_code compute_hidden(struct ko_backend *be, const struct ko_experts *args,
                                   const struct parts *p, struct ko_error *err)
{
    const struct ko_expert_matrices *gate = &args->gate;
    const struct ko_expert_matrices *up = args->interleaved || args->relu2 ? gate : &args->up;
    struct expert_product a = product_of(args, p);
    if (up->first.type != gate->first.type) {
        return ko_fail(err, KO_E_FAILED,
                       "GPU %d: the experts' gates and ups have different types, report this",
                       be->device);
    }
    a.x = args->x;
    a.n_in = args->d;
    a.n_out = gate->first.n_out;
    a.w[0] = gate->first.data;
    a.w[1] = up->first.data;
    a.stride[0] = gate->stride;
    a.stride[1] = up->stride;
    a.bias[0] = gate->bias;
    a.bias[1] = up->bias;
    a.in_first = gate->first.in_first;
    a.outputs = args->relu2 ? EXPERT_SQUARED : args->interleaved ? EXPERT_ADJACENT : EXPERT_SPLIT;
    a.limit = args->limit;
    a.y = p->hidden;
    return ko_cuda_expert_product(be, &a, gate->first.type, err);
}

// output = down(hidden) for all pairs.
static enum ko_code compute_output(struct ko_backend *be, const struct ko_experts *args,
                                   const struct parts *p, struct ko_error *err)
{
    const struct ko_expert_matrices *down = &args->down;
    struct expert_product a = product_of(args, p);
    a.x = p->hidden;
    a.n_in = args->ff;
    a.n_out = args->d;
    a.w[0] = a.w[1] = down->first.data;
    a.stride[0] = a.stride[1] = down->stride;
    a.bias[0] = a.bias[1] = down->bias;
    a.in_first = down->first.in_first;
    a.outputs = EXPERT_PLAIN;
    a.y = p->output;
    return ko_cuda_expert_product(be, &a, down->first.type, err);
}

enum ko_code ko_cuda_experts(struct ko_backend *be, const struct ko_experts *args,
                             struct ko_error *err)
{
    const struct parts p = parts_of(args);
    if (args->n == 0) {
        return KO_OK;
    }
    sort_pairs<<<(unsigned)args->n_experts, THREADS, 0, be->stream>>>(
        args->choice, args->n * args->n_chosen, args->n_experts, p.begin, p.pair);
    enum ko_code code = ko_cuda_launched(be, "experts", err);
    if (code == KO_OK) {
        code = compute_hidden(be, args, &p, err);
    }
    if (code == KO_OK) {
        code = compute_output(be, args, &p, err);
    }
    if (code != KO_OK) {
        return code;
    }
    sum_choices<<<(unsigned)args->n, THREADS, 0, be->stream>>>(args->n_chosen, args->d, args->share,
                                                               p.output, args->y);
    return ko_cuda_launched(be, "experts", err);
}
