/* SPDX-License-Identifier: Apache-2.0 */
/* Attention. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/at.h"
#include "tests/conformance/check.h"

/* A power of two, so that it rounds nothing. */
static const float SCALE = 0.25F;

struct heads {
    int32_t n, n_kv, d_head, reach;
    int32_t d_value; /* values have this width, and lie in rows of their own; 0: as the keys */
    bool by_head;    /* q, k and v of a head lie side by side (n_kv is n) */
    int32_t gap;     /* numbers between two heads */
    float cap;
    bool sinks;
};

/* Where the heads' queries, keys and values lie in a row; ld_v is that of the values. */
struct layout {
    int32_t stride, k, width, v, stride_v, ld_v;
};

static int32_t value_width(const struct heads *heads)
{
    return heads->d_value > 0 ? heads->d_value : heads->d_head;
}

static struct layout layout_of(const struct heads *heads)
{
    const int32_t d = heads->d_head, stride = (heads->by_head ? 3 * d : d) + heads->gap;
    const int32_t k = heads->by_head ? d : heads->n * stride;
    const int32_t v = heads->by_head ? 2 * d : (heads->n + heads->n_kv) * stride;
    const int32_t n = heads->by_head ? heads->n : heads->n + 2 * heads->n_kv;
    const int32_t width = n * stride + 1, stride_v = heads->d_value + 3;
    if (heads->d_value > 0) { /* each head's value follows three other numbers */
        return (struct layout){stride, k, width, 3, stride_v, heads->n_kv * stride_v + 2};
    }
    return (struct layout){stride, k, width, v, stride, width};
}

struct inputs {
    struct heads heads;
    float *qkv;   /* [n_rows, the layout's width] */
    float *apart; /* [n_rows, the layout's ld_v]: the values, if they lie apart */
    float *sinks; /* [n_heads] */
};

static float *values_of(const struct inputs *x)
{
    return x->heads.d_value > 0 ? x->apart : x->qkv;
}

/* Queries, keys and values in [-range, range]; sinks in twice that. */
static struct inputs make_inputs(const struct ko_rows *rows, const struct heads *heads, float range)
{
    const struct layout at = layout_of(heads);
    const size_t n = (size_t)rows->n_rows;
    return (struct inputs){*heads, random_floats(9, n * (size_t)at.width, -range, range),
                           random_floats(11, n * (size_t)at.ld_v, -range, range),
                           random_floats(10, (size_t)heads->n, -2.0F * range, 2.0F * range)};
}

static void free_inputs(struct inputs *x)
{
    free(x->qkv);
    free(x->apart);
    free(x->sinks);
}

static float *attend_rows(const struct backend *b, const struct ko_rows *rows, int32_t layer,
                          const void *inputs)
{
    const struct inputs *x = inputs;
    const struct heads *heads = &x->heads;
    struct memory m = {.b = b};
    const struct layout at = layout_of(heads);
    const int32_t n_projected = rows->n_projected[layer];
    size_t n = (size_t)(rows->n_active[layer] * heads->n * value_width(heads));
    const float *qkv = memory_rows(&m, rows, x->qkv, (size_t)at.width, n_projected), *v = qkv;
    if (heads->d_value > 0) {
        v = memory_rows(&m, rows, x->apart, (size_t)at.ld_v, n_projected);
    }
    const struct ko_attention args = {
        .stage = layer,
        .n_heads = heads->n,
        .n_kv_heads = heads->n_kv,
        .d_head = heads->d_head,
        .d_value = value_width(heads),
        .reach = heads->reach,
        .scale = SCALE,
        .cap = heads->cap,
        .sinks = heads->sinks ? memory_floats(&m, x->sinks, (size_t)heads->n) : NULL,
        .q = qkv,
        .k = qkv + at.k,
        .ld = at.width,
        .stride = at.stride,
        .v = v + at.v,
        .ld_v = at.ld_v,
        .stride_v = at.stride_v,
        .out = memory_nan(&m, n)};
    RUN(b, set_rows, rows);
    RUN(b, attention, &args);
    return memory_result(&m, args.out, n);
}

