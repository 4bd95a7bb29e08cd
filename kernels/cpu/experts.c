/* SPDX-License-Identifier: Apache-2.0 */
/* Mixtures of experts on the CPU. Rows are sorted by expert, and each expert that has rows
   multiplies all of them at once. */
#include <math.h>
#include <string.h>

#include "kernels/cpu/cpu.h"

/* The n_chosen experts with the greatest logits into choice. taken [n_experts]: all 0 before. */
static void choose_greatest(const struct ko_choose_experts *args, const float *logits,
                            int32_t *choice, uint8_t *taken)
{
    for (int32_t c = 0; c < args->n_chosen; c++) {
        int32_t best = -1;
        for (int32_t e = 0; e < args->n_experts; e++) {
            if (!taken[e] && (best < 0 || logits[e] > logits[best])) {
                best = e;
            }
        }
        choice[c] = best;
        taken[best] = 1;
    }
}

/* sigmoid(x) without an overflow of exp. */
static float sigmoid_of(float x)
{
    const float part = expf(-fabsf(x));
    return (x < 0.0F ? part : 1.0F) / (1.0F + part);
}

/* Takes the experts of all groups but those with the greatest sums of their two best. */
static void take_other_groups(const struct ko_choose_experts *args, const float *score,
                              uint8_t *taken)
{
    const int32_t n = args->n_groups, size = args->n_experts / n;
    float sum[KO_MAX_EXPERT_GROUPS];
    uint8_t chosen[KO_MAX_EXPERT_GROUPS] = {0};
    for (int32_t g = 0; g < n; g++) {
        float best = -INFINITY, next = -INFINITY;
        for (int32_t e = g * size; e < (g + 1) * size; e++) {
            const float lower = score[e] > best ? best : score[e];
            best = score[e] > best ? score[e] : best;
            next = lower > next ? lower : next;
        }
        sum[g] = best + next;
    }
    const struct ko_choose_experts groups = {.n_experts = n, .n_chosen = args->n_chosen_groups};
    int32_t choice[KO_MAX_EXPERT_GROUPS];
    choose_greatest(&groups, sum, choice, chosen);
    for (int32_t e = 0; e < args->n_experts; e++) {
        taken[e] = !chosen[e / size];
    }
}

/* score [n_experts]: room. taken [n_experts]: all 0 before. */
static void choose_by_sigmoids(const struct ko_choose_experts *args, const float *logits,
                               int32_t *choice, float *share, float *score, uint8_t *taken)
{
    float sum = 1e-20F;
    for (int32_t e = 0; e < args->n_experts; e++) {
        score[e] = sigmoid_of(logits[e]) + (args->correction ? args->correction[e] : 0.0F);
    }
    if (args->n_groups > 0) {
        take_other_groups(args, score, taken);
    }
    choose_greatest(args, score, choice, taken);
    for (int32_t c = 0; c < args->n_chosen; c++) {
        share[c] = sigmoid_of(logits[choice[c]]);
        sum += share[c];
    }
    for (int32_t c = 0; c < args->n_chosen; c++) {
        share[c] = (args->among_chosen ? share[c] / sum : share[c]) * args->share_scale;
    }
}

static void share_softmax(const struct ko_choose_experts *args, const float *logits,
                          const int32_t *choice, float *share)
{
    const float top = logits[choice[0]];
    float sum = 0.0F;
    for (int32_t c = 0; c < args->n_chosen; c++) {
        share[c] = expf(logits[choice[c]] - top);
        sum += share[c];
    }
    if (!args->among_chosen) {
        sum = 0.0F;
        for (int32_t e = 0; e < args->n_experts; e++) {
            sum += expf(logits[e] - top);
        }
    }
    for (int32_t c = 0; c < args->n_chosen; c++) {
        share[c] /= sum;
    }
}

