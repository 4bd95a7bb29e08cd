/* SPDX-License-Identifier: Apache-2.0 */
/* The unembedding with its metrics. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/at.h"
#include "tests/conformance/check.h"

struct batch {
    int32_t n, vocabulary, d;
    const int32_t *row; /* [n] of each scored token, of n_rows; NULL: its own */
    int32_t n_rows;
    float scale, cap;    /* of the logits */
    double tolerance[2]; /* of log probabilities, of KL */
    float *x, *table, *bias;
    int32_t *clean, *target, *foil;
};

/* The expected metrics. Logits less than `tie` apart may count as equal or as greater, which gives
   the lowest and the highest rank. */
struct expected {
    double logprob, foil_logprob, kl;
    int32_t lowest_rank, highest_rank, top1_id;
};

/* The rows of one prompt are neighbours, and its clean row is the last. */
static struct batch make_batch(int32_t n, int32_t vocabulary, int32_t d, int32_t rows_a_prompt)
{
    struct batch x = {
        .n = n, .vocabulary = vocabulary, .d = d, .scale = 1.0F, .tolerance = {2e-6, 1e-6}};
    x.x = random_floats(1, (size_t)(n * d), -1.5F, 1.5F);
    x.table = random_floats(2, (size_t)vocabulary * (size_t)d, -1.0F, 1.0F);
    x.bias = random_floats(3, (size_t)vocabulary, -1.0F, 1.0F);
    x.clean = calloc((size_t)n * 3, sizeof *x.clean);
    assert_non_null(x.clean);
    x.target = x.clean + n;
    x.foil = x.target + n;
    for (int32_t r = 0; r < n; r++) {
        int32_t last = r / rows_a_prompt * rows_a_prompt + rows_a_prompt - 1;
        x.clean[r] = last < n ? last : n - 1;
        x.target[r] = (r * 7919 + 13) % vocabulary;
        x.foil[r] = r % 3 ? (r * 104729) % vocabulary : -1;
    }
    return x;
}

static void free_batch(struct batch *x)
{
    free(x->x);
    free(x->table);
    free(x->bias);
    free(x->clean);
}

static struct ko_metrics *unembed_rows(const struct backend *b, const struct batch *x, bool biased)
{
    struct memory m = {.b = b};
    size_t vocabulary = (size_t)x->vocabulary, d = (size_t)x->d;
    struct ko_metrics *out = calloc((size_t)x->n, sizeof *out);
    assert_non_null(out);
    const struct ko_unembed args = {.n = x->n,
                                    .row = x->row,
                                    .n_rows = x->n_rows,
                                    .x = memory_floats(&m, x->x, (size_t)x->n * d),
                                    .table = {.data = memory_floats(&m, x->table, vocabulary * d),
                                              .n_out = x->vocabulary,
                                              .n_in = x->d},
                                    .bias = biased ? memory_floats(&m, x->bias, vocabulary) : NULL,
                                    .scale = x->scale,
                                    .cap = x->cap,
                                    .clean = x->clean,
                                    .target = x->target,
                                    .foil = x->foil,
                                    .out = out};
    RUN(b, unembed, &args);
    memory_release(&m);
    return out;
}

static double *logits_of(const struct batch *x, bool biased)
{
    double *logit = calloc((size_t)x->n * (size_t)x->vocabulary, sizeof *logit);
    assert_non_null(logit);
    for (int32_t r = 0; r < x->n; r++) {
        const int32_t row = x->row ? x->row[r] : r;
        for (int32_t v = 0; v < x->vocabulary; v++) {
            double sum = biased ? (double)x->bias[v] : 0.0;
            for (int32_t c = 0; c < x->d; c++) {
                sum += (double)x->x[row * x->d + c] * (double)x->table[ko_at(v, x->d, c)];
            }
            sum *= (double)x->scale;
            sum = x->cap > 0.0F ? (double)x->cap * tanh(sum / (double)x->cap) : sum;
            logit[ko_at(r, x->vocabulary, v)] = sum;
        }
    }
    return logit;
}

