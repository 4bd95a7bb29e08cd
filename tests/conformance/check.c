/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/check.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu/cpu.h"
#include "tests/support/gpu.h"

void expect_ok(enum ko_code code, const struct ko_error *err)
{
    if (code != KO_OK) {
        fail_msg("%s", err->text);
    }
}

int32_t backend_open_gpu(enum ko_precision precision, struct backend *out)
{
    static const struct ko_limits limits = {.max_rows = 8192,
                                            .max_tokens = 512,
                                            .max_in = 1024,
                                            .n_heads = 32,
                                            .n_groups = 8,
                                            .d_inner = 512,
                                            .d_state = 256,
                                            .vocabulary = 8192};
    const struct ko_backend_config config = {.precision = precision};
    struct ko_error err = {0};
    const char *why = NULL;
    const struct ko_kernels *k = test_gpu(&why);
    if (!k) {
        return 0;
    }
    *out = (struct backend){.label = "cuda", .k = k};
    expect_ok(k->open(&config, &out->be, &err), &err);
    expect_ok(k->reserve(out->be, &limits, &err), &err);
    return 1;
}

int backends_open(void **state)
{
    static struct backends all;
    struct ko_error err = {0};
    struct ko_backend_config config = {.threads = 1, .precision = KO_FLOAT32};
    all = (struct backends){.n = 1};
    all.list[0] = (struct backend){.label = "plain", .k = &ko_kernels_plain, .exact = true};
    expect_ok(ko_kernels_plain.open(&config, &all.list[0].be, &err), &err);
    size_t n_tables = 0;
    const struct ko_cpu_isa *const *tables = ko_cpu_isa_list(&n_tables);
    for (size_t t = 0; t < n_tables && !test_gpu_asked(); t++) {
        for (config.threads = 1; config.threads <= 3; config.threads += 2) {
            struct backend *b = &all.list[all.n++];
            b->k = &ko_kernels_cpu;
            snprintf(b->label, sizeof b->label, "cpu %s, %d threads", tables[t]->name,
                     config.threads);
            expect_ok(ko_cpu_open_isa(&config, tables[t], &b->be, &err), &err);
        }
    }
    /* In the other precisions only products differ, which have their own cases. */
    all.n += backend_open_gpu(KO_FLOAT32, &all.list[all.n]);
    *state = &all;
    return 0;
}

int backends_open_tiled(void **state)
{
    const int failed = backends_open(state);
    const struct backends *all = *state;
    for (int32_t k = 0; failed == 0 && k < all->n; k++) {
        if (all->list[k].k == &ko_kernels_cpu) {
            struct ko_backend *be = all->list[k].be;
            be->tiled_from = k % 2 ? 1 : 5;
            be->packed_floats = k % 2 ? 1 : be->packed_floats;
        }
    }
    return failed;
}

int backends_close(void **state)
{
    const struct backends *all = *state;
    for (int32_t k = 0; k < all->n; k++) {
        all->list[k].k->close(all->list[k].be);
    }
    return 0;
}

static void *need_memory(void *memory)
{
    assert_non_null(memory);
    return memory;
}

static uint32_t mix_bits(uint32_t seed, size_t k)
{
    uint64_t z = ((uint64_t)seed << 32) + k * 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return (uint32_t)(z >> 40);
}

float *random_floats(uint32_t seed, size_t n, float low, float high)
{
    float *values = need_memory(malloc((n + 1) * sizeof *values));
    for (size_t k = 0; k < n; k++) {
        values[k] = low + (high - low) * ((float)mix_bits(seed, k) / (float)(1 << 24));
    }
    return values;
}

uint8_t *random_masks(uint32_t seed, size_t n)
{
    uint8_t *values = need_memory(malloc(n + 1));
    for (size_t k = 0; k < n; k++) {
        values[k] = mix_bits(seed, k) % 3 == 0;
    }
    return values;
}

void *memory_bytes(struct memory *memory, const void *values, size_t bytes)
{
    const struct backend *b = memory->b;
    struct ko_error err = {0};
    void *out = NULL;
    assert_true(memory->n < MAX_HELD);
    expect_ok(b->k->alloc(b->be, bytes, &out, &err), &err);
    expect_ok(b->k->upload(b->be, out, values, bytes, &err), &err);
    memory->held[memory->n++] = out;
    return out;
}

float *memory_floats(struct memory *memory, const float *values, size_t n)
{
    return memory_bytes(memory, values, n * sizeof *values);
}

float *memory_rows(struct memory *memory, const struct ko_rows *rows, const float *values,
                   size_t width, int32_t first)
{
    size_t n = (size_t)rows->n_rows * width;
    float *copy = need_memory(malloc((n + 1) * sizeof *copy));
    for (size_t k = 0; k < n; k++) {
        copy[k] = k < (size_t)first * width ? values[k] : NAN;
    }
    float *out = memory_floats(memory, copy, n);
    free(copy);
    return out;
}

float *memory_nan(struct memory *memory, size_t n)
{
    const struct ko_rows one = {.n_rows = 1};
    return memory_rows(memory, &one, NULL, n, 0);
}

float *memory_read(const struct memory *memory, const float *from, size_t n)
{
    const struct backend *b = memory->b;
    struct ko_error err = {0};
    float *values = need_memory(malloc((n + 1) * sizeof *values));
    expect_ok(b->k->download(b->be, values, from, n * sizeof *values, &err), &err);
    return values;
}