enum ko_code ko_cpu_choose_experts(struct ko_backend *be, const struct ko_choose_experts *args,
                                   struct ko_error *err)
{
    const size_t n_experts = (size_t)args->n_experts, n = n_experts * (size_t)args->n;
    float *score = ko_cpu_scratch(be, n * (sizeof *score + 1) + 1, err);
    if (!score) {
        return KO_E_MEMORY;
    }
    uint8_t *taken = (uint8_t *)(void *)(score + n);
    memset(taken, 0, n);
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < args->n; r++) {
        const float *logits = args->logits + ko_at(r, args->n_experts, 0);
        int32_t *choice = args->choice + ko_at(r, args->n_chosen, 0);
        float *share = args->share + ko_at(r, args->n_chosen, 0);
        uint8_t *own = taken + (size_t)r * n_experts;
        if (args->sigmoid) {
            choose_by_sigmoids(args, logits, choice, share, score + (size_t)r * n_experts, own);
        } else {
            choose_greatest(args, logits, choice, own);
            share_softmax(args, logits, choice, share);
        }
    }
    return KO_OK;
}

/* The parts of ko_experts.work. A pair is a row and one of its choices, numbered r * n_chosen + c. */
struct parts {
    float *hidden;  /* [n, 2 ff] of one expert: gates and ups apart, or interleaved */
    float *out;     /* [n * n_chosen, d] sorted by expert: first the rows, then their outputs */
    int32_t *place; /* [n * n_chosen] where a pair lies in `out` */
    int32_t *begin; /* [n_experts + 1] where an expert's pairs begin in `out` */
    int32_t *next;  /* [n_experts] */
};

static struct parts parts_of(const struct ko_experts *args)
{
    const size_t n = (size_t)args->n, pairs = n * (size_t)args->n_chosen;
    struct parts p;
    p.hidden = args->work;
    p.out = p.hidden + n * 2 * (size_t)args->ff;
    p.place = (int32_t *)(void *)(p.out + pairs * (size_t)args->d);
    p.begin = p.place + pairs;
    p.next = p.begin + args->n_experts + 1;
    return p;
}

/* A counting sort, in which an expert's rows keep their order. */
static void sort_pairs(const struct ko_experts *args, const struct parts *p)
{
    const size_t pairs = (size_t)args->n * (size_t)args->n_chosen;
    memset(p->begin, 0, ((size_t)args->n_experts + 1) * sizeof p->begin[0]);
    for (size_t k = 0; k < pairs; k++) {
        p->begin[args->choice[k] + 1]++;
    }
    for (int32_t e = 0; e < args->n_experts; e++) {
        p->begin[e + 1] += p->begin[e];
        p->next[e] = p->begin[e];
    }
    for (size_t k = 0; k < pairs; k++) {
        p->place[k] = p->next[args->choice[k]]++;
    }
}

/* y [n, n_out] (row distance ldy) = x [n, n_in] times the expert's matrix, plus its bias. */
static enum ko_code multiply_group(struct ko_backend *be, const struct ko_expert_matrices *w,
                                   int32_t expert, struct ko_linear *args, struct ko_error *err)
{
    args->w = w->first;
    args->w.data = (const float *)w->first.data + (size_t)expert * w->stride;
    args->bias = w->bias ? w->bias + ko_at(expert, w->first.n_out, 0) : NULL;
    return ko_cpu_linear(be, args, err);
}

/* gate = f(gate, up) over n numbers. With a limit, g sigmoid(z) = silu(z) / 1.702, z = 1.702 g. */
static void gate_numbers(const struct ko_backend *be, float limit, size_t n, float *gate, float *up)
{
    const float slope = 1.702F;
    if (!(limit > 0.0F)) {
        be->isa->silu_mul(n, gate, up, gate);
        return;
    }
    for (size_t k = 0; k < n; k++) {
        gate[k] = slope * (gate[k] > limit ? limit : gate[k]);
        up[k] = up[k] > limit ? limit : up[k] < -limit ? -limit : up[k];
        up[k] = (up[k] + 1.0F) / slope;
    }
    be->isa->silu(n, gate, gate);
    be->isa->multiply(n, gate, up, gate);
}

/* A row [2 ff] of pairs (gate, up), of which the first ff numbers become f(gate, up). A block is
   written where earlier blocks, or it itself, have been read. */
