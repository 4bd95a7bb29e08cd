/* SPDX-License-Identifier: Apache-2.0 */
/* Compares recomputed cells with the cube's values, prints the worst ones and the verdict of
   `verify`. */
#include "src/cli/verification.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/base/memory.h"

/* A share of the value itself is accepted on top of the absolute bound, for models whose
   log-probabilities are large. */
static const double RELATIVE = 2e-4;
enum { N_WORST = 5 };

/* Where the target nearly ties with other tokens, its rank may differ by 1, or by 1 % beyond rank
   100. ko_verification_report limits how often. */
static bool rank_agrees(int32_t a, int32_t b)
{
    const int32_t larger = a > b ? a : b;
    return abs(a - b) <= (larger > 100 ? larger / 100 : 1);
}

/* NaN where one of the two has no foil. */
static double foil_difference(const struct ko_verification *v, int64_t k)
{
    return fabs(v->cell[k].foil_logprob - (double)v->again[k].foil_logprob);
}

/* The largest difference of any token of the whole answer; INFINITY where one of the two lacks a
   token. 0: answers are not scored as a whole. *agrees: within the bounds, ranks too. */
static double answer_difference(const struct ko_verification *v, int64_t k, bool *agrees)
{
    double largest = 0;
    *agrees = true;
    for (int64_t i = k * v->n_answer_tokens; v->answer && i < (k + 1) * v->n_answer_tokens; i++) {
        const struct ko_answer_metrics *a = &v->answer[i], *b = &v->answer_again[i];
        const bool past = isnan(a->logprob) && isnan(b->logprob);
        const double difference = fabs((double)a->logprob - (double)b->logprob);
        largest = past ? largest : isnan(difference) ? INFINITY : fmax(largest, difference);
        *agrees = *agrees &&
                  (past || difference <= v->atol + RELATIVE * fabs((double)b->logprob)) &&
                  (past ? a->rank == b->rank : rank_agrees(a->rank, b->rank));
    }
    return largest;
}

/* The largest difference of n log-probabilities; INFINITY where one of the two lacks one. *agrees:
   within the bounds. */
static double series_difference(const struct ko_verification *v, const float *a, const float *b,
                                int64_t n, bool *agrees)
{
    double largest = 0;
    for (int64_t i = 0; i < n; i++) {
        const double difference = fabs((double)a[i] - (double)b[i]);
        if (isnan(a[i]) && isnan(b[i])) {
            continue;
        }
        largest = isnan(difference) ? INFINITY : fmax(largest, difference);
        *agrees = *agrees && difference <= v->atol + RELATIVE * fabs((double)b[i]);
    }
    return largest;
}

/* The same of the cell's sum of right answers and of its options; 0 where the cube has none. */
static double choice_difference(const struct ko_verification *v, int64_t k, bool *agrees)
{
    const int64_t n = v->axes->n_options;
    double sum = 0, option = 0;
    *agrees = true;
    if (v->sum) {
        sum = series_difference(v, v->sum + k, v->sum_again + k, 1, agrees);
    }
    if (v->option) {
        option = series_difference(v, v->option + k * n, v->option_again + k * n, n, agrees);
    }
    return fmax(sum, option);
}

static bool cell_agrees(const struct ko_verification *v, int64_t k)
{
    const struct ko_sampled *cell = &v->cell[k];
    const struct ko_metrics *again = &v->again[k];
    const double prob = exp((double)again->logprob);
    const double bound = v->atol + RELATIVE * fabs((double)again->logprob);
    const double kl_bound = v->atol + RELATIVE * fabs((double)again->kl);
    const double foil_bound = v->atol + RELATIVE * fabs((double)again->foil_logprob);
    const bool no_foil = isnan(cell->foil_logprob) && isnan(again->foil_logprob);
    bool tokens_agree = true, choices_agree = true;
    (void)answer_difference(v, k, &tokens_agree);
    (void)choice_difference(v, k, &choices_agree);
    return tokens_agree && choices_agree && (no_foil || foil_difference(v, k) <= foil_bound) &&
           fabs(cell->logprob - (double)again->logprob) <= bound &&
           fabs(cell->prob - prob) <= prob * expm1(bound) + 1e-30 &&
           fabs(cell->kl - (double)again->kl) <= kl_bound &&
           rank_agrees(cell->target_rank, again->target_rank);
}

/* How far a cell is off; the worst cells are printed. */
static double cell_difference(const struct ko_verification *v, int64_t k)
{
    const double lp = fabs(v->cell[k].logprob - (double)v->again[k].logprob);
    const double kl = fabs(v->cell[k].kl - (double)v->again[k].kl);
    return isnan(lp) || isnan(kl) ? INFINITY : fmax(fmax(lp, kl), foil_difference(v, k));
}

