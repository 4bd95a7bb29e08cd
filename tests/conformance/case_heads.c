/* SPDX-License-Identifier: Apache-2.0 */
/* Rotary positions, and norms of single heads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/at.h"
#include "tests/conformance/check.h"

enum { PAD = 3 };

/* The rows are [n_heads, stride] and PAD numbers more. */
struct shape {
    int32_t n_heads, n_rotated, stride;
    bool interleaved;
    int32_t long_from;  /* INT32_MAX: no long tables */
    int32_t section[3]; /* all 0: none */
    bool woven;
};

/* The axis of each pair, by a list as transformers' slices assign them: parts one after the other, or
   [1 : 3 n : 3] and [2 : 3 n : 3] of axis 0's. */
static void list_axes(const struct shape *shape, int32_t *axis)
{
    const int32_t *n = shape->section;
    int32_t k = 0;
    for (int32_t a = 0; a < 3; a++) {
        for (int32_t i = 0; i < n[a]; i++) {
            axis[k++] = shape->woven ? 0 : a;
        }
    }
    for (int32_t a = 1; shape->woven && a < 3; a++) {
        for (int32_t i = 0; i < n[a]; i++) {
            axis[3 * i + a] = a;
        }
    }
}

struct rope {
    struct shape shape;
    float *cosine[2], *sine[2]; /* [WAVE_TOKENS, n_rotated / 2]: short, long */
    float *x;                   /* [n_rows, width_of(shape)] */
};

static int32_t width_of(const struct shape *shape)
{
    return shape->n_heads * shape->stride + PAD;
}

/* Turns the pairs of every head of row r by the angles of its position. */
static void reference_rope(const struct ko_rows *rows, int32_t r, const struct rope *rope,
                           double *out)
{
    const struct shape *s = &rope->shape;
    const int32_t half = s->n_rotated / 2;
    const float *x = rope->x + ko_at(r, width_of(s), 0);
    const int32_t *n_longest = rows->n_longest ? rows->n_longest : rows->n_tokens;
    const bool is_long = n_longest[rows->prompt[r]] > s->long_from;
    int32_t axis[WAVE_TOKENS * WAVE_TOKENS] = {0};
    if (rows->n_turns == 3) {
        list_axes(s, axis);
    }
    for (int32_t at = 0; at < s->n_heads * half; at++) {
        const int32_t k = at % half, head = at / half * s->stride;
        const int32_t a = head + (s->interleaved ? 2 * k : k);
        const int32_t b = head + (s->interleaved ? 2 * k + 1 : k + half);
        const int32_t position =
            rows->n_turns > 0 ? rows->turn[axis[k] * rows->n_rows + r] : rows->position[r];
        const size_t angle = ko_at(position, half, k);
        const double c = (double)rope->cosine[is_long][angle];
        const double sine = (double)rope->sine[is_long][angle];
        out[a] = (double)x[a] * c - (double)x[b] * sine;
        out[b] = (double)x[b] * c + (double)x[a] * sine;
    }
}

static float *rotate_rows(const struct backend *b, const struct ko_rows *rows, int32_t layer,
                          const struct rope *rope)
{
    struct memory m = {.b = b};
    const struct shape *s = &rope->shape;
    const size_t n_angles = (size_t)(WAVE_TOKENS * s->n_rotated / 2);
    const size_t n = (size_t)(rows->n_rows * width_of(s));
    const bool has_long = s->long_from < INT32_MAX;
    const struct ko_rope args = {
        .stage = layer,
        .n_heads = s->n_heads,
        .n_rotated = s->n_rotated,
        .interleaved = s->interleaved,
        .cos = memory_floats(&m, rope->cosine[0], n_angles),
        .sin = memory_floats(&m, rope->sine[0], n_angles),
        .long_cos = has_long ? memory_floats(&m, rope->cosine[1], n_angles) : NULL,
        .long_sin = has_long ? memory_floats(&m, rope->sine[1], n_angles) : NULL,
        .long_from = s->long_from,
        .section = {s->section[0], s->section[1], s->section[2]},
        .woven = s->woven,
        .x = memory_floats(&m, rope->x, n),
        .ld = width_of(s),
        .stride = s->stride};
    RUN(b, set_rows, rows);
    RUN(b, rope, &args);
    return memory_result(&m, args.x, n);
}