static double log_total(const double *logit, int32_t n)
{
    double sum = 0.0;
    for (int32_t v = 0; v < n; v++) {
        sum += exp(logit[v] - logit[0]);
    }
    return logit[0] + log(sum);
}

static struct expected expect_row(const struct batch *x, const double *logits, int32_t r,
                                  double tie)
{
    const double *logit = logits + ko_at(r, x->vocabulary, 0);
    const double *clean = logits + ko_at(x->clean[r], x->vocabulary, 0);
    double total = log_total(logit, x->vocabulary), clean_total = log_total(clean, x->vocabulary);
    struct expected want = {.lowest_rank = 1, .highest_rank = 1};
    for (int32_t v = 0; v < x->vocabulary; v++) {
        double p = exp(clean[v] - clean_total);
        want.kl += p * ((clean[v] - clean_total) - (logit[v] - total));
        want.lowest_rank += v != x->target[r] && logit[v] > logit[x->target[r]] + tie;
        want.highest_rank += v != x->target[r] && logit[v] > logit[x->target[r]] - tie;
        want.top1_id = logit[v] > logit[want.top1_id] ? v : want.top1_id;
    }
    want.logprob = logit[x->target[r]] - total;
    want.foil_logprob = x->foil[r] < 0 ? (double)NAN : logit[x->foil[r]] - total;
    return want;
}

static void check_row(const struct backend *b, const struct batch *x, int32_t r,
                      const struct expected *want, const struct ko_metrics *got,
                      struct spread spread[2])
{
    expect_near("logprob", b->label, &got->logprob, &want->logprob, 1, x->tolerance[0], &spread[0]);
    expect_near("kl", b->label, &got->kl, &want->kl, 1, x->tolerance[1], &spread[1]);
    if (x->foil[r] < 0) {
        assert_true(isnan(got->foil_logprob));
    } else {
        expect_near("foil", b->label, &got->foil_logprob, &want->foil_logprob, 1, x->tolerance[0],
                    &spread[0]);
    }
    assert_int_equal(got->top1_id, want->top1_id);
    assert_in_range(got->target_rank, want->lowest_rank, want->highest_rank);
    if (x->clean[r] == r) {
        assert_true(got->kl == 0.0F);
    }
}

static void check_batch(const struct backends *all, const struct batch *x, bool biased, double tie,
                        struct spread spread[2])
{
    double *logits = logits_of(x, biased);
    for (int32_t k = 0; k < all->n; k++) {
        struct ko_metrics *got = unembed_rows(&all->list[k], x, biased);
        for (int32_t r = 0; r < x->n; r++) {
            struct expected want = expect_row(x, logits, r, tie);
            check_row(&all->list[k], x, r, &want, &got[r], spread);
        }
        free(got);
    }
    free(logits);
}

static void metrics_equal_their_definitions(void **state)
{
    static const int32_t shapes[][4] = {{1, 5, 3, 1},      {1, 4999, 33, 1},   {2, 2048, 64, 2},
                                        {37, 4999, 48, 5}, {64, 2049, 96, 64}, {9, 6144, 20, 1}};
    struct spread spread[2] = {{0}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        struct batch x = make_batch(shapes[s][0], shapes[s][1], shapes[s][2], shapes[s][3]);
        check_batch(*state, &x, s % 2, 2e-5, spread);
        free_batch(&x);
    }
    print_message("unembed: logprob %.1e, kl %.1e from double precision\n", spread[0].largest,
                  spread[1].largest);
}

