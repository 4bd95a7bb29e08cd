/* SPDX-License-Identifier: Apache-2.0 */
/* What the cases share: backends, inputs, comparisons. */
#ifndef KO_TESTS_CONFORMANCE_CHECK_H
#define KO_TESTS_CONFORMANCE_CHECK_H

#include "kernels/kernels.h"
#include "tests/conformance/wave.h"

/* One backend as it is run: which table, how many threads, which instruction set. */
struct backend {
    char label[64];
    const struct ko_kernels *k;
    struct ko_backend *be;
    bool exact; /* rounds a path's rows the same wherever they lie: equal inputs give equal bits */
};

enum { MAX_BACKENDS = 16 };

/* Every backend that this machine can run; the first is `plain`, and where $KO_BACKEND is cuda the
   GPU's is the only other. Fails the test where one cannot be opened. */
int32_t backends_open(struct backend backends[MAX_BACKENDS]);
void backends_close(struct backend *backends, int32_t n);

/* Values in [low, high), the same for the same seed. Free with free(). */
float *random_floats(uint32_t seed, size_t n, float low, float high);
/* A copy, whose rows [first, n_rows) are NaN: they must not be read. */
float *poisoned(const float *values, size_t n_rows, size_t width, int32_t first);
/* 0 or 1. */
uint8_t *random_masks(uint32_t seed, size_t n);

/* Memory of the backend. */
float *backend_copy(const struct backend *b, const void *values, size_t bytes);
float *backend_floats(const struct backend *b, size_t n);
void backend_release(const struct backend *b, const void *memory);
/* The first n floats, in memory of this process; free with free(). */
float *backend_read(const struct backend *b, const float *memory, size_t n);

/* Fails where the code is not KO_OK, with the error's text. */
void expect_ok(enum ko_code code, const struct ko_error *err);

/* The largest differences seen of one kind of comparison. */
struct spread {
    double largest; /* |got - want| / (1 + |want|) */
};
/* Fails unless |got - want| <= tolerance (1 + |want|) for all values. */
void expect_near(const char *what, const char *label, const float *got, const double *want,
                 size_t n, double tolerance, struct spread *spread);
/* The same where `want` is finite; where it is not, `got` is not either. */
void expect_near_or_neither(const char *what, const char *label, const float *got,
                            const double *want, size_t n, double tolerance, struct spread *spread);
/* Makes the values [first, first + n) of some of the rows [n_rows, width] what is no finite number:
   of those of is_bad_row. */
void spoil_rows(float *values, int32_t n_rows, size_t width, size_t first, size_t n, float bad);
bool is_bad_row(int32_t row);
/* How many rows of want [n_rows, width] have a finite value although a bad row is on their path,
   `reach` positions back at the most: what removed edges kept out. */
int64_t count_spared(const struct ko_rows *rows, int32_t layer, int32_t n_rows,
                     int32_t (*source)(const struct ko_rows *, int32_t, int32_t), int32_t reach,
                     const double *want, size_t width);
void widen(const float *values, size_t n, double *out);

/* The groups of cases; each returns the number of failed ones. */
int run_basic(void);
int run_conv(void);
int run_mamba1(void);
int run_mamba2(void);
int run_gated(void);
int run_attention(void);
int run_unembed(void);
int run_precision(void);
int run_tables(void);

#endif
