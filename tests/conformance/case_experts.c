/* SPDX-License-Identifier: Apache-2.0 */
/* Mixtures of experts: the choice of experts, and what the chosen experts give. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/conformance/check.h"

/* Largest differences seen: shares 1.2e-7; sums 1.1e-6 on the plain backend, 9.2e-6 on the CPU, 1.7e-5
   on a GPU. */
static const double SHARE_TOLERANCE = 1e-6, SUM_TOLERANCE = 4e-5;

static int32_t *need_numbers(int32_t *numbers)
{
    assert_non_null(numbers);
    return numbers;
}

/* The numbers from 0 to n - 1, those with the greatest scores first. */
static void sort_by_score(const float *score, int32_t n, int32_t *order)
{
    for (int32_t e = 0; e < n; e++) {
        int32_t at = e;
        for (; at > 0 && score[order[at - 1]] < score[e]; at--) {
            order[at] = order[at - 1];
        }
        order[at] = e; /* after all that are as great */
    }
}

/* Scores of experts outside the chosen groups become less than all others. */
static void drop_groups(const struct ko_choose_experts *args, float *score)
{
    const int32_t n = args->n_groups, size = args->n_experts / n;
    int32_t order[256];
    float sum[64];
    for (int32_t g = 0; g < n; g++) {
        sort_by_score(score + (ptrdiff_t)g * size, size, order);
        sum[g] = score[g * size + order[0]] + score[g * size + order[1]];
    }
    sort_by_score(sum, n, order);
    for (int32_t c = args->n_chosen_groups; c < n; c++) {
        for (int32_t e = 0; e < size; e++) {
            score[order[c] * size + e] = -1e30F;
        }
    }
}

/* The choices of one row and their shares, by sigmoids. */
static void choose_by_sigmoids(const struct ko_choose_experts *args, const float *correction,
                               const float *logits, int32_t *choice, double *share)
{
    int32_t order[256];
    float score[256];
    double s[256], sum = 0.0;
    for (int32_t e = 0; e < args->n_experts; e++) {
        s[e] = 1.0 / (1.0 + exp(-(double)logits[e]));
        score[e] = (float)s[e] + (correction ? correction[e] : 0.0F);
    }
    if (args->n_groups > 0) {
        drop_groups(args, score);
    }
    sort_by_score(score, args->n_experts, order);
    for (int32_t c = 0; c < args->n_chosen; c++) {
        sum += s[order[c]];
    }
    for (int32_t c = 0; c < args->n_chosen; c++) {
        choice[c] = order[c];
        share[c] = s[order[c]] / (args->among_chosen ? sum : 1.0) * (double)args->share_scale;
    }
}

/* The choices of one row by sorting, and their shares. */
static void choose_by_sorting(const struct ko_choose_experts *args, const float *logits,
                              int32_t *choice, double *share)
{
    int32_t order[256];
    double sum = 0.0;
    sort_by_score(logits, args->n_experts, order);
    for (int32_t c = 0; c < (args->among_chosen ? args->n_chosen : args->n_experts); c++) {
        sum += exp((double)logits[order[c]]);
    }
    for (int32_t c = 0; c < args->n_chosen; c++) {
        choice[c] = order[c];
        share[c] = exp((double)logits[order[c]]) / sum;
    }
}

/* The choices of `shape` on one backend. Its correction is host memory. */
static void check_choice(const struct backend *b, const struct ko_choose_experts *shape,
                         const float *logits, struct spread *spread)
{
    const size_t pairs = (size_t)shape->n * (size_t)shape->n_chosen;
    struct memory m = {.b = b};
    struct ko_choose_experts args = *shape;
    args.logits = memory_floats(&m, logits, (size_t)shape->n * (size_t)shape->n_experts);
    if (shape->correction) {
        args.correction = memory_floats(&m, shape->correction, (size_t)shape->n_experts);
    }
    args.choice = (int32_t *)(void *)memory_nan(&m, pairs);
    args.share = memory_nan(&m, pairs);
    RUN(b, choose_experts, &args);
    float *share = memory_read(&m, args.share, pairs);
    float *bits = memory_result(&m, (const float *)(const void *)args.choice, pairs);
    for (int32_t r = 0; r < shape->n; r++) {
        int32_t choice[256], got[256];
        double want[256];
        const size_t at = (size_t)r * (size_t)shape->n_chosen;
        const float *own = logits + (size_t)r * (size_t)shape->n_experts;
        if (shape->sigmoid) {
            choose_by_sigmoids(shape, shape->correction, own, choice, want);
        } else {
            choose_by_sorting(shape, own, choice, want);
        }
        memcpy(got, bits + at, (size_t)shape->n_chosen * sizeof got[0]);
        for (int32_t c = 0; c < shape->n_chosen; c++) {
            if (got[c] != choice[c]) {
                fail_msg("choose_experts, %s: row %d, choice %d is %d, expected %d", b->label, r, c,
                         got[c], choice[c]);
            }
        }
        expect_near("shares", b->label, share + at, want, (size_t)shape->n_chosen, SHARE_TOLERANCE,
                    spread);
    }
    free(share), free(bits);
}

