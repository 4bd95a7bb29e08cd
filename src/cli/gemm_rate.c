#define _GNU_SOURCE
#include "src/cli/gemm_rate.h"

#include <sched.h>
#include <stdlib.h>

#include "src/base/clock.h"
#include "src/base/memory.h"
#include "src/base/text.h"

/* A round takes well under a second even on one slow core. */
enum { MAX_ROWS = 512, MAX_MATRIX = 1 << 21, LEAST_WIDTH = 8 };

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

/* A weight of the first layer that rows are multiplied with. */
static bool is_matrix(const struct ko_weight *weight)
{
    return weight->layer == 0 && weight->n_dims == 2 && weight->transform == KO_AS_STORED &&
           weight->shape[0] >= LEAST_WIDTH && weight->shape[1] >= LEAST_WIDTH;
}

/* The weight as a product of n_in and n_out, cut to MAX_MATRIX elements. */
static struct ko_matrix matrix_of(const struct ko_weight *weight)
{
    const int64_t n_in = weight->shape[1] < MAX_MATRIX ? weight->shape[1] : MAX_MATRIX;
    const int64_t most = MAX_MATRIX / n_in;
    return (struct ko_matrix){.n_in = (int32_t)n_in,
                              .n_out =
                                  (int32_t)(weight->shape[0] < most ? weight->shape[0] : most)};
}

/* What the products of a round read and write. */
struct memory {
    float *x, *w, *y; /* backend memory */
    size_t n_x, n_w, n_y;
};

static void measure_sizes(const struct ko_model *model, int32_t n_rows, struct memory *memory,
                          double *flop)
{
    for (size_t k = 0; k < model->n_weights; k++) {
        if (!is_matrix(&model->weights[k]))
            continue;
        const struct ko_matrix matrix = matrix_of(&model->weights[k]);
        const size_t n_in = (size_t)matrix.n_in, n_out = (size_t)matrix.n_out;
        const size_t rows = (size_t)n_rows;
        memory->n_x = rows * n_in > memory->n_x ? rows * n_in : memory->n_x;
        memory->n_w = n_in * n_out > memory->n_w ? n_in * n_out : memory->n_w;
        memory->n_y = rows * n_out > memory->n_y ? rows * n_out : memory->n_y;
        *flop += 2.0 * (double)rows * (double)n_in * (double)n_out;
    }
}

static enum ko_code fill(const struct ko_kernels *kernels, struct ko_backend *be, size_t n,
                         float **out, struct ko_error *err)
{
    void *memory = NULL;
    float *host = ko_new(n, sizeof *host, err);
    if (!host)
        return KO_E_MEMORY;
    for (size_t k = 0; k < n; k++)
        host[k] = (float)(k % 251) * 0.01f - 1.25f;
    enum ko_code code = kernels->alloc(be, n * sizeof *host, &memory, err);
    *out = memory;
    if (code == KO_OK)
        code = kernels->upload(be, memory, host, n * sizeof *host, err);
    free(host);
    return code;
}

static enum ko_code one_round(const struct ko_kernels *kernels, struct ko_backend *be,
                              const struct ko_model *model, int32_t n_rows,
                              const struct memory *memory, struct ko_error *err)
{
    float probe = 0;
    enum ko_code code = KO_OK;
    for (size_t k = 0; code == KO_OK && k < model->n_weights; k++) {
        if (!is_matrix(&model->weights[k]))
            continue;
        struct ko_matrix matrix = matrix_of(&model->weights[k]);
        matrix.data = memory->w;
        code = kernels->linear(be, n_rows, memory->x, matrix.n_in, &matrix, NULL, false, memory->y,
                               matrix.n_out, err);
    }
    if (code == KO_OK) /* waits for the products */
        code = kernels->download(be, &probe, memory->y, sizeof probe, err);
    return code;
}

enum ko_code ko_gemm_rate(const struct ko_kernels *kernels, struct ko_backend *be,
                          const struct ko_model *model, int32_t n_rows, double seconds,
                          double *flops, struct ko_error *err)
{
    struct memory memory = {0};
    double flop = 0, fastest = 0;
    n_rows = n_rows < MAX_ROWS ? n_rows : MAX_ROWS;
    measure_sizes(model, n_rows, &memory, &flop);
    if (!(flop > 0))
        return ko_fail(err, KO_E_FAILED, "%s: has no matrix to measure", model->name);
    enum ko_code code = fill(kernels, be, memory.n_x, &memory.x, err);
    if (code == KO_OK)
        code = fill(kernels, be, memory.n_w, &memory.w, err);
    if (code == KO_OK)
        code = fill(kernels, be, memory.n_y, &memory.y, err);
    if (code == KO_OK)
        code = one_round(kernels, be, model, n_rows, &memory, err);
    const double begin = ko_now();
    while (code == KO_OK && (fastest <= 0 || ko_now() - begin < seconds)) {
        const double start = ko_now();
        code = one_round(kernels, be, model, n_rows, &memory, err);
        const double taken = ko_now() - start;
        fastest = fastest <= 0 || taken < fastest ? taken : fastest;
    }
    kernels->release(be, memory.x);
    kernels->release(be, memory.w);
    kernels->release(be, memory.y);
    if (code == KO_OK)
        *flops = flop / fastest;
    return code;
}
