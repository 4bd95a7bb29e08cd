/* SPDX-License-Identifier: Apache-2.0 */
/* The gated delta rule, with one decay a head (Gated DeltaNet) and with one a key channel (KDA). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/at.h"
#include "tests/conformance/check.h"

enum { N_MASKS = 2, PAD = 5 };

struct shape {
    int32_t n_key_heads, n_heads, d_key, d_value;
    bool per_channel;
};

/* q, k and v of a row lie side by side, as the convolution leaves them. */
struct inputs {
    struct shape shape;
    size_t keys, values, ld, n_dt, ld_dt, ld_beta;
    float *qkv, *dt, *beta, *dt_bias, *a;
    uint8_t *masks;
};

static const struct shape shapes[] = {
    {1, 1, 8, 8, false},    {2, 4, 12, 20, false},  {2, 6, 33, 16, false}, {3, 3, 24, 40, true},
    {1, 3, 64, 9, true},    {1, 2, 20, 130, false}, {1, 1, 128, 72, true}, {3, 3, 100, 7, false},
    {1, 1, 256, 10, false}, {1, 2, 140, 5, true}};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

static struct inputs make_inputs(const struct ko_rows *rows, const struct shape *shape)
{
    size_t n = (size_t)rows->n_rows, heads = (size_t)shape->n_heads;
    struct inputs x = {.shape = *shape};
    x.keys = (size_t)shape->n_key_heads * (size_t)shape->d_key;
    x.values = heads * (size_t)shape->d_value;
    x.ld = 2 * x.keys + x.values + PAD;
    x.n_dt = shape->per_channel ? heads * (size_t)shape->d_key : heads;
    x.ld_dt = x.n_dt + PAD;
    x.ld_beta = heads + PAD;
    x.qkv = random_floats(1, n * x.ld, -0.3F, 2.0F);
    x.dt = random_floats(2, n * x.ld_dt, -6.0F, 1.0F);
    x.beta = random_floats(3, n * x.ld_beta, -3.0F, 3.0F);
    x.dt_bias = random_floats(4, x.n_dt, -1.0F, 1.0F);
    x.a = random_floats(5, heads, -3.0F, -0.01F);
    x.masks = random_masks(6, N_MASKS * (size_t)rows->n_stages * heads);
    x.a[0] = -0.02F;
    for (size_t r = 3; r < n; r += 7) {
        x.dt[r * x.ld_dt] = 25.0F; /* beyond softplus's threshold */
    }
    for (size_t r = 2; r < n; r += 5) {
        for (size_t k = 0; k < 2 * x.keys; k++) {
            x.qkv[r * x.ld + k] *= 1e-3F; /* here the 1e-6 of the norm counts */
        }
    }
    return x;
}

static void free_inputs(struct inputs *x)
{
    free(x->qkv), free(x->dt), free(x->beta), free(x->dt_bias), free(x->a), free(x->masks);
}

static float *mix_rows(const struct backend *b, const struct ko_rows *rows, int32_t layer,
                       const void *inputs)
{
    const struct inputs *x = inputs;
    const struct shape *shape = &x->shape;
    struct memory m = {.b = b};
    size_t n = (size_t)rows->n_active[layer] * x->values, heads = (size_t)shape->n_heads;
    int32_t projected = rows->n_projected[layer];
    struct ko_deltanet args = {
        .stage = layer,
        .n_key_heads = shape->n_key_heads,
        .n_heads = shape->n_heads,
        .d_key = shape->d_key,
        .d_value = shape->d_value,
        .per_channel = shape->per_channel,
        .q = memory_rows(&m, rows, x->qkv, x->ld, rows->n_convolved[layer]),
        .ld = (int32_t)x->ld,
        .dt = memory_rows(&m, rows, x->dt, x->ld_dt, projected),
        .ld_dt = (int32_t)x->ld_dt,
        .beta = memory_rows(&m, rows, x->beta, x->ld_beta, projected),
        .ld_beta = (int32_t)x->ld_beta,
        .dt_bias = memory_floats(&m, x->dt_bias, x->n_dt),
        .a = memory_floats(&m, x->a, heads),
        .masks = memory_bytes(&m, x->masks, N_MASKS * (size_t)rows->n_stages * heads),
        .out = memory_nan(&m, n)};
    args.k = args.q + x->keys;
    args.v = args.k + x->keys;
    RUN(b, set_rows, rows);
    RUN(b, deltanet, &args);
    return memory_result(&m, args.out, n);
}

/* A row in one layer, with its path: the rows of q, k and v, and the rows of dt and beta. */
struct row {
    const struct ko_rows *rows;
    int32_t row, layer, i, path[WAVE_LONGEST], projected[WAVE_LONGEST];
};

