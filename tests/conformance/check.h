/* SPDX-License-Identifier: Apache-2.0 */
/* Backends, inputs and comparisons for the cases. */
#ifndef KO_TESTS_CONFORMANCE_CHECK_H
#define KO_TESTS_CONFORMANCE_CHECK_H

#include "kernels/kernels.h"
#include "tests/conformance/wave.h"

/* An open backend, with a number of threads and an instruction set. */
struct backend {
    char label[64];
    const struct ko_kernels *k;
    struct ko_backend *be;
    bool exact; /* equal inputs give equal bits, wherever a row lies */
};

enum { MAX_BACKENDS = 16 };

/* Every backend that this machine can run; the first is `plain`. If $KO_BACKEND is cuda, the GPU's
   is the only other. */
struct backends {
    struct backend list[MAX_BACKENDS];
    int32_t n;
};

/* Set-up and tear-down of a group of tests, whose *state is a struct backends *. Fails if a backend
   cannot be opened. */
int backends_open(void **state);
/* The CPU computes attention of short prompts by tiles too: with one thread all of them, prompt by
   prompt; with three threads those of five positions and more, all at once. */
int backends_open_tiled(void **state);
int backends_close(void **state);

/* Opens the GPU's backend, where there is a GPU that the tests may use. Returns how many it opened: 0
   or 1. Close it with out->k->close. */
int32_t backend_open_gpu(enum ko_precision precision, struct backend *out);

/* Calls an operation or another member of the backend's table; fails the test if that fails. */
#define RUN(b, member, args)                                                                       \
    do {                                                                                           \
        struct ko_error err_ = {0};                                                                \
        expect_ok((b)->k->member((b)->be, (args), &err_), &err_);                                  \
    } while (0)

/* Values in [low, high), the same for the same seed. Free with free(). */
float *random_floats(uint32_t seed, size_t n, float low, float high);
/* 0 or 1. */
uint8_t *random_masks(uint32_t seed, size_t n);

/* Memory of a backend for one operation. */
enum { MAX_HELD = 12 };
struct memory {
    const struct backend *b;
    void *held[MAX_HELD];
    int32_t n;
};
/* Copies of host memory. */
void *memory_bytes(struct memory *memory, const void *values, size_t bytes);
float *memory_floats(struct memory *memory, const float *values, size_t n);
/* A copy of the rows [rows->n_rows, width]. The rows from `first` on are NaN: they must not be
   read. */
float *memory_rows(struct memory *memory, const struct ko_rows *rows, const float *values,
                   size_t width, int32_t first);
/* n floats that are NaN, for a result. */
float *memory_nan(struct memory *memory, size_t n);
/* The first n floats from there, in host memory; free with free(). */
float *memory_read(const struct memory *memory, const float *from, size_t n);
void memory_release(struct memory *memory);
/* memory_read, then memory_release. */
float *memory_result(struct memory *memory, const float *from, size_t n);

/* Fails with the error's text unless the code is KO_OK. */
void expect_ok(enum ko_code code, const struct ko_error *err);

/* The largest differences seen of one kind of comparison. */
struct spread {
    double largest; /* |got - want| / (1 + |want|) */
};
/* Fails unless |got - want| <= tolerance (1 + |want|) for all values. */
void expect_near(const char *what, const char *label, const float *got, const double *want,
                 size_t n, double tolerance, struct spread *spread);
/* The same where `want` is finite; elsewhere `got` must not be finite either. */
void expect_near_or_neither(const char *what, const char *label, const float *got,
                            const double *want, size_t n, double tolerance, struct spread *spread);

/* An operation that mixes the rows of a wave, with its inputs and its formula. */
struct mixing {
    const char *name;
    const void *inputs;
    const int32_t *n_rows; /* [n_layers] rows of the result: the wave's n_active or n_convolved */
    size_t width;          /* of a row of the result */
    /* The result [n_rows[layer], width]; free with free(). */
    float *(*compute)(const struct backend *b, const struct ko_rows *rows, int32_t layer,
                      const void *inputs);
    /* One row of it in double precision, out [width]. */
    void (*reference)(const struct ko_rows *rows, int32_t row, int32_t layer, const void *inputs,
                      double *out);
    double tolerance[2];   /* of plain from the reference, of the others from plain */
    ko_row_source *source; /* the row that holds the inputs that spoil_rows changes ... */
    int32_t reach;         /* ... and how many positions back they are read */
};

/* Compares all backends in every layer. n_spared: NULL, or some inputs are not finite (spoil_rows),
   and *n_spared grows by the number of rows with such an input on their path and a finite result,
   which is what removed edges kept out. */
void check_mixing(const struct backends *all, const struct ko_rows *rows,
                  const struct mixing *mixing, struct spread spread[2], int64_t *n_spared);
/* The branch rows against the trunk's rows of the same positions, where no edge is removed. */
void check_clean(const struct backends *all, const struct ko_rows *rows,
                 const struct mixing *mixing, struct spread *spread);
/* That the number of threads does not change a bit of the last layer. */
void check_threads(const struct backends *all, const struct ko_rows *rows,
                   const struct mixing *mixing);

/* Sets the values [first, first + n) of every third row of [n_rows, width] to `bad`. */
void spoil_rows(float *values, int32_t n_rows, size_t width, size_t first, size_t n, float bad);
void widen(const float *values, size_t n, double *out);

/* The groups of cases; each returns the number of failed ones. */
int run_basic(void);
int run_experts(void);
int run_conv(void);
int run_mamba1(void);
int run_mamba2(void);
int run_deltanet(void);
int run_rglru(void);
int run_gated(void);
int run_heads(void);
int run_attention(void);
int run_long_attention(void);
int run_attention_tiles(void);
int run_unembed(void);
int run_precision(void);
int run_tables(void);

#endif