/* The score of q and k [d_head], capped. */
static double score_of(const struct heads *heads, const float *q, const float *k)
{
    double score = 0.0, cap = (double)heads->cap;
    for (int32_t c = 0; c < heads->d_head; c++) {
        score += (double)q[c] * (double)k[c];
    }
    score *= (double)SCALE;
    return cap > 0.0 ? cap * tanh(score / cap) : score;
}

/* One row: for each head scores, -inf where there is no edge, softmax with the sink, and zeros where
   weights are zeroed afterwards. */
static void attend_row(const struct ko_rows *rows, int32_t row, int32_t layer, const void *inputs,
                       double *out)
{
    const struct inputs *x = inputs;
    const struct layout at = layout_of(&x->heads);
    int32_t d = value_width(&x->heads), ld = at.width, b = rows->branch[row];
    int32_t path[WAVE_POSITIONS], i = wave_path(rows, row, layer, ko_rows_source, path);
    bool after = b >= 0 && rows->branches[b].after_softmax;
    int32_t only = b >= 0 ? rows->branches[b].only_head : 0;
    for (int32_t head = 0; head < x->heads.n; head++, out += d) {
        int32_t kv_head = head / (x->heads.n / x->heads.n_kv);
        int32_t key = at.k + kv_head * at.stride, value = at.v + kv_head * at.stride_v;
        const float *q = x->qkv + ko_at(path[i], ld, head * at.stride);
        double weight[WAVE_POSITIONS] = {0.0},
               sum = x->heads.sinks ? exp((double)x->sinks[head]) : 0.0;
        for (int32_t j = 0; j <= i; j++) {
            bool removed = wave_removed(rows, row, layer, KO_MIXER_ATTENTION, i, j) &&
                           (only == 0 || only == head + 1);
            weight[j] = exp(score_of(&x->heads, q, x->qkv + ko_at(path[j], ld, key)));
            weight[j] = (removed && !after) || i - j >= x->heads.reach ? 0.0 : weight[j];
            sum += weight[j];
            weight[j] = removed ? -weight[j] : weight[j];
        }
        for (int32_t c = 0; c < d; c++) {
            out[c] = 0.0;
            for (int32_t j = 0; j <= i; j++) {
                if (weight[j] > 0.0) {
                    out[c] +=
                        weight[j] / sum * (double)values_of(x)[ko_at(path[j], at.ld_v, value + c)];
                }
            }
        }
    }
}

static struct mixing mixing_of(const char *name, const struct ko_rows *rows, const struct inputs *x)
{
    return (struct mixing){
        name,          x,          rows->n_active, (size_t)(x->heads.n * value_width(&x->heads)),
        attend_rows,   attend_row, {1e-7, 2e-6},   ko_rows_source,
        x->heads.reach};
}

static void check_wave(const struct backends *all, const char *name, const struct ko_rows *rows,
                       const struct heads *heads, struct spread spread[2])
{
    struct inputs x = make_inputs(rows, heads, 2.0F);
    const struct mixing mixing = mixing_of(name, rows, &x);
    check_mixing(all, rows, &mixing, spread, NULL);
    free_inputs(&x);
}

static void check_heads(const struct backends *all, const struct heads heads[5], const char *what)
{
    size_t n_plans = 0;
    const struct wave_plan *plans = wave_plans(&n_plans);
    struct spread spread[2] = {{0}};
    for (size_t p = 0; p < n_plans; p++) {
        for (size_t h = 0; h < 5; h++) {
            check_wave(all, plans[p].name, wave_rows(&plans[p]), &heads[h], spread);
        }
    }
    for (uint32_t seed = 0; seed < 40; seed++) {
        check_wave(all, "random", wave_random_rows(seed), &heads[seed % 5], spread);
    }
    print_message("%s: plain from double precision %.1e, others from plain %.1e\n", what,
                  spread[0].largest, spread[1].largest);
}

