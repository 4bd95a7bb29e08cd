/* SPDX-License-Identifier: Apache-2.0 */
/* Lists the matrix products of a model and times them on a backend. There are two ways: each
   product on its own (ko_products_measure), or all of them in short rounds (ko_products_rounds). */
#include "src/bench/gemm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/base/memory.h"

enum { BLOCK = 1 << 20, MOST_CALLS = 256 };
enum { ROUNDS = 5, MOST_ROUNDS = 50, LEAST_ROWS = 16, LEAST_GPU_ROWS = 1024 };
static const double TURN_SECONDS = 4e-3; /* of asynchronous calls between two waits */

/* The number of experts that have a matrix of this kind; 0: the weight is not an expert's. Where
   they have a tensor each, those follow the first one's. */
static int32_t count_experts(const struct ko_model *model, size_t first)
{
    const struct ko_weight *weight = &model->weights[first];
    if (weight->n_dims > 2) {
        return (int32_t)weight->shape[0];
    }
    int32_t n = strstr(weight->tensor, ".experts.") ? 1 : 0;
    while (n > 0 && first + (size_t)n < model->n_weights && weight[n].expert == n) {
        n++;
    }
    return n;
}

/* The tensor's name without the layer and the expert. */
static void name_product(const struct ko_weight *weight, struct ko_product *product)
{
    static const char expert[] = ".experts.0.";
    char layer[16];
    snprintf(layer, sizeof layer, ".%d.", weight->layer);
    const char *at = strstr(weight->tensor, layer);
    snprintf(product->name, sizeof product->name, "%s", at ? at + strlen(layer) : weight->tensor);
    char *number = strstr(product->name, expert);
    if (number) {
        number += strlen(expert) - 2;
        memmove(number, number + 2, strlen(number + 2) + 1); /* 0. goes */
    }
}

/* The product of a weight, with the FLOP of one row and one expert in one layer. */
static struct ko_product product_of(const struct ko_model *model, size_t w)
{
    const struct ko_weight *weight = &model->weights[w];
    struct ko_product product = {.n_experts = count_experts(model, w)};
    ko_weight_sides(weight, &product.n_out, &product.n_in);
    name_product(weight, &product);
    product.flop = 2.0 * product.n_out * product.n_in;
    return product;
}

static bool is_same(const struct ko_product *a, const struct ko_product *b)
{
    return a->n_out == b->n_out && a->n_in == b->n_in && a->n_experts == b->n_experts &&
           strcmp(a->name, b->name) == 0;
}

/* The FLOP of one row, averaged over the layers. */
static double layer_flop(const struct ko_model *model)
{
    double sum = 0;
    for (size_t s = 0; s < model->n_sublayers; s++) {
        double flop[3];
        model->sublayer[s].kind->row_flop(&model->sublayer[s], model->shape.d_model, flop);
        sum += flop[0] + flop[1] + flop[2];
    }
    return sum / model->shape.n_layers;
}

/* How many experts a row chooses follows from what is left of the layers' FLOP. */
static void set_chosen(const struct ko_model *model, struct ko_product *products, int n)
{
    double dense = 0, one = 0;
    for (int p = 0; p < n; p++) {
        if (products[p].n_experts > 0) {
            one += products[p].flop;
        } else {
            dense += products[p].flop;
        }
    }
    const double chosen = one > 0 ? round((layer_flop(model) - dense) / one) : 0;
    for (int p = 0; p < n; p++) {
        if (products[p].n_experts > 0) {
            products[p].n_chosen = (int32_t)chosen;
            products[p].flop *= chosen;
        }
    }
}