void memory_release(struct memory *memory)
{
    while (memory->n > 0) {
        memory->b->k->release(memory->b->be, memory->held[--memory->n]);
    }
}

float *memory_result(struct memory *memory, const float *from, size_t n)
{
    float *values = memory_read(memory, from, n);
    memory_release(memory);
    return values;
}

void expect_near(const char *what, const char *label, const float *got, const double *want,
                 size_t n, double tolerance, struct spread *spread)
{
    for (size_t k = 0; k < n; k++) {
        double scaled = fabs((double)got[k] - want[k]) / (1.0 + fabs(want[k]));
        if (!(scaled <= tolerance)) {
            fail_msg("%s, %s: value %zu is %.9g, expected %.9g", what, label, k, (double)got[k],
                     want[k]);
        }
        spread->largest = scaled > spread->largest ? scaled : spread->largest;
    }
}

void expect_near_or_neither(const char *what, const char *label, const float *got,
                            const double *want, size_t n, double tolerance, struct spread *spread)
{
    for (size_t k = 0; k < n; k++) {
        if (isfinite(want[k])) {
            expect_near(what, label, &got[k], &want[k], 1, tolerance, spread);
        } else if (isfinite(got[k])) {
            fail_msg("%s, %s: value %zu is %.9g, expected %g", what, label, k, (double)got[k],
                     want[k]);
        }
    }
}

static bool is_bad_row(int32_t row)
{
    return row % 3 == 1;
}

void spoil_rows(float *values, int32_t n_rows, size_t width, size_t first, size_t n, float bad)
{
    for (int32_t r = 0; r < n_rows; r++) {
        for (size_t k = first; is_bad_row(r) && k < first + n; k++) {
            values[(size_t)r * width + k] = bad;
        }
    }
}

static int64_t count_spared(const struct ko_rows *rows, int32_t layer, const struct mixing *mixing,
                            const double *want)
{
    int64_t n_spared = 0;
    int32_t path[WAVE_LONGEST];
    for (int32_t r = 0; r < mixing->n_rows[layer]; r++) {
        const int32_t i = wave_path(rows, r, layer, mixing->source, path);
        bool bad = false, finite = false;
        for (int32_t j = 0; j <= i; j++) {
            bad = bad || (i - j < mixing->reach && is_bad_row(path[j]));
        }
        for (size_t k = 0; k < mixing->width; k++) {
            finite = finite || isfinite(want[(size_t)r * mixing->width + k]);
        }
        n_spared += bad && finite;
    }
    return n_spared;
}

void check_mixing(const struct backends *all, const struct ko_rows *rows,
                  const struct mixing *mixing, struct spread spread[2], int64_t *n_spared)
{
    for (int32_t layer = 0; layer < rows->n_stages; layer++) {
        size_t n = (size_t)mixing->n_rows[layer] * mixing->width;
        double *want = need_memory(calloc(n + 1, sizeof *want));
        for (int32_t r = 0; r < mixing->n_rows[layer]; r++) {
            mixing->reference(rows, r, layer, mixing->inputs, want + (size_t)r * mixing->width);
        }
        if (n_spared) {
            *n_spared += count_spared(rows, layer, mixing, want);
        }
        for (int32_t k = 0; k < all->n; k++) {
            const struct backend *b = &all->list[k];
            float *got = mixing->compute(b, rows, layer, mixing->inputs);
            (n_spared ? expect_near_or_neither : expect_near)(
                mixing->name, b->label, got, want, n, mixing->tolerance[k > 0], &spread[k > 0]);
            if (k == 0) {
                widen(got, n, want);
            }
            free(got);
        }
        free(want);
    }
}

void check_clean(const struct backends *all, const struct ko_rows *rows,
                 const struct mixing *mixing, struct spread *spread)
{
    size_t width = mixing->width;
    double *want = need_memory(calloc(width, sizeof *want));
    for (int32_t k = 0; k < all->n * rows->n_stages; k++) {
        const struct backend *b = &all->list[k / rows->n_stages];
        int32_t layer = k % rows->n_stages;
        float *out = mixing->compute(b, rows, layer, mixing->inputs);
        for (int32_t r = rows->n_trunk_rows; r < mixing->n_rows[layer]; r++) {
            int32_t trunk = rows->trunk_first[rows->prompt[r]] + rows->position[r];
            const float *clean = out + (size_t)trunk * width, *got = out + (size_t)r * width;
            if (b->exact) {
                assert_memory_equal(got, clean, width * sizeof *out);
            }
            widen(clean, width, want);
            expect_near("nothing removed", b->label, got, want, width, 1e-5, spread);
        }
        free(out);
    }
    free(want);
}

void check_threads(const struct backends *all, const struct ko_rows *rows,
                   const struct mixing *mixing)
{
    int32_t layer = rows->n_stages - 1;
    size_t bytes = (size_t)mixing->n_rows[layer] * mixing->width * sizeof(float);
    for (int32_t k = 1; k + 1 < all->n; k += 2) {
        float *one = mixing->compute(&all->list[k], rows, layer, mixing->inputs);
        float *three = mixing->compute(&all->list[k + 1], rows, layer, mixing->inputs);
        assert_memory_equal(one, three, bytes);
        free(one);
        free(three);
    }
}

void widen(const float *values, size_t n, double *out)
{
    for (size_t k = 0; k < n; k++) {
        out[k] = (double)values[k];
    }
}