/* n_experts and n_chosen: one expert, one of them, all of them, more than a warp has threads. */
static const int32_t choices[][2] = {{1, 1}, {4, 2}, {6, 6}, {8, 1}, {33, 5}, {128, 8}, {160, 32}};
enum { N_CHOICES = sizeof choices / sizeof choices[0] };

static void the_greatest_logits_are_chosen_and_of_equal_ones_the_lowest(void **state)
{
    const struct backends *all = *state;
    enum { N = 37 };
    struct spread spread = {0};
    for (int32_t k = 0; k < all->n * N_CHOICES * 2; k++) {
        const struct ko_choose_experts shape = {.n = N,
                                                .n_experts = choices[k / 2 % N_CHOICES][0],
                                                .n_chosen = choices[k / 2 % N_CHOICES][1],
                                                .among_chosen = k % 2 == 1};
        const size_t n = (size_t)N * (size_t)shape.n_experts;
        float *logits = random_floats((uint32_t)k, n, -6.0F, 6.0F);
        for (size_t at = 0; at < n;
             at++) { /* most rows have equal logits, the first has no others */
            logits[at] = at < (size_t)shape.n_experts ? 1.5F
                         : at < n / 2                 ? rintf(logits[at])
                                                      : logits[at];
        }
        check_choice(&all->list[k / (2 * N_CHOICES)], &shape, logits, &spread);
        free(logits);
    }
    print_message("shares of experts: %.1e from double precision\n", spread.largest);
}

/* n_experts, n_chosen, n_groups, n_chosen_groups: no groups, one, all of them, groups of two, more
   than a warp has threads. */
static const int32_t grouped[][4] = {
    {1, 1, 0, 0},  {8, 2, 0, 0},   {8, 2, 2, 1},   {12, 5, 6, 3},  {9, 4, 3, 3},
    {32, 4, 1, 1}, {128, 6, 1, 1}, {160, 8, 8, 3}, {80, 7, 40, 4}, {128, 9, 64, 33}};
enum { N_GROUPED = sizeof grouped / sizeof grouped[0] };

static void sigmoids_are_chosen_from_the_best_groups(void **state)
{
    const struct backends *all = *state;
    enum { N = 37 };
    struct spread spread = {0};
    for (int32_t k = 0; k < all->n * N_GROUPED * 4; k++) {
        const int32_t *row = grouped[k / 4 % N_GROUPED];
        const size_t n_experts = (size_t)row[0], n = (size_t)N * n_experts;
        float *logits = random_floats((uint32_t)k, n, -4.0F, 4.0F);
        float *correction = random_floats((uint32_t)k + 1000, n_experts, -0.5F, 0.5F);
        const struct ko_choose_experts shape = {.n = N,
                                                .n_experts = row[0],
                                                .n_chosen = row[1],
                                                .among_chosen = k % 2 == 1,
                                                .sigmoid = true,
                                                .correction = k % 4 < 2 ? correction : NULL,
                                                .n_groups = row[2],
                                                .n_chosen_groups = row[3],
                                                .share_scale = k % 2 == 1 ? 2.5F : 1.0F};
        for (size_t at = 0; at < n_experts; at++) { /* all experts of the first row are equal */
            logits[at] = shape.correction ? logits[at] : 0.5F;
        }
        check_choice(&all->list[k / (4 * N_GROUPED)], &shape, logits, &spread);
        free(logits), free(correction);
    }
    print_message("shares of sigmoids: %.1e from double precision\n", spread.largest);
}