/* Edges are removed in one head of each branch; in some branches in a head that there is not. */
static void one_head_loses_its_edges(void **state)
{
    static const struct heads heads[3] = {
        {.n = 4, .n_kv = 2, .d_head = 16, .reach = INT32_MAX},
        {.n = 3, .n_kv = 3, .d_head = 33, .reach = 4, .sinks = true},
        {.n = 6, .n_kv = 1, .d_head = 5, .reach = INT32_MAX, .cap = 2.0F}};
    struct spread spread[2] = {{0}};
    for (uint32_t seed = 0; seed < 30; seed++) {
        const struct heads *own = &heads[seed % 3];
        const struct ko_rows *rows = wave_random_rows(seed);
        struct ko_branch *branches = (struct ko_branch *)(uintptr_t)rows->branches;
        for (int32_t b = 0; b < rows->n_branches; b++) {
            branches[b].only_head = 1 + b % (own->n + 1);
        }
        check_wave(*state, "one head", rows, own, spread);
    }
    print_message("attention, one head: plain from double precision %.1e, others from plain %.1e\n",
                  spread[0].largest, spread[1].largest);
}

static void attention_without_the_removed_edges(void **state)
{
    static const struct heads heads[5] = {{.n = 1, .n_kv = 1, .d_head = 7, .reach = INT32_MAX},
                                          {.n = 4, .n_kv = 2, .d_head = 16, .reach = INT32_MAX},
                                          {.n = 6, .n_kv = 1, .d_head = 33, .reach = 4},
                                          {.n = 3, .n_kv = 3, .d_head = 64, .reach = 1},
                                          {.n = 4, .n_kv = 2, .d_head = 5, .reach = 3}};
    check_heads(*state, heads, "attention");
}

static void heads_lie_side_by_side_or_apart(void **state)
{
    static const struct heads heads[5] = {
        {.n = 1, .n_kv = 1, .d_head = 7, .reach = INT32_MAX, .by_head = true},
        {.n = 4, .n_kv = 4, .d_head = 16, .reach = INT32_MAX, .by_head = true},
        {.n = 3, .n_kv = 3, .d_head = 33, .reach = 2, .by_head = true, .gap = 1},
        {.n = 4, .n_kv = 2, .d_head = 16, .reach = INT32_MAX, .gap = 16},
        {.n = 6, .n_kv = 1, .d_head = 5, .reach = 3, .gap = 2}};
    check_heads(*state, heads, "head strides");
}

/* Wider than the keys, narrower, and in another class of widths of the GPU. */
static void values_may_have_a_width_of_their_own(void **state)
{
    static const struct heads heads[5] = {
        {.n = 1, .n_kv = 1, .d_head = 7, .d_value = 5, .reach = INT32_MAX},
        {.n = 4, .n_kv = 4, .d_head = 14, .d_value = 9, .reach = INT32_MAX},
        {.n = 6, .n_kv = 2, .d_head = 33, .d_value = 16, .reach = 4, .gap = 2},
        {.n = 3, .n_kv = 3, .d_head = 20, .d_value = 70, .reach = 5, .sinks = true},
        {.n = 2, .n_kv = 2, .d_head = 192, .d_value = 128, .reach = INT32_MAX}};
    check_heads(*state, heads, "values");
}

/* Scores reach 8 with 16 numbers a head. */
static void scores_are_capped_before_edges_go(void **state)
{
    static const struct heads heads[5] = {
        {.n = 1, .n_kv = 1, .d_head = 7, .reach = INT32_MAX, .cap = 2.0F},
        {.n = 4, .n_kv = 2, .d_head = 16, .reach = INT32_MAX, .cap = 1.5F},
        {.n = 6, .n_kv = 1, .d_head = 33, .reach = 4, .cap = 50.0F},
        {.n = 4, .n_kv = 4, .d_head = 16, .reach = 3, .by_head = true, .cap = 0.5F},
        {.n = 4, .n_kv = 2, .d_head = 64, .reach = INT32_MAX, .cap = 3.0F, .sinks = true}};
    check_heads(*state, heads, "caps");
}