static void gate_interleaved(const struct ko_backend *be, const struct ko_experts *args, float *row)
{
    enum { BLOCK = 256 };
    float gate[BLOCK], up[BLOCK];
    const size_t ff = (size_t)args->ff;
    for (size_t first = 0; first < ff; first += BLOCK) {
        const size_t n = ff - first < BLOCK ? ff - first : BLOCK;
        /* cppcheck-suppress knownConditionTrueFalse ; first < ff, so n is not 0 */
        for (size_t k = 0; k < n; k++) {
            gate[k] = row[2 * (first + k)];
            up[k] = row[2 * (first + k) + 1];
        }
        gate_numbers(be, args->limit, n, gate, up);
        memcpy(row + first, gate, n * sizeof gate[0]);
    }
}

/* The rows [n, 2 ff] of gates and ups (with relu2 gates alone): f(gate, up) is left in the first ff
   numbers of each. */
static void gate_group(const struct ko_backend *be, const struct ko_experts *args, int32_t n,
                       float *hidden)
{
    const size_t ff = (size_t)args->ff;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < n; r++) {
        float *row = hidden + (size_t)r * 2 * ff;
        if (args->relu2) {
            be->isa->relu2(ff, row);
        } else if (args->interleaved) {
            gate_interleaved(be, args, row);
        } else {
            gate_numbers(be, args->limit, ff, row, row + ff);
        }
    }
}

/* The rows of one expert in p->out become their outputs. */
static enum ko_code compute_expert(struct ko_backend *be, const struct ko_experts *args,
                                   const struct parts *p, int32_t expert, struct ko_error *err)
{
    const int32_t n = p->begin[expert + 1] - p->begin[expert], d = args->d, ff = args->ff;
    float *rows = p->out + ko_at(p->begin[expert], d, 0);
    struct ko_linear in = {.n = n, .x = rows, .ldx = d, .y = p->hidden, .ldy = 2 * ff};
    struct ko_linear down = {.n = n, .x = p->hidden, .ldx = 2 * ff, .y = rows, .ldy = d};
    if (n == 0) {
        return KO_OK;
    }
    enum ko_code code = multiply_group(be, &args->gate, expert, &in, err);
    if (code == KO_OK && !args->interleaved && !args->relu2) {
        in.y = p->hidden + ff;
        code = multiply_group(be, &args->up, expert, &in, err);
    }
    if (code != KO_OK) {
        return code;
    }
    gate_group(be, args, n, p->hidden);
    return multiply_group(be, &args->down, expert, &down, err);
}

/* y = the outputs of each row's choices times their shares, in the order of the choices. */
static void sum_choices(const struct ko_backend *be, const struct ko_experts *args,
                        const struct parts *p)
{
    const size_t d = (size_t)args->d;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < args->n; r++) {
        float *y = args->y + ko_at(r, args->d, 0);
        be->isa->start(d, NULL, y);
        for (int32_t c = 0; c < args->n_chosen; c++) {
            const size_t pair = ko_at(r, args->n_chosen, c);
            be->isa->add_scaled(d, args->share[pair], p->out + ko_at(p->place[pair], args->d, 0),
                                y);
        }
    }
}

enum ko_code ko_cpu_experts(struct ko_backend *be, const struct ko_experts *args,
                            struct ko_error *err)
{
    const struct parts p = parts_of(args);
    const size_t d = (size_t)args->d;
    enum ko_code code = KO_OK;
    if (args->n == 0) {
        return KO_OK;
    }
    sort_pairs(args, &p);
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < args->n; r++) {
        for (int32_t c = 0; c < args->n_chosen; c++) {
            const int32_t place = p.place[ko_at(r, args->n_chosen, c)];
            memcpy(p.out + ko_at(place, args->d, 0), args->x + ko_at(r, args->d, 0),
                   d * sizeof p.out[0]);
        }
    }
    for (int32_t e = 0; e < args->n_experts && code == KO_OK; e++) {
        code = compute_expert(be, args, &p, e, err);
    }
    if (code == KO_OK) {
        sum_choices(be, args, &p);
    }
    return code;
}
