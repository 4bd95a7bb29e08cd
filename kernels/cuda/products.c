/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products by cuBLASLt. Everything is row-major: y = x W^T of [out, in] weights is, in
   cuBLAS's columns, Y[out, m] = op(W) X[in, m]. The algorithm is the library's first choice for the
   number of rows rounded up, asked for once and kept; it depends on the shapes and the device
   alone, so that equal batches give equal bits. */
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/cuda.h"
#include "src/base/memory.h"

enum { SLOTS = 4096, ROW_STEP = 128, MOST_PROBES = 64 };

/* What an algorithm is chosen by. Compared byte by byte: zeroed first. */
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
static uint32_t alignment(const void *address)
{
    const uintptr_t low = (uintptr_t)address & (~(uintptr_t)address + 1);
    return low == 0 || low > 256 ? 256 : (uint32_t)low;
}

static uint64_t hash(const struct key *key)
{
    const unsigned char *bytes = (const unsigned char *)key;
    uint64_t h = 0xCBF29CE484222325u; /* FNV-1a */
    for (size_t k = 0; k < sizeof *key; k++) {
        h = (h ^ bytes[k]) * 0x100000001B3u;
    }
    return h;
}

static cublasStatus_t set(struct product *product, cublasLtMatmulDescAttributes_t attribute,
                          const void *value, size_t size)
{
    return cublasLtMatmulDescSetAttribute(&product->operation, attribute, value, size);
}

