/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/conformance/check.h"

enum { N_MASKS = 2, PAD = 5, LONG = 300 };

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

static struct inputs make(const struct ko_rows *rows, const struct shape *shape)
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
    x.masks = random_masks(6, N_MASKS * (size_t)rows->n_layers * heads);
    x.dt[0] = 25.0F; /* beyond softplus's threshold */
    return x;
}

static void drop(struct inputs *x)
{
    free(x->ubc);
    free(x->dt);
    free(x->dt_bias);
    free(x->a);
    free(x->d);
    free(x->masks);
}

static const float *copy_rows(const struct backend *b, const struct ko_rows *rows,
                              const float *values, size_t width, int32_t readable)
{
    float *clean = poisoned(values, (size_t)rows->n_rows, width, readable);
    const float *memory = backend_copy(b, clean, (size_t)rows->n_rows * width * sizeof *clean);
    free(clean);
    return memory;
}

/* out [n_active, d_out], free with free(). */
static float *mix(const struct backend *b, const struct ko_rows *rows, int32_t layer,
                  const struct inputs *x)
{
    struct ko_error err = {0};
    const struct shape *shape = &x->shape;
    size_t n = (size_t)rows->n_active[layer] * x->d_out, heads = (size_t)shape->n_heads;
    struct ko_mamba2 args = {.layer = layer,
                             .n_heads = shape->n_heads,
                             .d_head = shape->d_head,
                             .d_state = shape->d_state,
                             .n_groups = shape->n_groups,
                             .u = copy_rows(b, rows, x->ubc, x->ld, rows->n_convolved[layer]),
                             .ld = (int32_t)x->ld,
                             .dt = copy_rows(b, rows, x->dt, x->ld_dt, rows->n_projected[layer]),
                             .ld_dt = (int32_t)x->ld_dt,
                             .dt_bias = backend_copy(b, x->dt_bias, heads * sizeof *x->dt_bias),
                             .dt_min = shape->dt_min,
                             .dt_max = shape->dt_max,
                             .a = backend_copy(b, x->a, heads * sizeof *x->a),
                             .d = backend_copy(b, x->d, heads * sizeof *x->d),
                             .out = backend_floats(b, n)};
    args.b = args.u + x->d_out;
    args.c = args.b + shape->n_groups * shape->d_state;
    args.masks =
        (const uint8_t *)backend_copy(b, x->masks, N_MASKS * (size_t)rows->n_layers * heads);
    expect_ok(b->k->set_rows(b->be, rows, &err), &err);
    expect_ok(b->k->mamba2(b->be, &args, &err), &err);
    float *out = backend_read(b, args.out, n);
    const void *memory[] = {args.u, args.dt, args.dt_bias, args.a, args.d, args.masks, args.out};
    for (size_t k = 0; k < sizeof memory / sizeof memory[0]; k++) {
        backend_release(b, memory[k]);
    }
    return out;
}

static bool is_masked(const struct ko_rows *rows, const struct inputs *x, int32_t row,
                      int32_t layer, int32_t head)
{
    int32_t mask = rows->branch[row] < 0 ? -1 : rows->branches[rows->branch[row]].mask;
    if (mask < 0) {
        return true;
    }
    size_t at = (size_t)(mask * rows->n_layers + layer) * (size_t)x->shape.n_heads;
    return x->masks[at + (size_t)head] != 0;
}

static double time_step(const struct inputs *x, int32_t row, int32_t head)
{
    double step =
        log1p(exp((double)x->dt[(size_t)row * x->ld_dt + (size_t)head] + (double)x->dt_bias[head]));
    return fmin(fmax(step, (double)x->shape.dt_min), (double)x->shape.dt_max);
}

/* One head of one row, as a recurrence over the state [d_state, d_head] with an input of zero where
   an edge is removed. path: where u, B and C lie; projected: where dt lies. */
