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

/* The GPU, in float32: the other precisions differ in the products alone, which have cases of their
   own. Returns how many were opened. */
static int32_t open_cuda(struct backend *out)
{
    static const struct ko_limits limits = {.max_rows = 8192,
                                            .max_tokens = 512,
                                            .max_in = 1024,
                                            .n_heads = 32,
                                            .n_groups = 8,
                                            .vocabulary = 8192};
    const struct ko_backend_config config = {.precision = KO_FLOAT32};
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

int32_t backends_open(struct backend backends[MAX_BACKENDS])
{
    struct ko_error err = {0};
    struct ko_backend_config config = {.threads = 1, .precision = KO_FLOAT32};
    backends[0] = (struct backend){.label = "plain", .k = &ko_kernels_plain, .exact = true};
    expect_ok(ko_kernels_plain.open(&config, &backends[0].be, &err), &err);
    int32_t n = 1;
    size_t n_tables = 0;
    const struct ko_cpu_isa *const *tables = ko_cpu_isa_list(&n_tables);
    for (size_t t = 0; t < n_tables && !test_gpu_asked(); t++) {
        for (config.threads = 1; config.threads <= 3; config.threads += 2, n++) {
            backends[n] = (struct backend){.k = &ko_kernels_cpu};
            snprintf(backends[n].label, sizeof backends[n].label, "cpu %s, %d threads",
                     tables[t]->name, config.threads);
            expect_ok(ko_cpu_open_isa(&config, tables[t], &backends[n].be, &err), &err);
        }
    }
    return n + open_cuda(&backends[n]);
}

void backends_close(struct backend *backends, int32_t n)
{
    for (int32_t k = 0; k < n; k++) {
        backends[k].k->close(backends[k].be);
    }
}

static void *need(void *memory)
{
    assert_non_null(memory);
    return memory;
}

static uint32_t mix(uint32_t seed, size_t k)
{
    uint64_t z = ((uint64_t)seed << 32) + k * 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return (uint32_t)(z >> 40);
}

float *random_floats(uint32_t seed, size_t n, float low, float high)
{
    float *values = need(malloc((n + 1) * sizeof *values));
    for (size_t k = 0; k < n; k++) {
        values[k] = low + (high - low) * ((float)mix(seed, k) / (float)(1 << 24));
    }
    return values;
}

float *poisoned(const float *values, size_t n_rows, size_t width, int32_t first)
{
    float *copy = need(malloc((n_rows * width + 1) * sizeof *copy));
    for (size_t k = 0; k < n_rows * width; k++) {
        copy[k] = k < (size_t)first * width ? values[k] : NAN;
    }
    return copy;
}

uint8_t *random_masks(uint32_t seed, size_t n)
{
    uint8_t *values = need(malloc(n + 1));
    for (size_t k = 0; k < n; k++) {
        values[k] = mix(seed, k) % 3 == 0;
    }
    return values;
}

float *backend_copy(const struct backend *b, const void *values, size_t bytes)
{
    struct ko_error err = {0};
    void *memory = NULL;
    expect_ok(b->k->alloc(b->be, bytes, &memory, &err), &err);
    expect_ok(b->k->upload(b->be, memory, values, bytes, &err), &err);
    return memory;
}

float *backend_floats(const struct backend *b, size_t n)
{
    float *values = need(malloc((n + 1) * sizeof *values));
    for (size_t k = 0; k < n; k++) {
        values[k] = NAN;
    }
    float *memory = backend_copy(b, values, n * sizeof *values);
    free(values);
    return memory;
}

void backend_release(const struct backend *b, const void *memory)
{
    b->k->release(b->be, (void *)(uintptr_t)memory);
}

float *backend_read(const struct backend *b, const float *memory, size_t n)
{
    struct ko_error err = {0};
    float *values = need(malloc((n + 1) * sizeof *values));
    expect_ok(b->k->download(b->be, values, memory, n * sizeof *values, &err), &err);
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

bool is_bad_row(int32_t row)
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

int64_t count_spared(const struct ko_rows *rows, int32_t layer, int32_t n_rows,
                     int32_t (*source)(const struct ko_rows *, int32_t, int32_t), int32_t reach,
                     const double *want, size_t width)
{
    int64_t n_spared = 0;
    int32_t path[WAVE_TOKENS];
    for (int32_t r = 0; r < n_rows; r++) {
        const int32_t i = wave_path(rows, r, layer, source, path);
        bool bad = false, finite = false;
        for (int32_t j = 0; j <= i; j++) {
            bad = bad || (i - j < reach && is_bad_row(path[j]));
        }
        for (size_t k = 0; k < width; k++) {
            finite = finite || isfinite(want[(size_t)r * width + k]);
        }
        n_spared += bad && finite;
    }
    return n_spared;
}

void widen(const float *values, size_t n, double *out)
{
    for (size_t k = 0; k < n; k++) {
        out[k] = (double)values[k];
    }
}