static void sinks_take_a_part_of_the_softmax(void **state)
{
    static const struct heads heads[5] = {
        {.n = 1, .n_kv = 1, .d_head = 7, .reach = INT32_MAX, .sinks = true},
        {.n = 4, .n_kv = 2, .d_head = 16, .reach = INT32_MAX, .sinks = true},
        {.n = 6, .n_kv = 1, .d_head = 33, .reach = 4, .sinks = true},
        {.n = 3, .n_kv = 3, .d_head = 64, .reach = 1, .sinks = true, .gap = 3},
        {.n = 4, .n_kv = 2, .d_head = 5, .reach = 3, .sinks = true}};
    check_heads(*state, heads, "sinks");
}

/* A sink far above all scores leaves nothing, and one far below changes no bit. */
static void sinks_of_any_size_are_finite(void **state)
{
    const struct backends *all = *state;
    const struct ko_rows *rows = wave_random_rows(3);
    const struct heads heads = {.n = 4, .n_kv = 2, .d_head = 16, .reach = 5, .sinks = true};
    const size_t n = (size_t)rows->n_active[0] * 64;
    for (int32_t k = 0; k < all->n; k++) {
        struct inputs x = make_inputs(rows, &heads, 2.0F);
        for (int32_t head = 0; head < heads.n; head++) {
            x.sinks[head] = head % 2 ? 1e4F : -1e4F;
        }
        float *with = attend_rows(&all->list[k], rows, 0, &x);
        x.heads.sinks = false;
        float *without = attend_rows(&all->list[k], rows, 0, &x);
        for (size_t at = 0; at < n; at++) {
            assert_true(at / 16 % 2 ? with[at] == 0.0F : with[at] == without[at]);
        }
        free(with), free(without);
        free_inputs(&x);
    }
}

/* Scores of several hundreds, whose exponentials overflow in float32. */
static void large_scores_do_not_overflow(void **state)
{
    static const struct heads heads = {.n = 4, .n_kv = 2, .d_head = 16, .reach = INT32_MAX};
    size_t n_plans = 0;
    const struct wave_plan *plans = wave_plans(&n_plans);
    struct spread spread[2] = {{0}};
    for (size_t p = 0; p < n_plans; p++) {
        const struct ko_rows *rows = wave_rows(&plans[p]);
        struct inputs x = make_inputs(rows, &heads, 20.0F);
        struct mixing mixing = mixing_of(plans[p].name, rows, &x);
        mixing.tolerance[0] = 1e-6;
        mixing.tolerance[1] = 1e-2;
        check_mixing(*state, rows, &mixing, spread, NULL);
        free_inputs(&x);
    }
    print_message("large scores: plain from double precision %.1e, others from plain %.1e\n",
                  spread[0].largest, spread[1].largest);
}

/* Heads of 16 numbers: without more, with sinks, and with a cap too. */
static const struct heads kinds[] = {
    {.n = 4, .n_kv = 2, .d_head = 16, .reach = INT32_MAX},
    {.n = 4, .n_kv = 2, .d_head = 16, .reach = 5, .sinks = true},
    {.n = 4, .n_kv = 4, .d_head = 16, .reach = 5, .by_head = true, .cap = 2.0F, .sinks = true}};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

/* The rows of a full pass without a window, against the trunk's with the same inputs. */
static void nothing_removed_is_the_clean_run(void **state)
{
    const struct backends *all = *state;
    const struct wave_plan plan = {.name = "nothing removed",
                                   .n_layers = 1,
                                   .n_prompts = 2,
                                   .n_tokens = {3, 9},
                                   .n_branches = 2,
                                   .branches = {{1, -1, 0, -1, 0, 0, -1, -1, false, false},
                                                {1, -1, 4, 0, 0, 0, -1, -1, false, true}}};
    const struct ko_rows *rows = wave_rows(&plan);
    for (int32_t k = 0; k < all->n * N_KINDS; k++) {
        struct inputs x = make_inputs(rows, &kinds[k % N_KINDS], 2.0F);
        size_t ld = (size_t)layout_of(&x.heads).width;
        memcpy(x.qkv + 12 * ld, x.qkv + 3 * ld, 9 * ld * sizeof *x.qkv);
        float *out = attend_rows(&all->list[k / N_KINDS], rows, 0, &x);
        /* Attention keeps the order of the keys, so all backends give the same bits here. */
        assert_memory_equal(out + 12 * 64, out + 3 * 64, 9 * 64 * sizeof *out);
        assert_memory_equal(out + 21 * 64, out + 7 * 64, 5 * 64 * sizeof *out);
        free(out);
        free_inputs(&x);
    }
}

