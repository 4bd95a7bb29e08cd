/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products by cuBLASLt. Our matrices are row-major and cuBLAS's are column-major, so y = x
   W^T with W [out, in] becomes Y[out, m] = op(W) X[in, m]. The algorithm is the library's first
   choice for the number of rows rounded up. It is looked up once and kept. It depends only on the
   shapes and the device, so equal batches give equal bits. */
#include <stdlib.h>
#include <string.h>

#include "kernels/at.h"
#include "kernels/cuda/cuda.h"
#include "src/base/memory.h"

enum { SLOTS = 4096, ROW_STEP = 128, MOST_PROBES = 64 };

/* An algorithm is chosen by these values. Keys are compared byte by byte, so they are zeroed first.
 */
struct key {
    int32_t m, n_out, n_in, ldx, ldy, lda;
    int32_t in_first, biased, accumulate, type;
    int32_t exact;                            /* m is the number of rows itself */
    uint32_t aligned_w, aligned_x, aligned_y; /* bytes */
};

struct slot {
    bool used;
    struct key key;
    cublasLtMatmulAlgo_t algorithm;
};

struct ko_cuda_algorithms {
    struct slot slot[SLOTS];
};

/* The descriptions of one product. */
struct product {
    cublasLtMatmulDescOpaque_t operation;
    cublasLtMatrixLayoutOpaque_t a, b, c;
};

enum ko_code ko_cuda_algorithms_new(struct ko_cuda_algorithms **out, struct ko_error *err)
{
    *out = ko_new(1, sizeof **out, err);
    return *out ? KO_OK : KO_E_MEMORY;
}

void ko_cuda_algorithms_free(struct ko_cuda_algorithms *algorithms)
{
    free(algorithms);
}

/* The largest power of two up to 256 that divides the address. */
static uint32_t alignment_of(const void *address)
{
    const uintptr_t low = (uintptr_t)address & (~(uintptr_t)address + 1);
    return low == 0 || low > 256 ? 256 : (uint32_t)low;
}

static uint64_t hash_key(const struct key *key)
{
    const unsigned char *bytes = (const unsigned char *)key;
    uint64_t h = 0xCBF29CE484222325u; /* FNV-1a */
    for (size_t k = 0; k < sizeof *key; k++) {
        h = (h ^ bytes[k]) * 0x100000001B3u;
    }
    return h;
}

static cublasStatus_t describe_operation(const struct ko_backend *be, const struct key *key,
                                         const float *bias, struct product *product)
{
    const bool narrow = key->type == (int32_t)KO_ELEMENT_BF16;
    const cublasComputeType_t compute =
        !narrow && be->precision == KO_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    const cublasOperation_t op = key->in_first ? CUBLAS_OP_N : CUBLAS_OP_T;
    const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    const cudaDataType_t bias_type = CUDA_R_32F;
    const struct {
        cublasLtMatmulDescAttributes_t name;
        const void *value;
        size_t bytes;
    } set[] = {{CUBLASLT_MATMUL_DESC_TRANSA, &op, sizeof op},
               {CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue},
               {CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias},
               {CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &bias_type, sizeof bias_type}};
    cublasStatus_t status = cublasLtMatmulDescInit(&product->operation, compute, CUDA_R_32F);
    for (size_t k = 0; k < (key->biased ? 4 : 1) && status == CUBLAS_STATUS_SUCCESS; k++) {
        status = cublasLtMatmulDescSetAttribute(&product->operation, set[k].name, set[k].value,
                                                set[k].bytes);
    }
    return status;
}

/* A product of key->m rows. */
static cublasStatus_t describe_product(const struct ko_backend *be, const struct key *key,
                                       const float *bias, struct product *product)
{
    const cudaDataType_t type = key->type == (int32_t)KO_ELEMENT_BF16 ? CUDA_R_16BF : CUDA_R_32F;
    const uint64_t m = (uint64_t)key->m, out = (uint64_t)key->n_out, in = (uint64_t)key->n_in;
    cublasStatus_t status = describe_operation(be, key, bias, product);
    if (status == CUBLAS_STATUS_SUCCESS) {
        status = cublasLtMatrixLayoutInit(&product->a, type, key->in_first ? out : in,
                                          key->in_first ? in : out, key->lda);
    }
    if (status == CUBLAS_STATUS_SUCCESS) {
        status = cublasLtMatrixLayoutInit(&product->b, type, in, m, key->ldx);
    }
    if (status == CUBLAS_STATUS_SUCCESS) {
        status = cublasLtMatrixLayoutInit(&product->c, CUDA_R_32F, out, m, key->ldy);
    }
    return status;
}