int ko_products_of(const struct ko_model *model, struct ko_product products[KO_MAX_PRODUCTS])
{
    int n = 0;
    for (size_t w = 0; w < model->n_weights; w++) {
        const struct ko_weight *weight = &model->weights[w];
        if (!weight->matrix || weight->layer < 0 || weight->expert > 0) {
            continue;
        }
        const struct ko_product product = product_of(model, w);
        int p = 0;
        while (p < n && !is_same(&products[p], &product)) {
            p++;
        }
        if (p == KO_MAX_PRODUCTS) {
            continue;
        }
        if (p == n) {
            products[n] = product;
            products[n++].flop = 0;
        }
        products[p].flop += product.flop / model->shape.n_layers;
    }
    set_chosen(model, products, n);
    return n;
}

/* The arrays of a product, in the backend's memory. */
struct operands {
    void *x, *w, *y;
};

static void free_operands(const struct ko_gemm_effort *e, struct operands *o)
{
    e->kernels->release(e->be, o->x);
    e->kernels->release(e->be, o->w);
    e->kernels->release(e->be, o->y);
}

static enum ko_element matrix_type(const struct ko_gemm_effort *e)
{
    const enum ko_element type =
        e->kernels->own_memory ? e->kernels->matrix_type(e->precision) : KO_ELEMENT_F32;
    return type == KO_ELEMENT_BF16X2 && e->exact ? KO_ELEMENT_BF16 : type;
}

/* Allocates n numbers and fills them with copies of a block of random numbers. */
static enum ko_code fill_operand(const struct ko_gemm_effort *e, const float *block,
                                 enum ko_element type, size_t n, void **out, struct ko_error *err)
{
    const size_t bytes = ko_element_bytes(type);
    enum ko_code code = e->kernels->alloc(e->be, n * bytes, out, err);
    for (size_t at = 0; code == KO_OK && at < n; at += BLOCK) {
        const size_t m = n - at < BLOCK ? n - at : BLOCK;
        char *to = (char *)*out + at * bytes;
        const struct ko_import piece = {
            .to = to, .type = type, .run = m, .from = block, .from_type = KO_ELEMENT_F32, .n = m};
        code = e->kernels->own_memory
                   ? e->kernels->import(e->be, &piece, err)
                   : e->kernels->upload(e->be, to, block, m * sizeof *block, err);
    }
    int64_t bad = -1;
    return code == KO_OK && e->kernels->own_memory ? e->kernels->import_end(e->be, &bad, err)
                                                   : code;
}

/* How many numbers each operand has. */
struct sizes {
    size_t x, w, y;
};

static enum ko_code make_operands(const struct ko_gemm_effort *e, const struct sizes *sizes,
                                  struct operands *o, struct ko_error *err)
{
    float *block = ko_new(BLOCK, sizeof *block, err);
    if (!block) {
        return KO_E_MEMORY;
    }
    uint32_t state = 12345;
    for (size_t k = 0; k < BLOCK; k++) {
        state = state * 1664525u + 1013904223u;
        block[k] = (float)(state >> 8) * 0x1p-23f - 1.0f;
    }
    enum ko_code code = fill_operand(e, block, KO_ELEMENT_F32, sizes->x, &o->x, err);
    if (code == KO_OK) {
        code = fill_operand(e, block, matrix_type(e), sizes->w, &o->w, err);
    }
    if (code == KO_OK) {
        code = e->kernels->alloc(e->be, sizes->y * sizeof *block, &o->y, err);
    }
    free(block);
    return code;
}

/* One way to multiply: by the same matrix in every call, or by those of the experts in turn. */
struct turn {
    struct ko_matrix w; /* the first */
    int32_t rows, n_matrices;
};