static void everything_removed_gives_zeros(void **state)
{
    const struct backends *all = *state;
    const struct wave_plan plan = {.name = "everything removed",
                                   .n_layers = 1,
                                   .n_prompts = 1,
                                   .n_tokens = {6},
                                   .n_sets = 1,
                                   .sets = {{false, 63, 63}},
                                   .n_branches = 2,
                                   .branches = {{0, -1, 0, 0, 0, 1, 0, -1, false, false},
                                                {0, -1, 0, 0, 0, 1, 0, -1, false, true}}};
    const struct ko_rows *rows = wave_rows(&plan);
    for (int32_t k = 0; k < all->n * N_KINDS; k++) {
        struct inputs x = make_inputs(rows, &kinds[k % N_KINDS], 2.0F);
        float *out = attend_rows(&all->list[k / N_KINDS], rows, 0, &x);
        for (int32_t at = 6 * 64; at < 18 * 64; at++) {
            assert_true(out[at] == 0.0F);
        }
        free(out);
        free_inputs(&x);
    }
}

/* Position i sees (i - 3, i]: rows 8 and 9 lose all of it (set 0), row 9 alone in set 1; set 2's
   sources lie beyond every branch row's reach. */
static void reach_ends_what_can_be_removed(void **state)
{
    const struct backends *all = *state;
    const struct heads heads = {.n = 4, .n_kv = 2, .d_head = 16, .reach = 3};
    const struct wave_plan plan = {
        .name = "sliding reach",
        .n_layers = 1,
        .n_prompts = 1,
        .n_tokens = {12},
        .n_sets = 3,
        .sets = {{false, 3U << 8, 15U << 6}, {false, 1U << 9, 7U << 7}, {false, 15U << 8, 63}},
        .n_branches = 4,
        .branches = {{0, -1, 8, 0, 0, 1, 0, -1, false, false},
                     {0, -1, 8, 0, 0, 1, 1, -1, false, true},
                     {0, -1, 8, 0, 0, 1, 2, -1, false, false},
                     {0, -1, 8, 0, 0, 1, 2, -1, false, true}}};
    struct spread spread[2] = {{0}};
    const struct ko_rows *rows = wave_rows(&plan);
    struct inputs x = make_inputs(rows, &heads, 2.0F);
    check_wave(all, plan.name, rows, &heads, spread);
    for (int32_t k = 0; k < all->n; k++) {
        float *out = attend_rows(&all->list[k], rows, 0, &x);
        const float *branch[] = {out + 12 * 64, out + 16 * 64, out + 20 * 64, out + 24 * 64};
        for (int32_t c = 0; c < 64; c++) {
            assert_true(branch[0][c] == 0.0F && branch[0][64 + c] == 0.0F);
            assert_true(branch[0][128 + c] != 0.0F);
            assert_true(branch[1][c] != 0.0F && branch[1][64 + c] == 0.0F);
        }
        /* Nothing within reach is removed: the trunk's bits. */
        assert_memory_equal(branch[2], out + 8 * 64, 4 * 64 * sizeof *out);
        assert_memory_equal(branch[3], out + 8 * 64, 4 * 64 * sizeof *out);
        free(out);
    }
    free_inputs(&x);
}

/* A value that is not finite does not change the rows whose edges to it are removed: it is omitted,
   not multiplied by 0. */