static struct row find_row(const struct ko_rows *rows, int32_t row, int32_t layer)
{
    struct row r = {.rows = rows, .row = row, .layer = layer};
    r.i = wave_path(rows, row, layer, ko_rows_source_after_conv, r.path);
    wave_path(rows, row, layer, ko_rows_source, r.projected);
    return r;
}

static bool is_removed(const struct row *r, const struct inputs *x, int32_t head, int32_t j)
{
    return wave_masked(r->rows, r->row, r->layer, x->masks, x->shape.n_heads, head) &&
           wave_removed(r->rows, r->row, r->layer, KO_MIXER_SSM, r->i, j);
}

/* What position j of the path brings to one head. */
struct step {
    double q[256], k[256], decay[256], beta;
    const float *v;
};

static void take_unit(const float *x, int32_t n, double scale, double *out)
{
    double sum = 0.0;
    for (int32_t k = 0; k < n; k++) {
        sum += (double)x[k] * (double)x[k];
    }
    for (int32_t k = 0; k < n; k++) {
        out[k] = (double)x[k] * scale / sqrt(sum + 1e-6);
    }
}

static void read_step(const struct row *r, const struct inputs *x, int32_t head, int32_t j,
                      struct step *out)
{
    const struct shape *shape = &x->shape;
    int32_t d_key = shape->d_key;
    size_t key = (size_t)(head * shape->n_key_heads / shape->n_heads * d_key);
    const float *in = x->qkv + (size_t)r->path[j] * x->ld;
    const float *dt = x->dt + (size_t)r->projected[j] * x->ld_dt;
    take_unit(in + key, d_key, 1.0 / sqrt((double)d_key), out->q);
    take_unit(in + x->keys + key, d_key, 1.0, out->k);
    out->v = in + 2 * x->keys + (size_t)(head * shape->d_value);
    for (int32_t n = 0; n < d_key; n++) {
        int32_t at = shape->per_channel ? head * d_key + n : head;
        double soft = log1p(exp((double)dt[at] + (double)x->dt_bias[at]));
        out->decay[n] = exp((double)x->a[head] * soft);
    }
    double beta = (double)x->beta[(size_t)r->projected[j] * x->ld_beta + (size_t)head];
    out->beta = 1.0 / (1.0 + exp(-beta));
}

/* One head, as a recurrence over the state [d_key, d_value]. Where an edge is removed, v is zero. */
static void recur_head(const struct row *r, const struct inputs *x, int32_t head, double *out)
{
    size_t d_key = (size_t)x->shape.d_key, d_value = (size_t)x->shape.d_value;
    double *state = calloc(d_key * d_value, sizeof *state);
    struct step step = {.v = NULL};
    assert_non_null(state);
    for (int32_t j = 0; j <= r->i; j++) {
        read_step(r, x, head, j, &step);
        bool removed = is_removed(r, x, head, j);
        for (size_t p = 0; p < d_value; p++) {
            double read = 0.0;
            for (size_t n = 0; n < d_key; n++) {
                state[n * d_value + p] *= step.decay[n];
                read += state[n * d_value + p] * step.k[n];
            }
            double write = step.beta * ((removed ? 0.0 : (double)step.v[p]) - read);
            for (size_t n = 0; n < d_key; n++) {
                state[n * d_value + p] += step.k[n] * write;
            }
        }
    }
    for (size_t p = 0; p < d_value; p++) {
        out[p] = 0.0;
        for (size_t n = 0; n < d_key; n++) {
            out[p] += step.q[n] * state[n * d_value + p];
        }
    }
    free(state);
}

static void recur_row(const struct ko_rows *rows, int32_t row, int32_t layer, const void *inputs,
                      double *out)
{
    const struct inputs *x = inputs;
    struct row r = find_row(rows, row, layer);
    for (int32_t head = 0; head < x->shape.n_heads; head++) {
        recur_head(&r, x, head, out + ko_at(head, x->shape.d_value, 0));
    }
}

/* product [d, d] <- product D (I - beta k k^T), d = d_key */
static void append_factor(const struct step *step, int32_t d, double *product)
{
    for (int32_t a = 0; a < d; a++) {
        double *line = product + ko_at(a, d, 0), read = 0.0;
        for (int32_t n = 0; n < d; n++) {
            line[n] *= step->decay[n];
            read += line[n] * step->k[n];
        }
        for (int32_t n = 0; n < d; n++) {
            line[n] -= step->beta * read * step->k[n];
        }
    }
}