static void reference_head(const struct ko_rows *rows, const struct inputs *x, int32_t row,
                           int32_t layer, int32_t head, const int32_t *path,
                           const int32_t *projected, double *out)
{
    const struct shape *shape = &x->shape;
    size_t d_head = (size_t)shape->d_head, d_state = (size_t)shape->d_state;
    size_t u = (size_t)head * d_head;
    size_t b = x->d_out + (size_t)(head * shape->n_groups / shape->n_heads) * d_state;
    size_t c = b + (size_t)shape->n_groups * d_state;
    int32_t i = rows->position[row];
    double *state = calloc(d_state * d_head, sizeof *state);
    assert_non_null(state);
    for (int32_t j = 0; j <= i; j++) {
        const float *in = x->ubc + (size_t)path[j] * x->ld;
        double step = time_step(x, projected[j], head), decay = exp((double)x->a[head] * step);
        bool removed = wave_removed(rows, row, layer, i, j) && is_masked(rows, x, row, layer, head);
        for (size_t at = 0; at < d_state * d_head; at++) {
            double input = step * (double)in[b + at / d_head] * (double)in[u + at % d_head];
            state[at] = decay * state[at] + (removed ? 0.0 : input);
        }
    }
    const float *own = x->ubc + (size_t)path[i] * x->ld;
    for (size_t p = 0; p < d_head; p++) {
        out[p] = (double)x->d[head] * (double)own[u + p];
        for (size_t n = 0; n < d_state; n++) {
            out[p] += (double)own[c + n] * state[n * d_head + p];
        }
    }
    free(state);
}

static double *reference(const struct ko_rows *rows, int32_t layer, const struct inputs *x)
{
    double *out = calloc((size_t)rows->n_active[layer] * x->d_out + 1, sizeof *out);
    int32_t path[LONG], projected[LONG];
    assert_non_null(out);
    for (int32_t r = 0; r < rows->n_active[layer]; r++) {
        wave_path(rows, r, layer, ko_rows_source_after_conv, path);
        wave_path(rows, r, layer, ko_rows_source, projected);
        for (int32_t head = 0; head < x->shape.n_heads; head++) {
            reference_head(rows, x, r, layer, head, path, projected,
                           out + (size_t)r * x->d_out + (size_t)(head * x->shape.d_head));
        }
    }
    return out;
}

/* n_spared: NULL, or u and B have bad rows, and what they did not reach is added. */
static void check_rows(const struct backend *backends, int32_t n_backends, const char *name,
                       const struct ko_rows *rows, const struct shape *shape,
                       struct spread spread[2], int64_t *n_spared)
{
    struct inputs x = make(rows, shape);
    if (n_spared) {
        const size_t states = (size_t)shape->n_groups * (size_t)shape->d_state;
        spoil_rows(x.ubc, rows->n_rows, x.ld, 0, x.d_out + states, INFINITY);
    }
    for (int32_t layer = 0; layer < rows->n_layers; layer++) {
        size_t n = (size_t)rows->n_active[layer] * x.d_out;
        double *want = reference(rows, layer, &x);
        if (n_spared) {
            *n_spared += count_spared(rows, layer, rows->n_active[layer], ko_rows_source_after_conv,
                                      INT32_MAX, want, x.d_out);
        }
        for (int32_t k = 0; k < n_backends; k++) {
            float *got = mix(&backends[k], rows, layer, &x);
            (n_spared ? expect_near_or_neither : expect_near)(name, backends[k].label, got, want, n,
                                                              k ? 5e-6 : 1e-7, &spread[k > 0]);
            if (k == 0) {
                widen(got, n, want);
            }
            free(got);
        }
        free(want);
    }
    drop(&x);
}

static void mixing_without_the_removed_edges(void **state)
{
    (void)state;
    static struct wave wave;
    struct backend backends[MAX_BACKENDS];
    int32_t n_backends = backends_open(backends);
    size_t n_plans = 0;
    const struct wave_plan *plans = wave_plans(&n_plans);
    struct spread spread[2] = {{0}};
    for (size_t p = 0; p < n_plans; p++) {
        wave_build(&plans[p], &wave);
        for (size_t s = 0; s < N_SHAPES; s++) {
            check_rows(backends, n_backends, plans[p].name, &wave.rows, &shapes[s], spread, NULL);
        }
    }
    for (uint32_t seed = 0; seed < 60; seed++) {
        struct wave_plan plan;
        wave_random(seed, &plan);
        wave_build(&plan, &wave);
        check_rows(backends, n_backends, "random", &wave.rows, &shapes[seed % N_SHAPES], spread,
                   NULL);
    }
    print_message("mamba2: plain from double precision %.1e, others from plain %.1e\n",
                  spread[0].largest, spread[1].largest);
    backends_close(backends, n_backends);
}