static void check_rope(const struct backends *all, const struct ko_rows *rows,
                       const struct shape *shape, struct spread *spread)
{
    const size_t width = (size_t)width_of(shape), n = (size_t)rows->n_rows * width;
    const size_t n_angles = (size_t)(WAVE_TOKENS * shape->n_rotated / 2);
    struct rope rope = {.shape = *shape, .x = random_floats(1, n, -2.0F, 2.0F)};
    double *want = calloc(n, sizeof *want);
    assert_non_null(want);
    for (uint32_t k = 0; k < 2; k++) {
        rope.cosine[k] = random_floats(2 + 2 * k, n_angles, -1.0F, 1.0F);
        rope.sine[k] = random_floats(3 + 2 * k, n_angles, -1.0F, 1.0F);
    }
    for (int32_t layer = 0; layer < rows->n_stages; layer++) {
        widen(rope.x, n, want);
        for (int32_t r = 0; r < rows->n_projected[layer]; r++) {
            reference_rope(rows, r, &rope, want + (size_t)r * width);
        }
        for (int32_t k = 0; k < all->n; k++) {
            float *got = rotate_rows(&all->list[k], rows, layer, &rope);
            /* Observed: 1.1e-07. */
            expect_near("rope", all->list[k].label, got, want, n, 2e-7, spread);
            for (size_t at = 0; at < n; at++) {
                /* What does not turn keeps its bits. */
                assert_true(want[at] != (double)rope.x[at] || got[at] == rope.x[at]);
            }
            free(got);
        }
    }
    free(rope.x), free(want);
    for (size_t k = 0; k < 2; k++) {
        free(rope.cosine[k]), free(rope.sine[k]);
    }
}

static void check_plans(const struct backends *all, const struct shape *shapes, size_t n_shapes)
{
    size_t n_plans = 0;
    const struct wave_plan *plans = wave_plans(&n_plans);
    struct spread spread = {0};
    for (size_t p = 0; p < n_plans; p++) {
        const struct ko_rows *rows = wave_rows(&plans[p]);
        for (size_t s = 0; s < n_shapes; s++) {
            check_rope(all, rows, &shapes[s], &spread);
        }
    }
    print_message("rope: %.1e from double precision\n", spread.largest);
}

static void projected_rows_turn_by_their_positions(void **state)
{
    static const struct shape shapes[] = {
        {1, 2, 2, false, INT32_MAX, {0}, false},   {3, 14, 14, false, INT32_MAX, {0}, false},
        {2, 64, 64, false, INT32_MAX, {0}, false}, {1, 2, 2, true, INT32_MAX, {0}, false},
        {3, 14, 14, true, INT32_MAX, {0}, false},  {2, 64, 64, true, INT32_MAX, {0}, false}};
    check_plans(*state, shapes, sizeof shapes / sizeof shapes[0]);
}

/* Rows have positions of their own, of one axis or three; a model without sections takes the first. */
static void rows_turn_by_their_own_positions(void **state)
{
    static const struct shape shapes[] = {{3, 14, 14, false, INT32_MAX, {0}, false},
                                          {2, 64, 70, false, INT32_MAX, {10, 11, 11}, false},
                                          {2, 64, 64, false, INT32_MAX, {12, 10, 10}, true},
                                          {3, 12, 12, true, INT32_MAX, {1, 2, 3}, false},
                                          {2, 12, 16, false, 5, {4, 1, 1}, true}};
    const struct backends *all = *state;
    struct spread spread = {0};
    for (uint32_t seed = 0; seed < 4; seed++) {
        struct ko_rows rows = *wave_random_rows(seed);
        int32_t *turn = calloc(3 * (size_t)rows.n_rows, sizeof *turn);
        assert_non_null(turn);
        for (int32_t i = 0; i < 3 * rows.n_rows; i++) {
            turn[i] = (i * 7 + (int32_t)seed) % WAVE_TOKENS;
        }
        rows.turn = turn;
        for (rows.n_turns = 1; rows.n_turns <= 3; rows.n_turns += 2) {
            for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
                check_rope(all, &rows, &shapes[s], &spread);
            }
        }
        free(turn);
    }
    print_message("rope by positions of rows: %.1e from double precision\n", spread.largest);
}

