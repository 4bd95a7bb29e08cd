/* SPDX-License-Identifier: Apache-2.0 */
/* Norms, activations, gates, sums and rotary positions on the CPU. The functions here split the rows over
   threads. The loops over one row are in isa/elementwise.c. */
#include "kernels/cpu/cpu.h"

#include <math.h>

#include "kernels/rope_axis.h"

enum ko_code ko_cpu_rms_norm(struct ko_backend *be, const struct ko_rms_norm *args,
                             struct ko_error *err)
{
    (void)err;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < args->n; r++) {
        be->isa->rms_norm((size_t)args->d, args->x + ko_at(r, args->ldx, 0), args->weight,
                          args->eps, args->y + ko_at(r, args->ldy, 0));
    }
    return KO_OK;
}

enum ko_code ko_cpu_layer_norm(struct ko_backend *be, const struct ko_layer_norm *args,
                               struct ko_error *err)
{
    (void)err;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < args->n; r++) {
        be->isa->layer_norm((size_t)args->d, args->x + ko_at(r, args->ldx, 0), args->weight,
                            args->bias, args->eps, args->y + ko_at(r, args->ldy, 0));
    }
    return KO_OK;
}

enum ko_code ko_cpu_head_norm(struct ko_backend *be, const struct ko_head_norm *args,
                              struct ko_error *err)
{
    (void)err;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < args->n; r++) {
        float *x = args->x + ko_at(r, args->ld, 0);
        for (int32_t head = 0; head < args->n_heads; head++, x += args->stride) {
            be->isa->rms_norm((size_t)args->d_head, x, args->weight, args->eps, x);
        }
    }
    return KO_OK;
}

enum ko_code ko_cpu_softplus(struct ko_backend *be, const struct ko_activation *args,
                             struct ko_error *err)
{
    (void)err;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < args->n; r++) {
        be->isa->softplus((size_t)args->d, args->x + ko_at(r, args->ld, 0));
    }
    return KO_OK;
}

enum ko_code ko_cpu_gelu(struct ko_backend *be, const struct ko_activation *args,
                         struct ko_error *err)
{
    (void)err;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < args->n; r++) {
        be->isa->gelu((size_t)args->d, args->x + ko_at(r, args->ld, 0));
    }
    return KO_OK;
}

enum ko_code ko_cpu_gelu_tanh(struct ko_backend *be, const struct ko_activation *args,
                              struct ko_error *err)
{
    (void)err;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < args->n; r++) {
        be->isa->gelu_tanh((size_t)args->d, args->x + ko_at(r, args->ld, 0));
    }
    return KO_OK;
}

enum ko_code ko_cpu_relu(struct ko_backend *be, const struct ko_activation *args,
                         struct ko_error *err)
{
    (void)err;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < args->n; r++) {
        be->isa->relu((size_t)args->d, args->x + ko_at(r, args->ld, 0));
    }
    return KO_OK;
}

enum ko_code ko_cpu_relu2(struct ko_backend *be, const struct ko_activation *args,
                          struct ko_error *err)
{
    (void)err;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < args->n; r++) {
        be->isa->relu2((size_t)args->d, args->x + ko_at(r, args->ld, 0));
    }
    return KO_OK;
}

enum ko_code ko_cpu_silu_mul(struct ko_backend *be, const struct ko_gate *args,
                             struct ko_error *err)
{
    (void)err;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < args->n; r++) {
        size_t at = ko_at(r, args->ld, 0);
        be->isa->silu_mul((size_t)args->d, args->gate + at, args->up + at,
                          args->y + ko_at(r, args->ldy, 0));
    }
    return KO_OK;
}

enum ko_code ko_cpu_gelu_mul(struct ko_backend *be, const struct ko_gate *args,
                             struct ko_error *err)
{
    (void)err;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < args->n; r++) {
        size_t at = ko_at(r, args->ld, 0);
        be->isa->gelu_mul((size_t)args->d, args->gate + at, args->up + at,
                          args->y + ko_at(r, args->ldy, 0));
    }
    return KO_OK;
}

enum ko_code ko_cpu_gelu_tanh_mul(struct ko_backend *be, const struct ko_gate *args,
                                  struct ko_error *err)
{
    (void)err;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < args->n; r++) {
        size_t at = ko_at(r, args->ld, 0);
        be->isa->gelu_tanh_mul((size_t)args->d, args->gate + at, args->up + at,
                               args->y + ko_at(r, args->ldy, 0));
    }
    return KO_OK;
}

enum ko_code ko_cpu_mul(struct ko_backend *be, const struct ko_gate *args, struct ko_error *err)
{
    (void)err;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < args->n; r++) {
        size_t at = ko_at(r, args->ld, 0);
        be->isa->multiply((size_t)args->d, args->gate + at, args->up + at,
                          args->y + ko_at(r, args->ldy, 0));
    }
    return KO_OK;
}

enum ko_code ko_cpu_add_scaled(struct ko_backend *be, const struct ko_add_scaled *args,
                               struct ko_error *err)
{
    (void)err;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < args->n; r++) {
        be->isa->add_scaled((size_t)args->d, args->scale, args->x + ko_at(r, args->ldx, 0),
                            args->y + ko_at(r, args->ldy, 0));
    }
    return KO_OK;
}

