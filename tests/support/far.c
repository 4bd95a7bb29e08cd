/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/far.h"

#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/split.h"
#include "src/base/memory.h"

enum { MOST = 4096 };

static struct {
    struct {
        unsigned char *memory;
        size_t bytes;
    } block[MOST];
    int n_blocks;
    enum ko_element type; /* of its matrices */
    bool reserved;
    struct ko_limits limits;
    int64_t bad; /* smallest number of an element that is not finite since the last import_end */
    size_t imported_bytes;
    int32_t n_rows;
} far;

/* Of far.block: copiers look at it in their threads. */
static pthread_mutex_t blocks = PTHREAD_MUTEX_INITIALIZER;
/* Of far.bad and far.imported_bytes. */
static pthread_mutex_t imports = PTHREAD_MUTEX_INITIALIZER;

size_t test_far_bytes(void)
{
    size_t n = 0;
    for (int k = 0; k < far.n_blocks; k++) {
        n += far.block[k].bytes;
    }
    return n;
}

size_t test_far_imported(void)
{
    return far.imported_bytes;
}

bool test_far_has(const void *memory, size_t bytes)
{
    const uintptr_t at = (uintptr_t)memory;
    bool has = false;
    pthread_mutex_lock(&blocks);
    for (int k = 0; k < far.n_blocks && !has; k++) {
        const uintptr_t begin = (uintptr_t)far.block[k].memory;
        has = at >= begin && at + bytes <= begin + far.block[k].bytes;
    }
    pthread_mutex_unlock(&blocks);
    return has;
}

static enum ko_code need(bool holds, const char *operation, const char *what, struct ko_error *err)
{
    return holds ? KO_OK : ko_fail(err, KO_E_FAILED, "far: %s: %s", operation, what);
}

/* Fails where a pointer of the list, ended by `last`, is neither NULL nor far memory. */
static const char last;
static enum ko_code all_far(const char *operation, struct ko_error *err, const void *const *list)
{
    for (int k = 0; list[k] != &last; k++) {
        if (list[k] && !test_far_has(list[k], 1)) {
            return ko_fail(err, KO_E_FAILED, "far: %s: pointer %d is host memory", operation, k);
        }
    }
    return KO_OK;
}
#define FAR(operation, ...)                                                                        \
    do {                                                                                           \
        const enum ko_code far_code =                                                              \
            all_far(operation, err, (const void *const[]){__VA_ARGS__, &last});                    \
        if (far_code != KO_OK)                                                                     \
            return far_code;                                                                       \
    } while (0)