/* The rest of a head stays, as do the keys and values between two heads' queries. */
static void parts_of_heads_turn(void **state)
{
    static const struct shape shapes[] = {{1, 2, 5, false, INT32_MAX, {0}, false},
                                          {3, 10, 17, false, INT32_MAX, {0}, false},
                                          {2, 32, 3 * 40, false, INT32_MAX, {0}, false},
                                          {1, 2, 5, true, INT32_MAX, {0}, false},
                                          {3, 10, 17, true, INT32_MAX, {0}, false},
                                          {2, 32, 3 * 40, true, INT32_MAX, {0}, false}};
    check_plans(*state, shapes, sizeof shapes / sizeof shapes[0]);
}

/* The plans' waves hold prompts of 3 and 5, 4 and 6, 5 and 8 tokens. */
static void long_prompts_have_their_own_tables(void **state)
{
    static const struct shape shapes[] = {{2, 6, 7, false, 3, {0}, false},
                                          {2, 6, 7, true, 4, {0}, false},
                                          {1, 34, 40, false, 5, {0}, false},
                                          {3, 2, 2, true, 7, {0}, false},
                                          {2, 4, 4, false, 0, {0}, false}};
    check_plans(*state, shapes, sizeof shapes / sizeof shapes[0]);
}

/* With an answer that is longer than the one whose rows the wave has. */
static void the_longest_answer_makes_a_prompt_long(void **state)
{
    static const struct shape shape = {2, 6, 7, false, 6, {0}, false};
    struct spread spread = {0};
    for (uint32_t seed = 0; seed < 6; seed++) {
        struct ko_rows rows = *wave_random_rows(seed);
        int32_t n_longest[WAVE_PROMPTS];
        for (int32_t p = 0; p < rows.n_prompts; p++) {
            n_longest[p] = rows.n_tokens[p] + (p + (int32_t)seed) % 7;
        }
        rows.n_longest = n_longest;
        check_rope(*state, &rows, &shape, &spread);
    }
    print_message("rope by the longest answer: %.1e from double precision\n", spread.largest);
}

struct norm {
    int32_t n, n_heads, d_head, stride;
};

static void check_head_norm(const struct backend *b, const struct norm *norm, struct spread *spread)
{
    const int32_t ld = norm->n_heads * norm->stride + PAD;
    const size_t n = (size_t)(norm->n * ld);
    struct memory m = {.b = b};
    float *x = random_floats(1, n, 0.5F, 3.0F);
    float *w = random_floats(2, (size_t)norm->d_head, -2.0F, 2.0F);
    const struct ko_head_norm args = {.n = norm->n,
                                      .n_heads = norm->n_heads,
                                      .d_head = norm->d_head,
                                      .x = memory_floats(&m, x, n),
                                      .ld = ld,
                                      .stride = norm->stride,
                                      .weight = memory_floats(&m, w, (size_t)norm->d_head),
                                      .eps = 0.25F};
    RUN(b, head_norm, &args);
    float *got = memory_result(&m, args.x, n);
    for (int32_t at = 0; at < norm->n * ld; at++) {
        const int32_t head = at % ld / norm->stride, c = at % ld % norm->stride;
        const float *first = x + (at - c);
        double want = (double)x[at], squares = 0.0;
        if (head >= norm->n_heads || c >= norm->d_head) {
            assert_true(got[at] == x[at]);
            continue;
        }
        for (int32_t k = 0; k < norm->d_head; k++) {
            squares += (double)first[k] * (double)first[k];
        }
        want = want / sqrt(squares / norm->d_head + 0.25) * (double)w[c];
        /* Observed: 1.4e-07. */
        expect_near("head_norm", b->label, &got[at], &want, 1, 2e-6, spread);
    }
    free(x), free(w), free(got);
}