enum ko_code ko_cpu_scale_columns(struct ko_backend *be, const struct ko_scale_columns *args,
                                  struct ko_error *err)
{
    (void)err;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < args->n; r++) {
        float *x = args->x + ko_at(r, args->ld, 0);
        be->isa->multiply((size_t)args->d, x, args->scale, x);
    }
    return KO_OK;
}

enum ko_code ko_cpu_gate_rows(struct ko_backend *be, const struct ko_gate_rows *args,
                              struct ko_error *err)
{
    (void)err;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < args->n; r++) {
        const float factor = 1.0F / (1.0F + expf(-args->gate[r]));
        float *x = args->x + ko_at(r, args->ld, 0);
#pragma omp simd
        for (int32_t c = 0; c < args->d; c++) {
            x[c] *= factor;
        }
    }
    return KO_OK;
}

/* x = f(z) x over n numbers */
static void gate_numbers(const struct ko_backend *be, enum ko_gate_function function, size_t n,
                         const float *z, float *x)
{
    if (function == KO_GATE_SILU) {
        be->isa->silu_mul(n, z, x, x);
    } else if (function == KO_GATE_SIGMOID) {
        be->isa->sigmoid_mul(n, z, x, x);
    } else if (function == KO_GATE_GELU_TANH) {
        be->isa->gelu_tanh_mul(n, z, x, x);
    } else {
        be->isa->multiply(n, z, x, x);
    }
}

/* One row x [d] of groups, with its z. */
static void gate_row(const struct ko_backend *be, const struct ko_output_gate *args, size_t group,
                     const float *z, float *x)
{
    if ((size_t)args->z_stride == group) {
        gate_numbers(be, args->function, (size_t)args->d, z, x);
        return;
    }
    for (size_t first = 0; first < (size_t)args->d; first += group, z += args->z_stride) {
        gate_numbers(be, args->function, group, z, x + first);
    }
}

static void norm_groups(const struct ko_backend *be, const struct ko_output_gate *args,
                        size_t group, float *x)
{
    const float *weight = args->weight;
    for (size_t first = 0; first < (size_t)args->d; first += group) {
        be->isa->rms_norm(group, x + first, weight, args->eps, x + first);
        weight += args->shared_weight ? 0 : group;
    }
}

enum ko_code ko_cpu_output_gate(struct ko_backend *be, const struct ko_output_gate *args,
                                struct ko_error *err)
{
    (void)err;
    const struct ko_rows *rows = &be->rows;
    size_t width = (size_t)args->d, group = width / (size_t)args->n_groups;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < rows->n_active[args->stage]; r++) {
        float *x = args->x + ko_at(r, args->d, 0);
        int32_t source = ko_rows_source(rows, r, args->stage);
        if (args->order == KO_NORM_THEN_GATE) {
            norm_groups(be, args, group, x);
        }
        gate_row(be, args, group, args->z + ko_at(source, args->ld_z, 0), x);
        if (args->order == KO_GATE_THEN_NORM) {
            norm_groups(be, args, group, x);
        }
    }
    return KO_OK;
}

/* Pairs with axes of their own: gathers the angles of row r from the tables. */
static void gather_angles(const struct ko_rope *args, const struct ko_rows *rows, int32_t r,
                          const float **cosine, const float **sine, float (*to)[KO_SECTION_PAIRS])
{
    const int32_t half = args->n_rotated / 2;
    for (int32_t k = 0; k < half; k++) {
        const int32_t axis = ko_rope_axis(args->section, args->woven, k);
        const size_t at = ko_at(ko_rows_turn(rows, axis, r), half, k);
        to[0][k] = (*cosine)[at];
        to[1][k] = (*sine)[at];
    }
    *cosine = to[0];
    *sine = to[1];
}

enum ko_code ko_cpu_rope(struct ko_backend *be, const struct ko_rope *args, struct ko_error *err)
{
    (void)err;
    const struct ko_rows *rows = &be->rows;
    size_t half = (size_t)args->n_rotated / 2;
    const bool by_axis = args->section[0] > 0 && rows->n_turns == 3;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < rows->n_projected[args->stage]; r++) {
        float angles[2][KO_SECTION_PAIRS];
        bool is_long = ko_rows_longest(rows, r) > args->long_from;
        const float *cosine = is_long ? args->long_cos : args->cos;
        const float *sine = is_long ? args->long_sin : args->sin;
        float *x = args->x + ko_at(r, args->ld, 0);
        if (by_axis) {
            gather_angles(args, rows, r, &cosine, &sine, angles);
        } else {
            cosine += (size_t)ko_rows_turn(rows, 0, r) * half;
            sine += (size_t)ko_rows_turn(rows, 0, r) * half;
        }
        for (int32_t head = 0; head < args->n_heads; head++, x += args->stride) {
            if (args->interleaved) {
                be->isa->rotate_pairs(half, cosine, sine, x);
            } else {
                be->isa->rotate(half, cosine, sine, x, x + half);
            }
        }
    }
    return KO_OK;
}