/* Measures the seconds of so many calls and of the wait after them. */
static enum ko_code time_calls(const struct ko_gemm_effort *e, const struct turn *turn,
                               const struct operands *o, int calls, double *seconds,
                               struct ko_error *err)
{
    struct ko_linear product = {.n = turn->rows,
                                .x = o->x,
                                .ldx = turn->w.n_in,
                                .w = turn->w,
                                .y = o->y,
                                .ldy = turn->w.n_out};
    const size_t bytes =
        (size_t)turn->w.n_in * (size_t)turn->w.n_out * ko_element_bytes(turn->w.type);
    enum ko_code code = e->kernels->wait(e->be, err);
    const double begin = ko_now();
    for (int c = 0; code == KO_OK && c < calls; c++) {
        product.w.data = (const char *)turn->w.data + (size_t)(c % turn->n_matrices) * bytes;
        code = e->kernels->linear(e->be, &product, err);
    }
    if (code == KO_OK) {
        code = e->kernels->wait(e->be, err);
    }
    *seconds = ko_now() - begin;
    return code;
}

/* Raises *best to the rate. Every matrix is multiplied equally often. */
static enum ko_code measure_turn(const struct ko_gemm_effort *e, const struct turn *turn,
                                 const struct operands *o, double *best, struct ko_error *err)
{
    double seconds = 0, spent = 0;
    enum ko_code code = time_calls(e, turn, o, 1, &seconds, err); /* warms up */
    if (code == KO_OK && e->kernels->own_memory) {
        code = time_calls(e, turn, o, 1, &seconds, err);
    }
    const double wanted = e->kernels->own_memory ? TURN_SECONDS / seconds : 1;
    int calls = wanted < 1 ? 1 : wanted > MOST_CALLS ? MOST_CALLS : (int)wanted;
    calls = (calls + turn->n_matrices - 1) / turn->n_matrices * turn->n_matrices;
    while (code == KO_OK && (spent <= 0 || spent < e->seconds)) {
        code = time_calls(e, turn, o, calls, &seconds, err);
        const double rate = 2.0 * turn->rows * turn->w.n_in * turn->w.n_out * calls / seconds;
        *best = code == KO_OK && rate > *best ? rate : *best;
        spent += seconds;
    }
    return code;
}

/* The part of all rows that one matrix of the product multiplies. */
static double share_of(const struct ko_product *product)
{
    return product->n_experts > 0 ? (double)product->n_chosen / product->n_experts : 1;
}

static int32_t rows_of(const struct ko_gemm_effort *e, const struct ko_product *product)
{
    const double rows = round(e->rows * share_of(product));
    return rows < 1 ? 1 : (int32_t)rows;
}

static enum ko_code measure_layout(const struct ko_gemm_effort *e, const struct operands *o,
                                   bool in_first, struct ko_product *product, struct ko_error *err)
{
    struct turn turn = {.w = {.data = o->w,
                              .n_out = product->n_out,
                              .n_in = product->n_in,
                              .in_first = in_first,
                              .type = matrix_type(e)},
                        .rows = e->rows,
                        .n_matrices = 1};
    enum ko_code code = measure_turn(e, &turn, o, &product->whole_rate, err);
    if (code == KO_OK && product->n_experts > 0) {
        turn.rows = rows_of(e, product);
        turn.n_matrices = product->n_experts;
        code = measure_turn(e, &turn, o, &product->rate, err);
    } else {
        product->rate = product->whole_rate;
    }
    return code;
}

/* The product with n_in and n_out cut, so that W has at most max_elements. */
static struct ko_product cut_product(const struct ko_gemm_effort *e,
                                     const struct ko_product *product)
{
    struct ko_product cut = *product;
    if (e->max_elements > 0 && cut.n_in > e->max_elements) {
        cut.n_in = (int32_t)e->max_elements;
    }
    if (e->max_elements > 0 && cut.n_out > e->max_elements / cut.n_in) {
        cut.n_out = (int32_t)(e->max_elements / cut.n_in);
    }
    return cut;
}