static void heads_are_normed_apart(void **state)
{
    static const struct norm norms[] = {
        {1, 1, 1, 1}, {1, 3, 7, 7}, {5, 2, 33, 40}, {4, 4, 16, 48}, {3, 5, 128, 128}};
    const struct backends *all = *state;
    struct spread spread = {0};
    for (int32_t k = 0; k < all->n; k++) {
        for (size_t s = 0; s < sizeof norms / sizeof norms[0]; s++) {
            check_head_norm(&all->list[k], &norms[s], &spread);
        }
    }
    print_message("head_norm: %.1e from double precision\n", spread.largest);
}

/* Copies heads of d numbers between rows of other layouts. Numbers between the heads stay as they
   are. */
static void check_copies(const struct backend *b, int32_t n, int32_t n_heads, int32_t d,
                         int32_t stride_from)
{
    const int32_t stride_to = d + 2, ld_from = n_heads * (d + 3) + 1, ld_to = n_heads * stride_to;
    float *from = random_floats(7, (size_t)(n * ld_from), -1.0F, 1.0F);
    float *to = random_floats(8, (size_t)(n * ld_to), -1.0F, 1.0F);
    struct memory m = {.b = b};
    const struct ko_copy_heads args = {.n = n,
                                       .n_heads = n_heads,
                                       .d = d,
                                       .from = memory_floats(&m, from, (size_t)(n * ld_from)),
                                       .ld_from = ld_from,
                                       .stride_from = stride_from,
                                       .to = memory_floats(&m, to, (size_t)(n * ld_to)),
                                       .ld_to = ld_to,
                                       .stride_to = stride_to};
    RUN(b, copy_heads, &args);
    float *got = memory_result(&m, args.to, (size_t)(n * ld_to));
    for (int32_t at = 0; at < n * ld_to; at++) {
        const int32_t r = at / ld_to, h = at % ld_to / stride_to, k = at % ld_to % stride_to;
        const float want = k < d ? from[r * ld_from + h * stride_from + k] : to[at];
        if (got[at] != want) {
            fail_msg("copy_heads, %s: row %d, head %d, number %d", b->label, r, h, k);
        }
    }
    free(from), free(to), free(got);
}

static void heads_are_copied_to_another_layout(void **state)
{
    static const int32_t shapes[][3] = {{0, 2, 4}, {1, 1, 1}, {5, 3, 7}, {9, 4, 64}, {3, 40, 33}};
    const struct backends *all = *state;
    for (int32_t k = 0; k < all->n; k++) {
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
            const int32_t n = shapes[s][0], n_heads = shapes[s][1], d = shapes[s][2];
            check_copies(&all->list[k], n, n_heads, d, d);
            check_copies(&all->list[k], n, n_heads, d, d + 3);
            check_copies(&all->list[k], n, n_heads, d, 0); /* one part for all heads */
        }
    }
}

int run_heads(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_copied_to_another_layout),
        cmocka_unit_test(projected_rows_turn_by_their_positions),
        cmocka_unit_test(rows_turn_by_their_own_positions),
        cmocka_unit_test(parts_of_heads_turn),
        cmocka_unit_test(long_prompts_have_their_own_tables),
        cmocka_unit_test(the_longest_answer_makes_a_prompt_long),
        cmocka_unit_test(heads_are_normed_apart),
    };
    return cmocka_run_group_tests_name("heads", tests, backends_open, backends_close);
}