static void print_cell(const struct ko_verification *v, int64_t k, FILE *out)
{
    const struct ko_sampled *c = &v->cell[k];
    const struct ko_cube_axes *axes = v->axes;
    char position[32] = "", foil[96] = "", choices[64] = "";
    bool agrees = true;
    const double difference = choice_difference(v, k, &agrees);
    if (!agrees) {
        snprintf(choices, sizeof choices, "; sums and options differ by %.2e", difference);
    }
    if (c->heat) {
        snprintf(position, sizeof position, " source %d", c->source_position);
    }
    if (!isnan(c->foil_logprob) || !isnan(v->again[k].foil_logprob)) {
        snprintf(foil, sizeof foil, "; foil logprob %.6f, recomputed %.6f", c->foil_logprob,
                 (double)v->again[k].foil_logprob);
    }
    fprintf(
        out,
        "  %s prompt %s %s%s %s size %d start %d: logprob %.6f, recomputed %.6f; kl %.3e, "
        "recomputed %.3e; prob %.3e%s%s; rank %d, recomputed %d; first token %d, recomputed %d\n",
        axes->model.item[c->model], (c->heat ? &axes->heat_prompt : &axes->prompt)->item[c->prompt],
        (c->heat ? &axes->heat_route : &axes->route)->item[c->route], position,
        axes->feature_class.item[c->class], axes->window_size[c->size],
        axes->window_start[c->start], c->logprob, (double)v->again[k].logprob, c->kl,
        (double)v->again[k].kl, c->prob, foil, choices, c->target_rank, v->again[k].target_rank,
        c->top1_id, v->again[k].top1_id);
}

/* Prints the worst cells that disagree. If none does, prints cells whose rank or first token
   differs. */
static enum ko_code print_worst(const struct ko_verification *v, bool any_bad, FILE *out,
                                struct ko_error *err)
{
    uint8_t *shown = ko_new((size_t)v->n_cells, 1, err);
    if (!shown) {
        return KO_E_MEMORY;
    }
    for (int n = 0; n < N_WORST; n++) {
        int64_t worst = -1;
        for (int64_t k = 0; k < v->n_cells; k++) {
            const bool ids_differ = v->cell[k].target_rank != v->again[k].target_rank ||
                                    v->cell[k].top1_id != v->again[k].top1_id;
            const bool listed = any_bad ? !cell_agrees(v, k) : ids_differ;
            if (listed && !shown[k] &&
                (worst < 0 || cell_difference(v, k) > cell_difference(v, worst))) {
                worst = k;
            }
        }
        if (worst < 0) {
            break;
        }
        print_cell(v, worst, out);
        shown[worst] = 1;
    }
    free(shown);
    return KO_OK;
}

struct found {
    double logprob, kl, foil; /* largest differences; foil: NaN where no cell has one */
    double token;             /* of any token of whole answers */
    double choice;            /* of sums of right answers, and of options */
    int64_t n_bad;            /* cells that disagree */
    int64_t n_rank, n_top1;   /* cells with another rank, another first token */
};

static struct found compare_cells(const struct ko_verification *v)
{
    struct found found = {.foil = (double)NAN};
    for (int64_t k = 0; k < v->n_cells; k++) {
        found.logprob = fmax(found.logprob, fabs(v->cell[k].logprob - (double)v->again[k].logprob));
        found.kl = fmax(found.kl, fabs(v->cell[k].kl - (double)v->again[k].kl));
        found.foil = fmax(found.foil, foil_difference(v, k)); /* NaN: neither has a foil */
        bool agrees = true;
        found.token = fmax(found.token, answer_difference(v, k, &agrees));
        found.choice = fmax(found.choice, choice_difference(v, k, &agrees));
        found.n_rank += v->cell[k].target_rank != v->again[k].target_rank;
        found.n_top1 += v->cell[k].top1_id != v->again[k].top1_id;
        found.n_bad += !cell_agrees(v, k);
    }
    return found;
}

static void print_verdict(const struct ko_verification *v, const struct found *found, bool passed,
                          FILE *out)
{
    const long long n = v->n_cells;
    if (passed) {
        fprintf(out, "%s: verified: %lld cells agree with separate forward passes\n", v->path, n);
    } else if (found->n_bad > 0) {
        fprintf(out, "%s: NOT verified: %lld of %lld cells differ from separate forward passes\n",
                v->path, (long long)found->n_bad, n);
    } else {
        fprintf(out, "%s: NOT verified: too many ranks or first tokens of %lld cells differ\n",
                v->path, n);
    }
}

enum ko_code ko_verification_report(const struct ko_verification *v, FILE *out, bool *passed,
                                    struct ko_error *err)
{
    const struct found found = compare_cells(v);
    const int64_t ties = 1 + v->n_cells / 50;
    char foils[64] = "", tokens[64] = "", choices[64] = "";
    if (!isnan(found.foil)) {
        snprintf(foils, sizeof foils, ", %.2e in that of the foil", found.foil);
    }
    if (v->answer) {
        snprintf(tokens, sizeof tokens, ", %.2e in that of one token", found.token);
    }
    if (v->sum || v->option) {
        snprintf(choices, sizeof choices, ", %.2e in sums and options", found.choice);
    }
    *passed = found.n_bad == 0 && found.n_rank <= ties && found.n_top1 <= ties;
    print_verdict(v, &found, *passed, out);
    fprintf(out,
            "  largest difference: %.2e nats in log-probability, %.2e in KL%s%s%s\n"
            "  accepted: %.0e, and %.0e of the value\n"
            "  cells with another rank: %lld, with another first token: %lld\n"
            "  accepted, where tokens nearly tie: %lld each\n",
            found.logprob, found.kl, foils, tokens, choices, v->atol, RELATIVE,
            (long long)found.n_rank, (long long)found.n_top1, (long long)ties);
    return *passed ? KO_OK : print_worst(v, found.n_bad > 0, out, err);
}