/* k^T product q */
static double weigh_edge(const struct step *key, const struct step *query, int32_t d,
                         const double *product)
{
    double sum = 0.0;
    for (int32_t a = 0; a < d; a++) {
        for (int32_t n = 0; n < d; n++) {
            sum += key->k[a] * product[a * d + n] * query->q[n];
        }
    }
    return sum;
}

/* One row as sum_j w_ij v_j, where w_ij = beta_j k_j^T [prod_{s = j+1 .. i} D_s (I - beta_s k_s
   k_s^T)] q_i is materialised, with the product in increasing s. */
static void weigh_row(const struct ko_rows *rows, int32_t row, int32_t layer,
                      const struct inputs *x, double *out)
{
    struct row r = find_row(rows, row, layer);
    int32_t d = x->shape.d_key;
    double *product = calloc((size_t)d * (size_t)d, sizeof *product);
    struct step key, step;
    assert_non_null(product);
    memset(out, 0, x->values * sizeof *out);
    for (int32_t head = 0; head < x->shape.n_heads; head++) {
        for (int32_t j = 0; j <= r.i; j++) {
            if (is_removed(&r, x, head, j)) {
                continue;
            }
            read_step(&r, x, head, j, &key);
            step = key;
            for (int32_t at = 0; at < d * d; at++) {
                product[at] = at % (d + 1) == 0;
            }
            for (int32_t s = j + 1; s <= r.i; s++) {
                read_step(&r, x, head, s, &step);
                append_factor(&step, d, product);
            }
            double weight = key.beta * weigh_edge(&key, &step, d, product);
            for (int32_t p = 0; p < x->shape.d_value; p++) {
                out[head * x->shape.d_value + p] += weight * (double)key.v[p];
            }
        }
    }
    free(product);
}