/* Raises `sizes` to those of the product with so many matrices. */
static void raise_sizes(const struct ko_gemm_effort *e, const struct ko_product *product,
                        size_t n_matrices, struct sizes *sizes)
{
    const size_t rows = (size_t)e->rows, n_in = (size_t)product->n_in;
    const size_t n_out = (size_t)product->n_out;
    const size_t n_w = n_matrices * n_in * n_out;
    sizes->x = rows * n_in > sizes->x ? rows * n_in : sizes->x;
    sizes->w = n_w > sizes->w ? n_w : sizes->w;
    sizes->y = rows * n_out > sizes->y ? rows * n_out : sizes->y;
}

static enum ko_code reserve_rows(const struct ko_gemm_effort *e, const struct ko_product *products,
                                 int n, struct ko_error *err)
{
    struct ko_limits limits = {.max_rows = e->rows, .max_tokens = 1};
    for (int p = 0; p < n; p++) {
        limits.max_in = products[p].n_in > limits.max_in ? products[p].n_in : limits.max_in;
    }
    return e->kernels->own_memory ? e->kernels->reserve(e->be, &limits, err) : KO_OK;
}

static enum ko_code measure_product(const struct ko_gemm_effort *e, struct ko_product *product,
                                    struct ko_error *err)
{
    struct ko_product part = cut_product(e, product);
    struct operands o = {0};
    struct sizes sizes = {0};
    raise_sizes(e, &part, part.n_experts > 0 ? (size_t)part.n_experts : 1, &sizes);
    enum ko_code code = make_operands(e, &sizes, &o, err);
    for (int layout = 0; code == KO_OK && layout < e->layouts; layout++) {
        code = measure_layout(e, &o, layout == 1, &part, err);
    }
    product->rate = part.rate;
    product->whole_rate = part.whole_rate;
    free_operands(e, &o);
    return code;
}

enum ko_code ko_products_measure(const struct ko_gemm_effort *effort, struct ko_product *products,
                                 int n, struct ko_error *err)
{
    enum ko_code code = reserve_rows(effort, products, n, err);
    for (int p = 0; code == KO_OK && p < n; p++) {
        code = measure_product(effort, &products[p], err);
    }
    return code;
}

/* ----------------------------------------------------------------------------------------------
   rounds */

/* Short rounds of all products. */
struct rounds {
    struct ko_gemm_effort effort; /* rows: as choose_rows set them */
    struct operands operands;
    struct ko_product *product; /* [n] */
    int n;
    double deadline;
};

/* Calls a product once, and raises its rate to what the call reached. */
static enum ko_code call_once(const struct rounds *rounds, struct ko_product *product,
                              double *seconds, struct ko_error *err)
{
    const struct ko_gemm_effort *e = &rounds->effort;
    const struct ko_product part = cut_product(e, product);
    const struct turn turn = {.w = {.data = rounds->operands.w,
                                    .n_out = part.n_out,
                                    .n_in = part.n_in,
                                    .type = matrix_type(e)},
                              .rows = rows_of(e, product),
                              .n_matrices = 1};
    const enum ko_code code = time_calls(e, &turn, &rounds->operands, 1, seconds, err);
    const double rate = 2.0 * turn.rows * part.n_in * part.n_out / *seconds;
    if (code == KO_OK && rate > product->rate) {
        product->rate = rate;
    }
    return code;
}

/* Chooses the rows so that a round takes its share of the seconds. Measures one product with few
   rows for that; on a GPU with all rows, because few would not show its rate. */
static enum ko_code choose_rows(struct rounds *rounds, struct ko_error *err)
{
    struct ko_gemm_effort *e = &rounds->effort;
    const int32_t most = e->rows;
    const int32_t least = e->kernels->own_memory ? LEAST_GPU_ROWS : LEAST_ROWS;
    double flop = 0, seconds = 0;
    struct ko_product first = rounds->product[0];
    e->rows = e->kernels->own_memory || most < least ? most : least;
    for (int p = 0; p < rounds->n; p++) {
        const struct ko_product part = cut_product(e, &rounds->product[p]);
        flop += 2.0 * part.n_in * part.n_out * share_of(&part);
    }
    enum ko_code code = call_once(rounds, &first, &seconds, err); /* warms up */
    if (code == KO_OK) {
        code = call_once(rounds, &first, &seconds, err);
    }
    const double rows = e->seconds / ROUNDS * first.rate / flop;
    e->rows = rows < least ? least : rows < most ? (int32_t)rows : most;
    e->rows = e->rows < most ? e->rows : most;
    return code;
}