/* One trunk that is longer than any block of rows or keys. */
static void long_prompts_keep_their_precision(void **state)
{
    (void)state;
    static int32_t position[LONG], previous[LONG], none[LONG], zero[LONG];
    static const int32_t n_rows = LONG, n_branches = 0;
    for (int32_t r = 0; r < LONG; r++) {
        position[r] = r;
        previous[r] = r - 1;
        none[r] = -1;
    }
    const struct ko_rows rows = {.n_rows = LONG,
                                 .n_trunk_rows = LONG,
                                 .n_prompts = 1,
                                 .n_layers = 1,
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
    struct backend backends[MAX_BACKENDS];
    int32_t n_backends = backends_open(backends);
    struct spread spread[2] = {{0}};
    for (size_t s = 0; s < N_SHAPES; s++) {
        struct shape shape = shapes[s];
        shape.d_head = shape.d_head < 40 ? shape.d_head : 40;
        shape.d_state = shape.d_state < 20 ? shape.d_state : 20;
        check_rows(backends, n_backends, "long prompt", &rows, &shape, spread, NULL);
    }
    print_message("mamba2, %d tokens: plain from double precision %.1e, others from plain %.1e\n",
                  LONG, spread[0].largest, spread[1].largest);
    backends_close(backends, n_backends);
}

/* Gives every branch row the inputs of its parent's row, as in a layer that it has just left in. */
static void equal_inputs(const struct ko_rows *rows, struct inputs *x)
{
    for (int32_t r = rows->n_trunk_rows; r < rows->n_rows; r++) {
        size_t to = (size_t)r, from = (size_t)rows->parent_row[r];
        memcpy(x->ubc + to * x->ld, x->ubc + from * x->ld, x->ld * sizeof *x->ubc);
        memcpy(x->dt + to * x->ld_dt, x->dt + from * x->ld_dt, x->ld_dt * sizeof *x->dt);
    }
}

/* The wave without windows: branch rows against the trunk's rows of the same positions. */
static void check_clean(const struct backend *b, const struct wave_plan *from,
                        const struct shape *shape, struct spread *worst)
{
    static struct wave wave;
    struct wave_plan plan = *from;
    for (int32_t n = 0; n < plan.n_branches; n++) {
        plan.branches[n].window_end = plan.branches[n].window_begin;
    }
    wave_build(&plan, &wave);
    struct inputs x = make(&wave.rows, shape);
    equal_inputs(&wave.rows, &x);
    double *want = calloc(x.d_out, sizeof *want);
    assert_non_null(want);
    for (int32_t layer = 0; layer < plan.n_layers; layer++) {
        float *out = mix(b, &wave.rows, layer, &x);
        for (int32_t r = wave.rows.n_trunk_rows; r < wave.rows.n_active[layer]; r++) {
            int32_t trunk = wave.rows.trunk_first[wave.rows.prompt[r]] + wave.rows.position[r];
            const float *clean = out + (size_t)trunk * x.d_out;
            const float *got = out + (size_t)r * x.d_out;
            if (b->exact) {
                assert_memory_equal(got, clean, x.d_out * sizeof *out);
            }
            widen(clean, x.d_out, want);
            expect_near("nothing removed", b->label, got, want, x.d_out, 1e-5, worst);
        }
        free(out);
    }
    free(want);
    drop(&x);
}

static void nothing_removed_is_the_clean_run(void **state)
{
    (void)state;
    struct backend backends[MAX_BACKENDS];
    int32_t n_backends = backends_open(backends);
    size_t n_plans = 0;
    const struct wave_plan *plans = wave_plans(&n_plans);
    struct spread worst = {0};
    for (int32_t k = 0; k < n_backends; k++) {
        for (size_t p = 0; p < n_plans; p++) {
            check_clean(&backends[k], &plans[p], &shapes[1], &worst);
            check_clean(&backends[k], &plans[p], &shapes[3], &worst);
        }
    }
    print_message("mamba2, nothing removed: at most %.1e from the clean run\n", worst.largest);
    backends_close(backends, n_backends);
}

static void everything_removed_leaves_the_skip(void **state)
{
    (void)state;
    static struct wave wave;
    const struct wave_plan plan = {.name = "everything removed",
                                   .n_layers = 2,
                                   .n_prompts = 1,
                                   .n_tokens = {6},
                                   .n_sets = 1,
                                   .sets = {{false, 63, 63}},
                                   .n_branches = 2,
                                   .branches = {{0, -1, 0, 0, 0, 2, 0, -1, false, false},
                                                {0, -1, 0, -1, 0, 2, 0, -1, true, false}}};
    struct backend backends[MAX_BACKENDS];
    int32_t n_backends = backends_open(backends);
    wave_build(&plan, &wave);
    struct inputs x = make(&wave.rows, &shapes[3]);
    for (int32_t k = 0; k < n_backends; k++) {
        float *out = mix(&backends[k], &wave.rows, 1, &x);
        for (size_t at = 6 * x.d_out; at < 18 * x.d_out; at++) {
            size_t row = at / x.d_out, p = at % x.d_out;
            assert_true(out[at] == x.d[p / 70] * x.ubc[row * x.ld + p]);
        }
        free(out);
    }
    drop(&x);
    backends_close(backends, n_backends);
}

static void threads_do_not_change_a_bit(void **state)
{
    (void)state;
    static struct wave wave;
    struct backend backends[MAX_BACKENDS];
    int32_t n_backends = backends_open(backends);
    for (uint32_t seed = 100; seed < 110; seed++) {
        struct wave_plan plan;
        wave_random(seed, &plan);
        wave_build(&plan, &wave);
        struct inputs x = make(&wave.rows, &shapes[2]);
        int32_t layer = plan.n_layers - 1;
        size_t bytes = (size_t)wave.rows.n_active[layer] * x.d_out * sizeof(float);
        for (int32_t k = 1; k + 1 < n_backends; k += 2) {
            float *one = mix(&backends[k], &wave.rows, layer, &x);
            float *three = mix(&backends[k + 1], &wave.rows, layer, &x);
            assert_memory_equal(one, three, bytes);
            free(one);
            free(three);
        }
        drop(&x);
    }
    backends_close(backends, n_backends);
}

/* Where a source is no finite number, the rows whose edges to it are removed stay what they were:
   it is left out, not multiplied by 0. */
static void removed_sources_need_not_be_finite(void **state)
{
    (void)state;
    struct backend backends[MAX_BACKENDS];
    int32_t n_backends = backends_open(backends);
    struct spread spread[2] = {{0}};
    int64_t n_spared = 0;
    for (uint32_t seed = 0; seed < 40; seed++) {
        struct wave_plan plan;
        wave_random(seed, &plan);
        static struct wave wave;
        wave_build(&plan, &wave);
        check_rows(backends, n_backends, "bad sources", &wave.rows, &shapes[seed % N_SHAPES],
                   spread, &n_spared);
    }
    assert_true(n_spared > 100);
    backends_close(backends, n_backends);
}

int run_mamba2(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(removed_sources_need_not_be_finite),
        cmocka_unit_test(mixing_without_the_removed_edges),
        cmocka_unit_test(long_prompts_keep_their_precision),
        cmocka_unit_test(nothing_removed_is_the_clean_run),
        cmocka_unit_test(everything_removed_leaves_the_skip),
        cmocka_unit_test(threads_do_not_change_a_bit),
    };
    return cmocka_run_group_tests_name("mamba2", tests, NULL, NULL);
}
