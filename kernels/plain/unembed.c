/* SPDX-License-Identifier: Apache-2.0 */
/* Computes the logits of each row in plain loops, and from them the metrics: log probabilities, KL
   divergence, rank and top token. */
#include "kernels/plain/plain.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"

/* logit[v] = scale (bias[v] + sum_c x[row of r, c] table[v, c]), capped, for the whole vocabulary */
static void logits_of(const struct ko_unembed *args, int32_t r, double *logit)
{
    const struct ko_matrix *table = &args->table;
    const float *w = table->data, *x = args->x + ko_at(ko_unembed_row(args, r), table->n_in, 0);
    const double cap = (double)args->cap;
    for (int32_t v = 0; v < table->n_out; v++) {
        double sum = args->bias ? (double)args->bias[v] : 0.0;
        for (int32_t c = 0; c < table->n_in; c++) {
            size_t at = table->in_first ? ko_at(c, table->n_out, v) : ko_at(v, table->n_in, c);
            sum += (double)x[c] * (double)w[at];
        }
        sum *= (double)args->scale;
        logit[v] = cap > 0.0 ? cap * tanh(sum / cap) : sum;
    }
}

/* Returns log sum_v exp(logit[v]). *top: the token with the largest logit, the lowest of equals. */
static double log_sum_exp(const double *logit, int32_t n, int32_t *top)
{
    int32_t best = 0;
    double sum = 0.0;
    for (int32_t v = 1; v < n; v++) {
        best = logit[v] > logit[best] ? v : best;
    }
    for (int32_t v = 0; v < n; v++) {
        sum += exp(logit[v] - logit[best]);
    }
    *top = best;
    /* cppcheck-suppress invalidFunctionArg ; the sum contains the largest logit's exp(0) */
    return logit[best] + log(sum);
}

/* The metrics of row r from its logits and those of its clean row, each [vocabulary]. */
static struct ko_metrics measure_row(const struct ko_unembed *args, int32_t r, const double *logit,
                                     const double *clean)
{
    int32_t n = args->table.n_out, target = args->target[r], foil = args->foil[r];
    struct ko_metrics out = {.target_rank = 1};
    int32_t clean_top = 0;
    double total = log_sum_exp(logit, n, &out.top1_id);
    double clean_total = log_sum_exp(clean, n, &clean_top);
    double kl = 0.0;
    for (int32_t v = 0; v < n; v++) {
        kl += exp(clean[v] - clean_total) * (clean[v] - logit[v]);
        out.target_rank += v != target && logit[v] > logit[target];
    }
    out.logprob = (float)(logit[target] - total);
    out.foil_logprob = foil < 0 ? NAN : (float)(logit[foil] - total);
    out.kl = args->clean[r] == r ? 0.0F : (float)(kl - (clean_total - total));
    if (isnan(total)) {
        out.kl = NAN;
        out.target_rank = out.top1_id = -1;
    }
    return out;
}

/* out [n] from x [n, d] and the table [vocabulary, d] */
enum ko_code ko_plain_unembed(struct ko_backend *be, const struct ko_unembed *args,
                              struct ko_error *err)
{
    (void)be;
    size_t n = (size_t)args->table.n_out;
    double *logit = ko_new(n, sizeof *logit, err);
    double *clean = ko_new(n, sizeof *clean, err);
    enum ko_code code = logit && clean ? KO_OK : KO_E_MEMORY;
    int32_t held = -1; /* the row whose logits are in clean */
    for (int32_t r = 0; code == KO_OK && r < args->n; r++) {
        if (args->clean[r] != held) {
            held = args->clean[r];
            logits_of(args, held, clean);
        }
        logits_of(args, r, logit);
        args->out[r] = measure_row(args, r, logit, clean);
    }
    free(logit);
    free(clean);
    return code;
}