#define NEED(operation, what)                                                                      \
    do {                                                                                           \
        if (need((what), operation, "not " #what, err) != KO_OK)                                   \
            return KO_E_FAILED;                                                                    \
    } while (0)

/* ---- Memory. */

static enum ko_code far_open(const struct ko_backend_config *config, struct ko_backend **out,
                             struct ko_error *err)
{
    memset(&far, 0, sizeof far);
    far.bad = -1;
    return ko_kernels_cpu.open(config, out, err);
}

static enum ko_code narrow_open(const struct ko_backend_config *config, struct ko_backend **out,
                                struct ko_error *err)
{
    const enum ko_code code = far_open(config, out, err);
    far.type = KO_ELEMENT_BF16;
    return code;
}

static enum ko_code split_open(const struct ko_backend_config *config, struct ko_backend **out,
                               struct ko_error *err)
{
    const enum ko_code code = far_open(config, out, err);
    far.type = KO_ELEMENT_BF16X2;
    return code;
}

static void far_close(struct ko_backend *be)
{
    ko_kernels_cpu.close(be);
}

static void far_describe(const struct ko_backend *be, char *text, size_t n)
{
    ko_kernels_cpu.describe(be, text, n);
}

static enum ko_code far_alloc(struct ko_backend *be, size_t bytes, void **out, struct ko_error *err)
{
    (void)be;
    unsigned char *memory = malloc(bytes + 1);
    if (!memory || far.n_blocks == MOST) {
        free(memory);
        return ko_fail(err, KO_E_MEMORY, "far: no memory");
    }
    memset(memory, 0xff, bytes); /* NaN */
    pthread_mutex_lock(&blocks);
    far.block[far.n_blocks].memory = memory;
    far.block[far.n_blocks++].bytes = bytes;
    pthread_mutex_unlock(&blocks);
    *out = memory;
    return KO_OK;
}

static void far_release(struct ko_backend *be, void *memory)
{
    (void)be;
    for (int k = 0; memory && k < far.n_blocks; k++) {
        if (far.block[k].memory == memory) {
            pthread_mutex_lock(&blocks);
            far.block[k] = far.block[--far.n_blocks];
            pthread_mutex_unlock(&blocks);
            free(memory);
            return;
        }
    }
    if (memory) {
        abort();
    }
}

static enum ko_code far_upload(struct ko_backend *be, void *to, const void *from, size_t bytes,
                               struct ko_error *err)
{
    (void)be;
    NEED("upload", test_far_has(to, bytes));
    NEED("upload", !test_far_has(from, 1));
    memcpy(to, from, bytes);
    return KO_OK;
}

static enum ko_code far_download(struct ko_backend *be, void *to, const void *from, size_t bytes,
                                 struct ko_error *err)
{
    (void)be;
    NEED("download", test_far_has(from, bytes));
    NEED("download", !test_far_has(to, 1));
    memcpy(to, from, bytes);
    return KO_OK;
}

static enum ko_element far_matrix_type(enum ko_precision precision)
{
    (void)precision;
    return KO_ELEMENT_F32;
}

static enum ko_element narrow_matrix_type(enum ko_precision precision)
{
    (void)precision;
    return KO_ELEMENT_BF16;
}

static enum ko_element split_matrix_type(enum ko_precision precision)
{
    (void)precision;
    return KO_ELEMENT_BF16X2;
}

static size_t far_reserved_bytes(enum ko_precision precision, const struct ko_limits *limits)
{
    (void)precision;
    (void)limits;
    return 0;
}

static enum ko_code far_reserve(struct ko_backend *be, const struct ko_limits *limits,
                                struct ko_error *err)
{
    (void)be;
    (void)err;
    far.limits = *limits;
    far.reserved = true;
    return KO_OK;
}

static float widened(const unsigned char *from, enum ko_element type, size_t i)
{
    uint16_t half;
    uint32_t bits;
    float value;
    if (type == KO_ELEMENT_F32) {
        memcpy(&value, from + 4 * i, sizeof value);
        return value;
    }
    memcpy(&half, from + 2 * i, sizeof half);
    if (type == KO_ELEMENT_F16) {
        const int exponent = half >> 10 & 31, fraction = half & 1023;
        const double size = exponent == 31  ? (fraction ? (double)NAN : (double)INFINITY)
                            : exponent == 0 ? ldexp(fraction, -24)
                                            : ldexp(1024 + fraction, exponent - 25);
        return (float)(half & 0x8000 ? -size : size);
    }
    bits = (uint32_t)half << 16;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Where a matrix's number k begins: in two parts, its high part. */
static size_t place_of(enum ko_element type, size_t run, size_t k)
{
    const bool parts = type == KO_ELEMENT_BF16X2 && run > 0;
    return parts ? 2 * (k + k / run * run) : k * ko_element_bytes(type);
}

static void store_number(const struct ko_import *args, size_t k, float value)
{
    const struct ko_split s = ko_split_of(value);
    unsigned char *to = (unsigned char *)args->to + place_of(args->type, args->run, k);
    if (args->type == KO_ELEMENT_F32) {
        memcpy(to, &value, sizeof value);
        return;
    }
    memcpy(to, &s.high, sizeof s.high);
    if (args->type == KO_ELEMENT_BF16X2) {
        memcpy(to + 2 * args->run, &s.low, sizeof s.low);
    }
}

static float number_at(const struct ko_matrix *matrix, size_t run, size_t k)
{
    const unsigned char *from =
        (const unsigned char *)matrix->data + place_of(matrix->type, run, k);
    if (matrix->type != KO_ELEMENT_BF16X2) {
        return widened(from, matrix->type, 0);
    }
    return widened(from, KO_ELEMENT_BF16, 0) + widened(from + 2 * run, KO_ELEMENT_BF16, 0);
}

/* Exact matrices are bfloat16 where the others are in two parts. */
static bool is_own_type(enum ko_element type)
{
    return type == far.type || (type == KO_ELEMENT_BF16 && far.type == KO_ELEMENT_BF16X2);
}

static enum ko_code far_import(struct ko_backend *be, const struct ko_import *args,
                               struct ko_error *err)
{
    const size_t end = args->first + args->n;
    (void)be;
    NEED("import", test_far_has(args->to, end * ko_element_bytes(args->type)));
    NEED("import", !test_far_has(args->from, 1));
    NEED("import", is_own_type(args->type));
    NEED("import", args->type != KO_ELEMENT_BF16X2 || args->run > 0);
    NEED("import", args->lane >= 0 && args->lane < KO_IMPORT_LANES);
    int64_t bad = -1;
    for (size_t i = 0; i < args->n; i++) {
        const float value = widened(args->from, args->from_type, i);
        if (!isfinite(value) && bad < 0) {
            bad = args->number + (int64_t)i;
        }
        store_number(args, args->first + i, value);
    }
    pthread_mutex_lock(&imports);
    if (bad >= 0 && (far.bad < 0 || bad < far.bad)) {
        far.bad = bad;
    }
    far.imported_bytes += args->n * ko_element_bytes(args->from_type);
    pthread_mutex_unlock(&imports);
    return KO_OK;
}

static enum ko_code far_import_end(struct ko_backend *be, int64_t *bad, struct ko_error *err)
{
    (void)be;
    (void)err;
    *bad = far.bad;
    far.bad = -1;
    return KO_OK;
}

static enum ko_code far_convert(struct ko_backend *be, const struct ko_import *args,
                                struct ko_error *err)
{
    (void)be;
    NEED("convert", test_far_has(args->to, args->n * ko_element_bytes(args->type)));
    NEED("convert", test_far_has(args->from, args->n * ko_element_bytes(args->from_type)));
    NEED("convert", is_own_type(args->type));
    for (size_t i = 0; i < args->n; i++) {
        const float value = widened(args->from, args->from_type, i);
        NEED("convert", isfinite(value));
        store_number(args, args->first + i, value);
    }
    return KO_OK;
}

/* ---- The copier. What was copied into a slot becomes NaN when the slot is left, and a buffer when
   it is handed out, so that nobody reads either too late. */

enum { LANES = 16, RANGES = 4096 };

struct far_copier {
    struct ko_copier functions;
    pthread_mutex_t lock;
    unsigned char *buffer[LANES];
    size_t piece_bytes;
    enum { LEFT, BEGUN, ENDED, TAKEN } state[KO_COPIER_MOST_SLOTS];
    int begun; /* slot */
    struct {
        unsigned char *to;
        size_t bytes;
    } range[KO_COPIER_MOST_SLOTS][RANGES];
    int n_ranges[KO_COPIER_MOST_SLOTS];
};

static struct far_copier *far_copier_of(struct ko_copier *functions)
{
    return (struct far_copier *)(void *)functions;
}

static enum ko_code far_buffer(struct ko_copier *functions, int lane, void **host,
                               struct ko_error *err)
{
    struct far_copier *c = far_copier_of(functions);
    NEED("copier", lane >= 0 && lane < LANES && c->buffer[lane]);
    memset(c->buffer[lane], 0xff, c->piece_bytes);
    *host = c->buffer[lane];
    return KO_OK;
}

static enum ko_code far_send(struct ko_copier *functions, int lane, void *to, size_t bytes,
                             struct ko_error *err)
{
    struct far_copier *c = far_copier_of(functions);
    NEED("copier", test_far_has(to, bytes));
    NEED("copier", bytes <= c->piece_bytes);
    memcpy(to, c->buffer[lane], bytes);
    pthread_mutex_lock(&c->lock);
    const int slot = c->begun, n = c->n_ranges[slot];
    const bool fits = c->state[slot] == BEGUN && n < RANGES;
    if (fits) {
        c->range[slot][n].to = to;
        c->range[slot][n].bytes = bytes;
        c->n_ranges[slot]++;
    }
    pthread_mutex_unlock(&c->lock);
    return need(fits, "copier", "send outside begin and end", err);
}

/* Goes from one of the two states to the next. */
static enum ko_code far_step(struct far_copier *c, int slot, int from, int or_from, int to,
                             struct ko_error *err)
{
    pthread_mutex_lock(&c->lock);
    const int was = (int)c->state[slot];
    c->state[slot] = to;
    if (to == BEGUN) {
        c->begun = slot;
        c->n_ranges[slot] = 0;
    }
    for (int k = 0; to == LEFT && k < c->n_ranges[slot]; k++) {
        memset(c->range[slot][k].to, 0xff, c->range[slot][k].bytes);
    }
    pthread_mutex_unlock(&c->lock);
    return need(was == from || was == or_from, "copier", "a slot is used out of order", err);
}

/* A layer that is not wanted any more is never taken. */
static enum ko_code far_begin(struct ko_copier *functions, int slot, struct ko_error *err)
{
    return far_step(far_copier_of(functions), slot, LEFT, ENDED, BEGUN, err);
}

static enum ko_code far_end(struct ko_copier *functions, int slot, struct ko_error *err)
{
    return far_step(far_copier_of(functions), slot, BEGUN, BEGUN, ENDED, err);
}

static enum ko_code far_take(struct ko_copier *functions, int slot, struct ko_error *err)
{
    return far_step(far_copier_of(functions), slot, ENDED, ENDED, TAKEN, err);
}

static enum ko_code far_leave(struct ko_copier *functions, int slot, struct ko_error *err)
{
    return far_step(far_copier_of(functions), slot, TAKEN, TAKEN, LEFT, err);
}

static void far_copier_close(struct ko_copier *functions)
{
    struct far_copier *c = far_copier_of(functions);
    for (int k = 0; k < LANES; k++) {
        free(c->buffer[k]);
    }
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static enum ko_code far_copier_open(struct ko_backend *be, int n_lanes, size_t piece_bytes,
                                    struct ko_copier **out, struct ko_error *err)
{
    (void)be;
    NEED("copier", n_lanes > 0 && n_lanes <= LANES);
    struct far_copier *c = ko_new(1, sizeof *c, err);
    if (!c) {
        return KO_E_MEMORY;
    }
    pthread_mutex_init(&c->lock, NULL);
    c->piece_bytes = piece_bytes;
    c->functions = (struct ko_copier){.buffer = far_buffer,
                                      .send = far_send,
                                      .begin = far_begin,
                                      .end = far_end,
                                      .take = far_take,
                                      .leave = far_leave,
                                      .close = far_copier_close};
    for (int k = 0; k < n_lanes; k++) {
        c->buffer[k] = malloc(piece_bytes);
        if (!c->buffer[k]) {
            far_copier_close(&c->functions);
            return ko_fail(err, KO_E_MEMORY, "far: no memory");
        }
    }
    *out = &c->functions;
    return KO_OK;
}

static enum ko_code far_wait(struct ko_backend *be, struct ko_error *err)
{
    return ko_kernels_cpu.wait(be, err);
}

/* ---- Operations. */

static enum ko_code far_set_rows(struct ko_backend *be, const struct ko_rows *rows,
                                 struct ko_error *err)
{
    NEED("set_rows", far.reserved);
    NEED("set_rows", rows->n_rows <= far.limits.max_rows);
    NEED("set_rows", rows->max_tokens <= far.limits.max_tokens);
    far.n_rows = rows->n_rows;
    return ko_kernels_cpu.set_rows(be, rows, err);
}

/* The n numbers of a matrix, or of matrices of its kind behind each other, as the cpu backend takes
   them. *wide: free() it. */
static enum ko_code near_numbers(const char *operation, const struct ko_matrix *matrix, size_t n,
                                 struct ko_matrix *out, float **wide, struct ko_error *err)
{
    const size_t run = ko_matrix_run(matrix->n_out, matrix->n_in, matrix->in_first);
    NEED(operation, is_own_type(matrix->type));
    NEED(operation, test_far_has(matrix->data, n * ko_element_bytes(matrix->type)));
    *out = *matrix;
    *wide = NULL;
    if (matrix->type == KO_ELEMENT_F32) {
        return KO_OK;
    }
    *wide = ko_new(n, sizeof **wide, err);
    if (!*wide) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < n; i++) {
        (*wide)[i] = number_at(matrix, run, i);
    }
    out->data = *wide;
    out->type = KO_ELEMENT_F32;
    return KO_OK;
}

static enum ko_code near_matrix(const char *operation, const struct ko_matrix *matrix,
                                struct ko_matrix *out, float **wide, struct ko_error *err)
{
    const size_t n = (size_t)matrix->n_in * (size_t)matrix->n_out;
    return near_numbers(operation, matrix, n, out, wide, err);
}

/* What each operation needs: far_ is its entry in the table, made from the list of operations. */

static enum ko_code far_embed(struct ko_backend *be, const struct ko_embed *a, struct ko_error *err)
{
    struct ko_embed near = *a;
    float *wide[2] = {NULL, NULL};
    FAR("embed", a->x);
    enum ko_code code = KO_OK;
    if (a->tokens.data) {
        code = near_matrix("embed", &a->tokens, &near.tokens, &wide[0], err);
    }
    if (code == KO_OK && a->positions.data) {
        code = near_matrix("embed", &a->positions, &near.positions, &wide[1], err);
    }
    if (code == KO_OK) {
        code = ko_kernels_cpu.embed(be, &near, err);
    }
    free(wide[0]);
    free(wide[1]);
    return code;
}

static enum ko_code far_branch_rows(struct ko_backend *be, const struct ko_branch_rows *a,
                                    struct ko_error *err)
{
    FAR("branch_rows", a->x);
    return ko_kernels_cpu.branch_rows(be, a, err);
}

static enum ko_code far_gather(struct ko_backend *be, const struct ko_gather *a,
                               struct ko_error *err)
{
    FAR("gather", a->from, a->to);
    NEED("gather", !test_far_has(a->index, 1)); /* the one array of the host */
    return ko_kernels_cpu.gather(be, a, err);
}

static enum ko_code far_scatter(struct ko_backend *be, const struct ko_scatter *a,
                                struct ko_error *err)
{
    FAR("scatter", a->from, a->to);
    NEED("scatter", a->n <= far.n_rows);
    NEED("scatter", !test_far_has(a->row, 1) && !test_far_has(a->column, 1)); /* the host's */
    return ko_kernels_cpu.scatter(be, a, err);
}

/* The high and low parts of the operands of a product, as float32. */
struct operand_parts {
    float *x[2], *w[2];
};

static void split_operands(const struct ko_linear *a, const struct operand_parts *p)
{
    const size_t n_in = (size_t)a->w.n_in, n_w = n_in * (size_t)a->w.n_out;
    const size_t run = ko_matrix_run(a->w.n_out, a->w.n_in, a->w.in_first);
    for (size_t i = 0; i < (size_t)a->n * n_in; i++) {
        const struct ko_split s = ko_split_of(a->x[i / n_in * (size_t)a->ldx + i % n_in]);
        p->x[0][i] = ko_bfloat16_value(s.high);
        p->x[1][i] = ko_bfloat16_value(s.low);
    }
    for (size_t i = 0; i < n_w; i++) {
        const struct ko_split s = ko_split_of(number_at(&a->w, run, i));
        p->w[0][i] = ko_bfloat16_value(s.high);
        p->w[1][i] = ko_bfloat16_value(s.low);
    }
}

/* As a GPU in bf16x3: low times high, high times low, then high times high. */
static enum ko_code multiply_parts(struct ko_backend *be, const struct ko_linear *a,
                                   struct ko_error *err)
{
    const size_t n_x = (size_t)a->n * (size_t)a->w.n_in;
    const size_t n_w = (size_t)a->w.n_out * (size_t)a->w.n_in;
    float *all = ko_new(2 * (n_x + n_w), sizeof *all, err);
    if (!all) {
        return KO_E_MEMORY;
    }
    const struct operand_parts p = {{all, all + n_x}, {all + 2 * n_x, all + 2 * n_x + n_w}};
    static const int part_of_x[] = {1, 0, 0}, part_of_w[] = {0, 1, 0};
    struct ko_linear near = *a;
    enum ko_code code = KO_OK;
    split_operands(a, &p);
    near.ldx = a->w.n_in;
    near.w.type = KO_ELEMENT_F32;
    for (int k = 0; k < 3 && code == KO_OK; k++) {
        near.x = p.x[part_of_x[k]];
        near.w.data = p.w[part_of_w[k]];
        near.bias = k == 0 ? a->bias : NULL;
        near.accumulate = k > 0 || a->accumulate;
        code = ko_kernels_cpu.linear(be, &near, err);
    }
    free(all);
    return code;
}

static enum ko_code far_linear(struct ko_backend *be, const struct ko_linear *a,
                               struct ko_error *err)
{
    struct ko_linear near = *a;
    float *wide = NULL;
    FAR("linear", a->x, a->bias, a->y);
    NEED("linear", a->n <= far.n_rows);
    NEED("linear", a->w.n_in <= far.limits.max_in);
    if (far.type == KO_ELEMENT_BF16X2) {
        NEED("linear", is_own_type(a->w.type));
        NEED("linear", test_far_has(a->w.data, ko_element_bytes(a->w.type) * (size_t)a->w.n_in *
                                                   (size_t)a->w.n_out));
        return multiply_parts(be, a, err);
    }
    enum ko_code code = near_matrix("linear", &a->w, &near.w, &wide, err);
    if (code == KO_OK) {
        code = ko_kernels_cpu.linear(be, &near, err);
    }
    free(wide);
    return code;
}

static enum ko_code far_rms_norm(struct ko_backend *be, const struct ko_rms_norm *a,
                                 struct ko_error *err)
{
    FAR("rms_norm", a->x, a->weight, a->y);
    return ko_kernels_cpu.rms_norm(be, a, err);
}

static enum ko_code far_layer_norm(struct ko_backend *be, const struct ko_layer_norm *a,
                                   struct ko_error *err)
{
    FAR("layer_norm", a->x, a->weight, a->bias, a->y);
    return ko_kernels_cpu.layer_norm(be, a, err);
}

static enum ko_code far_softplus(struct ko_backend *be, const struct ko_activation *a,
                                 struct ko_error *err)
{
    FAR("softplus", a->x);
    return ko_kernels_cpu.softplus(be, a, err);
}

static enum ko_code far_gelu(struct ko_backend *be, const struct ko_activation *a,
                             struct ko_error *err)
{
    FAR("gelu", a->x);
    return ko_kernels_cpu.gelu(be, a, err);
}

static enum ko_code far_relu(struct ko_backend *be, const struct ko_activation *a,
                             struct ko_error *err)
{
    FAR("relu", a->x);
    return ko_kernels_cpu.relu(be, a, err);
}

static enum ko_code far_relu2(struct ko_backend *be, const struct ko_activation *a,
                              struct ko_error *err)
{
    FAR("relu2", a->x);
    return ko_kernels_cpu.relu2(be, a, err);
}

static enum ko_code far_gelu_tanh(struct ko_backend *be, const struct ko_activation *a,
                                  struct ko_error *err)
{
    FAR("gelu_tanh", a->x);
    return ko_kernels_cpu.gelu_tanh(be, a, err);
}

static enum ko_code far_silu_mul(struct ko_backend *be, const struct ko_gate *a,
                                 struct ko_error *err)
{
    FAR("silu_mul", a->gate, a->up, a->y);
    return ko_kernels_cpu.silu_mul(be, a, err);
}

static enum ko_code far_choose_experts(struct ko_backend *be, const struct ko_choose_experts *a,
                                       struct ko_error *err)
{
    FAR("choose_experts", a->logits, a->choice, a->share);
    NEED("choose_experts", !a->correction || test_far_has(a->correction, 1));
    return ko_kernels_cpu.choose_experts(be, a, err);
}

/* As near_matrix, for the matrices of all experts. */
static enum ko_code near_experts(const struct ko_expert_matrices *w, int32_t n_experts,
                                 struct ko_expert_matrices *out, float **wide, struct ko_error *err)
{
    const size_t one = (size_t)w->first.n_in * (size_t)w->first.n_out;
    const size_t all = w->stride * (size_t)(n_experts - 1) + one;
    NEED("experts", !w->bias || test_far_has(w->bias, 1));
    *out = *w;
    return near_numbers("experts", &w->first, all, &out->first, wide, err);
}

static enum ko_code far_experts(struct ko_backend *be, const struct ko_experts *a,
                                struct ko_error *err)
{
    struct ko_experts near = *a;
    float *wide[3] = {NULL, NULL, NULL};
    FAR("experts", a->x, a->choice, a->share, a->work, a->y);
    NEED("experts", a->n <= far.n_rows);
    enum ko_code code = near_experts(&a->gate, a->n_experts, &near.gate, &wide[0], err);
    if (code == KO_OK && !a->interleaved && !a->relu2) {
        code = near_experts(&a->up, a->n_experts, &near.up, &wide[1], err);
    }
    if (code == KO_OK) {
        code = near_experts(&a->down, a->n_experts, &near.down, &wide[2], err);
    }
    if (code == KO_OK) {
        code = ko_kernels_cpu.experts(be, &near, err);
    }
    for (int k = 0; k < 3; k++) {
        free(wide[k]);
    }
    return code;
}

static enum ko_code far_gelu_mul(struct ko_backend *be, const struct ko_gate *a,
                                 struct ko_error *err)
{
    FAR("gelu_mul", a->gate, a->up, a->y);
    return ko_kernels_cpu.gelu_mul(be, a, err);
}

static enum ko_code far_gelu_tanh_mul(struct ko_backend *be, const struct ko_gate *a,
                                      struct ko_error *err)
{
    FAR("gelu_tanh_mul", a->gate, a->up, a->y);
    return ko_kernels_cpu.gelu_tanh_mul(be, a, err);
}

static enum ko_code far_mul(struct ko_backend *be, const struct ko_gate *a, struct ko_error *err)
{
    FAR("mul", a->gate, a->up, a->y);
    return ko_kernels_cpu.mul(be, a, err);
}

static enum ko_code far_add_scaled(struct ko_backend *be, const struct ko_add_scaled *a,
                                   struct ko_error *err)
{
    FAR("add_scaled", a->x, a->y);
    return ko_kernels_cpu.add_scaled(be, a, err);
}

static enum ko_code far_copy_heads(struct ko_backend *be, const struct ko_copy_heads *a,
                                   struct ko_error *err)
{
    FAR("copy_heads", a->from, a->to);
    return ko_kernels_cpu.copy_heads(be, a, err);
}

static enum ko_code far_scale_columns(struct ko_backend *be, const struct ko_scale_columns *a,
                                      struct ko_error *err)
{
    FAR("scale_columns", a->scale, a->x);
    return ko_kernels_cpu.scale_columns(be, a, err);
}

static enum ko_code far_gate_rows(struct ko_backend *be, const struct ko_gate_rows *a,
                                  struct ko_error *err)
{
    FAR("gate_rows", a->gate, a->x);
    return ko_kernels_cpu.gate_rows(be, a, err);
}

static enum ko_code far_head_norm(struct ko_backend *be, const struct ko_head_norm *a,
                                  struct ko_error *err)
{
    FAR("head_norm", a->x, a->weight);
    return ko_kernels_cpu.head_norm(be, a, err);
}

static enum ko_code far_conv(struct ko_backend *be, const struct ko_conv *a, struct ko_error *err)
{
    FAR("conv", a->in, a->weight, a->bias, a->masks, a->out);
    return ko_kernels_cpu.conv(be, a, err);
}

static enum ko_code far_mamba1(struct ko_backend *be, const struct ko_mamba1 *a,
                               struct ko_error *err)
{
    FAR("mamba1", a->u, a->delta, a->b, a->c, a->z, a->a, a->d, a->masks, a->out);
    return ko_kernels_cpu.mamba1(be, a, err);
}

static enum ko_code far_mamba2(struct ko_backend *be, const struct ko_mamba2 *a,
                               struct ko_error *err)
{
    FAR("mamba2", a->u, a->b, a->c, a->dt, a->dt_bias, a->a, a->d, a->masks, a->out);
    NEED("mamba2", a->n_heads <= far.limits.n_heads);
    NEED("mamba2", a->n_groups <= far.limits.n_groups);
    return ko_kernels_cpu.mamba2(be, a, err);
}

static enum ko_code far_deltanet(struct ko_backend *be, const struct ko_deltanet *a,
                                 struct ko_error *err)
{
    FAR("deltanet", a->q, a->k, a->v, a->dt, a->beta, a->dt_bias, a->a, a->masks, a->out);
    return ko_kernels_cpu.deltanet(be, a, err);
}

static enum ko_code far_rglru(struct ko_backend *be, const struct ko_rglru *a, struct ko_error *err)
{
    FAR("rglru", a->u, a->input, a->decay, a->param, a->out);
    return ko_kernels_cpu.rglru(be, a, err);
}

static enum ko_code far_output_gate(struct ko_backend *be, const struct ko_output_gate *a,
                                    struct ko_error *err)
{
    FAR("output_gate", a->z, a->weight, a->x);
    return ko_kernels_cpu.output_gate(be, a, err);
}

static enum ko_code far_rope(struct ko_backend *be, const struct ko_rope *a, struct ko_error *err)
{
    FAR("rope", a->cos, a->sin, a->long_cos, a->long_sin, a->x);
    return ko_kernels_cpu.rope(be, a, err);
}

static enum ko_code far_attention(struct ko_backend *be, const struct ko_attention *a,
                                  struct ko_error *err)
{
    FAR("attention", a->q, a->k, a->v, a->sinks, a->out);
    return ko_kernels_cpu.attention(be, a, err);
}

static enum ko_code far_unembed(struct ko_backend *be, const struct ko_unembed *args,
                                struct ko_error *err)
{
    struct ko_unembed near = *args;
    float *wide = NULL;
    FAR("unembed", args->x, args->bias);
    NEED("unembed", args->table.n_out == far.limits.vocabulary);
    NEED("unembed", ko_unembed_n_rows(args) <= far.limits.max_rows);
    NEED("unembed", args->n <= far.limits.max_rows || args->n <= far.limits.max_scored);
    enum ko_code code = near_matrix("unembed", &args->table, &near.table, &wide, err);
    if (code == KO_OK) {
        code = ko_kernels_cpu.unembed(be, &near, err);
    }
    free(wide);
    return code;
}

#define ENTRY(name, args) .name = far_##name,
#define EVERYTHING                                                                                 \
    .own_memory = true, .close = far_close, .describe = far_describe, .alloc = far_alloc,          \
    .release = far_release, .upload = far_upload, .download = far_download,                        \
    .reserved_bytes = far_reserved_bytes, .reserve = far_reserve, .import = far_import,            \
    .import_end = far_import_end, .convert = far_convert, .copier_open = far_copier_open,          \
    .wait = far_wait, .set_rows = far_set_rows, KO_OPERATIONS(ENTRY)

const struct ko_kernels test_far = {
    .name = "far", .open = far_open, .matrix_type = far_matrix_type, EVERYTHING};
const struct ko_kernels test_far_narrow = {
    .name = "far, narrow", .open = narrow_open, .matrix_type = narrow_matrix_type, EVERYTHING};
const struct ko_kernels test_far_split = {
    .name = "far, split", .open = split_open, .matrix_type = split_matrix_type, EVERYTHING};
