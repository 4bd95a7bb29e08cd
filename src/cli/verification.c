/* SPDX-License-Identifier: Apache-2.0 */
/* Compares recomputed cells with the cube's values, prints the worst ones and the verdict of
   `verify`. */
#include "src/cli/verification.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/base/memory.h"

/* Beside the absolute bound a share of the value itself, for models whose log-probabilities are
   large. */
static const double RELATIVE = 2e-4;
enum { N_WORST = 5 };

/* A rank may differ by a place or two where the target is nearly tied with others: by one, or by
   one in a hundred far down the list. How often that may happen is limited too, see report. */
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

static bool agrees(const struct ko_verification *v, int64_t k)
{
    const struct ko_sampled *cell = &v->cell[k];
    const struct ko_metrics *again = &v->again[k];
    const double prob = exp((double)again->logprob);
    const double bound = v->atol + RELATIVE * fabs((double)again->logprob);
    const double kl_bound = v->atol + RELATIVE * fabs((double)again->kl);
    const double foil_bound = v->atol + RELATIVE * fabs((double)again->foil_logprob);
    const bool no_foil = isnan(cell->foil_logprob) && isnan(again->foil_logprob);
    return (no_foil || foil_difference(v, k) <= foil_bound) &&
           fabs(cell->logprob - (double)again->logprob) <= bound &&
           fabs(cell->prob - prob) <= prob * expm1(bound) + 1e-30 &&
           fabs(cell->kl - (double)again->kl) <= kl_bound &&
           rank_agrees(cell->target_rank, again->target_rank);
}

/* What orders the cells by how wrong they are. */
static double difference(const struct ko_verification *v, int64_t k)
{
    const double lp = fabs(v->cell[k].logprob - (double)v->again[k].logprob);
    const double kl = fabs(v->cell[k].kl - (double)v->again[k].kl);
    return isnan(lp) || isnan(kl) ? INFINITY : fmax(fmax(lp, kl), foil_difference(v, k));
}

static void print_cell(struct ko_cli *cli, const struct ko_verification *v, int64_t k)
{
    const struct ko_sampled *c = &v->cell[k];
    const struct ko_cube_axes *axes = v->axes;
    char position[32] = "", foil[96] = "";
    if (c->heat) {
        snprintf(position, sizeof position, " source %d", c->source_position);
    }
    if (!isnan(c->foil_logprob) || !isnan(v->again[k].foil_logprob)) {
        snprintf(foil, sizeof foil, "; foil logprob %.6f, recomputed %.6f", c->foil_logprob,
                 (double)v->again[k].foil_logprob);
    }
    fprintf(cli->out,
            "  %s prompt %s %s%s %s size %d start %d: logprob %.6f, recomputed %.6f; kl %.3e, "
            "recomputed %.3e; prob %.3e%s; rank %d, recomputed %d; first token %d, recomputed %d\n",
            axes->model.item[c->model],
            (c->heat ? &axes->heat_prompt : &axes->prompt)->item[c->prompt],
            (c->heat ? &axes->heat_route : &axes->route)->item[c->route], position,
            axes->feature_class.item[c->class], axes->window_size[c->size],
            axes->window_start[c->start], c->logprob, (double)v->again[k].logprob, c->kl,
            (double)v->again[k].kl, c->prob, foil, c->target_rank, v->again[k].target_rank,
            c->top1_id, v->again[k].top1_id);
}

/* The worst cells by name: those that disagree, or, where there are none, those whose rank or first
   token differs. */
static enum ko_code print_worst(struct ko_cli *cli, const struct ko_verification *v, bool any_bad,
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
            const bool listed = any_bad ? !agrees(v, k) : ids_differ;
            if (listed && !shown[k] && (worst < 0 || difference(v, k) > difference(v, worst))) {
                worst = k;
            }
        }
        if (worst < 0) {
            break;
        }
        print_cell(cli, v, worst);
        shown[worst] = 1;
    }
    free(shown);
    return KO_OK;
}

/* How often what was found. */
struct found {
    double logprob, kl, foil; /* largest differences; foil NaN where no cell has one */
    int64_t n_bad, n_rank, n_top1;
};

static struct found compare(const struct ko_verification *v)
{
    struct found found = {.foil = (double)NAN};
    for (int64_t k = 0; k < v->n_cells; k++) {
        found.logprob = fmax(found.logprob, fabs(v->cell[k].logprob - (double)v->again[k].logprob));
        found.kl = fmax(found.kl, fabs(v->cell[k].kl - (double)v->again[k].kl));
        found.foil = fmax(found.foil, foil_difference(v, k)); /* NaN: neither has a foil */
        found.n_rank += v->cell[k].target_rank != v->again[k].target_rank;
        found.n_top1 += v->cell[k].top1_id != v->again[k].top1_id;
        found.n_bad += !agrees(v, k);
    }
    return found;
}

static void print_verdict(FILE *out, const char *path, const struct found *found, bool passed,
                          int64_t n)
{
    if (passed) {
        fprintf(out, "%s: verified: %lld cells agree with forward passes of their own\n", path,
                (long long)n);
    } else if (found->n_bad > 0) {
        fprintf(out,
                "%s: NOT verified: %lld of %lld cells differ from forward passes of their own\n",
                path, (long long)found->n_bad, (long long)n);
    } else {
        fprintf(out, "%s: NOT verified: too many ranks or first tokens of %lld cells differ\n",
                path, (long long)n);
    }
}

enum ko_code ko_verification_report(struct ko_cli *cli, const struct ko_verification *v,
                                    bool *passed, struct ko_error *err)
{
    const struct found found = compare(v);
    const int64_t ties = 1 + v->n_cells / 50;
    char foils[64] = "";
    if (!isnan(found.foil)) {
        snprintf(foils, sizeof foils, ", %.2e in that of the foil", found.foil);
    }
    *passed = found.n_bad == 0 && found.n_rank <= ties && found.n_top1 <= ties;
    print_verdict(cli->out, cli->options->arguments.item[0], &found, *passed, v->n_cells);
    fprintf(cli->out,
            "  largest difference: %.2e nats in log-probability, %.2e in KL%s\n"
            "  accepted: %.0e, and %.0e of the value\n"
            "  cells with another rank: %lld, with another first token: %lld\n"
            "  accepted, where tokens nearly tie: %lld each\n",
            found.logprob, found.kl, foils, v->atol, RELATIVE, (long long)found.n_rank,
            (long long)found.n_top1, (long long)ties);
    return *passed ? KO_OK : print_worst(cli, v, found.n_bad > 0, err);
}
