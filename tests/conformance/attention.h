/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs of attention, and its formula in double precision, for the cases of short and of long
   prompts. */
#ifndef KO_TESTS_CONFORMANCE_ATTENTION_H
#define KO_TESTS_CONFORMANCE_ATTENTION_H

#include "tests/conformance/check.h"

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

struct inputs {
    struct heads heads;
    float *qkv;   /* [n_rows, the layout's width] */
    float *apart; /* [n_rows, the layout's ld_v]: the values, if they lie apart */
    float *sinks; /* [n_heads] */
};

int32_t value_width(const struct heads *heads);
struct layout layout_of(const struct heads *heads);
float *values_of(const struct inputs *x);

/* Queries, keys and values in [-range, range]; sinks in twice that. Free with free_inputs. */
struct inputs make_inputs(const struct ko_rows *rows, const struct heads *heads, float range);
void free_inputs(struct inputs *x);

/* The result [n_active, n_heads * value_width] of a layer; free with free(). */
float *attend_rows(const struct backend *b, const struct ko_rows *rows, int32_t layer,
                   const void *inputs);

struct mixing mixing_of(const char *name, const struct ko_rows *rows, const struct inputs *x);

/* Compares the formula, `plain` and the other backends in every layer. */
void check_wave(const struct backends *all, const char *name, const struct ko_rows *rows,
                const struct heads *heads, struct spread spread[2]);

#endif
