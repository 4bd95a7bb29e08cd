/* SPDX-License-Identifier: Apache-2.0 */
/* Mamba-2's mixing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/conformance/check.h"

enum { N_MASKS = 2, PAD = 5, LONG = WAVE_LONGEST };

struct shape {
    int32_t n_heads, d_head, d_state, n_groups;
    float dt_min, dt_max;
};

/* u, B and C of a row lie side by side, as the convolution leaves them. */
struct inputs {
    struct shape shape;
    size_t d_out, ld, ld_dt;
    float *ubc, *dt, *dt_bias, *a, *d;
    uint8_t *masks;
};

static const struct shape shapes[] = {{1, 7, 5, 1, 0.0F, INFINITY},   {3, 16, 33, 1, 0.05F, 0.5F},
                                      {4, 64, 128, 2, 0.0F, 1.5F},    {6, 70, 9, 3, 0.2F, INFINITY},
                                      {5, 33, 16, 5, 0.0F, INFINITY}, {3, 5, 4, 2, 0.001F, 0.1F}};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

static struct inputs make_inputs(const struct ko_rows *rows, const struct shape *shape)
{
    size_t n = (size_t)rows->n_rows, heads = (size_t)shape->n_heads;
    struct inputs x = {.shape = *shape};
    x.d_out = heads * (size_t)shape->d_head;
    x.ld = x.d_out + 2 * (size_t)shape->n_groups * (size_t)shape->d_state + PAD;
    x.ld_dt = heads + PAD;
    x.ubc = random_floats(1, n * x.ld, -1.0F, 1.0F);
    x.dt = random_floats(2, n * x.ld_dt, -5.0F, 2.0F);
    x.dt_bias = random_floats(3, heads, -1.0F, 1.0F);
    x.a = random_floats(4, heads, -4.0F, -0.01F);
    x.d = random_floats(5, heads, -1.0F, 1.0F);
    x.masks = random_masks(6, N_MASKS * (size_t)rows->n_stages * heads);
    x.dt[0] = 25.0F; /* beyond softplus's threshold */
    return x;
}

static void free_inputs(struct inputs *x)
{
    free(x->ubc), free(x->dt), free(x->dt_bias), free(x->a), free(x->d), free(x->masks);
}

static float *mix_rows(const struct backend *b, const struct ko_rows *rows, int32_t layer,
                       const void *inputs)
{
    const struct inputs *x = inputs;
    const struct shape *shape = &x->shape;
    struct memory m = {.b = b};
    size_t n = (size_t)rows->n_active[layer] * x->d_out, heads = (size_t)shape->n_heads;
    struct ko_mamba2 args = {
        .stage = layer,
        .n_heads = shape->n_heads,
        .d_head = shape->d_head,
        .d_state = shape->d_state,
        .n_groups = shape->n_groups,
        .u = memory_rows(&m, rows, x->ubc, x->ld, rows->n_convolved[layer]),
        .ld = (int32_t)x->ld,
        .dt = memory_rows(&m, rows, x->dt, x->ld_dt, rows->n_projected[layer]),
        .ld_dt = (int32_t)x->ld_dt,
        .dt_bias = memory_floats(&m, x->dt_bias, heads),
        .dt_min = shape->dt_min,
        .dt_max = shape->dt_max,
        .a = memory_floats(&m, x->a, heads),
        .d = memory_floats(&m, x->d, heads),
        .masks = memory_bytes(&m, x->masks, N_MASKS * (size_t)rows->n_stages * heads),
        .out = memory_nan(&m, n)};
    args.b = args.u + x->d_out;
    args.c = args.b + shape->n_groups * shape->d_state;
    RUN(b, set_rows, rows);
    RUN(b, mamba2, &args);
    return memory_result(&m, args.out, n);
}

static double time_step(const struct inputs *x, int32_t row, int32_t head)
{
    double step =
        log1p(exp((double)x->dt[(size_t)row * x->ld_dt + (size_t)head] + (double)x->dt_bias[head]));
    return fmin(fmax(step, (double)x->shape.dt_min), (double)x->shape.dt_max);
}