static void removed_sources_need_not_be_finite(void **state)
{
    struct spread spread[2] = {{0}};
    int64_t n_spared = 0;
    for (uint32_t seed = 0; seed < 40; seed++) {
        const struct ko_rows *rows = wave_random_rows(seed);
        const struct heads heads = {.n = 4,
                                    .n_kv = 2,
                                    .d_head = 16,
                                    .d_value = seed % 5 == 0 ? 11 : 0,
                                    .reach = seed % 2 ? INT32_MAX : 4,
                                    .cap = seed % 3 == 0 ? 2.0F : 0.0F,
                                    .sinks = seed % 4 < 2};
        struct inputs x = make_inputs(rows, &heads, 2.0F);
        const struct mixing mixing = mixing_of("random", rows, &x);
        const struct layout at = layout_of(&heads);
        spoil_rows(values_of(&x), rows->n_rows, (size_t)at.ld_v, (size_t)at.v,
                   (size_t)(heads.n_kv * at.stride_v - (at.stride_v - value_width(&heads))),
                   INFINITY);
        check_mixing(*state, rows, &mixing, spread, &n_spared);
        free_inputs(&x);
    }
    assert_true(n_spared > 100);
}

/* Prompts of up to 177 tokens, whose attention backends compute in tiles: queries and keys beyond a
   tile, rows of several branches in one, prompts short and long in one wave; heads of every width that
   the tiles have, and of others. */
static void prompts_are_longer_than_a_tile(void **state)
{
    static const struct heads of[] = {
        {.n = 4, .n_kv = 2, .d_head = 16, .reach = INT32_MAX},
        {.n = 7, .n_kv = 1, .d_head = 64, .reach = INT32_MAX, .gap = 3},
        {.n = 2, .n_kv = 2, .d_head = 80, .reach = 70, .sinks = true},
        {.n = 4, .n_kv = 1, .d_head = 128, .reach = INT32_MAX, .cap = 2.0F},
        {.n = 2, .n_kv = 1, .d_head = 192, .d_value = 128, .reach = 33},
        {.n = 3, .n_kv = 3, .d_head = 33, .d_value = 40, .reach = INT32_MAX, .sinks = true},
        {.n = 2, .n_kv = 2, .d_head = 20, .reach = 64, .by_head = true},
        {.n = 70, .n_kv = 1, .d_head = 8, .reach = INT32_MAX}};
    enum { N_KINDS_OF = sizeof of / sizeof of[0] };
    struct spread spread[2] = {{0}};
    struct wave_plan plan;
    for (uint32_t seed = 0; seed < 3 * N_KINDS_OF; seed++) {
        wave_random(seed, &plan);
        plan.stretch = 6 + (int32_t)(seed % 11);
        const struct heads *heads = &of[seed % N_KINDS_OF];
        const struct ko_rows *rows = wave_rows(&plan);
        struct ko_branch *branches = (struct ko_branch *)(uintptr_t)rows->branches;
        for (int32_t b = 0; b < rows->n_branches; b++) {
            branches[b].only_head = seed % 3 == 2 && b % 2 ? 1 + b % heads->n : 0;
        }
        struct inputs x = make_inputs(rows, heads, 2.0F);
        struct mixing mixing = mixing_of("random and long", rows, &x);
        mixing.tolerance[1] = 6e-6; /* sums of up to 192 products, and of 177 weights */
        check_mixing(*state, rows, &mixing, spread, NULL);
        free_inputs(&x);
    }
    print_message("long prompts: plain from double precision %.1e, others from plain %.1e\n",
                  spread[0].largest, spread[1].largest);
}

/* As removed_sources_need_not_be_finite, where a tile has both rows that see a value and rows that do
   not. */
static void long_prompts_omit_what_is_not_finite(void **state)
{
    struct spread spread[2] = {{0}};
    struct wave_plan plan;
    int64_t n_spared = 0;
    for (uint32_t seed = 0; seed < 12; seed++) {
        wave_random(seed, &plan);
        plan.stretch = 6 + (int32_t)(seed % 7);
        const struct ko_rows *rows = wave_rows(&plan);
        const struct heads heads = {.n = 4,
                                    .n_kv = 2,
                                    .d_head = 16,
                                    .reach = 1 + (int32_t)(seed % 4),
                                    .sinks = seed % 4 < 2};
        struct inputs x = make_inputs(rows, &heads, 2.0F);
        const struct mixing mixing = mixing_of("random and long", rows, &x);
        const struct layout at = layout_of(&heads);
        spoil_rows(values_of(&x), rows->n_rows, (size_t)at.ld_v, (size_t)at.v, 5,
                   seed % 2 ? INFINITY : NAN);
        check_mixing(*state, rows, &mixing, spread, &n_spared);
        free_inputs(&x);
    }
    assert_true(n_spared > 100);
}