/* The largest logits are about 20, which the caps below bend and pull together. */
static void scaled_and_capped_logits_have_metrics(void **state)
{
    static const float shapes[][2] = {{0.125F, 0.0F}, {3.0F, 0.0F}, {1.0F, 10.0F}, {0.3F, 2.5F}};
    struct spread spread[2] = {{0}};
    for (size_t s = 0; s < 12; s++) {
        const int32_t n = s < 4 ? 1 : 37, vocabulary = s < 8 ? 4999 : 5;
        struct batch x = make_batch(n, vocabulary, 33, s < 4 ? 1 : 5);
        x.scale = shapes[s % 4][0];
        x.cap = shapes[s % 4][1];
        x.tolerance[0] = x.tolerance[1] = 1e-5; /* a scale of 3 also scales the products' errors */
        check_batch(*state, &x, s % 3 == 0, 2e-5, spread);
        free_batch(&x);
    }
    /* Observed: 7.6e-07 and 1.8e-06. */
    print_message("scaled and capped: logprob %.1e, kl %.1e from double precision\n",
                  spread[0].largest, spread[1].largest);
}

/* Small whole numbers: every order of summation gives the same logits, hundreds of them equal to
   the target's. A scale that is a power of two and a wide cap keep them equal or apart. */
static void check_ties(const struct backends *all, float scale, float cap)
{
    struct batch x = make_batch(33, 5003, 24, 4);
    x.scale = scale;
    x.cap = cap;
    for (int32_t k = 0; k < x.n * x.d; k++) {
        x.x[k] = roundf(x.x[k]);
    }
    for (int32_t k = 0; k < x.vocabulary * x.d; k++) {
        x.table[k] = roundf(1.4F * x.table[k]);
    }
    /* One row's target shares the largest logit with later and earlier tokens. */
    double *logits = logits_of(&x, false);
    struct expected first = expect_row(&x, logits, 0, 0.0);
    free(logits);
    for (int32_t copy = 4000; copy < 4100; copy++) {
        memcpy(x.table + copy * x.d, x.table + first.top1_id * x.d, (size_t)x.d * sizeof(float));
    }
    x.target[0] = 4050;
    struct spread spread[2] = {{0}};
    check_batch(all, &x, false, 0.0, spread);
    free_batch(&x);
}

static void ties_are_exact(void **state)
{
    check_ties(*state, 1.0F, 0.0F);
    check_ties(*state, 0.25F, 0.0F);
    check_ties(*state, 0.5F, 16.0F);
}

/* Rounding must not put the target behind itself. */
static void the_best_token_has_rank_one(void **state)
{
    const struct backends *all = *state;
    struct batch x = make_batch(64, 4100, 768, 8);
    for (int32_t k = 0; k < 3 * all->n; k++) {
        const struct backend *b = &all->list[k / 3];
        x.scale = k % 3 == 1 ? 0.37F : 1.0F;
        x.cap = k % 3 == 2 ? 4.0F : 0.0F; /* many logits round to the cap itself */
        struct ko_metrics *first = unembed_rows(b, &x, false);
        for (int32_t r = 0; r < x.n; r++) {
            x.target[r] = first[r].top1_id;
        }
        struct ko_metrics *second = unembed_rows(b, &x, false);
        for (int32_t r = 0; r < x.n; r++) {
            assert_int_equal(second[r].target_rank, 1);
        }
        free(first);
        free(second);
    }
    free_batch(&x);
}

/* Rows a hair apart, KL from 2e-12 to 7e-4. */
static void small_divergences_are_not_negative(void **state)
{
    const struct backends *all = *state;
    struct batch x = make_batch(16, 4999, 64, 16);
    for (int32_t r = 0; r < 15; r++) {
        for (int32_t c = 0; c < x.d; c++) {
            float step = 1e-6F * (float)(1 << r);
            x.x[r * x.d + c] = x.x[15 * x.d + c] * (1.0F + step);
        }
    }
    double *logits = logits_of(&x, false);
    double largest = 0.0;
    for (int32_t k = 0; k < all->n; k++) {
        struct ko_metrics *got = unembed_rows(&all->list[k], &x, false);
        for (int32_t r = 0; r < x.n; r++) {
            struct expected want = expect_row(&x, logits, r, 1e-5);
            double error = fabs((double)got[r].kl - want.kl);
            /* The sums are in double precision; the exponentials, of `plain` apart, are not. */
            assert_true(error <= (all->list[k].exact ? 1e-12 : 5e-8) + 1e-5 * want.kl);
            assert_true(got[r].kl >= 0.0F);
            largest = error > largest ? error : largest;
        }
        free(got);
    }
    print_message("small kl: at most %.1e off\n", largest);
    free(logits);
    free_batch(&x);
}