/* A row in one layer, with its path: the rows of u, B and C, and the rows of dt. */
struct row {
    const struct ko_rows *rows;
    int32_t row, layer, i, path[LONG], projected[LONG];
};

/* One head, as a recurrence over the state [d_state, d_head]. Where an edge is removed, the input
   is zero. */
static void mix_head(const struct row *r, const struct inputs *x, int32_t head, double *out)
{
    const struct shape *shape = &x->shape;
    size_t d_head = (size_t)shape->d_head, d_state = (size_t)shape->d_state;
    size_t u = (size_t)head * d_head;
    size_t b = x->d_out + (size_t)(head * shape->n_groups / shape->n_heads) * d_state;
    size_t c = b + (size_t)shape->n_groups * d_state;
    bool masked = wave_masked(r->rows, r->row, r->layer, x->masks, shape->n_heads, head);
    double *state = calloc(d_state * d_head, sizeof *state);
    assert_non_null(state);
    for (int32_t j = 0; j <= r->i; j++) {
        const float *in = x->ubc + (size_t)r->path[j] * x->ld;
        double step = time_step(x, r->projected[j], head), decay = exp((double)x->a[head] * step);
        bool removed = masked && wave_removed(r->rows, r->row, r->layer, KO_MIXER_SSM, r->i, j);
        for (size_t at = 0; at < d_state * d_head; at++) {
            double input = step * (double)in[b + at / d_head] * (double)in[u + at % d_head];
            state[at] = decay * state[at] + (removed ? 0.0 : input);
        }
    }
    const float *own = x->ubc + (size_t)r->path[r->i] * x->ld;
    for (size_t p = 0; p < d_head; p++) {
        out[p] = (double)x->d[head] * (double)own[u + p];
        for (size_t n = 0; n < d_state; n++) {
            out[p] += (double)own[c + n] * state[n * d_head + p];
        }
    }
    free(state);
}

static void mix_row(const struct ko_rows *rows, int32_t row, int32_t layer, const void *inputs,
                    double *out)
{
    const struct inputs *x = inputs;
    struct row r = {.rows = rows, .row = row, .layer = layer};
    r.i = wave_path(rows, row, layer, ko_rows_source_after_conv, r.path);
    wave_path(rows, row, layer, ko_rows_source, r.projected);
    for (int32_t head = 0; head < x->shape.n_heads; head++) {
        mix_head(&r, x, head, out + head * x->shape.d_head);
    }
}

static struct mixing mixing_of(const char *name, const struct ko_rows *rows, const struct inputs *x)
{
    return (struct mixing){name,     x,       rows->n_active, x->d_out,
                           mix_rows, mix_row, {1e-7, 5e-6},   ko_rows_source_after_conv,
                           INT32_MAX};
}

static void check_rows(const struct backends *all, const char *name, const struct ko_rows *rows,
                       const struct shape *shape, struct spread spread[2])
{
    struct inputs x = make_inputs(rows, shape);
    const struct mixing mixing = mixing_of(name, rows, &x);
    check_mixing(all, rows, &mixing, spread, NULL);
    free_inputs(&x);
}

static void mixing_without_the_removed_edges(void **state)
{
    size_t n_plans = 0;
    const struct wave_plan *plans = wave_plans(&n_plans);
    struct spread spread[2] = {{0}};
    for (size_t p = 0; p < n_plans; p++) {
        for (size_t s = 0; s < N_SHAPES; s++) {
            check_rows(*state, plans[p].name, wave_rows(&plans[p]), &shapes[s], spread);
        }
    }
    for (uint32_t seed = 0; seed < 60; seed++) {
        check_rows(*state, "random", wave_random_rows(seed), &shapes[seed % N_SHAPES], spread);
    }
    print_message("mamba2: plain from double precision %.1e, others from plain %.1e\n",
                  spread[0].largest, spread[1].largest);
}