/* A row that is not finite must not lead to experts that do not exist. */
static void rows_that_are_not_finite_choose_experts_that_differ(void **state)
{
    const struct backends *all = *state;
    enum { N = 4, EXPERTS = 5, CHOSEN = 3, PAIRS = N * CHOSEN };
    float logits[N * EXPERTS] = {NAN,  NAN,      NAN,  NAN,      NAN, 1.0F, NAN,  2.0F, NAN,  0.5F,
                                 1.0F, INFINITY, 2.0F, INFINITY, NAN, 1.0F, 2.0F, 3.0F, 4.0F, 5.0F};
    for (int32_t k = 0; k < 2 * all->n; k++) {
        const struct backend *b = &all->list[k / 2];
        struct memory m = {.b = b};
        const struct ko_choose_experts args = {
            .n = N,
            .sigmoid = k % 2 == 1,
            .among_chosen = k % 2 == 1,
            .share_scale = 1.0F,
            .n_experts = EXPERTS,
            .n_chosen = CHOSEN,
            .logits = memory_floats(&m, logits, (size_t)N * EXPERTS),
            .choice = (int32_t *)(void *)memory_nan(&m, PAIRS),
            .share = memory_nan(&m, PAIRS),
        };
        RUN(b, choose_experts, &args);
        float *share = memory_read(&m, args.share, PAIRS);
        float *bits = memory_result(&m, (const float *)(const void *)args.choice, PAIRS);
        int32_t choice[PAIRS];
        memcpy(choice, bits, sizeof choice);
        for (int32_t r = 0; r < N; r++) {
            uint32_t seen = 0;
            for (int32_t c = 0; c < CHOSEN; c++) {
                const int32_t expert = choice[r * CHOSEN + c];
                assert_true(expert >= 0 && expert < EXPERTS);
                seen |= 1U << expert;
                if (!args.sigmoid || r == 0) { /* the sigmoid of infinity is 1 */
                    assert_int_equal(isfinite(share[r * CHOSEN + c]) != 0, r == N - 1);
                }
            }
            assert_int_equal(__builtin_popcount(seen), CHOSEN);
        }
        assert_int_equal(choice[PAIRS - 1], 2);
        free(share), free(bits);
    }
}

/* ---- What the experts give. */

struct mixture {
    int32_t n, n_experts, n_chosen, d, ff;
    bool in_first, interleaved, biased, relu2;
    float limit;
};

/* Inputs in host memory; free with free_inputs. An expert that no row has chosen is NaN. */
struct inputs {
    float *x, *share, *gate, *up, *down, *gate_bias, *up_bias, *down_bias;
    int32_t *choice;
    int32_t unused; /* the expert that no row has chosen; -1: none */
    size_t stride;  /* of all three */
};

static void free_inputs(struct inputs *in)
{
    free(in->x), free(in->share), free(in->gate), free(in->up), free(in->down);
    free(in->gate_bias), free(in->up_bias), free(in->down_bias), free(in->choice);
}

/* Row r takes the experts from r * r on that differ from the unused one. */
static void fill_choices(const struct mixture *s, struct inputs *in)
{
    for (int32_t r = 0; r < s->n; r++) {
        int32_t expert = (int32_t)((int64_t)r * r % s->n_experts);
        for (int32_t c = 0; c < s->n_chosen; c++, expert++) {
            expert %= s->n_experts;
            expert = expert == in->unused ? (expert + 1) % s->n_experts : expert;
            in->choice[r * s->n_chosen + c] = expert;
        }
    }
}