/* Scores of these inputs have no rounding but that of their sums: ten bits after the first hold each
   query, key and value, and so does tf32. */
static void cut_inputs(const struct ko_rows *rows, struct inputs *x)
{
    const struct layout at = layout_of(&x->heads);
    for (size_t k = 0; k < (size_t)(rows->n_rows * at.width); k++) {
        x->qkv[k] = roundf(x->qkv[k] * 512.0F) / 512.0F;
    }
    for (size_t k = 0; k < (size_t)(rows->n_rows * at.ld_v); k++) {
        x->apart[k] = roundf(x->apart[k] * 512.0F) / 512.0F;
    }
}

/* Attention on tensor cores, where the machine has them: in tf32 and bfloat16 the weights are rounded to
   tf32 before they multiply the values, and in bf16x3 nothing is. */
static void tensor_cores_attend_alike(void **state)
{
    static const struct {
        enum ko_precision precision;
        const char *name;
        double tolerance;
    } modes[] = {
        {KO_TF32, "tf32", 5e-4}, {KO_BFLOAT16, "bfloat16", 5e-4}, {KO_BF16X3, "bf16x3", 4e-6}};
    static const struct heads of[] = {
        {.n = 7, .n_kv = 1, .d_head = 64, .reach = INT32_MAX},
        {.n = 2, .n_kv = 2, .d_head = 80, .reach = 70, .sinks = true},
        {.n = 4, .n_kv = 1, .d_head = 128, .reach = INT32_MAX, .cap = 2.0F},
        {.n = 2, .n_kv = 1, .d_head = 192, .d_value = 128, .reach = 33}};
    const struct backends *all = *state;
    for (size_t m = 0; m < sizeof modes / sizeof modes[0]; m++) {
        struct backends two = {.list = {all->list[0]}, .n = 1};
        struct spread spread[2] = {{0}};
        struct wave_plan plan;
        two.n += backend_open_gpu(modes[m].precision, &two.list[1]);
        for (uint32_t seed = 0; two.n > 1 && seed < 16; seed++) {
            wave_random(seed, &plan);
            plan.stretch = 6 + (int32_t)(seed % 11);
            const struct ko_rows *rows = wave_rows(&plan);
            struct inputs x = make_inputs(rows, &of[seed % 4], 2.0F);
            struct mixing mixing = mixing_of(modes[m].name, rows, &x);
            mixing.tolerance[1] = modes[m].tolerance;
            cut_inputs(rows, &x);
            check_mixing(&two, rows, &mixing, spread, NULL);
            free_inputs(&x);
        }
        if (two.n > 1) {
            print_message("%s: from plain %.1e\n", modes[m].name, spread[1].largest);
            two.list[1].k->close(two.list[1].be);
        }
    }
}

int run_attention(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompts_are_longer_than_a_tile),
        cmocka_unit_test(long_prompts_omit_what_is_not_finite),
        cmocka_unit_test(tensor_cores_attend_alike),
        cmocka_unit_test(removed_sources_need_not_be_finite),
        cmocka_unit_test(one_head_loses_its_edges),
        cmocka_unit_test(attention_without_the_removed_edges),
        cmocka_unit_test(heads_lie_side_by_side_or_apart),
        cmocka_unit_test(values_may_have_a_width_of_their_own),
        cmocka_unit_test(scores_are_capped_before_edges_go),
        cmocka_unit_test(sinks_take_a_part_of_the_softmax),
        cmocka_unit_test(sinks_of_any_size_are_finite),
        cmocka_unit_test(large_scores_do_not_overflow),
        cmocka_unit_test(nothing_removed_is_the_clean_run),
        cmocka_unit_test(everything_removed_gives_zeros),
        cmocka_unit_test(reach_ends_what_can_be_removed),
    };
    return cmocka_run_group_tests_name("attention", tests, backends_open, backends_close);
}