/* One trunk that is longer than any block of rows or keys. */
static void long_prompts_keep_their_precision(void **state)
{
    static int32_t position[LONG], previous[LONG], none[LONG], zero[LONG];
    static const int32_t n_rows = LONG, n_branches = 0;
    for (int32_t r = 0; r < LONG; r++) {
        position[r] = r;
        previous[r] = r - 1;
        none[r] = -1;
    }
    const struct ko_rows rows = {.n_rows = LONG,
                                 .n_trunk_rows = LONG,
                                 .n_embedded = LONG,
                                 .n_prompts = 1,
                                 .n_stages = 1,
                                 .max_tokens = LONG,
                                 .position = position,
                                 .previous = previous,
                                 .branch = none,
                                 .prompt = zero,
                                 .parent_row = none,
                                 .token = zero,
                                 .trunk_first = zero,
                                 .n_tokens = &n_rows,
                                 .n_projected = &n_rows,
                                 .n_convolved = &n_rows,
                                 .n_active = &n_rows,
                                 .n_branches_active = &n_branches};
    struct spread spread[2] = {{0}};
    for (size_t s = 0; s < N_SHAPES; s++) {
        struct shape shape = shapes[s];
        shape.d_head = shape.d_head < 40 ? shape.d_head : 40;
        shape.d_state = shape.d_state < 20 ? shape.d_state : 20;
        check_rows(*state, "long prompt", &rows, &shape, spread);
    }
    print_message("mamba2, %d tokens: plain from double precision %.1e, others from plain %.1e\n",
                  LONG, spread[0].largest, spread[1].largest);
}

/* Trunks that some backends cut into chunks. */
static void chunks_without_the_removed_edges(void **state)
{
    static const struct shape small[] = {
        {2, 6, 5, 1, 0.0F, INFINITY}, {3, 4, 3, 3, 0.01F, 0.3F}, {1, 33, 17, 1, 0.0F, 0.1F}};
    struct spread spread[2] = {{0}};
    for (uint32_t seed = 0; seed < 13; seed++) {
        check_rows(*state, "chunks", wave_chunked_rows(seed), &small[seed % 3], spread);
    }
    static const struct shape wide[] = {{1, 68, 2, 1, 0.0F, 0.1F}, {1, 1, 130, 1, 0.0F, 0.1F}};
    for (uint32_t seed = 0; seed < 2; seed++) {
        check_rows(*state, "chunks", wave_chunked_rows(11 + 4 * seed), &wide[seed], spread);
    }
    print_message("mamba2, chunks: plain from double precision %.1e, others from plain %.1e\n",
                  spread[0].largest, spread[1].largest);
}

/* In tf32 a GPU multiplies the factors of chunks on tensor cores, which round them to 11 bits. */
static void chunks_on_tensor_cores(void **state)
{
    static const struct shape shapes_of_chunks[] = {{2, 6, 5, 1, 0.0F, INFINITY},
                                                    {1, 33, 17, 1, 0.0F, 0.1F},
                                                    {1, 68, 2, 1, 0.0F, 0.1F},
                                                    {1, 1, 130, 1, 0.0F, 0.1F}};
    const struct backends *all = *state;
    struct backends two = {.n = 1, .list = {all->list[0]}};
    two.n += backend_open_gpu(KO_TF32, &two.list[1]);
    if (two.n == 1) {
        skip();
    }
    struct spread spread[2] = {{0}};
    for (uint32_t seed = 0; seed < 12; seed++) {
        const struct ko_rows *rows = wave_chunked_rows(seed);
        struct inputs x = make_inputs(rows, &shapes_of_chunks[seed % 4]);
        struct mixing mixing = mixing_of("chunks on tensor cores", rows, &x);
        mixing.tolerance[1] = 3e-3; /* 1.0e-3 observed on an H200 */
        check_mixing(&two, rows, &mixing, spread, NULL);
        free_inputs(&x);
    }
    print_message("mamba2, chunks on tensor cores: at most %.1e from plain\n", spread[1].largest);
    two.list[1].k->close(two.list[1].be);
}

/* Gives every branch row the inputs of its parent's row, as in the layer where it leaves. */
static void equal_inputs(const struct ko_rows *rows, struct inputs *x)
{
    for (int32_t r = rows->n_trunk_rows; r < rows->n_rows; r++) {
        size_t to = (size_t)r, from = (size_t)rows->parent_row[r];
        memcpy(x->ubc + to * x->ld, x->ubc + from * x->ld, x->ld * sizeof *x->ubc);
        memcpy(x->dt + to * x->ld_dt, x->dt + from * x->ld_dt, x->ld_dt * sizeof *x->dt);
    }
}