static struct inputs make_inputs(const struct mixture *s)
{
    const size_t d = (size_t)s->d, ff = (size_t)s->ff, pairs = (size_t)(s->n * s->n_chosen);
    struct inputs in = {.stride = 2 * d * ff + (s->biased ? 3 : 0), /* 3: badly aligned */
                        .unused = s->n_chosen < s->n_experts ? s->n_experts / 2 : -1};
    const size_t weights = in.stride * (size_t)s->n_experts, experts = (size_t)s->n_experts;
    in.x = random_floats(1, (size_t)s->n * d, -1.0F, 1.0F);
    in.share = random_floats(2, pairs, 0.0F, 1.0F);
    in.gate = random_floats(3, weights, -0.5F, 0.5F);
    in.up = random_floats(4, weights, -0.5F, 0.5F);
    in.down = random_floats(5, weights, -0.5F, 0.5F);
    in.gate_bias = random_floats(6, experts * 2 * ff, -1.0F, 1.0F);
    in.up_bias = random_floats(7, experts * ff, -1.0F, 1.0F);
    in.down_bias = random_floats(8, experts * d, -1.0F, 1.0F);
    in.choice = need_numbers(malloc((pairs + 1) * sizeof *in.choice));
    for (size_t k = 0; in.unused >= 0 && k < in.stride; k++) {
        const size_t at = (size_t)in.unused * in.stride + k;
        in.gate[at] = in.up[at] = in.down[at] = NAN;
    }
    fill_choices(s, &in);
    return in;
}

/* x [n_in] times expert e's matrix, output `out`. */
static double output_of(const struct mixture *s, const float *w, const float *bias, size_t stride,
                        const int32_t size[2], int32_t e, int32_t out, const double *x)
{
    const int32_t n_out = size[0], n_in = size[1];
    double sum = s->biased ? (double)bias[e * n_out + out] : 0.0;
    for (int32_t k = 0; k < n_in; k++) {
        const size_t at = (size_t)(s->in_first ? k * n_out + out : out * n_in + k);
        sum += x[k] * (double)w[(size_t)e * stride + at];
    }
    return sum;
}

static double hidden_of(const struct mixture *s, double gate, double up)
{
    const double limit = (double)s->limit;
    if (s->relu2) {
        return gate > 0.0 ? gate * gate : 0.0;
    }
    if (limit > 0.0) {
        gate = fmin(gate, limit);
        up = fmax(fmin(up, limit), -limit);
        return (up + 1.0) * gate / (1.0 + exp(-1.702 * gate));
    }
    return gate / (1.0 + exp(-gate)) * up;
}

/* y [d] of one row. */
static void reference_row(const struct mixture *s, const struct inputs *in, int32_t row, double *y)
{
    double x[512], hidden[512];
    const int32_t wide[2] = {s->interleaved ? 2 * s->ff : s->ff, s->d}, back[2] = {s->d, s->ff};
    assert_true(s->d <= 512 && s->ff <= 512);
    widen(in->x + (size_t)row * (size_t)s->d, (size_t)s->d, x);
    memset(y, 0, (size_t)s->d * sizeof y[0]);
    for (int32_t c = 0; c < s->n_chosen; c++) {
        const int32_t pair = row * s->n_chosen + c, e = in->choice[pair];
        for (int32_t k = 0; k < s->ff; k++) {
            const int32_t at = s->interleaved ? 2 * k : k;
            const double gate = output_of(s, in->gate, in->gate_bias, in->stride, wide, e, at, x);
            const double up =
                s->interleaved
                    ? output_of(s, in->gate, in->gate_bias, in->stride, wide, e, at + 1, x)
                    : output_of(s, in->up, in->up_bias, in->stride, wide, e, at, x);
            hidden[k] = hidden_of(s, gate, up);
        }
        for (int32_t out = 0; out < s->d; out++) {
            y[out] += (double)in->share[pair] *
                      output_of(s, in->down, in->down_bias, in->stride, back, e, out, hidden);
        }
    }
}

static struct ko_expert_matrices put_matrices(struct memory *m, const struct mixture *s,
                                              const struct inputs *in, const float *w,
                                              const float *bias, const int32_t size[2])
{
    const size_t experts = (size_t)s->n_experts;
    return (struct ko_expert_matrices){
        .first = {.data = memory_floats(m, w, in->stride * experts),
                  .n_out = size[0],
                  .n_in = size[1],
                  .in_first = s->in_first},
        .stride = in->stride,
        .bias = s->biased ? memory_floats(m, bias, experts * (size_t)size[0]) : NULL,
    };
}