/* Several tokens are scored in one row, as options are: seven in each of nine rows, not in order. The
   clean one of all is a token of row 4. */
static void tokens_of_one_row_have_metrics_of_their_own(void **state)
{
    const struct backends *all = *state;
    int32_t row[63];
    struct spread spread[2] = {{0}};
    for (size_t shape = 0; shape < 4; shape++) {
        struct batch x = make_batch(63, 4999, 48, 63);
        x.row = row;
        x.n_rows = 9;
        x.cap = shape % 2 ? 4.0F : 0.0F;
        for (int32_t r = 0; r < x.n; r++) {
            row[r] = (5 * r + 4) % 9;
            x.clean[r] = 27;
        }
        assert_int_equal(row[27], 4);
        check_batch(all, &x, shape >= 2, 2e-5, spread);
        free_batch(&x);
    }
}

/* Several tokens of a row have the bits that each has alone. */
static void tokens_of_one_row_have_the_bits_of_one_token(void **state)
{
    const struct backends *all = *state;
    static const int32_t row[] = {0, 1, 2, 2, 1, 0, 1};
    for (int32_t k = 0; k < all->n; k++) {
        struct batch many = make_batch(7, 5003, 32, 7), one = make_batch(3, 5003, 32, 3);
        many.row = row;
        many.n_rows = 3;
        for (int32_t r = 0; r < 7; r++) {
            many.clean[r] = 2;
        }
        struct ko_metrics *got = unembed_rows(&all->list[k], &many, true);
        for (int32_t r = 0; r < 7; r++) {
            one.target[row[r]] = many.target[r];
            one.foil[row[r]] = many.foil[r];
            struct ko_metrics *alone = unembed_rows(&all->list[k], &one, true);
            assert_memory_equal(&got[r].logprob, &alone[row[r]].logprob, sizeof got[r].logprob);
            assert_memory_equal(&got[r].kl, &alone[row[r]].kl, sizeof got[r].kl);
            assert_int_equal(got[r].target_rank, alone[row[r]].target_rank);
            assert_int_equal(got[r].top1_id, alone[row[r]].top1_id);
            free(alone);
        }
        free(got);
        free_batch(&many);
        free_batch(&one);
    }
}

static void rows_that_are_not_finite_say_so(void **state)
{
    const struct backends *all = *state;
    struct batch x = make_batch(6, 2500, 16, 3);
    x.x[1 * x.d + 4] = NAN;
    x.x[4 * x.d + 2] = INFINITY;
    for (int32_t k = 0; k < all->n; k++) {
        struct ko_metrics *got = unembed_rows(&all->list[k], &x, false);
        for (int32_t r = 0; r < x.n; r++) {
            bool broken = r == 1 || r == 4;
            assert_int_equal(isnan(got[r].logprob) != 0, broken);
            assert_int_equal(isnan(got[r].kl) != 0, broken);
            assert_int_equal(got[r].target_rank == -1, broken);
            assert_int_equal(got[r].top1_id == -1, broken);
        }
        free(got);
    }
    free_batch(&x);
}

int run_unembed(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metrics_equal_their_definitions),
        cmocka_unit_test(scaled_and_capped_logits_have_metrics),
        cmocka_unit_test(ties_are_exact),
        cmocka_unit_test(the_best_token_has_rank_one),
        cmocka_unit_test(small_divergences_are_not_negative),
        cmocka_unit_test(tokens_of_one_row_have_metrics_of_their_own),
        cmocka_unit_test(tokens_of_one_row_have_the_bits_of_one_token),
        cmocka_unit_test(rows_that_are_not_finite_say_so),
    };
    return cmocka_run_group_tests_name("unembed", tests, backends_open, backends_close);
}