static cublasStatus_t describe_operation(const struct ko_backend *be, const struct key *key,
                                         const float *bias, struct product *product)
{
    const bool narrow = key->type == (int32_t)KO_ELEMENT_BF16;
    const cublasComputeType_t compute =
        !narrow && be->precision == KO_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    const cublasOperation_t op = key->in_first ? CUBLAS_OP_N : CUBLAS_OP_T;
    cublasStatus_t status = cublasLtMatmulDescInit(&product->operation, compute, CUDA_R_32F);
    if (status == CUBLAS_STATUS_SUCCESS) {
        status = set(product, CUBLASLT_MATMUL_DESC_TRANSA, &op, sizeof op);
    }
    if (status == CUBLAS_STATUS_SUCCESS && key->biased) {
        const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
        const cudaDataType_t type = CUDA_R_32F;
        status = set(product, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
        if (status == CUBLAS_STATUS_SUCCESS) {
            status = set(product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
        }
        if (status == CUBLAS_STATUS_SUCCESS) {
            status = set(product, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &type, sizeof type);
        }
    }
    return status;
}

/* key->m rows. */
static cublasStatus_t describe(const struct ko_backend *be, const struct key *key,
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

static enum ko_code choose(const struct ko_backend *be, struct product *product,
                           const struct key *key, cublasLtMatmulAlgo_t *out, struct ko_error *err)
{
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t result;
    const size_t workspace = KO_CUDA_WORKSPACE_BYTES;
    int found = 0;
    cublasStatus_t status = cublasLtMatmulPreferenceCreate(&preference);
    if (status == CUBLAS_STATUS_SUCCESS) {
        status = cublasLtMatmulPreferenceSetAttribute(
            preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace);
    }
    const struct {
        cublasLtMatmulPreferenceAttributes_t name;
        uint32_t bytes;
    } aligned[] = {{CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, key->aligned_w},
                   {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, key->aligned_x},
                   {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, key->aligned_y},
                   {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, key->aligned_y}};
    for (size_t k = 0; k < 4 && status == CUBLAS_STATUS_SUCCESS; k++) {
        status = cublasLtMatmulPreferenceSetAttribute(preference, aligned[k].name,
                                                      &aligned[k].bytes, sizeof aligned[k].bytes);
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

/* The algorithm for the key, asked for where it is not known yet. */
static enum ko_code find(struct ko_backend *be, const struct key *wanted, const float *bias,
                         const cublasLtMatmulAlgo_t **out, struct ko_error *err)
{
    const struct key key = *wanted;
    const uint64_t start = hash(&key);
    struct slot *slot = NULL;
    for (uint64_t probe = 0; probe < MOST_PROBES; probe++) {
        slot = &be->algorithms->slot[(start + probe) % SLOTS];
        if (!slot->used) {
            break;
        }
        if (memcmp(&slot->key, &key, sizeof key) == 0) {
            *out = &slot->algorithm;
            return KO_OK;
        }
    }
    struct product product;
    const enum ko_code code =
        ko_cublas_check(be, describe(be, &key, bias, &product), "a product's description", err);
    if (code != KO_OK) {
        return code;
    }
    slot->used = false; /* where all probes are taken, the last makes way */
    const enum ko_code chosen = choose(be, &product, &key, &slot->algorithm, err);
    if (chosen == KO_OK) {
        slot->key = key;
        slot->used = true;
        *out = &slot->algorithm;
    }
    return chosen;
}

struct operands {
    const void *w, *x;
    const float *bias;
    float *y;
};

/* By the algorithm that was chosen for `chosen_by`. */
static enum ko_code multiply_by(struct ko_backend *be, const struct key *key,
                                const struct key *chosen_by, const struct operands *o,
                                cublasStatus_t *status, struct ko_error *err)
{
    const float one = 1.0F, beta = key->accumulate ? 1.0F : 0.0F;
    const cublasLtMatmulAlgo_t *algorithm = NULL;
    struct product product;
    enum ko_code code = find(be, chosen_by, o->bias, &algorithm, err);
    if (code == KO_OK) {
        code = ko_cublas_check(be, describe(be, key, o->bias, &product), "a product's description",
                               err);
    }
    if (code == KO_OK) {
        *status = cublasLtMatmul(be->blas, &product.operation, &one, o->w, &product.a, o->x,
                                 &product.b, &beta, o->y, &product.c, o->y, &product.c, algorithm,
                                 be->scratch.workspace, KO_CUDA_WORKSPACE_BYTES, be->stream);
    }
    return code;
}

/* The choice for the rounded number of rows does not always do the number itself. */
static enum ko_code multiply(struct ko_backend *be, const struct key *key, const struct operands *o,
                             struct ko_error *err)
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

enum ko_code ko_cuda_product(struct ko_backend *be, const struct ko_linear *args, int32_t first,
                             int32_t n_out, struct ko_error *err)
{
    const struct ko_matrix *w = &args->w;
    if (args->n == 0 || n_out == 0) {
        return KO_OK;
    }
    if (args->n > be->limits.max_rows || w->n_in > be->limits.max_in) {
        return ko_fail(err, KO_E_FAILED, "GPU %d: a product of %d rows by %d, %d by %d is reserved",
                       be->device, args->n, w->n_in, be->limits.max_rows, be->limits.max_in);
    }
    const bool narrow = w->type == KO_ELEMENT_BF16;
    const void *operand = args->x;
    if (narrow) {
        const enum ko_code code =
            ko_cuda_narrow(be, args->n, w->n_in, args->x, args->ldx, be->scratch.narrow, err);
        if (code != KO_OK) {
            return code;
        }
        operand = be->scratch.narrow;
    }
    struct key key;
    memset(&key, 0, sizeof key);
    key.m = args->n;
    key.n_out = n_out;
    key.n_in = w->n_in;
    key.ldx = narrow ? w->n_in : args->ldx;
    key.ldy = args->ldy;
    key.lda = w->in_first ? w->n_out : w->n_in;
    key.in_first = w->in_first;
    key.biased = args->bias != NULL;
    key.accumulate = args->accumulate;
    key.type = (int32_t)w->type;
    const size_t skip = (size_t)first * (w->in_first ? 1 : (size_t)w->n_in);
    const unsigned char *data = (const unsigned char *)w->data + skip * ko_element_bytes(w->type);
    key.aligned_w = alignment(data);
    key.aligned_x = alignment(operand);
    key.aligned_y = alignment(args->y);
    const struct operands operands = {data, operand, args->bias, args->y};
    return multiply(be, &key, &operands, err);
}

enum ko_code ko_cuda_linear(struct ko_backend *be, const struct ko_linear *args,
                            struct ko_error *err)
{
    return ko_cuda_product(be, args, 0, args->w.n_out, err);
}