/* Calls each product once, until the deadline. *whole: all were called. *rate: of all calls
   together. */
static enum ko_code run_round(const struct rounds *rounds, bool *whole, double *rate,
                              struct ko_error *err)
{
    double flop = 0, total = 0;
    enum ko_code code = KO_OK;
    int p = 0;
    for (; code == KO_OK && p < rounds->n && (p == 0 || ko_now() < rounds->deadline); p++) {
        const struct ko_product part = cut_product(&rounds->effort, &rounds->product[p]);
        double seconds = 0;
        code = call_once(rounds, &rounds->product[p], &seconds, err);
        flop += 2.0 * rows_of(&rounds->effort, &part) * part.n_in * part.n_out;
        total += seconds;
    }
    *whole = p == rounds->n;
    *rate = flop / total;
    return code;
}

static int by_rate(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static enum ko_code prepare_rounds(struct rounds *rounds, struct ko_error *err)
{
    struct sizes sizes = {0};
    for (int p = 0; p < rounds->n; p++) {
        const struct ko_product part = cut_product(&rounds->effort, &rounds->product[p]);
        raise_sizes(&rounds->effort, &part, 1, &sizes);
    }
    enum ko_code code = reserve_rows(&rounds->effort, rounds->product, rounds->n, err);
    if (code == KO_OK) {
        code = make_operands(&rounds->effort, &sizes, &rounds->operands, err);
    }
    return code == KO_OK ? choose_rows(rounds, err) : code;
}

enum ko_code ko_products_rounds(const struct ko_gemm_effort *effort, struct ko_product *products,
                                int n, struct ko_gemm_rounds *out, struct ko_error *err)
{
    struct rounds rounds = {
        .effort = *effort, .product = products, .n = n, .deadline = ko_now() + effort->seconds};
    double rates[MOST_ROUNDS];
    int n_rounds = 0;
    if (n == 0) {
        *out = (struct ko_gemm_rounds){.median = NAN, .fastest = NAN};
        return KO_OK;
    }
    enum ko_code code = prepare_rounds(&rounds, err);
    bool whole = true;
    for (int k = 0; code == KO_OK && k < MOST_ROUNDS && whole; k++) {
        code = run_round(&rounds, &whole, &rates[k], err);
        n_rounds = whole || k == 0 ? k + 1 : n_rounds;
        whole = whole && ko_now() < rounds.deadline;
    }
    free_operands(&rounds.effort, &rounds.operands);
    if (code != KO_OK) {
        return code;
    }
    qsort(rates, (size_t)n_rounds, sizeof *rates, by_rate);
    *out = (struct ko_gemm_rounds){n_rounds, rates[n_rounds / 2], rates[n_rounds - 1]};
    for (int p = 0; p < n; p++) {
        if (products[p].rate <= 0) { /* the deadline came before its first call */
            products[p].rate = out->fastest;
        }
    }
    return KO_OK;
}

static double rate_together(const struct ko_product *products, int n, bool whole)
{
    double flop = 0, seconds = 0;
    for (int p = 0; p < n; p++) {
        flop += products[p].flop;
        seconds += products[p].flop / (whole ? products[p].whole_rate : products[p].rate);
    }
    return seconds > 0 && isfinite(seconds) ? flop / seconds : NAN;
}

double ko_products_rate(const struct ko_product *products, int n)
{
    return rate_together(products, n, false);
}

double ko_products_whole_rate(const struct ko_product *products, int n)
{
    return rate_together(products, n, true);
}
