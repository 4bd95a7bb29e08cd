#define _GNU_SOURCE
#include "src/cli/gemm.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/base/memory.h"
#include "src/base/text.h"

enum { BLOCK = 1 << 20, MOST_CALLS = 256 };
static const double TURN_SECONDS = 4e-3; /* asynchronous calls between two waits take as long */

int ko_threads_here(void)
{
    const char *text = getenv("OMP_NUM_THREADS");
    int64_t n = 0;
    cpu_set_t mask;
    if (text && ko_parse_int(text, 1, 4096, &n, "OMP_NUM_THREADS", NULL) == KO_OK)
        return (int)n;
    CPU_ZERO(&mask);
    return sched_getaffinity(0, sizeof mask, &mask) == 0 ? CPU_COUNT(&mask) : 1;
}

int ko_products_of(const struct ko_model *model, struct ko_product products[KO_MAX_PRODUCTS])
{
    int n = 0;
    for (size_t w = 0; w < model->n_weights && n < KO_MAX_PRODUCTS; w++) {
        const struct ko_weight *weight = &model->weights[w];
        if (!weight->matrix || weight->layer != 0)
            continue;
        struct ko_product *product = &products[n++];
        const char *dot = strstr(weight->tensor, ".0.");
        *product = (struct ko_product){.n_out = (int32_t)weight->shape[weight->in_first],
                                       .n_in = (int32_t)weight->shape[!weight->in_first]};
        snprintf(product->name, sizeof product->name, "%s", dot ? dot + 3 : weight->tensor);
        product->flop = 2.0 * product->n_out * product->n_in;
    }
    return n;
}

/* What a product reads and writes, in the backend's memory. */
struct operands {
    void *x, *w, *y;
};

static void release(const struct ko_gemm_effort *e, struct operands *o)
{
    e->k->release(e->be, o->x);
    e->k->release(e->be, o->w);
    e->k->release(e->be, o->y);
}

static enum ko_element matrix_type(const struct ko_gemm_effort *e)
{
    return e->k->own_memory ? e->k->matrix_type(e->precision) : KO_ELEMENT_F32;
}

/* n numbers of the type from a block of random ones, again and again. */
static enum ko_code fill(const struct ko_gemm_effort *e, const float *block, enum ko_element type,
                         size_t n, void **out, struct ko_error *err)
{
    const size_t bytes = ko_element_bytes(type);
    enum ko_code code = e->k->alloc(e->be, n * bytes, out, err);
    for (size_t at = 0; code == KO_OK && at < n; at += BLOCK) {
        const size_t m = n - at < BLOCK ? n - at : BLOCK;
        char *to = (char *)*out + at * bytes;
        code = e->k->own_memory ? e->k->import(e->be, to, type, block, KO_ELEMENT_F32, m, err)
                                : e->k->upload(e->be, to, block, m * sizeof *block, err);
    }
    int64_t bad = -1;
    return code == KO_OK && e->k->own_memory ? e->k->import_end(e->be, &bad, err) : code;
}

static enum ko_code make_operands(const struct ko_gemm_effort *e, const struct ko_product *product,
                                  struct operands *o, struct ko_error *err)
{
    const size_t rows = (size_t)e->rows, n_in = (size_t)product->n_in;
    const size_t n_out = (size_t)product->n_out;
    float *block = ko_new(BLOCK, sizeof *block, err);
    if (!block)
        return KO_E_MEMORY;
    uint32_t state = 12345;
    for (size_t k = 0; k < BLOCK; k++) {
        state = state * 1664525u + 1013904223u;
        block[k] = (float)(state >> 8) * 0x1p-23f - 1.0f;
    }
    enum ko_code code = fill(e, block, KO_ELEMENT_F32, rows * n_in, &o->x, err);
    if (code == KO_OK)
        code = fill(e, block, matrix_type(e), n_in * n_out, &o->w, err);
    if (code == KO_OK)
        code = e->k->alloc(e->be, rows * n_out * sizeof *block, &o->y, err);
    free(block);
    return code;
}

/* Seconds of so many calls and the wait after them. */
static enum ko_code turn(const struct ko_gemm_effort *e, const struct ko_matrix *w,
                         const struct operands *o, int calls, double *seconds, struct ko_error *err)
{
    const struct ko_linear product = {
        .n = e->rows, .x = o->x, .ldx = w->n_in, .w = *w, .y = o->y, .ldy = w->n_out};
    enum ko_code code = e->k->wait(e->be, err);
    const double begin = ko_now();
    for (int c = 0; code == KO_OK && c < calls; c++)
        code = e->k->linear(e->be, &product, err);
    if (code == KO_OK)
        code = e->k->wait(e->be, err);
    *seconds = ko_now() - begin;
    return code;
}

static enum ko_code measure_layout(const struct ko_gemm_effort *e, const struct operands *o,
                                   bool in_first, struct ko_product *product, struct ko_error *err)
{
    const struct ko_matrix w = {.data = o->w,
                                .n_out = product->n_out,
                                .n_in = product->n_in,
                                .in_first = in_first,
                                .type = matrix_type(e)};
    double seconds = 0, spent = 0;
    enum ko_code code = turn(e, &w, o, 1, &seconds, err); /* warms up */
    if (code == KO_OK && e->k->own_memory)
        code = turn(e, &w, o, 1, &seconds, err);
    const double wanted = e->k->own_memory ? TURN_SECONDS / seconds : 1;
    const int calls = wanted < 1 ? 1 : wanted > MOST_CALLS ? MOST_CALLS : (int)wanted;
    while (code == KO_OK && (spent <= 0 || spent < e->seconds)) {
        code = turn(e, &w, o, calls, &seconds, err);
        const double rate = 2.0 * e->rows * w.n_in * w.n_out * calls / seconds;
        product->rate = code == KO_OK && rate > product->rate ? rate : product->rate;
        spent += seconds;
    }
    return code;
}

static enum ko_code measure(const struct ko_gemm_effort *e, struct ko_product *product,
                            struct ko_error *err)
{
    struct ko_product cut = *product;
    struct operands o = {0};
    if (e->max_elements > 0 && cut.n_in > e->max_elements)
        cut.n_in = (int32_t)e->max_elements;
    if (e->max_elements > 0 && cut.n_out > e->max_elements / cut.n_in)
        cut.n_out = (int32_t)(e->max_elements / cut.n_in);
    enum ko_code code = make_operands(e, &cut, &o, err);
    for (int layout = 0; code == KO_OK && layout < e->layouts; layout++)
        code = measure_layout(e, &o, layout == 1, &cut, err);
    product->rate = cut.rate;
    release(e, &o);
    return code;
}

enum ko_code ko_products_measure(const struct ko_gemm_effort *effort, struct ko_product *products,
                                 int n, struct ko_error *err)
{
    struct ko_limits limits = {.max_rows = effort->rows, .max_tokens = 1};
    enum ko_code code = KO_OK;
    for (int p = 0; p < n; p++)
        limits.max_in = products[p].n_in > limits.max_in ? products[p].n_in : limits.max_in;
    if (effort->k->own_memory)
        code = effort->k->reserve(effort->be, &limits, err);
    for (int p = 0; code == KO_OK && p < n; p++)
        code = measure(effort, &products[p], err);
    return code;
}

double ko_products_rate(const struct ko_product *products, int n)
{
    double flop = 0, seconds = 0;
    for (int p = 0; p < n; p++) {
        flop += products[p].flop;
        seconds += products[p].flop / products[p].rate;
    }
    return seconds > 0 && isfinite(seconds) ? flop / seconds : NAN;
}
