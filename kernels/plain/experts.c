/* SPDX-License-Identifier: Apache-2.0 */
/* Mixtures of experts in plain loops: each row by itself, each of its experts in turn. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "kernels/plain/plain.h"
#include "src/base/memory.h"

/* The expert with the greatest logit among those not taken; of equal ones the lowest. */
static int32_t greatest_left(const float *logits, int32_t n_experts, const bool *taken)
{
    int32_t best = -1;
    for (int32_t e = 0; e < n_experts; e++) {
        if (!taken[e] && (best < 0 || logits[e] > logits[best])) {
            best = e;
        }
    }
    return best;
}

/* ---- By sigmoids. */

static float sigmoid_of(float logit)
{
    return (float)(1.0 / (1.0 + exp(-(double)logit)));
}

/* The sum of the two best scores of a group of n. */
static float best_two(const float *score, int32_t n)
{
    float best = score[0], next = -INFINITY;
    for (int32_t e = 1; e < n; e++) {
        const bool better = score[e] > best;
        next = better ? best : score[e] > next ? score[e] : next;
        best = better ? score[e] : best;
    }
    return best + next;
}

/* Takes the experts of all groups but the chosen. */
static void take_other_groups(const struct ko_choose_experts *args, const float *score, bool *taken)
{
    const int32_t size = args->n_experts / args->n_groups;
    float sum[KO_MAX_EXPERT_GROUPS];
    bool chosen[KO_MAX_EXPERT_GROUPS] = {false};
    for (int32_t g = 0; g < args->n_groups; g++) {
        sum[g] = best_two(score + ko_at(g, size, 0), size);
    }
    for (int32_t c = 0; c < args->n_chosen_groups; c++) {
        chosen[greatest_left(sum, args->n_groups, chosen)] = true;
    }
    for (int32_t e = 0; e < args->n_experts; e++) {
        taken[e] = !chosen[e / size];
    }
}

/* One row. score [n_experts]: room. */
static void choose_by_sigmoids(const struct ko_choose_experts *args, int32_t row, bool *taken,
                               float *score)
{
    const float *logits = args->logits + ko_at(row, args->n_experts, 0);
    int32_t *choice = args->choice + ko_at(row, args->n_chosen, 0);
    float *share = args->share + ko_at(row, args->n_chosen, 0);
    double sum = 1e-20;
    for (int32_t e = 0; e < args->n_experts; e++) {
        score[e] = sigmoid_of(logits[e]) + (args->correction ? args->correction[e] : 0.0F);
        taken[e] = false;
    }
    if (args->n_groups > 0) {
        take_other_groups(args, score, taken);
    }
    for (int32_t c = 0; c < args->n_chosen; c++) {
        choice[c] = greatest_left(score, args->n_experts, taken);
        taken[choice[c]] = true;
        sum += (double)sigmoid_of(logits[choice[c]]);
    }
    for (int32_t c = 0; c < args->n_chosen; c++) {
        const double s = (double)sigmoid_of(logits[choice[c]]);
        share[c] = (float)((args->among_chosen ? s / sum : s) * (double)args->share_scale);
    }
}

/* ---- */

/* One row. taken [n_experts]: all false before and after. */
static void choose_for_row(const struct ko_choose_experts *args, int32_t row, bool *taken)
{
    const int32_t k = args->n_chosen;
    const float *logits = args->logits + ko_at(row, args->n_experts, 0);
    int32_t *choice = args->choice + ko_at(row, k, 0);
    float *share = args->share + ko_at(row, k, 0);
    double sum = 0.0;
    for (int32_t c = 0; c < k; c++) {
        choice[c] = greatest_left(logits, args->n_experts, taken);
        taken[choice[c]] = true;
    }
    const double top = (double)logits[choice[0]];
    for (int32_t e = 0; e < args->n_experts; e++) {
        sum += !args->among_chosen || taken[e] ? exp((double)logits[e] - top) : 0.0;
    }
    for (int32_t c = 0; c < k; c++) {
        share[c] = (float)(exp((double)logits[choice[c]] - top) / sum);
        taken[choice[c]] = false;
    }
}

enum ko_code ko_plain_choose_experts(struct ko_backend *be, const struct ko_choose_experts *args,
                                     struct ko_error *err)
{
    (void)be;
    bool *taken = ko_new((size_t)args->n_experts, sizeof *taken, err);
    float *score = taken ? ko_new((size_t)args->n_experts, sizeof *score, err) : NULL;
    for (int32_t r = 0; score && r < args->n; r++) {
        if (args->sigmoid) {
            choose_by_sigmoids(args, r, taken, score);
        } else {
            choose_for_row(args, r, taken);
        }
    }
    const enum ko_code code = score ? KO_OK : KO_E_MEMORY;
    free(taken);
    free(score);
    return code;
}

/* Output `out` of x [n_in] times the expert's matrix, plus its bias. */
static double expert_output(const struct ko_expert_matrices *w, int32_t expert, int32_t out,
                            const float *x)
{
    const struct ko_matrix *m = &w->first;
    const float *data = (const float *)m->data + (size_t)expert * w->stride;
    double sum = 0.0;
    for (int32_t in = 0; in < m->n_in; in++) {
        const size_t at = m->in_first ? ko_at(in, m->n_out, out) : ko_at(out, m->n_in, in);
        sum += (double)x[in] * (double)data[at];
    }
    return w->bias ? sum + (double)w->bias[ko_at(expert, m->n_out, out)] : sum;
}

static double gated_value(double gate, double up, double limit)
{
    if (!(limit > 0.0)) {
        return ko_plain_silu(gate) * up;
    }
    gate = gate > limit ? limit : gate;
    up = up > limit ? limit : up < -limit ? -limit : up;
    return (up + 1.0) * gate / (1.0 + exp(-1.702 * gate));
}

/* hidden [ff] = f(gate(x), up(x)) of one expert. */
static void compute_hidden(const struct ko_experts *args, int32_t expert, const float *x,
                           float *hidden)
{
    for (int32_t k = 0; k < args->ff; k++) {
        const double gate = expert_output(&args->gate, expert, args->interleaved ? 2 * k : k, x);
        if (args->relu2) {
            hidden[k] = (float)(gate < 0.0 ? 0.0 : gate * gate); /* NaN stays NaN */
            continue;
        }
        const double up = args->interleaved ? expert_output(&args->gate, expert, 2 * k + 1, x)
                                            : expert_output(&args->up, expert, k, x);
        hidden[k] = (float)gated_value(gate, up, (double)args->limit);
    }
}

enum ko_code ko_plain_experts(struct ko_backend *be, const struct ko_experts *args,
                              struct ko_error *err)
{
    const int32_t k = args->n_chosen;
    float *hidden = args->work; /* [n_chosen, ff] */
    (void)be;
    (void)err;
    for (int32_t r = 0; r < args->n; r++) {
        const float *x = args->x + ko_at(r, args->d, 0);
        for (int32_t c = 0; c < k; c++) {
            compute_hidden(args, args->choice[ko_at(r, k, c)], x, hidden + ko_at(c, args->ff, 0));
        }
        for (int32_t out = 0; out < args->d; out++) {
            double sum = 0.0;
            for (int32_t c = 0; c < k; c++) {
                const size_t at = ko_at(r, k, c);
                sum += (double)args->share[at] * expert_output(&args->down, args->choice[at], out,
                                                               hidden + ko_at(c, args->ff, 0));
            }
            args->y[ko_at(r, args->d, out)] = (float)sum;
        }
    }
    return KO_OK;
}