static float *run_experts_on(const struct backend *b, const struct mixture *s,
                             const struct inputs *in)
{
    const size_t pairs = (size_t)(s->n * s->n_chosen), n = (size_t)s->n * (size_t)s->d;
    const size_t work = ko_experts_work(s->n_experts, s->n_chosen, s->d, s->ff);
    const int32_t wide[2] = {s->interleaved ? 2 * s->ff : s->ff, s->d}, back[2] = {s->d, s->ff};
    struct memory m = {.b = b};
    struct ko_experts args = {.n = s->n,
                              .n_experts = s->n_experts,
                              .n_chosen = s->n_chosen,
                              .d = s->d,
                              .ff = s->ff,
                              .interleaved = s->interleaved,
                              .relu2 = s->relu2,
                              .limit = s->limit};
    args.x = memory_floats(&m, in->x, n);
    args.choice = memory_bytes(&m, in->choice, pairs * sizeof in->choice[0]);
    args.share = memory_floats(&m, in->share, pairs);
    args.gate = put_matrices(&m, s, in, in->gate, in->gate_bias, wide);
    if (!s->interleaved && !s->relu2) {
        args.up = put_matrices(&m, s, in, in->up, in->up_bias, wide);
    }
    args.down = put_matrices(&m, s, in, in->down, in->down_bias, back);
    args.work = memory_nan(&m, work * (size_t)s->n);
    args.y = memory_nan(&m, n);
    RUN(b, experts, &args);
    return memory_result(&m, args.y, n);
}

/* The last two are larger than the tiles of a GPU. */
static const struct mixture mixtures[] = {
    {.n = 1, .n_experts = 1, .n_chosen = 1, .d = 1, .ff = 1},
    {.n = 7, .n_experts = 4, .n_chosen = 2, .d = 9, .ff = 5},
    {.n = 33, .n_experts = 6, .n_chosen = 6, .d = 17, .ff = 24},
    {.n = 19, .n_experts = 16, .n_chosen = 1, .d = 48, .ff = 33},
    {.n = 1, .n_experts = 8, .n_chosen = 3, .d = 64, .ff = 32},
    {.n = 300, .n_experts = 3, .n_chosen = 2, .d = 140, .ff = 68},
    {.n = 90, .n_experts = 40, .n_chosen = 7, .d = 32, .ff = 300},
};

static void chosen_experts_are_summed_by_their_shares(void **state)
{
    const struct backends *all = *state;
    struct spread spread[2] = {{0}, {0}};
    for (size_t k = 0; k < sizeof mixtures / sizeof mixtures[0] * 12; k++) {
        struct mixture s = mixtures[k / 12];
        s.in_first = k & 1, s.interleaved = k % 12 / 4 == 1, s.biased = k & 2;
        s.relu2 = k % 12 / 4 == 2;
        s.limit = s.biased && !s.relu2 ? 0.75F : 0.0F;
        struct inputs in = make_inputs(&s);
        double *want = calloc((size_t)s.n * (size_t)s.d, sizeof *want);
        assert_non_null(want);
        for (int32_t r = 0; r < s.n; r++) {
            reference_row(&s, &in, r, want + (size_t)r * (size_t)s.d);
        }
        for (int32_t b = 0; b < all->n; b++) {
            float *got = run_experts_on(&all->list[b], &s, &in);
            expect_near("experts", all->list[b].label, got, want, (size_t)s.n * (size_t)s.d,
                        SUM_TOLERANCE, &spread[b > 0]);
            free(got);
        }
        free(want);
        free_inputs(&in);
    }
    print_message("experts: %.1e from double precision, others %.1e\n", spread[0].largest,
                  spread[1].largest);
}

static void no_rows_are_no_work(void **state)
{
    const struct backends *all = *state;
    for (int32_t b = 0; b < all->n; b++) {
        const struct ko_choose_experts choose = {.n_experts = 4, .n_chosen = 2};
        const struct ko_experts experts = {.n_experts = 4, .n_chosen = 2, .d = 3, .ff = 5};
        RUN(&all->list[b], choose_experts, &choose);
        RUN(&all->list[b], experts, &experts);
    }
}

int run_experts(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_greatest_logits_are_chosen_and_of_equal_ones_the_lowest),
        cmocka_unit_test(sigmoids_are_chosen_from_the_best_groups),
        cmocka_unit_test(rows_that_are_not_finite_choose_experts_that_differ),
        cmocka_unit_test(chosen_experts_are_summed_by_their_shares),
        cmocka_unit_test(no_rows_are_no_work),
    };
    return cmocka_run_group_tests_name("experts", tests, backends_open, backends_close);
}