static void nothing_removed_is_the_clean_run(void **state)
{
    size_t n_plans = 0;
    const struct wave_plan *plans = wave_plans(&n_plans);
    struct spread worst = {0};
    for (size_t k = 0; k < 2 * n_plans; k++) {
        const struct wave_plan plan = wave_without_windows(&plans[k / 2]);
        const struct ko_rows *rows = wave_rows(&plan);
        struct inputs x = make_inputs(rows, &shapes[k % 2 ? 3 : 1]);
        const struct mixing mixing = mixing_of(plan.name, rows, &x);
        equal_inputs(rows, &x);
        check_clean(*state, rows, &mixing, &worst);
        free_inputs(&x);
    }
    print_message("mamba2, nothing removed: at most %.1e from the clean run\n", worst.largest);
}

static void everything_removed_leaves_the_skip(void **state)
{
    const struct backends *all = *state;
    const struct ko_rows *rows = wave_rows(&wave_all_removed);
    struct inputs x = make_inputs(rows, &shapes[3]);
    for (int32_t k = 0; k < all->n; k++) {
        float *out = mix_rows(&all->list[k], rows, 1, &x);
        for (size_t at = 6 * x.d_out; at < 18 * x.d_out; at++) {
            size_t row = at / x.d_out, p = at % x.d_out;
            assert_true(out[at] == x.d[p / 70] * x.ubc[row * x.ld + p]);
        }
        free(out);
    }
    free_inputs(&x);
}

static void threads_do_not_change_a_bit(void **state)
{
    for (uint32_t seed = 100; seed < 110; seed++) {
        const struct ko_rows *rows = wave_random_rows(seed);
        struct inputs x = make_inputs(rows, &shapes[2]);
        const struct mixing mixing = mixing_of("random", rows, &x);
        check_threads(*state, rows, &mixing);
        free_inputs(&x);
    }
}

/* A u or B that is not finite does not change the rows whose edges to it are removed: it is
   omitted, not multiplied by 0. */
static void removed_sources_need_not_be_finite(void **state)
{
    struct spread spread[2] = {{0}};
    int64_t n_spared = 0;
    for (uint32_t seed = 0; seed < 40; seed++) {
        const struct ko_rows *rows = wave_random_rows(seed);
        const struct shape *shape = &shapes[seed % N_SHAPES];
        struct inputs x = make_inputs(rows, shape);
        const struct mixing mixing = mixing_of("bad sources", rows, &x);
        const size_t states = (size_t)shape->n_groups * (size_t)shape->d_state;
        spoil_rows(x.ubc, rows->n_rows, x.ld, 0, x.d_out + states, INFINITY);
        check_mixing(*state, rows, &mixing, spread, &n_spared);
        free_inputs(&x);
    }
    assert_true(n_spared > 100);
    const int64_t n_short = n_spared;
    for (uint32_t seed = 20; seed < 26; seed++) {
        const struct ko_rows *rows = wave_chunked_rows(seed);
        const struct shape shape = {1, 3, 2, 1, 0.0F, INFINITY};
        struct inputs x = make_inputs(rows, &shape);
        const struct mixing mixing = mixing_of("chunks", rows, &x);
        spoil_rows(x.ubc, rows->n_rows, x.ld, 0, x.d_out + 2, INFINITY);
        check_mixing(*state, rows, &mixing, spread, &n_spared);
        free_inputs(&x);
    }
    assert_true(n_spared > n_short);
}

int run_mamba2(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(removed_sources_need_not_be_finite),
        cmocka_unit_test(mixing_without_the_removed_edges),
        cmocka_unit_test(chunks_without_the_removed_edges),
        cmocka_unit_test(chunks_on_tensor_cores),
        cmocka_unit_test(long_prompts_keep_their_precision),
        cmocka_unit_test(nothing_removed_is_the_clean_run),
        cmocka_unit_test(everything_removed_leaves_the_skip),
        cmocka_unit_test(threads_do_not_change_a_bit),
    };
    return cmocka_run_group_tests_name("mamba2", tests, backends_open, backends_close);
}