static struct mixing mixing_of(const char *name, const struct ko_rows *rows, const struct inputs *x)
{
    return (struct mixing){name,     x,         rows->n_active, x->values,
                           mix_rows, recur_row, {1e-7, 5e-6},   ko_rows_source_after_conv,
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
    print_message("deltanet: plain from double precision %.1e, others from plain %.1e\n",
                  spread[0].largest, spread[1].largest);
}

/* A head of a row against want [n], relative to its largest value, since a norm follows. Values below
   1e-30 have few digits in float32. */
static void expect_relative(const char *label, const float *got, const double *want, size_t n,
                            double bound, struct spread *spread)
{
    double most = 1e-30;
    for (size_t p = 0; p < n; p++) {
        most = fmax(most, fabs(want[p]));
    }
    for (size_t p = 0; p < n; p++) {
        double distance = fabs((double)got[p] - want[p]);
        if (!(distance <= bound * most)) {
            fail_msg("%s: value %zu is %.9g, expected %.9g", label, p, (double)got[p], want[p]);
        }
        spread->largest = distance > spread->largest * most ? distance / most : spread->largest;
    }
}

static void check_weights(const struct backends *all, const struct ko_rows *rows,
                          const struct inputs *x, struct spread spread[2])
{
    size_t d_value = (size_t)x->shape.d_value;
    double *want = calloc(x->values, sizeof *want);
    assert_non_null(want);
    for (int32_t k = 0; k < all->n * rows->n_stages; k++) {
        const struct backend *b = &all->list[k / rows->n_stages];
        int32_t layer = k % rows->n_stages;
        float *out = mix_rows(b, rows, layer, x);
        for (int32_t r = 0; r < rows->n_active[layer]; r++) {
            weigh_row(rows, r, layer, x, want);
            for (size_t at = 0; at < x->values; at += d_value) {
                expect_relative(b->label, out + (size_t)r * x->values + at, want + at, d_value,
                                1e-5, &spread[!b->exact]);
            }
        }
        free(out);
    }
    free(want);
}

static void weights_are_the_materialised_product(void **state)
{
    size_t n_plans = 0;
    const struct wave_plan *plans = wave_plans(&n_plans);
    struct spread spread[2] = {{0}};
    for (size_t p = 0; p < n_plans; p++) {
        const struct ko_rows *rows = wave_rows(&plans[p]);
        for (size_t s = 0; s < 4; s++) {
            struct inputs x = make_inputs(rows, &shapes[s]);
            check_weights(*state, rows, &x, spread);
            free_inputs(&x);
        }
    }
    print_message("deltanet, relative to a head's largest value: plain from the materialised "
                  "weights %.1e, others %.1e\n",
                  spread[0].largest, spread[1].largest);
}

static void long_prompts_keep_their_precision(void **state)
{
    const struct ko_rows *rows = wave_long_rows(WAVE_LONG);
    struct spread spread[2] = {{0}};
    for (size_t s = 0; s < N_SHAPES; s++) {
        struct shape shape = shapes[s];
        shape.d_value = shape.d_value < 12 ? shape.d_value : 12;
        check_rows(*state, "long prompt", rows, &shape, spread);
    }
    print_message("deltanet, %d tokens: plain from double precision %.1e, others from plain %.1e\n",
                  WAVE_LONG, spread[0].largest, spread[1].largest);
}

/* How a head's state lasts: it hardly decays, and what a key held before is erased nearly wholly; or
   every seventh row leaves so little of it that in float32 it is 0. */
enum lasting { AS_DRAWN, LASTS, IS_LOST, N_LASTING };

static void set_lasting(const struct ko_rows *rows, struct inputs *x, enum lasting lasting)
{
    for (int32_t r = 0; r < rows->n_rows && lasting != AS_DRAWN; r++) {
        float *dt = x->dt + (size_t)r * x->ld_dt, *beta = x->beta + (size_t)r * x->ld_beta;
        for (size_t n = 0; n < x->n_dt && (lasting == LASTS || r % 7 == 1); n++) {
            dt[n] = lasting == LASTS ? -15.0F : 1e4F;
        }
        for (int32_t head = 0; head < x->shape.n_heads && lasting == LASTS; head++) {
            beta[head] = 12.0F;
        }
    }
}

/* Every seventh row, and every last one, against the recurrence, relative to its head's largest
   value. bound: accepted. */
static void check_recurrence(const struct backends *all, const struct ko_rows *rows,
                             const struct inputs *x, double bound, struct spread spread[2])
{
    size_t d_value = (size_t)x->shape.d_value;
    double *want = calloc(x->values, sizeof *want);
    float *out[MAX_BACKENDS] = {NULL};
    assert_non_null(want);
    for (int32_t k = 0; k < all->n; k++) {
        out[k] = mix_rows(&all->list[k], rows, 0, x);
    }
    for (int32_t r = 0; r < rows->n_rows; r++) {
        if (r % 7 && rows->position[r] < rows->max_tokens - 1) {
            continue;
        }
        recur_row(rows, r, 0, x, want);
        for (int32_t k = 0; k < all->n; k++) {
            const float *got = out[k] + (size_t)r * x->values;
            for (size_t at = 0; at < x->values; at += d_value) {
                expect_relative(all->list[k].label, got + at, want + at, d_value, bound,
                                &spread[!all->list[k].exact]);
            }
        }
    }
    for (int32_t k = 0; k < all->n; k++) {
        free(out[k]);
    }
    free(want);
}

/* Lengths at the ends of chunks, and between them. */
static void states_last_over_long_trunks(void **state)
{
    static const struct shape long_shapes[] = {
        {2, 4, 30, 20, false}, {2, 2, 33, 16, false}, {1, 2, 128, 70, false}, {1, 1, 24, 40, true}};
    static const int32_t lengths[] = {23, 24, 31, 33, 48, 64, 65, WAVE_LONG, 300};
    const size_t n_lengths = sizeof lengths / sizeof lengths[0];
    struct spread spread[N_LASTING][2] = {{{0}}};
    for (size_t k = 0; k < 4 * n_lengths * N_LASTING; k++) {
        const struct ko_rows *rows = wave_long_rows(lengths[k % n_lengths]);
        enum lasting lasting = (enum lasting)(k / (4 * n_lengths));
        struct inputs x = make_inputs(rows, &long_shapes[k / n_lengths % 4]);
        set_lasting(rows, &x, lasting);
        /* Rows that erase nearly all that a key held magnify rounding: the state is a small difference
           of large numbers. */
        check_recurrence(*state, rows, &x, lasting == LASTS ? 1e-4 : 1e-5, spread[lasting]);
        free_inputs(&x);
    }
    for (size_t k = 0; k < N_LASTING; k++) {
        static const char *const names[] = {"as drawn", "lasting", "lost"};
        print_message(
            "deltanet, long trunks, states %s: plain from double precision, relative to a "
            "head's largest value %.1e, others %.1e\n",
            names[k], spread[k][0].largest, spread[k][1].largest);
    }
}

/* Gives every branch row the inputs of its parent's row, as in the layer where it leaves. */
static void equal_inputs(const struct ko_rows *rows, struct inputs *x)
{
    for (int32_t r = rows->n_trunk_rows; r < rows->n_rows; r++) {
        size_t to = (size_t)r, from = (size_t)rows->parent_row[r];
        memcpy(x->qkv + to * x->ld, x->qkv + from * x->ld, x->ld * sizeof *x->qkv);
        memcpy(x->dt + to * x->ld_dt, x->dt + from * x->ld_dt, x->ld_dt * sizeof *x->dt);
        memcpy(x->beta + to * x->ld_beta, x->beta + from * x->ld_beta,
               x->ld_beta * sizeof *x->beta);
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
    print_message("deltanet, nothing removed: at most %.1e from the clean run\n", worst.largest);
}

static void everything_removed_leaves_exactly_zero(void **state)
{
    const struct backends *all = *state;
    const struct ko_rows *rows = wave_rows(&wave_all_removed);
    for (size_t s = 0; s < N_SHAPES; s++) {
        struct inputs x = make_inputs(rows, &shapes[s]);
        for (int32_t k = 0; k < all->n; k++) {
            float *out = mix_rows(&all->list[k], rows, 1, &x);
            for (size_t at = 6 * x.values; at < 18 * x.values; at++) {
                assert_true(out[at] == 0.0F);
            }
            free(out);
        }
        free_inputs(&x);
    }
}

static void threads_do_not_change_a_bit(void **state)
{
    for (uint32_t seed = 100; seed < 110; seed++) {
        const struct ko_rows *rows = wave_random_rows(seed);
        struct inputs x = make_inputs(rows, &shapes[seed % N_SHAPES]);
        const struct mixing mixing = mixing_of("random", rows, &x);
        check_threads(*state, rows, &mixing);
        free_inputs(&x);
    }
    for (size_t s = 0; s < N_SHAPES; s++) {
        const struct ko_rows *rows = wave_long_rows(65);
        struct inputs x = make_inputs(rows, &shapes[s]);
        const struct mixing mixing = mixing_of("long prompt", rows, &x);
        check_threads(*state, rows, &mixing);
        free_inputs(&x);
    }
}

/* A v that is not finite does not change the rows whose edges to it are removed: it is omitted, not
   multiplied by 0. q, k, dt and beta stay finite, since every row decays and erases. */
static void removed_sources_need_not_be_finite(void **state)
{
    struct spread spread[2] = {{0}};
    int64_t n_spared = 0;
    for (uint32_t seed = 0; seed < 40; seed++) {
        const struct ko_rows *rows = wave_random_rows(seed);
        struct inputs x = make_inputs(rows, &shapes[seed % N_SHAPES]);
        const struct mixing mixing = mixing_of("bad sources", rows, &x);
        spoil_rows(x.qkv, rows->n_rows, x.ld, 2 * x.keys, x.values, INFINITY);
        check_mixing(*state, rows, &mixing, spread, &n_spared);
        free_inputs(&x);
    }
    assert_true(n_spared > 100);
}

/* The same in the middle of a long trunk. Earlier rows, and rows that lose the edges to it, do not
   change a bit. */
static void infinite_values_stay_out_of_other_rows(void **state)
{
    const struct backends *all = *state;
    const struct ko_rows *rows = wave_long_rows(WAVE_LONG);
    const size_t bad = 85, spared = (size_t)rows->branches[2].first_row;
    struct inputs x = make_inputs(rows, &shapes[1]), y = make_inputs(rows, &shapes[1]);
    for (size_t p = 0; p < y.values; p++) {
        y.qkv[bad * y.ld + 2 * y.keys + p] = INFINITY;
    }
    for (int32_t k = 0; k < all->n; k++) {
        float *want = mix_rows(&all->list[k], rows, 0, &x);
        float *got = mix_rows(&all->list[k], rows, 0, &y);
        assert_memory_equal(got, want, bad * x.values * sizeof *got);
        assert_memory_equal(got + spared * x.values, want + spared * x.values,
                            x.values * sizeof *got);
        for (size_t p = 0; p < x.values; p++) {
            assert_true(!isfinite(got[bad * x.values + p]));
        }
        free(want);
        free(got);
    }
    free_inputs(&x);
    free_inputs(&y);
}

int run_deltanet(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(removed_sources_need_not_be_finite),
        cmocka_unit_test(infinite_values_stay_out_of_other_rows),
        cmocka_unit_test(mixing_without_the_removed_edges),
        cmocka_unit_test(weights_are_the_materialised_product),
        cmocka_unit_test(long_prompts_keep_their_precision),
        cmocka_unit_test(states_last_over_long_trunks),
        cmocka_unit_test(nothing_removed_is_the_clean_run),
        cmocka_unit_test(everything_removed_leaves_exactly_zero),
        cmocka_unit_test(threads_do_not_change_a_bit),
    };
    return cmocka_run_group_tests_name("deltanet", tests, backends_open, backends_close);
}