static enum ko_code choose_algorithm(const struct ko_backend *be, struct product *product,
                                     const struct key *key, cublasLtMatmulAlgo_t *out,
                                     struct ko_error *err)
{
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t result;
    const size_t workspace = KO_CUDA_WORKSPACE_BYTES;
    int found = 0;
    const struct {
        cublasLtMatmulPreferenceAttributes_t name;
        const void *value;
        size_t bytes;
    } set[] = {
        {CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &key->aligned_w, sizeof key->aligned_w},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &key->aligned_x, sizeof key->aligned_x},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &key->aligned_y, sizeof key->aligned_y},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &key->aligned_y, sizeof key->aligned_y}};
    cublasStatus_t status = cublasLtMatmulPreferenceCreate(&preference);
    for (size_t k = 0; k < sizeof set / sizeof set[0] && status == CUBLAS_STATUS_SUCCESS; k++) {
        status = cublasLtMatmulPreferenceSetAttribute(preference, set[k].name, set[k].value,
                                                      set[k].bytes);
    }
    if (status == CUBLAS_STATUS_SUCCESS) {
        status = cublasLtMatmulAlgoGetHeuristic(be->blas, &product->operation, &product->a,
                                                &product->b, &product->c, &product->c, preference,
                                                1, &result, &found);
    }
    if (preference) {
        (void)cublasLtMatmulPreferenceDestroy(preference);
    }
    if (status == CUBLAS_STATUS_SUCCESS && found == 1) {
        *out = result.algo;
        return KO_OK;
    }
    return ko_fail(err, KO_E_FAILED,
                   "GPU %d (%s): cuBLAS has no product of [%d,%d] with [%d,%d]: %s", be->device,
                   be->uuid, key->m, key->n_in, key->n_out, key->n_in,
                   cublasLtGetStatusString(status));
}

/* The algorithm for the key, which is looked up at its first use. */
static enum ko_code find_algorithm(struct ko_backend *be, const struct key *key, const float *bias,
                                   const cublasLtMatmulAlgo_t **out, struct ko_error *err)
{
    const uint64_t start = hash_key(key);
    struct slot *slot = NULL;
    for (uint64_t probe = 0; probe < MOST_PROBES; probe++) {
        slot = &be->algorithms->slot[(start + probe) % SLOTS];
        if (!slot->used) {
            break;
        }
        if (memcmp(&slot->key, key, sizeof *key) == 0) {
            *out = &slot->algorithm;
            return KO_OK;
        }
    }
    struct product product;
    enum ko_code code = ko_cublas_check(be, describe_product(be, key, bias, &product),
                                        "a product's description", err);
    if (code != KO_OK) {
        return code;
    }
    slot->used = false; /* if all probed slots are taken, the last one is replaced */
    code = choose_algorithm(be, &product, key, &slot->algorithm, err);
    if (code == KO_OK) {
        slot->key = *key;
        slot->used = true;
        *out = &slot->algorithm;
    }
    return code;
}

struct operands {
    const void *w, *x;
    const float *bias;
    float *y;
};

/* Multiplies by the algorithm of the key `chosen_by`. *status: cuBLAS's. */
static enum ko_code multiply_by(struct ko_backend *be, const struct key *key,
                                const struct key *chosen_by, const struct operands *o,
                                cublasStatus_t *status, struct ko_error *err)
{
    const float one = 1.0F, beta = key->accumulate ? 1.0F : 0.0F;
    const cublasLtMatmulAlgo_t *algorithm = NULL;
    struct product product;
    enum ko_code code = find_algorithm(be, chosen_by, o->bias, &algorithm, err);
    if (code == KO_OK) {
        code = ko_cublas_check(be, describe_product(be, key, o->bias, &product),
                               "a product's description", err);
    }
    if (code != KO_OK) {
        return code;
    }
    *status = cublasLtMatmul(be->blas, &product.operation, &one, o->w, &product.a, o->x, &product.b,
                             &beta, o->y, &product.c, o->y, &product.c, algorithm,
                             be->scratch.workspace, KO_CUDA_WORKSPACE_BYTES, be->stream);
    return KO_OK;
}

/* The algorithm for the rounded number of rows does not always support the exact number. Then one
   is chosen for that. */
static enum ko_code multiply_operands(struct ko_backend *be, const struct key *key,
                                      const struct operands *o, struct ko_error *err)
{
    cublasStatus_t status = CUBLAS_STATUS_NOT_SUPPORTED;
    struct key by = *key;
    by.m = (key->m + ROW_STEP - 1) / ROW_STEP * ROW_STEP;
    enum ko_code code = multiply_by(be, key, &by, o, &status, err);
    if (code == KO_OK &&
        (status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE)) {
        by.m = key->m;
        by.exact = 1;
        code = multiply_by(be, key, &by, o, &status, err);
    }
    if (code == KO_OK && status != CUBLAS_STATUS_SUCCESS) {
        code = ko_cublas_check(be, status, "cublasLtMatmul", err);
        ko_fail_in(err, "a product of [%d,%d] with [%d,%d]", key->m, key->n_in, key->n_out,
                   key->n_in);
    }
    return code;
}

/* A product of operands as they lie in device memory: float32, or both bfloat16. */
struct stored {
    const void *w, *x;
    enum ko_element type;
    int32_t n_in, lda, ldx;
    const float *bias; /* NULL: none */
    bool accumulate;
};

static enum ko_code multiply_stored(struct ko_backend *be, const struct ko_linear *args,
                                    int32_t n_out, const struct stored *s, struct ko_error *err)
{
    struct key key;
    memset(&key, 0, sizeof key);
    key.m = args->n;
    key.n_out = n_out;
    key.n_in = s->n_in;
    key.ldx = s->ldx;
    key.ldy = args->ldy;
    key.lda = s->lda;
    key.in_first = args->w.in_first;
    key.biased = s->bias != NULL;
    key.accumulate = s->accumulate;
    key.type = (int32_t)s->type;
    key.aligned_w = alignment_of(s->w);
    key.aligned_x = alignment_of(s->x);
    key.aligned_y = alignment_of(args->y);
    const struct operands operands = {s->w, s->x, s->bias, args->y};
    return multiply_operands(be, &key, &operands, err);
}

/* bf16x3. With x = xl + xh and w = wh + wl, y = xl wh + xh wl is one product over twice the inputs,
   since the parts of both operands lie side by side, those of x low part first. Then y += xh wh. A
   matrix that is exactly bfloat16 has no wl. */
static enum ko_code multiply_parts(struct ko_backend *be, const struct ko_linear *args,
                                   int32_t first, int32_t n_out, struct ko_error *err)
{
    const struct ko_matrix *w = &args->w;
    const int32_t n_parts = w->type == KO_ELEMENT_BF16 ? 1 : 2, ld_row = n_parts * w->n_in;
    const size_t skip = w->in_first ? ko_at(0, w->n_out, first) : ko_at(first, ld_row, 0);
    const uint16_t *x = be->scratch.narrow;
    struct stored s = {.w = (const uint16_t *)w->data + skip,
                       .x = x,
                       .type = KO_ELEMENT_BF16,
                       .n_in = ld_row,
                       .lda = w->in_first ? w->n_out : ld_row,
                       .ldx = 2 * w->n_in,
                       .bias = args->bias,
                       .accumulate = args->accumulate};
    enum ko_code code = ko_cuda_split(be, args, err);
    if (code == KO_OK) {
        code = multiply_stored(be, args, n_out, &s, err);
    }
    s.x = x + w->n_in;
    s.n_in = w->n_in;
    s.bias = NULL;
    s.accumulate = true;
    return code == KO_OK ? multiply_stored(be, args, n_out, &s, err) : code;
}

enum ko_code ko_cuda_product(struct ko_backend *be, const struct ko_linear *args, int32_t first,
                             int32_t n_out, struct ko_error *err)
{
    const struct ko_matrix *w = &args->w;
    const bool narrow = w->type == KO_ELEMENT_BF16;
    if (args->n == 0 || n_out == 0) {
        return KO_OK;
    }
    if (args->n > be->limits.max_rows || w->n_in > be->limits.max_in) {
        return ko_fail(err, KO_E_FAILED, "GPU %d: a product of %d rows by %d, %d by %d is reserved",
                       be->device, args->n, w->n_in, be->limits.max_rows, be->limits.max_in);
    }
    if (be->precision == KO_BF16X3 && w->type != KO_ELEMENT_F32) {
        return multiply_parts(be, args, first, n_out, err);
    }
    const enum ko_code code = narrow ? ko_cuda_narrow(be, args, err) : KO_OK;
    if (code != KO_OK) {
        return code;
    }
    const size_t skip = w->in_first ? ko_at(0, w->n_out, first) : ko_at(first, w->n_in, 0);
    const struct stored s = {
        .w = (const unsigned char *)w->data + skip * ko_element_bytes(w->type),
        .x = narrow ? be->scratch.narrow : args->x,
        .type = w->type,
        .n_in = w->n_in,
        .lda = w->in_first ? w->n_out : w->n_in,
        .ldx = narrow ? w->n_in : args->ldx,
        .bias = args->bias,
        .accumulate = args->accumulate,
    };
    return multiply_stored(be, args, n_out, &s, err);
}

enum ko_code ko_cuda_linear(struct ko_backend *be, const struct ko_linear *args,
                            struct ko_error *err)
{
    return ko_cuda_product(be, args, 0, args->w.n_out, err);
}
